"""Bodies in memory: the worked example of a volume, and a test double.

Each body is a segment of its own, so a segment whose counter falls to nothing is a free body.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from fastobj._ext.chunked import ChunkedDecoder
from fastobj._ext.crc import crc32c
from fastobj.core.errors import ChecksumMismatch, StaleLocation
from fastobj.core.limits import PIECE_BYTES, PIECE_CODING_BYTES, PIECE_FRAME_BYTES
from fastobj.storage.base import LOCAL_VOLUME, Cipher, Digest, Location, Sealing, Usage

_GENERATION: Final = 1


class _Body(NamedTuple):
    data_id: bytes
    payload: bytes
    crc32c: int


class MemoryVolume:
    """A volume in memory; `piece_bytes` is what a writer takes, and a stream gives, at once."""

    def __init__(
        self, piece_bytes: int = PIECE_BYTES, slice_bytes: int = PIECE_FRAME_BYTES
    ) -> None:
        self.piece_bytes = piece_bytes
        self._slice_bytes = slice_bytes
        self._bodies: dict[int, _Body] = {}
        self._segments = 0

    def __len__(self) -> int:
        """The bodies that are stored."""
        return len(self._bodies)

    async def writer(
        self,
        length: int,
        data_id: bytes,
        digests: Sequence[Digest] = (),
        decoder: ChunkedDecoder | None = None,
        cipher: Cipher | None = None,
    ) -> MemoryWriter:
        """Room for a body of `length` bytes."""
        return MemoryWriter(self, length, data_id, digests, decoder, cipher)

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        payload = self._find(location, data_id)
        assert 0 <= offset <= offset + length <= len(payload), "a read outside the body"
        return payload[offset : offset + length]

    async def stream(
        self, location: Location, data_id: bytes, offset: int, length: int
    ) -> AsyncGenerator[memoryview, None]:
        """Verified bytes in slices. Raises ChecksumMismatch, StaleLocation."""
        payload = memoryview(await self.read(location, data_id, offset, length))
        for start in range(0, length, self._slice_bytes):
            yield payload[start : start + self._slice_bytes]

    def accounts(self, location: Location, sign: int) -> Usage:
        """What keeping (+1) or releasing (-1) the body changes in its segment."""
        return Usage(location.segment, sign * location.length, sign)

    def committed(self, usages: Iterable[Usage]) -> None:
        """A transaction with these changes is visible: drops the bodies it released."""
        for usage in usages:
            if usage.bodies < 0:
                self._bodies.pop(usage.segment, None)

    def damage(self, location: Location) -> None:
        """Turns the first bit of a body, for tests of what notices it."""
        body = self._bodies[location.segment]
        payload = bytes([body.payload[0] ^ 1]) + body.payload[1:]
        self._bodies[location.segment] = body._replace(payload=payload)

    def _find(self, location: Location, data_id: bytes) -> bytes:
        body = self._bodies.get(location.segment)
        if body is None or body.data_id != data_id or location.generation != _GENERATION:
            raise StaleLocation(f"segment {location.segment}")
        if crc32c(body.payload) != body.crc32c:
            raise ChecksumMismatch(f"segment {location.segment}")
        return body.payload

    def store(self, data_id: bytes, payload: bytes) -> Location:
        """Stores a whole body; what a writer does at its end."""
        self._segments += 1
        self._bodies[self._segments] = _Body(data_id, payload, crc32c(payload))
        return Location(LOCAL_VOLUME, self._segments, _GENERATION, 0, len(payload))

    def drop(self, location: Location) -> None:
        """Forgets a body, as if its segment had been recycled."""
        self._bodies.pop(location.segment, None)


class MemoryWriter:
    """A body on its way into memory."""

    def __init__(
        self,
        volume: MemoryVolume,
        length: int,
        data_id: bytes,
        digests: Sequence[Digest],
        decoder: ChunkedDecoder | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        self._volume = volume
        self._data_id = data_id
        self._digests = digests
        self._decoder = decoder
        self._cipher = cipher
        self._payload = bytearray(length + PIECE_CODING_BYTES)
        self._length = length
        self._filled = self._decoded = 0  # whole pieces, and what is decoded behind them
        self._location: Location | None = None
        self._is_sent = False

    async def buffer(self) -> memoryview:
        """Room for the next piece."""
        coding = 0 if self._decoder is None else PIECE_CODING_BYTES
        return memoryview(self._payload)[self._filled : self._filled + self._next + coding]

    async def push(self, length: int) -> None:
        """Takes the first `length` bytes of the buffer: all of it, because no piece is short."""
        if self._decoder is not None:
            length = await self.decode(length)
        assert length == self._next, "every piece but the last is filled whole"
        piece = (await self.buffer())[:length]
        for digest in self._digests:
            digest.update(piece)
        self._filled += length
        self._decoded = 0

    def cut(self, length: int) -> None:
        """The body ends after `length` bytes: with the piece that is being filled."""
        assert self._decoder is None, "the end of a body that is decoded is known"
        assert self._filled < length <= self._length, "a body is only made shorter"
        self._length = length
        if self._cipher is not None:
            self._cipher.cut(length)

    async def decode(self, length: int) -> int:
        """Decodes what the buffer has so far. Raises ChunkedError."""
        assert self._decoder is not None, "nothing to decode"
        coded = (await self.buffer())[self._decoded : length]
        self._decoded += self._decoder.feed(coded, len(coded))[1]
        return self._decoded

    def watch(self, failed: Callable[[], None] | None) -> None:
        """Nothing fails later than it is pushed."""

    async def finish(self) -> Location:
        """Stores the body and returns its place."""
        assert self._filled == self._length, "the body is shorter than was said"
        length = self._length
        if self._cipher is not None:
            length = self._cipher.stored_bytes
            self._payload += bytes(max(0, length - len(self._payload)))
            self._cipher.seal(memoryview(self._payload), 0, self._length)
        payload = bytes(memoryview(self._payload)[:length])
        self._location = self._volume.store(self._data_id, payload)
        return self._location

    @property
    def _next(self) -> int:
        """The payload of the next piece."""
        return min(self._volume.piece_bytes, self._length - self._filled)

    def sealing(self) -> Sealing | None:
        """Nothing: segments in memory have no rows."""
        return None

    async def abort(self) -> None:
        """Forgets the body."""
        assert not self._is_sent, "a transaction that names the body was sent"
        if self._location is not None:
            self._volume.drop(self._location)

    def sent(self) -> None:
        """The transaction is about to be sent."""
        self._is_sent = True

    def settled(self) -> None:
        """The transaction has been answered."""
