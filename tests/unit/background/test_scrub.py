"""The scrub finds what is damaged and names it, and finds nothing else."""

import errno
import os

import msgspec
import pytest

from fastobj.core.errors import StoreError
from fastobj.core.metrics import Metric
from fastobj.meta import keys, records
from fastobj.objects.verify import SPACES
from fastobj.storage.base import Location
from fastobj.storage.local_volume import LocalVolume
from tests.unit.background.scrubbing import BROKEN, LARGE, opened, put_with_sum
from tests.unit.objects.damaging import flip, object_row, write


async def test_a_store_in_order(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"empty", b"")
        await bench.site.put(b"small", b"body")
        await bench.site.put(b"large", LARGE)
        await bench.site.copy(b"large", b"copy")
        await bench.site.upload([LARGE, b"", b"tail"], b"parts")
        await bench.site.copy(b"parts", b"parts too")
        upload = await bench.site.create(b"open")
        await bench.site.part(upload, 1, b"part")
        await bench.scrub.round()
        assert not errors()
        assert not await bench.damaged()
        record = await bench.record()
        assert (record.round, record.damaged) == (1, 0)
        assert record.finished_ns == record.ended_ns == bench.site.clock.now_ns()
        # small, large under its shared row, both parts with bytes, the open one, and the manifest
        # once as a shared body, and once for each of its two objects
        assert record.bodies == 8
        assert bench.counted.sums[Metric.SCRUB_BODIES] == 8
        assert bench.counted.sums[Metric.SCRUB_BYTES] == record.bytes_read > 2 * len(LARGE)
        assert Metric.SCRUB_DAMAGE not in bench.counted.sums


@pytest.mark.parametrize("body", [b"a small body", LARGE], ids=["record", "piece"])
async def test_a_flipped_bit_is_found(tmp_path, errors, body):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"before", b"body")
        await bench.site.put("k\ney ü".encode(), body)
        await bench.site.put(b"z", b"body")
        record = await object_row(bench.site, "k\ney ü".encode())
        flip(bench.root, record.location, 7)
        await bench.scrub.round()
        (line,) = errors()
        assert 'object "bucket/k\\ney ü"' in line
        assert "does not hold the bytes that were written" in line
        assert "restore the object from a backup" in line
        assert ("log/" if len(body) < 1000 else "extents/") in line
        ((key, found),) = (await bench.damaged()).items()
        assert key == keys.damaged_body(record.data_id)
        assert (found.space, found.location) == (keys.CURRENT, record.location)
        assert keys.object_key(found.key) == "k\ney ü".encode()
        assert found.found_ns == bench.site.clock.now_ns()
        assert bench.counted.sums[Metric.SCRUB_DAMAGE] == 1
        assert (await bench.record()).damaged == 1


async def test_what_stays_damaged_is_told_again_and_counted_once(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.damage()
        for _ in range(2):
            await bench.scrub.round()
        assert len(errors()) == 2
        assert len(await bench.damaged()) == 1
        assert bench.counted.sums[Metric.SCRUB_DAMAGE] == 1


async def test_a_damaged_record_head(tmp_path, errors):
    """Its place looks as if it held another body; but the row did not change."""
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", b"body")
        await bench.damage(at=-40)
        await bench.scrub.round()
        assert "no longer holds this body" in errors()[0]
        assert len(await bench.damaged()) == 1


async def test_a_file_that_is_gone(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        (path,) = (bench.root / "extents").iterdir()
        path.unlink()
        await bench.scrub.round()
        assert "is gone" in errors()[0]
        assert len(await bench.damaged()) == 1


async def test_a_damaged_manifest(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.upload([LARGE, b"tail"])
        await bench.damage(at=5)
        await bench.scrub.round()
        assert len(errors()) == 1
        assert 'object "bucket/key"' in errors()[0]
        assert len(await bench.damaged()) == 1


async def test_a_damaged_part_names_its_object_too(tmp_path, errors):
    async with opened(tmp_path) as bench:
        record = await bench.site.upload([b"a small part", LARGE])
        rows = await bench.site.rows(keys.PARTS)
        part = records.decode(records.PartRecord, rows[1].value)
        flip(bench.root, part.location)
        await bench.scrub.round()
        first, second = errors()
        assert f"part 2 of upload {record.upload_id.hex()}" in first
        assert 'object "bucket/key"' in second
        assert "part 2: " in second
        ((key, found),) = (await bench.damaged()).items()
        assert key == keys.damaged_body(part.data_id)
        assert (found.space, found.key) == (keys.PARTS, rows[1].key)


async def test_a_damaged_part_of_an_open_upload(tmp_path, errors):
    async with opened(tmp_path) as bench:
        upload = await bench.site.create(b"wanted")
        await bench.site.part(upload, 3, LARGE)
        (row,) = await bench.site.rows(keys.PARTS)
        flip(bench.root, records.decode(records.PartRecord, row.value).location)
        await bench.scrub.round()
        (line,) = errors()
        assert f'part 3 of upload {upload.id.hex()} of "bucket/wanted"' in line
        assert "upload the part again" in line


async def test_a_damaged_shared_body_names_each_object(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.site.copy(b"key", b"copy")
        await bench.damage()
        await bench.scrub.round()
        shared, *objects = errors()
        assert "shared body" in shared
        assert ['"bucket/copy"' in objects[0], '"bucket/key"' in objects[1]] == [True, True]
        record = await object_row(bench.site, b"key")
        assert list(await bench.damaged()) == [keys.damaged_body(record.data_id)]


async def test_a_missing_shared_row(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", b"body")
        await bench.site.copy(b"key", b"copy")
        data_id = (await object_row(bench.site, b"key")).data_id
        await write(bench.site.store, keys.SHARED, data_id, None)
        await bench.scrub.round()
        assert len(errors()) == 2
        assert "where its shared body is" in errors()[0]


@pytest.mark.parametrize("space", SPACES)
async def test_a_row_that_does_not_decode(tmp_path, errors, space):
    row_keys = {
        keys.BUCKETS: b"broken",
        keys.SEGMENTS: keys.segment(7),
        keys.JOBS: keys.JOB_SCRUB,
        keys.DAMAGED: keys.damaged_body(b"0123456789abcdef"),
        keys.CONFIGS: keys.config(b"-bucket-", 1, 0),
        keys.KMS_KEYS: b"default",
        keys.UPLOADS: keys.upload(b"-bucket-", b"key", b"0123456789abcdef"),
        keys.DUE: keys.due(900_000, keys.DUE_UPLOAD, b"0123456789abcdef"),
        keys.PARTS: keys.part(b"0123456789abcdef", 1, b"uniq"),
        keys.SHARED: b"0123456789abcdef",
        keys.CURRENT: keys.current(b"-bucket-", b"key"),
        keys.HISTORY: keys.history(b"-bucket-", b"key", 7),
        keys.STAMPS: keys.stamp(b"-bucket-", b"key"),
        keys.OUTBOX: keys.in_order(keys.outbox(0), 7, 0),
        keys.CURSORS: b"target",
    }
    async with opened(tmp_path) as bench:
        key = row_keys[space]
        await write(bench.site.store, space, key, BROKEN)
        await bench.scrub.round()
        assert any("does not decode" in line or "cannot be read" in line for line in errors())
        assert keys.damaged_row(space, key) in await bench.damaged()
        if space != keys.JOBS:  # that one is the scrub's own
            assert (await bench.site.store.meta.get(space, key))[0] == BROKEN
            await write(bench.site.store, space, key, None)
            await bench.scrub.forget_gone()
            assert not await bench.damaged()


async def test_a_key_that_no_row_can_have(tmp_path, errors):
    async with opened(tmp_path) as bench:
        record = await bench.site.put(b"key", b"body")
        await write(bench.site.store, keys.CURRENT, b"-bucket-\xff", records.encode(record))
        await bench.scrub.round()
        assert "no key" in errors()[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 5}, "its row says 5 bytes, and that its body has 4"),
        ({"location": b"short"}, "a location has 5 bytes"),
        ({"location": b"", "data_id": b""}, "names no body"),
    ],
)
async def test_a_row_that_contradicts_itself(tmp_path, errors, change, words):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", b"body")
        record = await object_row(bench.site, b"key")
        changed = msgspec.structs.replace(record, **change)
        key = keys.current(bench.site.bucket.record.id, b"key")
        await write(bench.site.store, keys.CURRENT, key, records.encode(changed))
        await bench.scrub.round()
        assert words in errors()[0]


async def test_a_wrong_blake3_is_found(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await put_with_sum(bench, b"key", bytes(32))
        await bench.scrub.round()
        assert "its bytes have the BLAKE3" in errors()[0]
        data_id = (await object_row(bench.site, b"key")).data_id
        assert list(await bench.damaged()) == [keys.damaged_body(data_id)]


async def test_a_wrong_blake3_of_a_shared_body_is_the_damage_of_its_row(tmp_path, errors):
    """Its bytes are whole by the sums of their pieces, and so for rows without a sum."""
    async with opened(tmp_path) as bench:
        await put_with_sum(bench, b"key", bytes(32))
        await bench.site.copy(b"key", b"copy")
        record = await object_row(bench.site, b"copy")
        row_key = keys.current(bench.site.bucket.record.id, b"copy")
        without = msgspec.structs.replace(record, blake3=b"")
        await write(bench.site.store, keys.CURRENT, row_key, records.encode(without))
        wrong = keys.current(bench.site.bucket.record.id, b"key")
        for number in (1, 2):
            await bench.scrub.round()
            assert len(errors()) == number
            assert list(await bench.damaged()) == [keys.damaged_row(keys.CURRENT, wrong)]
        assert bench.counted.sums[Metric.SCRUB_DAMAGE] == 1
        assert "restore the object from a backup" in errors()[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parts": 3}, "lists 2 parts, and its row says 3"),
        ({"size": 17}, "do not add up"),
    ],
)
async def test_a_manifest_that_contradicts_its_object(tmp_path, errors, change, words):
    async with opened(tmp_path) as bench:
        await bench.site.upload([b"some", b"parts"])
        record = await object_row(bench.site, b"key")
        changed = msgspec.structs.replace(record, **change)
        row_key = keys.current(bench.site.bucket.record.id, b"key")
        await write(bench.site.store, keys.CURRENT, row_key, records.encode(changed))
        await bench.scrub.round()
        assert words in errors()[0]


async def test_parts_without_rows_and_of_another_size(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.upload([b"some", b"parts"])
        first, second = await bench.site.rows(keys.PARTS)
        moved = msgspec.structs.replace(records.decode(records.PartRecord, first.value), size=5)
        await write(bench.site.store, keys.PARTS, first.key, records.encode(moved))
        await bench.scrub.round()
        assert any("part 1 has 4 bytes by its manifest, and 5" in line for line in errors())
        await write(bench.site.store, keys.PARTS, first.key, first.value)
        await write(bench.site.store, keys.PARTS, second.key, None)
        await bench.scrub.round()
        assert "the rows of 1 of its parts have gone: 2" in errors()[-1]


# --- what is no damage


class Interrupted(LocalVolume):
    """A volume; before it reads a body, something else happens, once."""

    def between(self, happens):
        self.happens = happens

    async def _slices(self, location, data_id, offset, length):
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens(location.encode())
        slices = LocalVolume.stream(self, location, data_id, offset, length)
        try:
            async for piece in slices:
                yield piece
        finally:
            await slices.aclose()

    def stream(self, location, data_id, offset, length):
        return self._slices(location, data_id, offset, length)


def interrupt(bench, happens):
    """Has `happens` called with the location of the next body that is read."""
    volume = bench.site.store.volume
    volume.__class__ = Interrupted
    volume.between(happens)


async def move(bench, key, to):
    """Gives the object another body with the same bytes, as one that moves has."""
    record = await object_row(bench.site, key)
    other = await object_row(bench.site, to)
    moved = msgspec.structs.replace(record, location=other.location, data_id=other.data_id)
    row_key = keys.current(bench.site.bucket.record.id, key)
    await write(bench.site.store, keys.CURRENT, row_key, records.encode(moved))


@pytest.mark.parametrize("body", [b"body", LARGE], ids=["record", "piece"])
async def test_a_body_that_moves_meanwhile_is_no_damage(tmp_path, errors, body):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", body)
        await bench.site.put(b"twin", body)

        async def happens(location):
            await move(bench, b"key", b"twin")
            flip(bench.root, location)

        interrupt(bench, happens)
        await bench.scrub.round()
        assert not errors()
        assert (await bench.record()).bodies == 2


async def test_a_shared_body_that_moves_meanwhile_is_no_damage(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.site.copy(b"key", b"copy")
        data_id = (await object_row(bench.site, b"key")).data_id
        old = await bench.location()
        row = await bench.site.store.meta.get(keys.SHARED, data_id)
        flip(bench.root, old)

        async def happens(location):
            """Where it was is something else now; where it is, is where it says."""
            flip(bench.root, old)
            await write(bench.site.store, keys.SHARED, data_id, row[0])

        wrong = old[:12] + bytes(4) + old[16:]  # of another generation
        moved = records.SharedRecord(records.FORMAT, wrong, 2)
        await write(bench.site.store, keys.SHARED, data_id, records.encode(moved))
        interrupt(bench, happens)
        await bench.scrub.round()
        assert not errors()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES])
async def test_what_this_process_may_not_open_is_no_damage(tmp_path, monkeypatch, errors, number):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.site.read(b"key")
        bench.site.store.volume.files.drop(Location.decode(await bench.location()).segment)
        system = os.open

        def fail(path, *flags):
            if "/extents/" in str(path):
                raise OSError(number, os.strerror(number))
            return system(path, *flags)

        monkeypatch.setattr(os, "open", fail)
        with pytest.raises(StoreError, match=os.strerror(number)):
            await bench.scrub.round()
        monkeypatch.undo()
        assert not await bench.damaged()
        await bench.scrub.round()
        assert not errors()


async def test_a_drive_that_cannot_be_read_is_damage(tmp_path, monkeypatch, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        bench.site.store.volume.files.drop(Location.decode(await bench.location()).segment)
        system = os.open

        def fail(path, *flags):
            if "/extents/" in str(path):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return system(path, *flags)

        monkeypatch.setattr(os, "open", fail)
        await bench.scrub.round()
        monkeypatch.undo()
        assert "replace the drive" in errors()[0]
        assert len(await bench.damaged()) == 1
        await bench.scrub.round()
        assert not await bench.damaged()


async def test_an_object_that_is_deleted_meanwhile_is_no_damage(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        row_key = keys.current(bench.site.bucket.record.id, b"key")

        async def happens(location):
            flip(bench.root, location)
            await write(bench.site.store, keys.CURRENT, row_key, None)

        interrupt(bench, happens)
        await bench.scrub.round()
        assert not errors()
        assert not await bench.damaged()
