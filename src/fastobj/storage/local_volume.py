"""The volume on the local drive: small bodies are read from the log, large ones from extents."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from fastobj._ext import segio
from fastobj._ext.chunked import ChunkedDecoder
from fastobj.core.errors import (
    NoSpace,
    StoreDamaged,
)
from fastobj.core.limits import BLOCK_BYTES_MAX, OWN_FILE_BYTES_MIN, PIECE_BYTES, STORED_BYTES_MAX
from fastobj.storage import io, log_format
from fastobj.storage.base import BodyStream, Cipher, Digest, Location, SegmentBook, Usage
from fastobj.storage.extent_writer import ExtentWriter
from fastobj.storage.extents import STRIDE, Extents, piece_length, run_bytes
from fastobj.storage.log_format import RECORD_HEAD_BYTES
from fastobj.storage.pool import (
    BODY_MEMORY_BYTES_MAX,
    Buffer,
    BufferPool,
    IoPool,
    PieceName,
    failure_of,
)
from fastobj.storage.segment_files import SegmentFiles, is_log

# What a file system answers that cannot tell what its cache holds, or where the cache is cold.
_NOT_NOW: Final = frozenset({-errno.EAGAIN, -errno.EOPNOTSUPP})


class LocalVolume:
    """Bodies below one directory (storage.base.Volume). To be made on the running loop.

    `book` has its segments written down. One that `leaves_reserve` does not fill the disk. The
    pool stays the caller's to close, after the volume.
    """

    def __init__(
        self,
        root: str,
        pool: IoPool,
        book: SegmentBook,
        body_memory_bytes_max: int = BODY_MEMORY_BYTES_MAX,
        own_file_bytes_min: int = OWN_FILE_BYTES_MIN,
        *,
        leaves_reserve: bool = True,
    ) -> None:
        root = os.path.abspath(root)
        self.pool = pool
        self.files = SegmentFiles(root)
        self.buffers = BufferPool(body_memory_bytes_max, pool.press)
        self._extents = Extents(root, pool, book, own_file_bytes_min, leaves_reserve=leaves_reserve)

    async def writer(
        self,
        length: int,
        data_id: bytes,
        digests: Sequence[Digest] = (),
        decoder: ChunkedDecoder | None = None,
        cipher: Cipher | None = None,
    ) -> ExtentWriter:
        """Room for a body of `length` bytes, 1 to limits.STORED_BYTES_MAX. Raises NoSpace."""
        stored = length if cipher is None else cipher.stored_bytes
        if not 0 < stored <= STORED_BYTES_MAX:
            raise ValueError(f"a body of {stored} bytes has no extent")
        try:
            run = await self._extents.reserve(stored)
        except NoSpace:
            self.files.drop_removed()  # for the next one
            raise
        return ExtentWriter(
            self._extents, run, length, data_id, self.buffers, digests, decoder, cipher
        )

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        _check_range(location, offset, length)
        if is_log(location.segment):
            body = await self._read_record(location, data_id)
            return bytes(body[offset : offset + length])
        stream = PieceStream(self, location, data_id, offset, length)
        try:
            return b"".join([bytes(part) async for part in stream])
        finally:
            await stream.aclose()

    def stream(self, location: Location, data_id: bytes, offset: int, length: int) -> BodyStream:
        """Verified bytes in slices of up to 1 MiB. It raises ChecksumMismatch, StaleLocation."""
        _check_range(location, offset, length)
        if is_log(location.segment):
            return self._record_slices(location, data_id, offset, length)
        return PieceStream(self, location, data_id, offset, length)

    def accounts(self, location: Location, sign: int) -> Usage:
        """What keeping (+1) or releasing (-1) the body changes in its segment."""
        return accounts(location, sign)

    def retire(self, segment: int) -> None:
        """The segment is gone or recycled: nothing of it stays open but running streams."""
        self.files.drop(segment)

    async def close(self) -> None:
        """Closes the files; seals nothing: that is for whoever finds the owner gone."""
        await self._extents.close()
        self.files.close()
        self.buffers.close()

    async def _record_slices(
        self, location: Location, data_id: bytes, offset: int, length: int
    ) -> AsyncGenerator[memoryview, None]:
        if length:
            body = await self._read_record(location, data_id)
            yield memoryview(body)[offset : offset + length]

    async def _read_record(self, location: Location, data_id: bytes) -> bytes | memoryview:
        """The whole body of a record: inline where the page cache has it."""
        if location.length > BLOCK_BYTES_MAX:
            raise StoreDamaged(f"a row places {location.length} bytes in a block of the log")
        file = self.files.lend(location.segment)
        named = data_id, location.segment, location.generation, location.length
        found = segio.read_packed_now(file.fd, location.offset, *named)
        if type(found) is bytes:
            return found
        if found in _NOT_NOW:
            record = await self._read_later(location)
            found = segio.check_packed(record, *named)
            if found == 0:
                return memoryview(record)[RECORD_HEAD_BYTES:]
        assert isinstance(found, int)
        raise failure_of(found, f"{file.path} at {location.offset}", "read")

    async def _read_later(self, location: Location) -> bytearray:
        """Head and body, unverified."""
        record = bytearray(RECORD_HEAD_BYTES + location.length)
        file = self.files.duplicate(location.segment)
        done = self.pool.read(file, location.offset, record)
        done.add_done_callback(lambda _: file.close())
        await asyncio.shield(done)
        return record


def accounts(location: Location, sign: int) -> Usage:
    """What keeping (+1) or releasing (-1) a body of a local volume changes in its segment."""
    if is_log(location.segment):
        live = log_format.footprint(location.length)
    else:
        live = run_bytes(location.length)
    return Usage(location.segment, sign * live, sign)


def _check_range(location: Location, offset: int, length: int) -> None:
    if offset < 0 or length < 0 or offset + length > location.length:
        raise ValueError(f"{length} bytes at {offset} are not in a body of {location.length}")


class _Reading:
    """A piece being read: `wanted` is the range of its payload."""

    __slots__ = ("abandoned", "buffer", "done", "ended", "wanted")

    def __init__(self, buffer: Buffer, wanted: range, done: asyncio.Future[None]) -> None:
        self.buffer = buffer
        self.wanted = wanted
        self.done = done
        self.ended = False  # the pool no longer touches the buffer
        self.abandoned = False  # nobody wants the bytes: the buffer is free when it ended


class PieceStream:
    """Verified bytes of an extent, one piece read ahead. Holds a descriptor of its own."""

    def __init__(
        self, volume: LocalVolume, location: Location, data_id: bytes, offset: int, length: int
    ) -> None:
        self._volume = volume
        self._location = location
        self._data_id = data_id
        self._next = offset  # the first byte not yet being read
        self._end = offset + length
        self._file: io.File | None = None
        self._readings: deque[_Reading] = deque()
        self._under_way = 0
        self._lent: Buffer | None = None
        self._closed = False

    def __aiter__(self) -> PieceStream:
        return self

    async def __anext__(self) -> memoryview:
        """The next slice. Raises ChecksumMismatch, StaleLocation; the stream is closed then."""
        self._take_back()
        if self._closed or (self._next == self._end and not self._readings):
            self._close()
            raise StopAsyncIteration
        if not self._readings:
            self._read_next(await self._volume.buffers.acquire())
        self._read_ahead()
        reading = self._readings[0]
        try:
            await asyncio.shield(reading.done)
        except Exception:
            self._close()
            raise
        self._readings.popleft()
        self._lent = reading.buffer
        return reading.buffer.payload(reading.wanted.start, reading.wanted.stop)

    async def aclose(self) -> None:
        """Gives everything back, what is being read as soon as that ends; may be repeated."""
        self._take_back()
        self._close()

    def _read_ahead(self) -> None:
        """Never waits for memory: who holds some must not wait for more."""
        if self._next == self._end or len(self._readings) > 1:
            return
        buffer = self._volume.buffers.acquire_now()
        if buffer is not None:
            self._read_next(buffer)

    def _read_next(self, buffer: Buffer) -> None:
        location = self._location
        index, begin = divmod(self._next, PIECE_BYTES)
        size = piece_length(location.length, index)
        wanted = range(begin, min(size, begin + self._end - self._next))
        name = PieceName(self._data_id, location.segment, location.generation, index, size)
        try:
            if self._file is None:
                self._file = self._volume.files.duplicate(location.segment)
            offset = location.offset + index * STRIDE
            done = self._volume.pool.read_piece(self._file, offset, buffer, wanted, name)
        except BaseException:
            self._volume.buffers.release(buffer)
            raise
        self._next += len(wanted)
        self._under_way += 1
        reading = _Reading(buffer, wanted, done)
        self._readings.append(reading)
        done.add_done_callback(lambda _: self._read_ended(reading))

    def _read_ended(self, reading: _Reading) -> None:
        reading.done.exception()  # asked for, so that a read that nobody awaits is no noise
        reading.ended = True
        self._under_way -= 1
        if reading.abandoned:
            self._volume.buffers.release(reading.buffer)
        if self._closed:
            self._close_file()

    def _take_back(self) -> None:
        buffer, self._lent = self._lent, None
        if buffer is not None:
            self._volume.buffers.release(buffer)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        while self._readings:
            reading = self._readings.popleft()
            reading.abandoned = True
            if reading.ended:
                self._volume.buffers.release(reading.buffer)
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None and not self._under_way:
            self._file.close()
            self._file = None
