"""`fastobj check`: a sound store is sound, and what cannot be checked is told."""

import asyncio
import hashlib
import http.client
import io
import json
import os
import sys
import threading

from fastobj.cli import check
from fastobj.cli.main import main
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.testing.process_server import ProcessServer
from tests.unit.cli.checking import UPLOAD_ID, damage, run
from tests.unit.node.running import Client, Load, pids


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
    kept = {name for name in before if name.endswith((".log", ".ext", ".body")) or name == "store"}
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

    await damage(directory, read)
    return found


async def _flipped_record(site):
    await site.flip((await site.row(b"small")).location)


async def _flipped_piece(site):
    await site.flip((await site.row(b"large")).location, 1000)


def test_quick_leaves_the_bodies_out_and_says_so(capsys, directory):
    asyncio.run(damage(directory, _flipped_piece))
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
    hint = records.VersionDue(1, "nobucket")
    row_key = keys.due_version(7 * 10**18, b"nobucket", b"key", UPLOAD_ID)
    await site.write(keys.DUE, row_key, records.encode(hint))
    rules = records.RulesDue(1, "nobucket", keys.HISTORY, b"key")
    await site.write(keys.DUE, keys.due(0, keys.DUE_RULES, b"nobucket"), records.encode(rules))
    (site.root / "quarantine").mkdir()
    (site.root / "quarantine/8000000000000002.ext").write_bytes(b"kept")
    (site.root / "log/read me").write_bytes(b"")


def test_what_crashes_leave_is_noted_and_no_damage(capsys, directory):
    asyncio.run(damage(directory, _leftovers))
    status, lines, _ = run(capsys, directory)
    assert status == 0, lines
    assert [line.startswith("note: ") for line in lines[:-1]] == [True] * 5
    assert lines[-1].startswith("sound: ")
    assert (directory / "extents/8000000000000001.ext").exists()


# --- JSON, progress


def test_json(capsys, directory):
    asyncio.run(damage(directory, _flipped_record))
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

    asyncio.run(damage(directory, add_sum))
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
