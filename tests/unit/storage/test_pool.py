"""The native pool on the loop, digests in order, and the bounded buffers."""

import asyncio
import errno
import os
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from fastobj._ext import segio
from fastobj.core.errors import (
    Busy,
    ChecksumMismatch,
    NoSpace,
    StaleLocation,
    StoreError,
    SyncFailed,
)
from fastobj.storage import io, pool
from fastobj.storage.pool import Buffer, BufferPool, Hashing, IoPool, PieceName

PIECE = PieceName(bytes(16), 1, 2, 3, 5)


@contextmanager
def opened(path):
    native = IoPool()
    file = io.create(path)
    try:
        yield native, file
    finally:
        native.close()
        file.close()


async def test_a_piece_there_and_back(tmp_path):
    with opened(tmp_path / "file") as (native, file):
        buffer, other = Buffer(), Buffer()
        buffer.payload(0, 5)[:] = b"hello"
        await native.write_piece(file, 4096, buffer, PIECE)
        await native.sync(file)
        await native.read_piece(file, 4096, other, range(1, 4), PIECE)
        assert other.payload(1, 4) == b"ell"
        head = bytearray(5)
        await native.read(file, 4096 + 4096, head)
        assert head == b"hello"


async def test_failures_become_errors_of_the_tree(tmp_path):
    with opened(tmp_path / "file") as (native, file):
        buffer = Buffer()
        with pytest.raises(StaleLocation):
            await native.read_piece(file, 0, buffer, range(5), PIECE)
        await native.write_piece(file, 0, buffer, PIECE)
        file.pwritev([b"x"], 4096)
        with pytest.raises(ChecksumMismatch):
            await native.read_piece(file, 0, buffer, range(5), PIECE)
        nowhere = io.File("nowhere", -1)
        with pytest.raises(StoreError, match="cannot write nowhere"):
            await native.write_piece(nowhere, 0, buffer, PIECE)
        with pytest.raises(SyncFailed, match="cannot sync nowhere"):
            await native.sync(nowhere)
        full = io.File("/dev/full", os.open("/dev/full", os.O_RDWR))
        with pytest.raises(NoSpace):
            await native.write_piece(full, 0, buffer, PIECE)
        full.close()


async def test_more_jobs_than_the_native_queue_holds(tmp_path, monkeypatch):
    small = partial(segio.Pool, capacity=4)
    monkeypatch.setattr(segio, "Pool", small)
    with opened(tmp_path / "file") as (native, file):
        file.pwritev([bytes(range(200))], 0)
        targets = [bytearray(1) for _ in range(200)]
        await asyncio.gather(*(native.read(file, at, into) for at, into in enumerate(targets)))
        assert b"".join(targets) == bytes(range(200))


async def test_a_cancelled_wait_does_not_stop_the_pool(tmp_path):
    with opened(tmp_path / "file") as (native, file):
        done = native.sync(file)
        waiting = asyncio.ensure_future(asyncio.shield(done))
        waiting.cancel()
        await asyncio.wait([waiting, done])
        assert done.result() is None
        native.sync(file).cancel()  # not allowed, and yet harmless to the pool
        await native.sync(file)


async def test_closing_finishes_the_jobs(tmp_path):
    native = IoPool()
    file = io.create(tmp_path / "file")
    jobs = [native.sync(file) for _ in range(30)]
    native.close()
    assert all(job.done() and job.exception() is None for job in jobs)
    file.close()


class _Digest:
    """Remembers what it was fed and that nobody fed it twice at once."""

    def __init__(self):
        self.fed = []
        self._alone = threading.Lock()

    def update(self, payload):
        assert self._alone.acquire(blocking=False)
        self.fed.append(bytes(payload))
        self._alone.release()


async def test_digests_are_fed_in_order(tmp_path):
    with opened(tmp_path / "file") as (native, _):
        digests = [_Digest(), _Digest()]
        hashing = Hashing(native, digests)
        pieces = [b"%d" % number for number in range(50)]
        await asyncio.gather(*(hashing.update(memoryview(piece)) for piece in pieces))
        assert digests[0].fed == digests[1].fed == pieces


async def test_a_failing_digest_is_told(tmp_path):
    class Failing:
        def update(self, payload):
            raise OSError(errno.EIO, "no")

    with opened(tmp_path / "file") as (native, _):
        hashing = Hashing(native, [Failing()])
        for _ in range(2):
            with pytest.raises(OSError, match="no"):
                await hashing.update(memoryview(b"x"))


async def test_buffers_are_bounded_and_handed_on_in_order():
    buffers = BufferPool(2 * pool.BUFFER_BYTES)
    first, second = await buffers.acquire(), await buffers.acquire()
    assert buffers.acquire_now() is None
    waiting = [asyncio.ensure_future(buffers.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    buffers.release(second)
    assert await waiting[1] is second
    assert not waiting[2].done()
    buffers.release(first)
    assert await waiting[2] is first
    buffers.release(first)
    buffers.release(second)
    assert buffers.free == 2
    buffers.close()


async def test_a_buffer_given_to_who_was_cancelled_comes_back():
    buffers = BufferPool(2 * pool.BUFFER_BYTES)
    held = [await buffers.acquire() for _ in range(2)]
    waiting = asyncio.ensure_future(buffers.acquire())
    await asyncio.sleep(0)
    buffers.release(held.pop())
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert buffers.free == 1
    buffers.release(held.pop())
    buffers.close()


async def test_buffers_are_page_aligned_and_reused():
    buffers = BufferPool()
    buffer = await buffers.acquire()
    assert len(buffer.view) == pool.BUFFER_BYTES
    buffers.release(buffer)
    assert await buffers.acquire() is buffer
    buffers.release(buffer)
    buffers.close()


async def test_idle_buffers_are_freed(monkeypatch):
    monkeypatch.setattr(pool, "BUFFERS_IDLE_S_MAX", 0.005)
    buffers = BufferPool()
    held = [await buffers.acquire() for _ in range(3)]
    for buffer in held:
        buffers.release(buffer)
    for _ in range(1000):
        await asyncio.sleep(0.005)
        if not buffers._idle and buffers._timer is None:
            break
    assert not buffers._idle
    assert buffers._timer is None
    assert await buffers.acquire() not in held


async def test_nobody_waits_for_a_buffer_for_ever(monkeypatch):
    monkeypatch.setattr("fastobj.storage.pool.BODY_MEMORY_WAIT_S_MAX", 0.01)
    buffers = BufferPool(2 * pool.BUFFER_BYTES)
    held = [await buffers.acquire() for _ in range(2)]
    with pytest.raises(Busy):
        await buffers.acquire()
    for buffer in held:
        buffers.release(buffer)
    assert buffers.free == 2
    assert await buffers.acquire() in held
    buffers.close()
