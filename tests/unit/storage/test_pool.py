"""The native pool on the loop, digests in order, and the bounded buffers."""

import asyncio
import errno
import hashlib
import os
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from fastobj._ext import segio
from fastobj._ext.chunked import ChunkedDecoder, ChunkedError, Code, Mode
from fastobj._ext.crc import Crc32, Crc64Nvme, crc32, crc64nvme
from fastobj._ext.digest import Md5, Sha1
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
        jobs = [job for piece in pieces for job in hashing.update(memoryview(piece))]
        await asyncio.gather(*jobs)
        assert digests[0].fed == digests[1].fed == pieces


async def test_a_failing_digest_is_told(tmp_path):
    class Failing:
        def update(self, payload):
            raise OSError(errno.EIO, "no")

    with opened(tmp_path / "file") as (native, _):
        hashing = Hashing(native, [Failing()])
        for _ in range(2):
            with pytest.raises(OSError, match="no"):
                await asyncio.gather(*hashing.update(memoryview(b"x")))


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


def _content(number, size=70_000):
    return bytes([number]) * (size + number)


async def test_sums_of_many_bodies_advance_together_and_in_order(tmp_path):
    with opened(tmp_path / "file") as (native, _):
        bodies = [(Md5(), Sha1(), Crc64Nvme()) for _ in range(40)]
        hashings = [Hashing(native, sums) for sums in bodies]
        jobs = []
        for piece in range(3):
            for number, hashing in enumerate(hashings):
                jobs += hashing.update(memoryview(_content(number + piece)))
        for hashing in hashings:
            hashing.hurry(True)
        await asyncio.gather(*jobs)
        for number, (md5, sha1, crc) in enumerate(bodies):
            whole = b"".join(_content(number + piece) for piece in range(3))
            assert md5.digest() == hashlib.md5(whole, usedforsecurity=False).digest()
            assert sha1.digest() == hashlib.sha1(whole, usedforsecurity=False).digest()
            assert crc.digest() == crc64nvme(whole).to_bytes(8, "big")


async def test_sums_in_any_shape_go_together_with_those_of_the_kernels(tmp_path):
    with opened(tmp_path / "file") as (native, _):
        sums = [Md5(), hashlib.sha512(), Crc32()]
        hashing = Hashing(native, sums)
        jobs = [job for _ in range(5) for job in hashing.update(memoryview(b"ab" * 9000))]
        await asyncio.gather(*jobs)
        whole = b"ab" * 45000
        assert sums[0].digest() == hashlib.md5(whole, usedforsecurity=False).digest()
        assert sums[1].digest() == hashlib.sha512(whole).digest()
        assert sums[2].digest() == crc32(whole).to_bytes(4, "big")


async def _still(jobs):
    """None of the jobs ends by itself."""
    await asyncio.sleep(0.05)
    assert not any(job.done() for job in jobs)


async def test_a_piece_waits_for_company_until_somebody_waits_for_it(tmp_path):
    with opened(tmp_path / "file") as (native, _):
        first = Hashing(native, [Md5()])
        native.streams(+2)
        jobs = first.update(memoryview(b"a"))
        await _still(jobs)
        first.hurry(True)
        await asyncio.gather(*jobs)
        await asyncio.gather(*first.update(memoryview(b"b")))
        first.hurry(False)
        jobs = first.update(memoryview(b"c"))
        await _still(jobs)
        native.press(+1)
        await asyncio.gather(*jobs)
        native.press(-1)
        jobs = first.update(memoryview(b"d"))
        await _still(jobs)
        native.streams(-2)
        await asyncio.gather(*jobs)
        first.close()
        first.close()


async def test_as_many_bodies_as_there_are_wait_for_nobody(tmp_path):
    with opened(tmp_path / "file") as (native, _):
        hashings = [Hashing(native, [Md5()]) for _ in range(3)]
        native.streams(+3)
        jobs = [job for each in hashings for job in each.update(memoryview(b"a"))]
        await _still(jobs)  # three of six
        native.streams(-3)
        await asyncio.gather(*jobs)


async def test_who_waits_for_a_buffer_presses(tmp_path):
    changes = []
    buffers = BufferPool(2 * pool.BUFFER_BYTES, changes.append)
    held = [await buffers.acquire() for _ in range(2)]
    assert changes == []
    waiting = asyncio.ensure_future(buffers.acquire())
    await asyncio.sleep(0)
    assert changes == [1]
    buffers.release(held[0])
    assert await waiting is held[0]
    assert changes == [1, -1]
    buffers.close()


async def test_closing_hashes_what_waits_for_company(tmp_path):
    native = IoPool()
    native.streams(+9)
    md5 = Md5()
    jobs = [native.hash((md5,), memoryview(_content(n)), lambda: False) for n in range(4)]
    native.close()
    assert all(job.done() and job.exception() is None for job in jobs)
    whole = b"".join(map(_content, range(4)))
    assert md5.digest() == hashlib.md5(whole, usedforsecurity=False).digest()


async def test_nothing_overtakes_what_the_native_queue_had_no_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(segio, "Pool", partial(segio.Pool, capacity=2))
    with opened(tmp_path / "file") as (native, _):
        md5 = Md5()
        jobs = []
        for number in range(50):
            jobs.append(native.hash((md5,), memoryview(_content(number))))
            if number % 7 == 0:
                native._collect()  # there may be room now, though others wait
        await asyncio.gather(*jobs)
        whole = b"".join(map(_content, range(50)))
        assert md5.digest() == hashlib.md5(whole, usedforsecurity=False).digest()


async def test_a_body_is_decoded_in_place(tmp_path):
    with opened(tmp_path / "file") as (native, _):
        coded = bytearray(b"5\r\nhello\r\n0\r\n\r\n")
        decoder = ChunkedDecoder(Mode.UNSIGNED_TRAILER, 5)
        await native.decode(decoder, memoryview(coded), 5)
        assert coded[:5] == b"hello"
        assert decoder.complete
        with pytest.raises(ChunkedError) as caught:
            await native.decode(decoder, memoryview(bytearray(b"x")))
        assert caught.value.code == Code.AFTER_END
        decoder = ChunkedDecoder(Mode.UNSIGNED_TRAILER, 5)
        with pytest.raises(StoreError, match="cannot decode a body"):
            await native.decode(decoder, memoryview(bytearray(b"5\r\nhel")), 5)
