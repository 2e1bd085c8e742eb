"""Large bodies on their way in: extent files, and the runs in them.

A body is a contiguous run of pieces; each piece is a head of 4 KiB and up to 1 MiB of payload, and
all but the last are full. An extent file is written by the process that made it and by no other.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict, FastobjError, NoSpace, StoreError, SyncFailed
from fastobj.core.limits import (
    EXTENT_FILE_BYTES_MAX,
    EXTENT_FILE_BYTES_MIN,
    IDLE_S,
    OWN_FILE_BYTES_MIN,
    PIECE_BYTES,
    PIECE_HEAD_BYTES,
)
from fastobj.core.segments import SEGMENT_BODY, SEGMENT_EXTENTS
from fastobj.storage import io
from fastobj.storage.base import (
    SegmentBook,
    SegmentInfo,
)
from fastobj.storage.log_format import align
from fastobj.storage.pool import IoPool
from fastobj.storage.segment_files import new_extent_id, segment_path

STRIDE: Final = PIECE_HEAD_BYTES + PIECE_BYTES
ALIGN_BYTES: Final = 4096
IDS_TRIED_MAX: Final = 4
_DISK_PART: Final = 8  # a file for several bodies takes this part of what the disk has, at most

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def piece_count(length: int) -> int:
    """How many pieces a body of `length` bytes has."""
    return (length + PIECE_BYTES - 1) // PIECE_BYTES


def piece_length(length: int, index: int) -> int:
    """The payload of piece `index` of a body of `length` bytes."""
    return min(PIECE_BYTES, length - index * PIECE_BYTES)


def run_bytes(length: int) -> int:
    """What a body of `length` bytes takes in its file: pieces with heads, in whole pages."""
    return align(piece_count(length) * PIECE_HEAD_BYTES + length, ALIGN_BYTES)


def _make(path: str, size: int) -> io.File:
    """Makes a durable file of reserved bytes, or leaves none.

    It is claimed until it is closed: a file without a row that nobody claims is nobody's.
    """
    file = io.create(path)
    try:
        if not file.claim():
            raise StoreError(f"{path} was taken away while it was made: try again")
        file.allocate(size)
        file.fsync()
        io.sync_directory(os.path.dirname(path))
        reach("extent.made")
    except BaseException:
        _remove(file)
        raise
    return file


def _remove(file: io.File) -> bool:
    """Whether the file is gone, durably."""
    file.close()
    try:
        io.unlink(file.path)
        io.sync_directory(os.path.dirname(file.path))
    except StoreError as error:
        _log.warning("left behind: %s", error)
        return False
    return True


class ExtentFile:
    """An extent file of this process; `token` is that of the row that says so."""

    def __init__(self, pool: IoPool, file: io.File, segment: SegmentInfo, token: bytes) -> None:
        self.file = file
        self.segment = segment
        self.token = token
        self.uncommitted = 0
        self.failed: SyncFailed | None = None
        self._used = 0
        self._pool = pool
        self._lock = asyncio.Lock()
        self._syncs_begun = 0

    def reserve(self, run: int) -> int | None:
        """The offset of a fresh run, or None where it does not fit."""
        if self.failed is not None or self._used + run > self.segment.size_bytes:
            return None
        offset = self._used
        self._used += run
        self.uncommitted += 1
        return offset

    def give_back_rest(self) -> None:
        """Cuts off what no body has reserved; nothing more may be reserved."""
        self.file.truncate(self._used)
        self.segment = self.segment._replace(size_bytes=self._used)

    async def sync(self) -> None:
        """Makes durable what was written before the call. Not to be cancelled.

        One sync serves all who wait, and there is never more than one: the kernel reports a lost
        write to one caller per descriptor, and that failure must reach every body in the file.
        """
        seen = self._syncs_begun
        async with self._lock:
            if self._syncs_begun == seen and self.failed is None:
                self._syncs_begun += 1
                try:
                    await self._pool.sync(self.file)
                    reach("extent.synced")
                except SyncFailed as error:
                    self.failed = error
        if self.failed is not None:
            raise SyncFailed(str(self.failed))


class Run(NamedTuple):
    """Reserved room for one body."""

    file: ExtentFile
    offset: int
    own_file: bool


class Extents:
    """The extent files that this process writes: one open for new bodies, some closing."""

    def __init__(
        self,
        root: str,
        pool: IoPool,
        book: SegmentBook,
        own_file_bytes_min: int = OWN_FILE_BYTES_MIN,
        *,
        leaves_reserve: bool = True,
    ) -> None:
        self.pool = pool
        self._root = root
        self._book = book
        self._own_file_bytes_min = own_file_bytes_min
        self._leaves_reserve = leaves_reserve
        self._size = EXTENT_FILE_BYTES_MIN
        self._open: ExtentFile | None = None
        self._closing: list[ExtentFile] = []
        self._sealing = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._reserved = False  # since the timer was set

    async def reserve(self, length: int) -> Run:
        """Room for a body of `length` bytes. Raises NoSpace."""
        run = run_bytes(length)
        if length >= self._own_file_bytes_min:
            return await self._reserve_file(run)
        while True:
            file = self._open
            offset = None if file is None else file.reserve(run)
            if file is not None and offset is not None:
                self._reserved = True
                return Run(file, offset, own_file=False)
            await self._open_next(run)

    def settle(self, run: Run) -> None:
        """The body is committed, or never will be by this process: its file may be sealed."""
        run.file.uncommitted -= 1
        if run.file in self._closing:
            self.spawn(self._seal())

    async def discard(self, run: Run) -> None:
        """Gives back a file of one body; nothing may be reading, writing or syncing it.

        The file goes before its row, durably: a file with bytes and without a row would be taken
        for one whose row was lost, and kept for good.
        """
        self._closing.remove(run.file)
        path = run.file.file.path
        if not await self.pool.run(partial(_remove, run.file.file)):
            return  # its row stays until its owner ends, so that reclaim tries again
        try:
            await self._book.removed(run.file.segment, run.file.token)
        except FastobjError as error:
            _log.warning("the row of %s stays until its owner ends: %s", path, error)

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Runs what must not stop when the request that began it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Waits for what was spawned and closes all files; seals nothing."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        while self._tasks:
            await asyncio.wait(self._tasks)
        for file in [*self._closing, *([self._open] if self._open else [])]:
            file.file.close()
        self._closing.clear()
        self._open = None

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a task of a body failed: %s", error)

    async def _reserve_file(self, size: int) -> Run:
        making = self.spawn(self._make_own_file(size))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            self.spawn(self._discard_made(making))
            raise

    async def _make_own_file(self, size: int) -> Run:
        file = await self._create(SEGMENT_BODY, size)
        offset = file.reserve(size)
        assert offset == 0
        self._closing.append(file)
        return Run(file, offset, own_file=True)

    async def _discard_made(self, making: asyncio.Task[Run]) -> None:
        await asyncio.wait([making])
        if making.exception() is None:
            await self.discard(making.result())

    async def _open_next(self, run: int) -> None:
        """Waits for another open file, made by this caller or by one before it."""
        opening = self._opening
        if opening is not None and not opening.done():
            await asyncio.wait([opening])
            return
        self._opening = self.spawn(self._replace_open(run))
        await asyncio.shield(self._opening)

    async def _replace_open(self, run: int) -> None:
        """Opens a file with room for `run` bytes. Raises NoSpace; then none is open.

        The file before gives the rest of its room back, on a full disk before another is made:
        it may be all there is, and while it is open it cannot be reclaimed.
        """
        try:
            file = await self._create_open(run)
        except NoSpace:
            if self._open is None:
                raise
            await self._retire()
            file = await self._create_open(run)
        await self._retire()
        self._open = file
        self._watch()
        self._size = min(2 * self._size, EXTENT_FILE_BYTES_MAX)

    def _watch(self) -> None:
        """The open file is not kept for bodies that do not come: its rest is room for others."""
        if self._resting is None:
            self._reserved = False
            self._resting = asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        self._resting = None
        if self._reserved:
            self._watch()
        elif self._open is not None:
            self._opening = self.spawn(self._retire())
            self._size = EXTENT_FILE_BYTES_MIN

    async def _create_open(self, run: int) -> ExtentFile:
        part = io.free_bytes(self._root) // _DISK_PART & -ALIGN_BYTES
        size = max(min(self._size, part), run)
        while True:
            try:
                return await self._create(SEGMENT_EXTENTS, size)
            except NoSpace:
                if size == run:
                    raise
                size = max(run, size // 2)  # what is left may still hold this body

    async def _retire(self) -> None:
        """The open file takes no more bodies, and is sealed when those in it are settled."""
        file, self._open = self._open, None
        if file is None:
            return
        try:
            await self.pool.run(file.give_back_rest)
        except StoreError as error:
            _log.warning("%s keeps its unused rest: %s", file.file.path, error)
        self._closing.append(file)  # only now: who seals it closes it, and tells its size
        self.spawn(self._seal())

    async def _create(self, kind: int, size: int) -> ExtentFile:
        """A durable file with a committed row. Raises NoSpace."""
        if self._leaves_reserve:
            io.check_reserve(self._root, size)
        for _ in range(IDS_TRIED_MAX):
            generation = int.from_bytes(os.urandom(4), "big")
            segment = SegmentInfo(
                new_extent_id(kind == SEGMENT_BODY), kind, generation, size, self._book.owner
            )
            file = await self.pool.run(partial(_make, segment_path(self._root, segment.id), size))
            try:
                token = await self._book.opened(segment)
            except BaseException as error:
                await self.pool.run(partial(_remove, file))
                if isinstance(error, Conflict):
                    continue
                raise
            reach("extent.opened")
            return ExtentFile(self.pool, file, segment, token)
        raise StoreError("random segment ids are all taken: the source of randomness is broken")

    async def _seal(self) -> None:
        """Seals every closing file whose bodies are settled; what fails is tried again later."""
        async with self._sealing:
            for file in [file for file in self._closing if not file.uncommitted]:
                try:
                    await self._book.sealed(file.segment, file.token)
                except Conflict:
                    pass  # the transaction of a body with a file of its own sealed it
                except FastobjError as error:
                    _log.warning("%s is not sealed yet: %s", file.file.path, error)
                    continue
                self._closing.remove(file)
                file.file.close()
