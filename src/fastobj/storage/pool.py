"""The native pool on the event loop, digests off it, and the buffers of pieces.

One `IoPool` and one `BufferPool` per process, made after the fork on the running loop.
"""

from __future__ import annotations

import asyncio
import mmap
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, TypeVar

from fastobj._ext import segio
from fastobj.core.errors import Busy, ChecksumMismatch, StaleLocation, StoreError
from fastobj.core.limits import BODY_MEMORY_WAIT_S_MAX, MIB, PIECE_BYTES, PIECE_HEAD_BYTES
from fastobj.core.waiting import within
from fastobj.storage import io
from fastobj.storage.base import Digest

IO_THREADS: Final = 4
SLOW_THREADS: Final = 2
BODY_MEMORY_BYTES_MAX: Final = 64 * MIB
BUFFER_BYTES: Final = PIECE_HEAD_BYTES + PIECE_BYTES
BUFFERS_IDLE_S_MAX: Final = 10.0

Result = TypeVar("Result")
Done = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class PieceName:
    """What the head of a piece says of it. `length` is of the payload, in bytes."""

    data_id: bytes
    segment: int
    generation: int
    index: int
    length: int


class _Token(NamedTuple):
    """What a native job carries: who waits, and the words for its failure."""

    future: Done
    path: str
    action: str


def _failure(token: _Token, status: int) -> StoreError:
    if status == segio.STALE:
        return StaleLocation(f"{token.path} no longer holds this body")
    if status == segio.CHECKSUM:
        return ChecksumMismatch(f"{token.path} does not hold the bytes that were written")
    error = OSError(-status, os.strerror(-status))
    if token.action == "sync":
        return io.sync_error(error, token.path)
    return io.store_error(error, token.path, token.action)


class IoPool:
    """Reads, writes and syncs on native threads.

    The futures that it returns must not be cancelled, for the job goes on: wait for them behind
    `asyncio.shield`. Buffers and descriptors belong to the job until its future is done.
    """

    def __init__(self, threads: int = IO_THREADS) -> None:
        self._loop = asyncio.get_running_loop()
        self._native = segio.Pool(threads)
        self._eventfd = self._native.eventfd
        self._backlog: deque[tuple[Callable[[], None], _Token]] = deque()
        self._executor: ThreadPoolExecutor | None = None
        self._loop.add_reader(self._eventfd, self._collect)

    def write_piece(self, file: io.File, offset: int, buffer: Buffer, piece: PieceName) -> Done:
        """Writes head and payload at `offset` of the file, and starts their write-out."""
        token = _Token(self._loop.create_future(), file.path, "write")
        job = partial(
            self._native.write_piece,
            file.fd,
            file.path,
            offset,
            buffer.memory,
            piece.length,
            piece.data_id,
            piece.segment,
            piece.generation,
            piece.index,
            early_sync=True,
            token=token,
        )
        return self._submit(job, token)

    def read_piece(
        self, file: io.File, offset: int, buffer: Buffer, wanted: range, piece: PieceName
    ) -> Done:
        """Reads and verifies the bytes `wanted` of a payload into their place in `buffer`."""
        token = _Token(self._loop.create_future(), file.path, "read")
        job = partial(
            self._native.read_piece,
            file.fd,
            offset,
            buffer.memory,
            wanted.start,
            len(wanted),
            piece.length,
            piece.data_id,
            piece.segment,
            piece.generation,
            piece.index,
            token,
        )
        return self._submit(job, token)

    def read(self, file: io.File, offset: int, into: bytearray) -> Done:
        """Fills `into`, unverified. StaleLocation where the file ends before."""
        token = _Token(self._loop.create_future(), file.path, "read")
        return self._submit(partial(self._native.read, file.fd, offset, into, token), token)

    def sync(self, file: io.File) -> Done:
        """fdatasync. SyncFailed, once, for all that use the descriptor."""
        token = _Token(self._loop.create_future(), file.path, "sync")
        return self._submit(partial(self._native.sync, file.fd, file.path, token), token)

    def run(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Runs what blocks on one of two threads of its own."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(SLOW_THREADS, "fastobj-slow")
        return self._loop.run_in_executor(self._executor, function)

    def run_hash(self, digests: Sequence[Digest], payload: memoryview) -> asyncio.Future[None]:
        """Feeds one piece to all digests, off the loop. The order is the caller's: see Hashing."""
        return self.run(partial(_update, digests, payload))

    def _submit(self, job: Callable[[], None], token: _Token) -> Done:
        try:
            job()
        except BlockingIOError:
            self._backlog.append((job, token))
        return token.future

    def _collect(self) -> None:
        for token, status in self._native.completions():
            assert isinstance(token, _Token)
            if token.future.done():
                continue
            if status == 0:
                token.future.set_result(None)
            else:
                token.future.set_exception(_failure(token, status))
        while self._backlog:
            job, token = self._backlog[0]
            try:
                job()
            except BlockingIOError:
                return
            except OSError as error:
                token.future.set_exception(io.store_error(error, token.path, token.action))
            self._backlog.popleft()

    def close(self) -> None:
        """Finishes the jobs under way and ends the threads; blocks for as long as that takes."""
        self._loop.remove_reader(self._eventfd)
        self._native.close()
        self._collect()
        if self._executor is not None:
            self._executor.shutdown()


def _update(digests: Sequence[Digest], payload: memoryview) -> None:
    for digest in digests:
        digest.update(payload)


class Hashing:
    """The digests of one body: its pieces in their order, one at a time, off the loop."""

    def __init__(self, pool: IoPool, digests: Sequence[Digest]) -> None:
        self._pool = pool
        self._digests = digests
        self._waiting: deque[tuple[memoryview, Done]] = deque()

    def update(self, payload: memoryview) -> Done:
        """Takes the next piece; it must not change before the future is done."""
        done: Done = asyncio.get_running_loop().create_future()
        self._waiting.append((payload, done))
        if len(self._waiting) == 1:
            self._start()
        return done

    def _start(self) -> None:
        job = self._pool.run_hash(self._digests, self._waiting[0][0])
        job.add_done_callback(self._ended)

    def _ended(self, job: asyncio.Future[None]) -> None:
        _, done = self._waiting.popleft()
        error = job.exception()
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
        if self._waiting:
            self._start()


class Buffer:
    """Room for one piece: page-aligned head room and payload."""

    __slots__ = ("memory", "view")

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, BUFFER_BYTES)
        self.view = memoryview(self.memory)

    def payload(self, begin: int, end: int) -> memoryview:
        """The bytes `begin` to `end` of the payload."""
        return self.view[PIECE_HEAD_BYTES + begin : PIECE_HEAD_BYTES + end]


class BufferPool:
    """The memory of all bodies in flight in this process: bounded, reused, given back when idle.

    Who finds it empty waits, in order of arrival.
    """

    def __init__(self, bytes_max: int = BODY_MEMORY_BYTES_MAX) -> None:
        self._left = max(2, bytes_max // BUFFER_BYTES)
        self._idle: list[Buffer] = []
        self._waiters: deque[asyncio.Future[Buffer]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._idle_min = 0

    @property
    def free(self) -> int:
        """How many buffers can be had without waiting."""
        return self._left

    async def acquire(self) -> Buffer:
        """A buffer, as soon as there is one. Its bytes are those of its last user.

        Raises Busy after `BODY_MEMORY_WAIT_S_MAX` seconds without one.
        """
        buffer = self.acquire_now()
        if buffer is not None:
            return buffer
        waiter: asyncio.Future[Buffer] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await within(BODY_MEMORY_WAIT_S_MAX, waiter)
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiter.done() and not waiter.cancelled():
                self.release(waiter.result())
            if isinstance(error, TimeoutError):
                raise Busy("slower bodies hold all memory for bodies") from None
            raise

    def acquire_now(self) -> Buffer | None:
        """A buffer, or None where one would have to wait."""
        if not self._left:
            return None
        self._left -= 1
        buffer = self._idle.pop() if self._idle else Buffer()
        self._idle_min = min(self._idle_min, len(self._idle))
        return buffer

    def release(self, buffer: Buffer) -> None:
        """Gives a buffer back, to who waits longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(buffer)
                return
        self._left += 1
        self._idle.append(buffer)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None:
            self._idle_min = len(self._idle)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BUFFERS_IDLE_S_MAX, self._trim)

    def _trim(self) -> None:
        """Frees the buffers that nobody needed since the timer was set."""
        self._timer = None
        del self._idle[: self._idle_min]
        if self._idle:
            self._arm()

    def close(self) -> None:
        """Stops the timer and frees what is idle."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._idle.clear()
