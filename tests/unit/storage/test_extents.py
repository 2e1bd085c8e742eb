"""Extent files: runs, rotation, sealing, files of their own, and what is left after failures."""

import asyncio
import errno
import os
import threading

import pytest

from fastobj._ext.digest import Md5
from fastobj.core.errors import Conflict, NoSpace, StoreError, SyncFailed, Unavailable
from fastobj.core.limits import (
    EXTENT_FILE_BYTES_MIN,
    KIB,
    MIB,
    PIECE_BYTES,
    PIECES_IN_FLIGHT_MAX,
    STORED_BYTES_MAX,
)
from fastobj.core.segments import SEGMENT_BODY, SEGMENT_EXTENTS, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.storage import extents, io, pool
from fastobj.storage.base import fill, new_data_id
from fastobj.storage.extents import STRIDE, piece_count, piece_length, run_bytes
from fastobj.storage.segment_files import segment_path
from fastobj.testing.volume_contract import body_of, store
from tests.unit.storage.volumes import OWNER, Rows, extent_files, local_volume, settle_down

OPEN, SEALED = SEGMENT_OPEN, SEGMENT_SEALED


def _fds():
    return len(os.listdir("/proc/self/fd"))


async def _finished(volume, body):
    writer = await volume.writer(len(body), new_data_id())
    await fill(writer, body)
    return writer, await writer.finish()


def _failing(error):
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


@pytest.mark.parametrize(
    ("length", "count", "run"),
    [
        (1, 1, 8192),
        (4096, 1, 8192),
        (4097, 1, 12288),
        (MIB - 1, 1, STRIDE),
        (MIB, 1, STRIDE),
        (MIB + 1, 2, STRIDE + 8192),
        (5 * MIB, 5, 5 * STRIDE),
    ],
)
def test_the_arithmetic_of_runs(length, count, run):
    assert piece_count(length) == count
    assert run_bytes(length) == run
    assert sum(piece_length(length, index) for index in range(count)) == length


async def test_bodies_share_a_file_at_page_boundaries(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        places = [await store(volume, body_of(length), new_data_id()) for length in (1, 5000, MIB)]
        assert [place.offset for place in places] == [0, 8192, 8192 + 12288]
        assert len({(place.segment, place.generation) for place in places}) == 1
        [segment] = rows.segments()
        assert segment.kind == SEGMENT_EXTENTS
        assert (rows.states(), segment.owner) == ([OPEN], OWNER)
        assert segment.size_bytes == EXTENT_FILE_BYTES_MIN
        assert segment.generation == places[0].generation
        [name] = extent_files(tmp_path)
        assert os.path.getsize(tmp_path / "extents" / name) == segment.size_bytes
        assert rows.commits == 1


async def test_a_full_file_is_sealed_once_its_bodies_are_settled(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        before = _fds()
        first, _ = await _finished(volume, body_of(6 * MIB))
        second, _ = await _finished(volume, body_of(MIB))
        await store(volume, body_of(6 * MIB), new_data_id())
        assert rows.states() == [OPEN, OPEN]
        first.sent()
        first.settled()
        first.settled()
        await asyncio.sleep(0.01)
        assert rows.states() == [OPEN, OPEN]
        await second.abort()
        second.settled()
        await settle_down(lambda: rows.states() == [SEALED, OPEN] and _fds() == before + 1)
        sizes = [segment.size_bytes for segment in rows.segments()]
        assert sizes == [run_bytes(6 * MIB) + run_bytes(MIB), 2 * EXTENT_FILE_BYTES_MIN]
        sealed = rows.segments()[0]
        path = segment_path(str(tmp_path), sealed.id)
        assert os.path.getsize(path) == sealed.size_bytes  # the rest has gone back to the disk


async def test_on_a_full_disk_the_open_file_gives_its_rest_back(tmp_path, monkeypatch):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        await store(volume, body_of(MIB), new_data_id())
        monkeypatch.setattr(io.File, "allocate", _no_space)
        with pytest.raises(NoSpace):
            await volume.writer(10 * MIB, new_data_id())
        await settle_down(lambda: rows.states() == [SEALED])
        [sealed] = rows.segments()
        assert os.path.getsize(segment_path(str(tmp_path), sealed.id)) == run_bytes(MIB)
        monkeypatch.undo()
        await store(volume, body_of(10 * MIB), new_data_id())
        assert rows.states() == [SEALED, OPEN]


def _no_space(file, size):
    raise NoSpace("full")


async def test_sealing_is_tried_again(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        await store(volume, body_of(6 * MIB), new_data_id())
        rows.failures = [None, Unavailable("away")]
        await store(volume, body_of(15 * MIB), new_data_id())
        await settle_down(lambda: rows.commits == 3)
        assert rows.states() == [OPEN, OPEN]
        await store(volume, body_of(15 * MIB), new_data_id())
        await settle_down(lambda: rows.states() == [SEALED, SEALED, OPEN])


async def test_what_somebody_else_sealed_is_let_go(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        before = _fds()
        await store(volume, body_of(6 * MIB), new_data_id())
        [(key, (value, _))] = rows.rows.items()
        rows.rows[key] = (value, b"another's token.")
        await store(volume, body_of(6 * MIB), new_data_id())
        await settle_down(lambda: _fds() == before + 1)
        assert rows.rows[key] == (value, b"another's token.")


async def test_a_body_with_a_file_of_its_own(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=MIB) as volume:
        before = _fds()
        writer, location = await _finished(volume, body_of(MIB))
        [segment] = rows.segments()
        assert segment.kind == SEGMENT_BODY
        assert (segment.size_bytes, rows.states()) == (STRIDE, [OPEN])
        assert (location.segment, location.offset) == (segment.id, 0)
        assert extent_files(tmp_path) == [f"{segment.id:016x}.body"]
        writer.sent()
        sealing = writer.sealing()
        await rows.sealed(*sealing)
        writer.settled()
        await settle_down(lambda: _fds() == before)
        assert rows.states() == [SEALED]
        assert sealing.segment.generation == location.generation


async def test_a_file_whose_transaction_came_to_nothing_is_sealed(tmp_path):
    """So that reclaim finds it: nobody else may release it once the transaction was sent."""
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        writer, _ = await _finished(volume, b"x")
        writer.sent()
        writer.settled()
        await settle_down(lambda: rows.states() == [SEALED])


async def test_an_aborted_file_is_gone(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        before, free = _fds(), volume.buffers.free
        writer, _ = await _finished(volume, body_of(MIB + 1))
        await writer.abort()
        await writer.abort()
        half = await volume.writer(3 * MIB, new_data_id())
        await half.buffer()
        await half.push(MIB)
        await half.buffer()
        await half.abort()
        assert (extent_files(tmp_path), rows.rows) == ([], {})
        assert (_fds(), volume.buffers.free) == (before, free)


async def test_an_aborted_file_is_gone_even_if_its_row_cannot_be(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        writer, _ = await _finished(volume, b"x")
        rows.failures = [Unavailable("away")]
        await writer.abort()
        assert extent_files(tmp_path) == []
        assert rows.states() == [OPEN]


async def test_an_aborted_file_goes_before_its_row(tmp_path):
    """What a crash leaves between the two is a row without a file, which reclaim takes away."""
    left = []

    class Watched(Rows):
        async def removed(self, segment, token):
            left.append(extent_files(tmp_path))
            await super().removed(segment, token)

    async with local_volume(tmp_path, Watched(), own_file_bytes_min=1) as volume:
        writer, _ = await _finished(volume, b"x")
        await writer.abort()
        assert left == [[]]


async def test_an_aborted_file_that_cannot_go_keeps_its_row(tmp_path, monkeypatch):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        writer, _ = await _finished(volume, b"x")
        monkeypatch.setattr(os, "unlink", _broken)
        await writer.abort()
        monkeypatch.undo()
        assert len(extent_files(tmp_path)) == 1
        assert rows.states() == [OPEN]


def _broken(path):
    raise OSError(errno.EIO, "broken")


async def test_a_body_may_not_be_aborted_once_sent(tmp_path):
    async with local_volume(tmp_path) as volume:
        writer, _ = await _finished(volume, b"x")
        writer.sent()
        with pytest.raises(AssertionError):
            await writer.abort()
        writer.settled()


async def test_a_cancelled_request_leaves_no_file(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        before = _fds()
        asking = asyncio.ensure_future(volume.writer(MIB, new_data_id()))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        await settle_down(lambda: rows.commits == 2 and not extent_files(tmp_path))
        assert rows.rows == {}
        await settle_down(lambda: _fds() == before)


async def test_a_cancelled_request_leaves_a_file_for_the_next(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        asking = asyncio.ensure_future(volume.writer(MIB, new_data_id()))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        await store(volume, body_of(MIB), new_data_id())
        assert len(extent_files(tmp_path)) == len(rows.rows) == 1


async def test_an_abort_outlives_its_request(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        writer = await volume.writer(2 * MIB, new_data_id())
        await writer.buffer()
        await writer.push(MIB)
        aborting = asyncio.ensure_future(writer.abort())
        await asyncio.sleep(0)
        aborting.cancel()
        await settle_down(lambda: not extent_files(tmp_path) and not rows.rows)


async def test_writers_that_come_at_once_share_one_new_file(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        jobs = (store(volume, body_of(MIB, seed), new_data_id()) for seed in range(5))
        places = await asyncio.gather(*jobs)
        assert len({place.segment for place in places}) == 1
        assert sorted(place.offset for place in places) == [STRIDE * i for i in range(5)]


async def test_a_taken_id_is_chosen_again(tmp_path):
    rows = Rows()
    rows.failures = [Conflict([None]), Conflict([None])]
    async with local_volume(tmp_path, rows) as volume:
        await store(volume, b"x", new_data_id())
        assert len(extent_files(tmp_path)) == 1
        rows.failures = [Conflict([None])] * extents.IDS_TRIED_MAX
        with pytest.raises(StoreError, match="randomness"):
            await volume.writer(20 * MIB, new_data_id())
        assert len(extent_files(tmp_path)) == 1


async def test_a_row_that_cannot_be_committed_leaves_no_file(tmp_path):
    rows = Rows()
    rows.failures = [Unavailable("away"), Unavailable("away")]
    async with local_volume(tmp_path, rows, own_file_bytes_min=MIB) as volume:
        before = _fds()
        for length in (1, MIB):
            with pytest.raises(Unavailable):
                await volume.writer(length, new_data_id())
        assert extent_files(tmp_path) == []
        assert _fds() == before
        await store(volume, b"x", new_data_id())


async def test_a_small_disk_is_filled_to_its_end(tiny_disk):
    """The file that does not fit is made smaller; then NoSpace, with nothing left behind."""
    rows = Rows()
    async with local_volume(tiny_disk, rows) as volume:
        stored = []

        async def fill_up():
            while True:
                data_id = new_data_id()
                stored.append((await store(volume, body_of(700 * KIB), data_id), data_id))

        with pytest.raises(NoSpace):
            await fill_up()
        assert 20 <= len(stored) <= 23
        with pytest.raises(NoSpace):
            await volume.writer(20 * MIB, new_data_id())
        assert len(extent_files(tiny_disk)) == len(rows.rows)
        assert volume.buffers.free == pool.BODY_MEMORY_BYTES_MAX // pool.BUFFER_BYTES
        for location, data_id in stored:
            assert await volume.read(location, data_id, 0, 700 * KIB) == body_of(700 * KIB)


async def test_no_space_for_a_file_of_its_own_leaves_nothing(tiny_disk):
    rows = Rows()
    async with local_volume(tiny_disk, rows, own_file_bytes_min=1) as volume:
        before = _fds()
        with pytest.raises(NoSpace):
            await volume.writer(17 * MIB, new_data_id())
        assert (extent_files(tiny_disk), rows.rows, _fds()) == ([], {}, before)
        await store(volume, body_of(MIB), new_data_id())


async def test_a_write_that_fails_reaches_the_writer(tmp_path, monkeypatch):
    async with local_volume(tmp_path) as volume:
        free = volume.buffers.free
        writer = await volume.writer(3 * MIB, new_data_id())
        monkeypatch.setattr(volume.pool, "write_piece", lambda *a: _failing(NoSpace("full")))
        await writer.buffer()
        await writer.push(MIB)
        await asyncio.sleep(0)
        with pytest.raises(NoSpace):
            await writer.buffer()
        with pytest.raises(NoSpace):
            await writer.push(MIB)
        await writer.abort()
        assert volume.buffers.free == free


async def test_a_late_failure_reaches_finish(tmp_path, monkeypatch):
    async with local_volume(tmp_path) as volume:
        synced = []
        monkeypatch.setattr(volume.pool, "write_piece", lambda *a: _failing(NoSpace("full")))
        monkeypatch.setattr(volume.pool, "sync", synced.append)
        writer = await volume.writer(10, new_data_id())
        await writer.buffer()
        await writer.push(10)
        with pytest.raises(NoSpace):
            await writer.finish()
        assert synced == []
        await writer.abort()


async def test_a_write_that_fails_while_its_piece_is_hashed(tmp_path, monkeypatch):
    """The buffer stays the hashing thread's until that is done with it."""
    async with local_volume(tmp_path) as volume:
        free = volume.buffers.free
        volume.pool.streams(+1)  # so that the piece waits for another
        digest = Md5()
        writer = await volume.writer(2 * MIB, new_data_id(), [digest])
        told = []
        writer.watch(lambda: told.append(True))
        monkeypatch.setattr(volume.pool, "write_piece", lambda *a: _failing(NoSpace("full")))
        await writer.buffer()
        await writer.push(MIB)
        await settle_down(lambda: told)
        assert volume.buffers.free == free - 1
        with pytest.raises(NoSpace):
            await writer.buffer()
        await writer.abort()
        assert volume.buffers.free == free
        volume.pool.streams(-1)


async def test_a_failed_sync_reaches_every_body_in_the_file(tmp_path, monkeypatch):
    """The kernel tells only one caller; the next body goes to another file."""
    rows = Rows()
    async with local_volume(tmp_path, rows) as volume:
        writers = [await volume.writer(MIB, new_data_id()) for _ in range(3)]
        for writer in writers:
            await fill(writer, body_of(MIB))
        failures = [SyncFailed("lost")]
        sync = volume.pool.sync

        def once(file):
            return _failing(failures.pop()) if failures else sync(file)

        monkeypatch.setattr(volume.pool, "sync", once)
        results = await asyncio.gather(*(w.finish() for w in writers[:2]), return_exceptions=True)
        assert [type(result) for result in results] == [SyncFailed, SyncFailed]
        with pytest.raises(SyncFailed):
            await writers[2].finish()
        for writer in writers:
            await writer.abort()
        place = await store(volume, body_of(MIB), new_data_id())
        assert place.offset == 0
        await settle_down(lambda: rows.states() == [SEALED, OPEN])


async def test_one_sync_serves_all_who_wait(tmp_path, monkeypatch):
    async with local_volume(tmp_path) as volume:
        writers = [await volume.writer(MIB, new_data_id()) for _ in range(6)]
        for writer in writers:
            await fill(writer, body_of(MIB))
            await writer._wait_below(1)
        syncs = []
        sync = volume.pool.sync

        def counted(file):
            syncs.append(file)
            return sync(file)

        monkeypatch.setattr(volume.pool, "sync", counted)
        await asyncio.gather(*(writer.finish() for writer in writers))
        assert 1 <= len(syncs) <= 2
        for writer in writers:
            await writer.abort()


async def test_pieces_in_flight_are_bounded(tmp_path, monkeypatch):
    held = []

    def hold(*arguments):
        held.append(asyncio.get_running_loop().create_future())
        return held[-1]

    async with local_volume(tmp_path) as volume:
        writer = await volume.writer(6 * MIB, new_data_id())
        monkeypatch.setattr(volume.pool, "write_piece", hold)
        filling = asyncio.ensure_future(fill(writer, body_of(6 * MIB)))
        await settle_down(lambda: len(held) == PIECES_IN_FLIGHT_MAX)
        await asyncio.sleep(0.01)
        assert len(held) == PIECES_IN_FLIGHT_MAX
        while not filling.done():
            next(job for job in held if not job.done()).set_result(None)
            await asyncio.sleep(0)
        for job in held:
            if not job.done():
                job.set_result(None)
        await writer.abort()


async def test_memory_is_bounded_and_nobody_starves(tmp_path, monkeypatch):
    made = []
    create = pool.Buffer.__init__

    def counted(buffer):
        made.append(buffer)
        create(buffer)

    monkeypatch.setattr(pool.Buffer, "__init__", counted)
    memory = 3 * pool.BUFFER_BYTES
    async with local_volume(tmp_path, body_memory_bytes_max=memory) as volume:
        bodies = [body_of(5 * MIB + seed, seed) for seed in range(5)]
        names = [new_data_id() for _ in bodies]
        places = await asyncio.gather(*map(store, [volume] * 5, bodies, names))
        reads = (volume.read(p, n, 0, p.length) for p, n in zip(places, names, strict=True))
        assert await asyncio.gather(*reads) == bodies
        assert volume.buffers.free == len(made) == 3


async def test_wrong_lengths_are_refused(tmp_path):
    async with local_volume(tmp_path) as volume:
        for length in (0, -1, STORED_BYTES_MAX + 1):
            with pytest.raises(ValueError, match="no extent"):
                await volume.writer(length, new_data_id())
        writer = await volume.writer(PIECE_BYTES + 1, new_data_id())
        with pytest.raises(AssertionError, match="not complete"):
            await writer.finish()
        assert len(await writer.buffer()) == PIECE_BYTES
        with pytest.raises(AssertionError, match="filled whole"):
            await writer.push(PIECE_BYTES - 1)
        await writer.abort()


async def test_removal_expects_the_row_of_this_process(tmp_path):
    rows = Rows()
    async with local_volume(tmp_path, rows, own_file_bytes_min=1) as volume:
        writer = await volume.writer(1, new_data_id())
        [(segment, (value, _))] = rows.rows.items()
        rows.rows[segment] = (value, b"another's token.")
        await writer.abort()
        assert rows.rows == {segment: (value, b"another's token.")}


async def test_a_file_is_not_sealed_while_its_rest_is_cut_off(tmp_path, monkeypatch):
    rows, reached, may_go_on = Rows(), threading.Event(), threading.Event()
    give_back = extents.ExtentFile.give_back_rest

    def slow(file):
        reached.set()
        assert may_go_on.wait(10)
        give_back(file)

    monkeypatch.setattr(extents.ExtentFile, "give_back_rest", slow)
    async with local_volume(tmp_path, rows) as volume:
        first, place = await _finished(volume, body_of(EXTENT_FILE_BYTES_MIN // 2))
        second = asyncio.create_task(_finished(volume, body_of(EXTENT_FILE_BYTES_MIN)))
        await settle_down(reached.is_set)
        first.settled()  # the last body in the file: it could be sealed now
        for _ in range(20):
            await asyncio.sleep(0)
        assert SEALED not in rows.states()
        may_go_on.set()
        writer, _ = await second
        await settle_down(lambda: SEALED in rows.states())
        writer.settled()
        [sealed] = [segment for segment in rows.segments() if segment.id == place.segment]
        path = segment_path(str(tmp_path), place.segment)
        assert sealed.size_bytes == os.path.getsize(path) < EXTENT_FILE_BYTES_MIN
