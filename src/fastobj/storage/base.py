"""The contract of volumes: where bodies are stored. Knows no bucket, key or ETag.

A location is 32 bytes wherever it stands (little-endian): volume u32, then 20 bytes that the
volume reads (for the local volume: segment u64, generation u32, offset u64), length u64.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol

from fastobj.core.ids import random_id
from fastobj.meta.base import Add, Row

LOCATION_BYTES: Final = 32
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
        """Reads 32 bytes; raises struct.error on any other length."""
        return cls(*_LOCATION.unpack(raw))


def new_data_id() -> bytes:
    """The name of a stored body: 16 random bytes."""
    return random_id(DATA_ID_BYTES)


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


class Writer(Protocol):
    """A large body on its way in: fill `buffer()`, `push` it, ..., `finish`.

    Every piece but the last is filled whole.
    """

    async def buffer(self) -> memoryview:
        """Room for the next piece's payload; waits while too many pieces are in flight."""
        ...

    async def push(self, length: int) -> None:
        """Hands over the first `length` bytes of the buffer: digests, checksum, write.

        Returns before they are written. Raises what an earlier piece failed with.
        """
        ...

    async def finish(self) -> Location:
        """Makes the body durable and returns its place. Raises NoSpace, SyncFailed."""
        ...

    def rows(self) -> list[Row]:
        """Rows that the transaction which keeps this body must carry (valid after `finish`)."""
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


class Volume(Protocol):
    """Stored bodies."""

    async def writer(
        self, length: int, data_id: bytes, digests: Sequence[Digest] = ()
    ) -> Writer:
        """Room for a body of `length` bytes. Raises NoSpace."""
        ...

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        ...

    def stream(
        self, location: Location, data_id: bytes, offset: int, length: int
    ) -> AsyncIterator[memoryview]:
        """Verified bytes in slices; a slice is valid until the next one is asked for."""
        ...

    def accounts(self, location: Location, sign: int) -> list[Add]:
        """What keeping (+1) or releasing (-1) the body adds to the transaction."""
        ...
