"""The native pool on the event loop, what it decodes and hashes, and the buffers of pieces.

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
from fastobj._ext.chunked import ChunkedDecoder, ChunkedError
from fastobj._ext.crc import RunningCrc
from fastobj._ext.digest import RunningDigest
from fastobj.core.errors import Busy, ChecksumMismatch, StaleLocation, StoreError
from fastobj.core.limits import (
    BODY_MEMORY_WAIT_S_MAX,
    MIB,
    PIECE_BYTES,
    PIECE_CODING_BYTES,
    PIECE_HEAD_BYTES,
)
from fastobj.core.waiting import within
from fastobj.storage import io
from fastobj.storage.base import Digest

IO_THREADS: Final = 4
SLOW_THREADS: Final = 2
BODY_MEMORY_BYTES_MAX: Final = 64 * MIB
BUFFER_BYTES: Final = PIECE_HEAD_BYTES + PIECE_BYTES + PIECE_CODING_BYTES
BUFFERS_IDLE_S_MAX: Final = 10.0

Result = TypeVar("Result")
Done = asyncio.Future[None]
Native = RunningDigest | RunningCrc


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


def _failure(token: _Token, status: int) -> Exception:
    if token.action == "decode" and status > 0:
        return ChunkedError(status)
    if token.action == "sync":
        return io.sync_error(OSError(-status, os.strerror(-status)), token.path)
    return failure_of(status, token.path, token.action)


def failure_of(status: int, place: str, action: str) -> StoreError:
    """What the status of a job means that did something to a place."""
    if status == segio.STALE:
        return StaleLocation(f"{place} no longer holds this body")
    if status == segio.CHECKSUM:
        return ChecksumMismatch(f"{place} does not hold the bytes that were written")
    return io.store_error(OSError(-status, os.strerror(-status)), place, action)


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

    def decode(
        self, decoder: ChunkedDecoder, coded: memoryview, expected: int | None = None
    ) -> Done:
        """Feeds the decoder, in place; one call of a decoder at a time. ChunkedError.

        StoreError where it gives another number of bytes than `expected`.
        """
        token = _Token(self._loop.create_future(), "a body", "decode")
        wanted = -1 if expected is None else expected
        return self._submit(partial(self._native.decode, decoder, coded, wanted, token), token)

    def hash(
        self,
        sums: tuple[Native, ...],
        payload: memoryview,
        is_urgent: Callable[[], bool] = lambda: True,
    ) -> Done:
        """Advances sums of different kinds; calls with the same first one are done in order.

        What is not urgent when it reaches the native queue may wait there for company: see
        `streams` and `hurry`.
        """
        token = _Token(self._loop.create_future(), "", "hash")
        native = self._native
        return self._submit(lambda: native.hash(sums, payload, is_urgent(), token), token)

    def streams(self, change: int) -> None:
        """There is one body more to be hashed (+1), or less (-1)."""
        self._native.streams(change)

    def hurry(self, first: Native) -> None:
        """Somebody waits for the hashing of the body with this first sum."""
        self._native.hurry(first)

    def press(self, change: int) -> None:
        """Somebody waits for memory that bodies hold (+1), or no longer does (-1)."""
        self._native.press(change)

    def _submit(self, job: Callable[[], None], token: _Token) -> Done:
        if self._backlog:  # nothing overtakes what waits
            self._backlog.append((job, token))
            return token.future
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


class Turns:
    """Jobs of one body that must not overlap: one after the other, in the order of the calls."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], asyncio.Future[None]], Done]] = deque()

    def run(self, start: Callable[[], asyncio.Future[None]]) -> Done:
        """Starts the job as soon as those before it have ended, also where they failed."""
        done: Done = asyncio.get_running_loop().create_future()
        self._waiting.append((start, done))
        if len(self._waiting) == 1:
            self._start()
        return done

    def _start(self) -> None:
        self._waiting[0][0]().add_done_callback(self._ended)

    def _ended(self, job: asyncio.Future[None]) -> None:
        _, done = self._waiting.popleft()
        error = job.exception()
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
        if self._waiting:
            self._start()


class Hashing:
    """The digests of one body: its pieces in their order, off the loop.

    Those of the kernels advance in the pool, together with those of other bodies. Anything else
    in hashlib's shape holds the GIL now and then, and is fed on a thread that may.
    """

    def __init__(self, pool: IoPool, digests: Sequence[Digest]) -> None:
        self._pool = pool
        self._native = tuple(each for each in digests if isinstance(each, Native))
        self._others = [each for each in digests if not isinstance(each, Native)]
        self._turns = Turns()
        self._is_open = False
        self._is_urgent = False

    def update(self, payload: memoryview) -> list[Done]:
        """Takes the next piece; it must not change before all of the futures are done."""
        jobs: list[Done] = []
        if self._native:
            if not self._is_open:
                self._is_open = True
                self._pool.streams(+1)
            jobs.append(self._pool.hash(self._native, payload, lambda: self._is_urgent))
        if self._others:
            feed = partial(self._pool.run, partial(_update, self._others, payload))
            jobs.append(self._turns.run(feed))
        return jobs

    def hurry(self, is_urgent: bool) -> None:
        """Whether somebody waits for what has been taken, and for what will be."""
        self._is_urgent = is_urgent
        if is_urgent and self._native:
            self._pool.hurry(self._native[0])

    def close(self) -> None:
        """Nothing more will be taken; may be repeated."""
        if self._is_open:
            self._is_open = False
            self._pool.streams(-1)


def _update(digests: Sequence[Digest], payload: memoryview) -> None:
    for digest in digests:
        digest.update(payload)


class Buffer:
    """Room for one piece: page-aligned head room, payload, and what the payload's coding takes."""

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

    def __init__(
        self,
        bytes_max: int = BODY_MEMORY_BYTES_MAX,
        press: Callable[[int], None] = lambda change: None,
    ) -> None:
        self._press = press  # told of who waits (+1), and no longer does (-1)
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
        self._press(+1)
        try:
            return await within(BODY_MEMORY_WAIT_S_MAX, waiter)
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiter.done() and not waiter.cancelled():
                self.release(waiter.result())
            if isinstance(error, TimeoutError):
                raise Busy("slower bodies hold all memory for bodies") from None
            raise
        finally:
            self._press(-1)

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
