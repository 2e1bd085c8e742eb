"""Manifests: stored bodies that list the bodies of an object's parts, so that a read of any range
finds its parts without their rows.

A manifest is MessagePack: an array of the format number and an array of parts, each an array of
part number, size, data id and location. An empty part has neither data id nor location.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.meta.records import ObjectRecord
from fastobj.objects.store import Store
from fastobj.storage.base import Location

FORMAT: Final = 1


class ManifestPart(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One part of an object; `size` is in bytes."""

    number: int
    size: int
    data_id: bytes
    location: bytes


class _Manifest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    format: int
    parts: list[ManifestPart]


class Piece(NamedTuple):
    """Bytes of one part's body."""

    location: Location
    data_id: bytes
    offset: int
    length: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Manifest)


def encode(parts: Sequence[ManifestPart]) -> bytes:
    """The bytes of a manifest."""
    return _encoder.encode(_Manifest(FORMAT, list(parts)))


class Parts:
    """The parts of an object, in their order."""

    def __init__(self, parts: Sequence[ManifestPart]) -> None:
        self.parts = parts
        self._starts = [0, *accumulate(part.size for part in parts)]

    @property
    def size(self) -> int:
        """Bytes of all parts together."""
        return self._starts[-1]

    def place(self, number: int) -> tuple[int, int] | None:
        """Offset and size of the part with that number in the object, or None."""
        for part, start in zip(self.parts, self._starts, strict=False):
            if part.number == number:
                return start, part.size
        return None

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """What must be read, one behind the other, for a range that lies in the object."""
        index = bisect_right(self._starts, offset) - 1
        while length:
            part = self.parts[index]
            begin = offset - self._starts[index]
            count = min(length, part.size - begin)
            if count:
                yield Piece(Location.decode(part.location), part.data_id, begin, count)
            offset += count
            length -= count
            index += 1


async def load(store: Store, record: ObjectRecord, location: bytes) -> Parts:
    """The parts of an object that has an upload id; `location` is that of its manifest.

    Raises StaleLocation where the object has gone, ChecksumMismatch, StoreDamaged, UnknownFormat.
    """
    place = Location.decode(location)
    body = await store.volume.read(place, record.data_id, 0, place.length)
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"a manifest does not decode: {error}") from error
    if found.format > FORMAT:
        raise UnknownFormat(
            f"a manifest has format {found.format}, this version reads up to {FORMAT}"
        )
    parts = Parts(found.parts)
    if parts.size != record.size:
        raise StoreDamaged("the parts of an object do not add up to its size")
    return parts


async def stream(store: Store, pieces: Sequence[Piece]) -> AsyncGenerator[memoryview, None]:
    """Verified bytes of one piece after the other; a slice is valid until the next is asked for."""
    for piece in pieces:
        slices = store.volume.stream(*piece)
        try:
            async for part in slices:
                yield part
        finally:
            await slices.aclose()
