"""Reads of the local volume: records of the log, extents, damage anywhere, streams left early."""

import asyncio
import errno
import os

import pytest

from fastobj._ext import crc, segio
from fastobj.core.errors import ChecksumMismatch, StaleLocation, StoreDamaged
from fastobj.core.limits import BLOCK_BYTES_MAX, KIB, MIB, PIECE_FRAME_BYTES, PIECE_HEAD_BYTES
from fastobj.storage import io, log_format
from fastobj.storage.base import LOCAL_VOLUME, Location, Usage, fill, new_data_id
from fastobj.storage.extents import STRIDE
from fastobj.storage.log_format import RECORD_HEAD_BYTES
from fastobj.storage.pool import BODY_MEMORY_BYTES_MAX, BUFFER_BYTES
from fastobj.storage.segment_files import segment_path
from fastobj.testing.volume_contract import body_of, read_slices, store
from tests.reference.blocks import record_head
from tests.reference.segio import read_entries
from tests.unit.storage import volumes
from tests.unit.storage.volumes import settle_down

SEGMENT, GENERATION, OFFSET = 3, 9, 4096
STORE_ERRORS = (ChecksumMismatch, StaleLocation)


def _write_record(root, body, data_id):
    """A segment of the log with one record."""
    head = record_head(data_id, SEGMENT, GENERATION, crc.crc32c(body), len(body), 4)
    path = segment_path(str(root), SEGMENT)
    with open(path, "wb") as file:
        file.write(bytes(OFFSET) + head + body + b"hint" + bytes(100))
    return Location(LOCAL_VOLUME, SEGMENT, GENERATION, OFFSET, len(body)), path


def _flip(path, offset, bit=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize("length", [1, 4096, 64 * KIB])
async def test_records_come_back(tmp_path, monkeypatch, length, is_cached):
    if not is_cached:
        monkeypatch.setattr(segio, "read_packed_now", lambda *a: -errno.EAGAIN)
    body, data_id = body_of(length), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location, _ = _write_record(tmp_path, body, data_id)
        for offset, size in {(0, length), (0, 0), (length - 1, 1), (length // 2, length // 4)}:
            wanted = body[offset : offset + size]
            assert await volume.read(location, data_id, offset, size) == wanted
            assert await read_slices(volume, location, data_id, offset, size) == wanted
        assert volume.accounts(location, 1) == Usage(SEGMENT, length + RECORD_HEAD_BYTES, 1)


async def test_a_cached_record_is_read_without_the_pool(tmp_path, monkeypatch):
    data_id = new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location, _ = _write_record(tmp_path, b"abc", data_id)
        monkeypatch.setattr(volume.pool, "read", None)
        coroutine = volume.read(location, data_id, 1, 2)
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        assert ended.value.value == b"bc"


@pytest.mark.parametrize("is_cached", [True, False])
async def test_any_damage_to_a_record_is_noticed(tmp_path, monkeypatch, is_cached):
    if not is_cached:
        monkeypatch.setattr(segio, "read_packed_now", lambda *a: -errno.EAGAIN)
    body, data_id = body_of(300), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location, path = _write_record(tmp_path, body, data_id)
        for at in range(RECORD_HEAD_BYTES + len(body)):
            _flip(path, OFFSET + at, at % 8)
            try:
                found = await volume.read(location, data_id, 0, len(body))
            except ChecksumMismatch:
                assert at >= RECORD_HEAD_BYTES or 36 <= at < 40
            except StaleLocation:
                assert at < RECORD_HEAD_BYTES
            else:
                assert found == body
                assert at in (5, 6, 7)  # reserved, and the length of the hint
            _flip(path, OFFSET + at, at % 8)
        os.truncate(path, OFFSET + RECORD_HEAD_BYTES + len(body) - 1)
        with pytest.raises(StaleLocation):
            await volume.read(location, data_id, 0, 1)


async def test_records_of_others_are_stale(tmp_path):
    body, data_id = body_of(300), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location, path = _write_record(tmp_path, body, data_id)
        for wrong in (
            location._replace(segment=SEGMENT + 1),
            location._replace(generation=GENERATION + 1),
            location._replace(offset=OFFSET + 8),
            location._replace(length=299),
            location._replace(length=301),
        ):
            with pytest.raises(StaleLocation):
                await volume.read(wrong, data_id, 0, 1)
        with pytest.raises(StaleLocation):
            await volume.read(location, new_data_id(), 0, 1)
        with pytest.raises(StoreDamaged):
            await volume.read(location._replace(length=BLOCK_BYTES_MAX + 1), data_id, 0, 1)
        volume.retire(SEGMENT)
        os.unlink(path)
        with pytest.raises(StaleLocation):
            await volume.read(location, data_id, 0, 1)


async def test_a_file_system_that_cannot_tell_goes_through_the_pool(tmp_path, monkeypatch):
    data_id = new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location, _ = _write_record(tmp_path, b"abc", data_id)
        monkeypatch.setattr(segio, "read_packed_now", lambda *a: -errno.EOPNOTSUPP)
        assert await volume.read(location, data_id, 0, 3) == b"abc"


async def test_extents_are_accounted_by_their_pages(tmp_path):
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body_of(MIB + 1), new_data_id())
        assert volume.accounts(location, -1) == Usage(location.segment, -(STRIDE + 8192), -1)


async def test_damage_anywhere_in_an_extent_never_gives_wrong_bytes(tmp_path, rng):
    body, data_id = body_of(MIB + 3 * PIECE_FRAME_BYTES + 7), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        path = segment_path(str(tmp_path), location.segment)
        places = [start + at for start in (0, STRIDE) for at in range(128)]
        places += [rng.randrange(STRIDE + 4096 + 3 * PIECE_FRAME_BYTES + 7) for _ in range(60)]
        for at in places:
            _flip(path, location.offset + at, at % 8)
            is_padding = 128 <= at % STRIDE < PIECE_HEAD_BYTES
            if is_padding:
                assert await volume.read(location, data_id, 0, len(body)) == body
            else:
                with pytest.raises(STORE_ERRORS):
                    await volume.read(location, data_id, 0, len(body))
            _flip(path, location.offset + at, at % 8)
        assert await volume.read(location, data_id, 0, len(body)) == body
        assert volume.buffers.free == BODY_MEMORY_BYTES_MAX // BUFFER_BYTES


@pytest.mark.parametrize("cut", [0, 100, PIECE_HEAD_BYTES, STRIDE - 1, STRIDE, STRIDE + 5000])
async def test_a_torn_extent_never_gives_wrong_bytes(tmp_path, cut):
    """What was behind the cut reads as zeros, as after a power cut."""
    body, data_id = body_of(MIB + 70_000), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        path = segment_path(str(tmp_path), location.segment)
        size = os.path.getsize(path)
        os.truncate(path, location.offset + cut)
        os.truncate(path, size)
        with pytest.raises(STORE_ERRORS):
            await volume.read(location, data_id, 0, len(body))
        if cut >= STRIDE:
            assert await volume.read(location, data_id, 0, MIB) == body[:MIB]


async def test_a_stream_goes_on_when_its_file_is_unlinked(tmp_path):
    body, data_id = body_of(5 * MIB), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        stream = volume.stream(location, data_id, 0, len(body))
        parts = [bytes(await anext(stream))]
        os.unlink(segment_path(str(tmp_path), location.segment))
        volume.retire(location.segment)
        parts += [bytes(part) async for part in stream]
        assert b"".join(parts) == body
        with pytest.raises(StaleLocation):
            await volume.read(location, data_id, 0, 1)


async def test_a_stream_reads_one_piece_ahead_and_no_more(tmp_path, monkeypatch):
    body, data_id = body_of(6 * MIB), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        free = volume.buffers.free
        stream = volume.stream(location, data_id, 0, len(body))
        async for _ in stream:
            await asyncio.sleep(0.005)
            assert volume.buffers.free >= free - 2
        assert volume.buffers.free == free


async def test_a_stream_left_with_reads_in_flight_gives_everything_back(tmp_path, monkeypatch):
    body, data_id = body_of(6 * MIB), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        await volume.read(location, data_id, 0, 1)
        free, fds = volume.buffers.free, len(os.listdir("/proc/self/fd"))
        for waits in (0, 0.002):
            stream = volume.stream(location, data_id, 0, len(body))
            await anext(stream)
            await asyncio.sleep(waits)
            await stream.aclose()
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
            await settle_down(lambda: volume.buffers.free == free)
            await settle_down(lambda: len(os.listdir("/proc/self/fd")) == fds)


async def test_a_cancelled_read_keeps_its_buffer_until_it_ends(tmp_path, monkeypatch):
    body, data_id = body_of(3 * MIB), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        free = volume.buffers.free
        jobs = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(
            volume.pool, "read_piece", lambda *a: jobs.append(loop.create_future()) or jobs[-1]
        )
        reading = asyncio.ensure_future(volume.read(location, data_id, 0, len(body)))
        await asyncio.sleep(0)
        assert len(jobs) == 2
        reading.cancel()
        await asyncio.wait([reading])
        assert volume.buffers.free == free - 2
        jobs[0].set_result(None)
        jobs[1].set_exception(ChecksumMismatch("nobody asks"))
        await settle_down(lambda: volume.buffers.free == free)


async def test_a_failed_read_ends_the_stream(tmp_path):
    body, data_id = body_of(3 * MIB), new_data_id()
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body, data_id)
        free = volume.buffers.free
        _flip(segment_path(str(tmp_path), location.segment), location.offset + STRIDE + 5000)
        stream = volume.stream(location, data_id, 0, len(body))
        assert bytes(await anext(stream)) == body[:MIB]
        with pytest.raises(ChecksumMismatch):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await settle_down(lambda: volume.buffers.free == free)


async def test_ranges_outside_the_body_are_refused(tmp_path):
    async with volumes.local_volume(tmp_path) as volume:
        location = await store(volume, body_of(100_000), data_id := new_data_id())
        for offset, length in ((-1, 1), (0, 100_001), (100_000, 1), (5, -1)):
            with pytest.raises(ValueError, match="are not in a body"):
                await volume.read(location, data_id, offset, length)
            with pytest.raises(ValueError, match="are not in a body"):
                volume.stream(location, data_id, offset, length)


async def test_a_body_is_synced_after_all_its_pieces(tmp_path, recorder):
    """The record of a power-cut test: create, allocate, sync, directory; pieces; one sync."""
    io.configure()
    root = tmp_path / "store"
    root.mkdir()
    async with volumes.local_volume(root) as volume:
        writer = await volume.writer(3 * MIB, new_data_id())
        await fill(writer, body_of(3 * MIB))
        location = await writer.finish()
        path = segment_path(str(root), location.segment)
        entries = read_entries(recorder / f"{os.getpid()}.record")
        await writer.abort()
    made = [entry.kind for entry in entries if entry.path == path]
    assert made == [4, 8, 2, 1, 1, 1, 2]
    folder = next(entry for entry in entries if entry.path == str(root / "extents"))
    *_, first, second, third, sync = entries
    assert folder.kind == io.RECORD_SYNC_DIRECTORY
    assert max(first.end, second.end, third.end) < sync.begin
    assert folder.end < min(first.begin, second.begin, third.begin)
    assert sorted(entry.offset for entry in (first, second, third)) == [0, STRIDE, 2 * STRIDE]


def test_record_heads_are_as_long_as_reads_expect():
    assert log_format.RECORD_HEAD_BYTES == 48
