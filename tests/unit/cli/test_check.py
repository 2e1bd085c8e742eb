"""`fastobj check`: a sound store is sound, and each kind of damage is found and named."""

import asyncio
import hashlib
import http.client
import io
import json
import os
import shutil
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from fastobj.cli import check
from fastobj.cli.main import main
from fastobj.core.clock import FixedClock
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import Add
from fastobj.objects import buckets
from fastobj.storage.base import Location
from fastobj.storage.segment_files import segment_path
from fastobj.testing.process_server import ProcessServer
from tests.golden.make import opened
from tests.unit.node.running import Client, Load, pids
from tests.unit.objects.conftest import START_NS
from tests.unit.objects.damaging import flip, object_row, write
from tests.unit.objects.uploading import Site as Uploads
from tests.unit.objects.uploading import site_on_disk

LARGE = bytes(range(256)) * 10_000
UPLOAD_ID = b"0123456789abcdef"
BROKEN = b"\x93\x01\xc3\xc3"


async def _make(directory):
    async with site_on_disk(directory) as site:
        await site.put(b"empty", b"")
        await site.put(b"small", b"body")
        await site.put(b"small too", b"another body")
        await site.put(b"large", LARGE)
        await site.put(b"shared", b"x" + LARGE)
        await site.copy(b"shared", b"copy")
        await site.upload([b"y" + LARGE, b"", b"tail"], b"parts")
        await site.copy(b"parts", b"parts too")
        upload = await site.create(b"open")
        await site.part(upload, 1, b"part")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with some of everything."""
    directory = tmp_path_factory.mktemp("made") / "store"
    asyncio.run(_make(directory))
    return directory


@pytest.fixture
def directory(made, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "store"))


class Site:
    """The store, open to be damaged."""

    def __init__(self, site, root):
        self.site = site
        self.store = site.store
        self.root = root

    async def row(self, key=b"small"):
        return await object_row(self, key)

    @property
    def bucket(self):
        return self.site.bucket

    def key(self, key=b"small"):
        return keys.current(self.bucket.record.id, key)

    async def change(self, key=b"small", adds=(), **fields):
        """Changes the row of an object."""
        record = msgspec.structs.replace(await self.row(key), **fields)
        await self.write(keys.CURRENT, self.key(key), records.encode(record), adds)

    async def write(self, space, key, value, adds=()):
        await write(self.store, space, key, value, adds)

    async def flip(self, location, at=0):
        flip(self.root, location, at)

    async def rows(self, space):
        return await self.site.rows(space)

    async def segment(self, location):
        """Key and record of the segment that a body stands in."""
        key = keys.segment(Location.decode(location).segment)
        value, _ = await self.store.meta.get(keys.SEGMENTS, key)
        return key, records.decode(records.SegmentRecord, value)


async def _damage(directory, damage):
    clock = FixedClock(START_NS)
    async with opened(directory, clock) as (_, store):
        site = Uploads(store, clock)
        site.bucket = await buckets.get(store, "bucket")
        await damage(Site(site, directory))


def run(capsys, directory, *flags):
    """Status, lines of standard output, and standard error."""
    status = main(["check", str(directory), *flags])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def test_a_sound_store(capsys, directory):
    status, lines, err = run(capsys, directory)
    assert (status, err) == (0, "")
    (verdict,) = lines
    assert verdict.startswith("sound: ")
    assert "1 buckets and 8 objects were compared" in verdict
    assert "bodies of" in verdict
    assert run(capsys, directory)[0] == 0


def test_it_changes_nothing_but_what_opening_does(capsys, directory):
    rows = asyncio.run(_rows(directory))
    before = _contents(directory)
    assert run(capsys, directory)[0] == 0
    after = _contents(directory)
    kept = {name for name in before if name.endswith((".log", ".ext", ".body", "/store"))}
    assert kept
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    assert {name for name in after if name.startswith("extents/")} <= set(before)
    assert asyncio.run(_rows(directory)) == rows


def _contents(directory):
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            name = path.relative_to(directory).as_posix()
            found[name] = hashlib.sha256(path.read_bytes()).digest()
    return found


async def _rows(directory):
    """All rows but those of segments, to which each opening adds one."""
    found = {}

    async def read(site):
        for space in range(1, 10):
            if space != keys.SEGMENTS:
                found[space] = await site.rows(space)

    await _damage(directory, read)
    return found


# --- each kind of damage


async def _flipped_record(site):
    await site.flip((await site.row(b"small")).location)


async def _flipped_piece(site):
    await site.flip((await site.row(b"large")).location, 1000)


async def _flipped_shared_body(site):
    data_id = (await site.row(b"copy")).data_id
    value, _ = await site.store.meta.get(keys.SHARED, data_id)
    await site.flip(records.decode(records.SharedRecord, value).location)


async def _flipped_part(site):
    for row in await site.rows(keys.PARTS):
        record = records.decode(records.PartRecord, row.value)
        if record.size > len(LARGE):
            await site.flip(record.location)


async def _flipped_manifest(site):
    data_id = (await site.row(b"parts")).data_id
    value, _ = await site.store.meta.get(keys.SHARED, data_id)
    await site.flip(records.decode(records.SharedRecord, value).location, 3)


async def _broken_object(site):
    await site.write(keys.CURRENT, site.key(), BROKEN)


async def _broken_bucket(site):
    await site.write(keys.BUCKETS, b"broken", BROKEN)


async def _wrong_key(site):
    record = await site.row(b"empty")
    adds = [Add(keys.CURRENT, site.bucket.record.id, (1, 0))]
    await site.write(keys.CURRENT, site.key(b"\xff\xfe"), records.encode(record), adds)


async def _object_without_bucket(site):
    record = await site.row(b"empty")
    adds = [Add(keys.CURRENT, b"nobucket", (1, 0))]
    await site.write(keys.CURRENT, b"nobucket/key", records.encode(record), adds)


async def _upload_without_bucket(site):
    (row,) = await site.rows(keys.UPLOADS)
    await site.write(keys.UPLOADS, keys.upload(b"nobucket", b"key", UPLOAD_ID), row.value)


async def _one_id_for_two_buckets(site):
    await site.write(keys.BUCKETS, b"twin", records.encode(site.bucket.record))


async def _unknown_segment(site):
    place = Location.decode((await site.row()).location)
    await site.change(location=place._replace(segment=4711).encode())


async def _wrong_generation(site):
    place = Location.decode((await site.row()).location)
    await site.change(location=place._replace(generation=4711).encode())


async def _wrong_volume(site):
    place = Location.decode((await site.row()).location)
    await site.change(location=place._replace(volume=2).encode())


async def _outside_its_file(site):
    place = Location.decode((await site.row(b"large")).location)
    await site.change(b"large", location=place._replace(offset=1 << 40).encode())


async def _overlap(site):
    record = await site.row(b"small")
    place = Location.decode(record.location)
    adds = [
        Add(keys.SEGMENTS, keys.segment(place.segment), (48 + 4, 1)),
        Add(keys.CURRENT, site.bucket.record.id, (1, 4)),
    ]
    await site.write(keys.CURRENT, site.key(b"twin"), records.encode(record), adds)


async def _bucket_counter(site):
    await site.write(keys.BUCKETS, b"bucket", 0, [Add(keys.CURRENT, site.bucket.record.id, (1, 7))])


async def _segment_counter(site):
    key, _ = await site.segment((await site.row()).location)
    await site.write(keys.BUCKETS, b"bucket", 0, [Add(keys.SEGMENTS, key, (-10, 0))])


async def _shared_count(site):
    data_id = (await site.row(b"copy")).data_id
    value, _ = await site.store.meta.get(keys.SHARED, data_id)
    wrong = msgspec.structs.replace(records.decode(records.SharedRecord, value), count=5)
    await site.write(keys.SHARED, data_id, records.encode(wrong))


async def _missing_shared_row(site):
    data_id = (await site.row(b"copy")).data_id
    await site.write(keys.SHARED, data_id, None)


async def _missing_part_row(site):
    upload_id = (await site.row(b"parts")).upload_id
    rows = [row for row in await site.rows(keys.PARTS) if row.key.startswith(upload_id)]
    await site.write(keys.PARTS, rows[0].key, None)


async def _parts_of_nothing(site):
    rows = await site.rows(keys.PARTS)
    empty = next(row for row in rows if not records.decode(records.PartRecord, row.value).size)
    await site.write(keys.PARTS, keys.part(UPLOAD_ID, 1, b"uniq"), empty.value)


async def _upload_that_never_expires(site):
    for row in await site.rows(keys.DUE):
        if keys.due_of(row.key)[1] == keys.DUE_UPLOAD:
            await site.write(keys.DUE, row.key, None)


async def _missing_file(site):
    place = Location.decode((await site.row(b"large")).location)
    os.unlink(segment_path(str(site.root), place.segment))


async def _short_file(site):
    place = Location.decode((await site.row(b"large")).location)
    os.truncate(segment_path(str(site.root), place.segment), 10_000)


async def _short_log_file(site):
    """One that the database and the chain of the log no longer need."""
    record = records.SegmentRecord(1, SEGMENT_LOG, SEGMENT_SEALED, 1, 8192, 1, 1)
    await site.write(keys.SEGMENTS, keys.segment((1 << 62) + 5), records.encode(record))
    Path(segment_path(str(site.root), (1 << 62) + 5)).write_bytes(bytes(4096))


async def _file_without_row(site):
    (site.root / "extents/8000000000000001.ext").write_bytes(b"something")


async def _due_that_is_none(site):
    await site.write(keys.DUE, keys.due(5, 99, UPLOAD_ID), BROKEN)


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (_flipped_record, "body", ['object "bucket/small" at log/', "restore the object"]),
        (_flipped_piece, "body", ['object "bucket/large" at extents/', "bytes that were written"]),
        (_flipped_shared_body, "body", ["shared body", 'object "bucket/copy"', "bucket/shared"]),
        (_flipped_part, "body", ["part 1 of upload", 'object "bucket/parts"', "part 1:"]),
        (_flipped_manifest, "body", ['object "bucket/parts"', 'object "bucket/parts too"']),
        (_broken_object, "row", ['object "bucket/small"', "does not decode"]),
        (_broken_bucket, "row", ['bucket "broken"', "does not decode"]),
        (_wrong_key, "row", ["is no key"]),
        (_object_without_bucket, "row", ["its bucket has no row", "id 6e6f6275636b6574"]),
        (_upload_without_bucket, "row", ["upload", "its bucket has no row"]),
        (_one_id_for_two_buckets, "row", ['it has the id of the bucket "bucket"']),
        (_unknown_segment, "body", ['object "bucket/small"', "is gone"]),
        (_wrong_generation, "body", ['object "bucket/small"', "no longer holds this body"]),
        (_wrong_volume, "place", ['object "bucket/small"', "volume 2"]),
        (_outside_its_file, "body", ['object "bucket/large"']),
        (_overlap, "overlap", ['object "bucket/small', "reaches into it"]),
        (_bucket_counter, "counter", ['bucket "bucket"', "9 objects and", "8 objects and"]),
        (_segment_counter, "counter", ["counter of segment", "live bytes", "too early"]),
        (_shared_count, "counter", ["count of shared body", "5 objects", "2 objects"]),
        (_missing_shared_row, "body", ['object "bucket/copy"', "where its shared body is"]),
        (_missing_part_row, "body", ['object "bucket/parts"', "the rows of 1 of its parts"]),
        (_parts_of_nothing, "part", [UPLOAD_ID.hex(), "neither open nor an object"]),
        (_upload_that_never_expires, "row", ['upload "bucket/open"', "by which it expires"]),
        (_missing_file, "file", ["extents/", "the file is missing", 'object "bucket/large"']),
        (_short_file, "body", ['object "bucket/large"']),
        (_short_log_file, "file", ["log/4000000000000005.log", "4096 bytes", "says 8192"]),
        (_file_without_row, "file", ["extents/8000000000000001.ext", "no row names the file"]),
        (_due_that_is_none, "row", ["due", "is no key"]),
    ],
)
def test_damage_is_found_and_named(capsys, directory, damage, kind, words):
    asyncio.run(_damage(directory, damage))
    status, lines, _ = run(capsys, directory)
    assert status == 1, lines
    assert any(line.startswith(f"{kind}: ") for line in lines), lines
    assert lines[-1].startswith("damaged: ")
    problems = "\n".join(lines[:-1])
    assert [word for word in words if word not in problems] == []
    assert all(". Cure: " in line for line in lines[:-1])


PLACES = [_unknown_segment, _wrong_generation, _outside_its_file, _short_file, _missing_file]


@pytest.mark.parametrize("damage", PLACES)
def test_places_are_compared_without_reading_bodies(capsys, directory, damage):
    asyncio.run(_damage(directory, damage))
    status, lines, _ = run(capsys, directory, "--quick")
    assert status == 1
    assert any(line.startswith("place: object") for line in lines), lines


def test_quick_leaves_the_bodies_out_and_says_so(capsys, directory):
    asyncio.run(_damage(directory, _flipped_piece))
    status, lines, _ = run(capsys, directory, "--quick")
    assert status == 0
    assert "no bodies were read (--quick)" in lines[-1]


# --- notes


async def _leftovers(site):
    """What crashes leave, and nothing of which is damage."""
    (site.root / "extents/8000000000000001.ext").write_bytes(bytes(100_000))
    record = records.SegmentRecord(1, SEGMENT_LOG, SEGMENT_SEALED, 1, 8192, 1, 1)
    await site.write(keys.SEGMENTS, keys.segment((1 << 62) + 5), records.encode(record))
    due = records.UploadDue(1, b"nobucket", b"key")
    await site.write(keys.DUE, keys.due(5, keys.DUE_UPLOAD, UPLOAD_ID), records.encode(due))
    (site.root / "quarantine").mkdir()
    (site.root / "quarantine/8000000000000002.ext").write_bytes(b"kept")
    (site.root / "log/read me").write_bytes(b"")


def test_what_crashes_leave_is_noted_and_no_damage(capsys, directory):
    asyncio.run(_damage(directory, _leftovers))
    status, lines, _ = run(capsys, directory)
    assert status == 0, lines
    assert [line.startswith("note: ") for line in lines[:-1]] == [True] * 5
    assert lines[-1].startswith("sound: ")
    assert (directory / "extents/8000000000000001.ext").exists()


# --- JSON, progress


def test_json(capsys, directory):
    asyncio.run(_damage(directory, _flipped_record))
    status, lines, _ = run(capsys, directory, "--json")
    problem, summary = map(json.loads, lines)
    assert status == 1
    assert (problem["kind"], problem["bucket"], problem["key"]) == ("body", "bucket", "small")
    assert problem["place"].startswith("log/")
    assert not problem["is_note"]
    assert (summary["verdict"], summary["problems"], summary["objects"]) == ("damaged", 1, 8)


class Terminal(io.StringIO):
    """Standard error where somebody looks."""

    def isatty(self):
        return True


def test_a_terminal_shows_how_far_it_is(monkeypatch, directory, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(check, "_SHOW_S", 0)
    assert main(["check", str(directory)]) == 0
    assert "MiB read (" in terminal.getvalue()
    assert "MiB/s" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert capsys.readouterr().out.startswith("sound: ")


# --- what cannot be checked


def test_where_there_is_no_store_none_is_made(capsys, tmp_path):
    for place in (tmp_path / "nowhere", tmp_path):
        status, lines, err = run(capsys, place)
        assert (status, lines) == (2, [])
        assert "holds no store" in err
    assert list(tmp_path.iterdir()) == []


def test_another_users_store_is_not_touched(capsys, directory, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    before = _contents(directory)
    status, _, err = run(capsys, directory)
    assert status == 2
    assert "check it as the user of its server" in err
    assert _contents(directory) == before


def test_a_store_that_cannot_be_opened_is_damaged(capsys, directory):
    asyncio.run(_make_gap(directory))
    status, lines, _ = run(capsys, directory)
    assert status == 1
    assert "the store cannot be opened" in lines[0]
    assert "store/log lacks the log behind block" in lines[0]
    status, lines, _ = run(capsys, directory, "--json")
    assert (status, json.loads(lines[0])["verdict"]) == (1, "damaged")


async def _make_gap(directory):
    """The log's last segment is gone, and the database is not behind it."""
    last = max((directory / "log").glob("*.log"))
    for path in directory.glob("meta.db*"):
        path.unlink()
    first = min((directory / "log").glob("*.log"))
    assert first != last
    first.unlink()


def test_parts_of_a_store_that_are_missing_are_damage(capsys, directory):
    (directory / "store").unlink()
    (directory / "server.lock").touch()
    status, lines, _ = run(capsys, directory)
    assert status == 1
    assert "restore that file" in lines[0]


def test_a_sum_that_cannot_be_computed_is_no_verdict(capsys, directory, monkeypatch):
    async def add_sum(site):
        await site.change(blake3=bytes(32))

    asyncio.run(_damage(directory, add_sum))
    assert run(capsys, directory)[0] == 1
    monkeypatch.setitem(sys.modules, "blake3", None)
    status, lines, _ = run(capsys, directory)
    assert status == 2
    assert "pip install 'fastobj[blake3]'" in lines[-1]


# --- servers


def test_a_running_server_is_named(capsys, tmp_path):
    with ProcessServer(tmp_path / "store") as server:
        (pid,) = pids(server, "supervisor")
        status, lines, err = run(capsys, tmp_path / "store")
        assert (status, lines) == (2, [])
        assert f"is served by process {pid} already: stop that server first" in err
    assert run(capsys, tmp_path / "store")[0] == 0


def _work(client, number, turn):
    body = b"%d %d " % (number, turn) * (20_000 if turn % 5 == 0 else 500)
    assert client("PUT", f"/bucket/{number}-{turn % 7}", body)[0] == 200
    if turn % 3 == 2:
        assert client("DELETE", f"/bucket/{number}-{(turn - 1) % 7}")[0] == 204


def test_a_store_after_a_kill_is_sound_and_serves_again(capsys, tmp_path):
    killed = threading.Event()

    def work(client, number, turn):
        try:
            _work(client, number, turn)
        except (OSError, http.client.HTTPException):
            assert killed.is_set()

    with ProcessServer(tmp_path / "store") as server:
        with Client(server) as client:
            assert client("PUT", "/bucket")[0] == 200
        with Load(server, work) as load, Client(server) as client:
            client.begin("PUT", "/bucket/unfinished", 70 << 20)
            client.http.send(bytes(3 << 20))
            load.go_on(12)
            killed.set()
            server.kill_supervisor()
        status, lines, _ = run(capsys, tmp_path / "store")
        assert status == 0, lines
        server.start()
        with Client(server) as client:
            assert client("PUT", "/bucket/after", b"the check")[0] == 200
