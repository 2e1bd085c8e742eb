"""The contract of volumes: where bodies are stored. Knows no bucket, key or ETag.

A location is 32 bytes wherever it stands (little-endian): volume u32, then 20 bytes that the
volume reads (for the local volume: segment u64, generation u32, offset u64), length u64.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from fastobj._ext.chunked import ChunkedDecoder
from fastobj.core.errors import StoreDamaged
from fastobj.core.ids import random_id
from fastobj.core.segments import LOCATION_BYTES as LOCATION_BYTES

NO_LOCATION: Final = bytes(LOCATION_BYTES)
DATA_ID_BYTES: Final = 16
LOCAL_VOLUME: Final = 1

_LOCATION = struct.Struct("<IQIQQ")


class Location(NamedTuple):
    """A stored body's place. `length` is the body's own length in bytes."""

    volume: int
    segment: int
    generation: int
    offset: int
    length: int

    def encode(self) -> bytes:
        """The 32 bytes that stand in rows."""
        return _LOCATION.pack(*self)

    @classmethod
    def decode(cls, raw: bytes) -> Location:
        """Reads 32 bytes. Raises StoreDamaged for any other length."""
        if len(raw) != LOCATION_BYTES:
            raise StoreDamaged(f"a location has {len(raw)} bytes, not {LOCATION_BYTES}")
        return cls(*_LOCATION.unpack(raw))


def new_data_id() -> bytes:
    """The name of a stored body: 16 random bytes."""
    return random_id(DATA_ID_BYTES)


class Usage(NamedTuple):
    """A signed change of what lives in a segment: bytes that its bodies take, and bodies."""

    segment: int
    size_bytes: int
    bodies: int


class SegmentInfo(NamedTuple):
    """A segment file that bodies are written into; `kind` is one of core.segments.

    `owner` is the incarnation of the process that writes into it.
    """

    id: int
    kind: int
    generation: int
    size_bytes: int
    owner: int


class Sealing(NamedTuple):
    """A segment to seal, and the token of the row that says it is open."""

    segment: SegmentInfo
    token: bytes


class SegmentBook(Protocol):
    """Where a volume has the segments of this process written down, durably.

    A method raises Conflict where the row is not what it expects, and then changes nothing; it
    may also raise any other FastobjError of a commit.
    """

    owner: int  # the incarnation of this process

    async def opened(self, segment: SegmentInfo) -> bytes:
        """Writes down a fresh segment; returns the token of its row. Conflict: the id is taken."""
        ...

    async def sealed(self, segment: SegmentInfo, token: bytes) -> None:
        """Nothing more is written into the segment. Conflict: its row has another token."""
        ...

    async def removed(self, segment: SegmentInfo, token: bytes) -> None:
        """The segment is given up. Conflict: its row has another token."""
        ...


class SmallBody(NamedTuple):
    """A body that the ledger places in its log. `hint` (bucket and key) is for salvage only."""

    data_id: bytes
    payload: bytes
    crc32c: int
    hint: bytes


class Digest(Protocol):
    """What a writer feeds with each piece, in order, off the event loop (hashlib's shape)."""

    def update(self, data: memoryview, /) -> None:
        """Takes the next bytes."""
        ...


class Cipher(Protocol):
    """Encrypts a body on its way in. A whole piece is made of `piece_bytes` of the body, and
    `stored_bytes` are what becomes of all of it: never more than a piece from a piece."""

    @property
    def piece_bytes(self) -> int:
        """Bytes of the body in each piece but the last."""
        ...

    @property
    def stored_bytes(self) -> int:
        """Bytes of all pieces together."""
        ...

    def cut(self, size: int) -> None:
        """The body has `size` bytes, fewer than was said: its last piece is not sealed yet."""
        ...

    def seal(self, room: memoryview, piece: int, length: int) -> None:
        """Turns the first `length` bytes of the room, piece `piece`, into what is stored of it.

        In place; called off the event loop, by one thread at a time for each room.
        """
        ...


class Writer(Protocol):
    """A large body on its way in: fill `buffer()`, `push` it, ..., `finish`.

    Every piece but the last is filled whole. Where there is a decoder, what is filled in is the
    body as it is coded, and a piece is as many coded bytes as decode to its payload.
    """

    async def buffer(self) -> memoryview:
        """Room for the next piece; waits while too many pieces are in flight.

        It has the size of the payload, and of PIECE_CODING_BYTES more where there is a decoder.
        """
        ...

    async def push(self, length: int) -> None:
        """Hands over the first `length` bytes of the buffer: decoder, digests, checksum, write.

        Returns before they are written. Raises what an earlier piece failed with.
        """
        ...

    def cut(self, length: int) -> None:
        """The body ends after `length` bytes, sooner than was said: with the next piece.

        To be called before that is pushed, where there is no decoder. What was reserved beyond is
        never used, and comes back with the segment.
        """
        ...

    async def decode(self, length: int) -> int:
        """Decodes the first `length` bytes of the buffer now, and the pieces before it.

        What they are decoded to stands in front, and is that long. Raises ChunkedError.
        """
        ...

    def watch(self, failed: Callable[[], None] | None) -> None:
        """Has `failed` called when a piece fails, until the next call."""
        ...

    async def finish(self) -> Location:
        """Makes the body durable and returns its place. Raises NoSpace, SyncFailed."""
        ...

    def sealing(self) -> Sealing | None:
        """What the transaction that keeps this body must seal (valid after `finish`)."""
        ...

    async def abort(self) -> None:
        """Gives the room back. Safe after any failure; never after the transaction was sent."""
        ...

    def sent(self) -> None:
        """The transaction is about to be sent: from here only reclaim may release the body."""
        ...

    def settled(self) -> None:
        """The transaction has been answered, or will never be: the room is no longer held open."""
        ...


class BodyStream(Protocol):
    """Bytes of a body in slices; a slice is valid until the next one is asked for."""

    def __aiter__(self) -> AsyncIterator[memoryview]: ...

    async def __anext__(self) -> memoryview: ...

    async def aclose(self) -> None:
        """Gives back what the stream holds. Whoever stops before the end must call it."""
        ...


class Volume(Protocol):
    """Stored bodies."""

    async def writer(
        self,
        length: int,
        data_id: bytes,
        digests: Sequence[Digest] = (),
        decoder: ChunkedDecoder | None = None,
        cipher: Cipher | None = None,
    ) -> Writer:
        """Room for a body of `length` bytes, which are given as they are and stored as the cipher
        makes them; digests see them as they are. Raises NoSpace."""
        ...

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        ...

    def stream(self, location: Location, data_id: bytes, offset: int, length: int) -> BodyStream:
        """Verified bytes in slices. It raises what `read` raises."""
        ...

    def accounts(self, location: Location, sign: int) -> Usage:
        """What keeping (+1) or releasing (-1) the body changes in its segment."""
        ...


async def fill(writer: Writer, body: bytes | memoryview) -> None:
    """Writes a body, or whole pieces of one. Raises what `push` raises.

    `finish` is the caller's.
    """
    view = memoryview(body)
    while view:
        room = await writer.buffer()
        count = min(len(room), len(view))
        room[:count] = view[:count]
        await writer.push(count)
        view = view[count:]
