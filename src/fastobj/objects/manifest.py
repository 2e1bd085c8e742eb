"""Manifests: stored bodies that list the bodies of an object's parts, so that a read of any range
finds its parts without their rows.

A manifest is MessagePack: an array of the format number and an array of parts, each an array of
part number, size, data id and location. An empty part has neither data id nor location.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from itertools import accumulate
from sys import getsizeof
from typing import Final, NamedTuple

import msgspec

from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.meta.records import ObjectRecord
from fastobj.objects.store import Store
from fastobj.storage.base import DATA_ID_BYTES, LOCATION_BYTES, NO_LOCATION, Location

FORMAT: Final = 1
_NO_DATA_ID: Final = bytes(DATA_ID_BYTES)


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
    """The parts of an object, in their order: as columns, for there may be ten thousand."""

    __slots__ = ("_data_ids", "_locations", "_numbers", "_starts")

    def __init__(self, parts: Sequence[ManifestPart]) -> None:
        self._numbers = array("H", [part.number for part in parts])
        self._starts = array("Q", [0, *accumulate([part.size for part in parts])])
        self._data_ids = b"".join([part.data_id or _NO_DATA_ID for part in parts])
        self._locations = b"".join([part.location or NO_LOCATION for part in parts])

    @property
    def size(self) -> int:
        """Bytes of all parts together."""
        return self._starts[-1]

    @property
    def memory_bytes(self) -> int:
        """What this takes in memory."""
        columns = (self._numbers, self._starts, self._data_ids, self._locations)
        return sum(map(getsizeof, columns))

    def find(self, number: int) -> tuple[int, ManifestPart] | None:
        """The part with that number and its offset in the object, or None."""
        index = bisect_left(self._numbers, number)
        if index == len(self._numbers) or self._numbers[index] != number:
            return None
        start, end = self._starts[index], self._starts[index + 1]
        if start == end:
            return start, ManifestPart(number, 0, b"", b"")
        location, data_id = self._body(index)
        return start, ManifestPart(number, end - start, data_id, location.encode())

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """What must be read, one behind the other, for a range that lies in the object."""
        index = bisect_right(self._starts, offset) - 1
        while length:
            begin = offset - self._starts[index]
            count = min(length, self._starts[index + 1] - offset)
            if count:
                yield Piece(*self._body(index), begin, count)
            offset += count
            length -= count
            index += 1

    def _body(self, index: int) -> tuple[Location, bytes]:
        location, data_id = index * LOCATION_BYTES, index * DATA_ID_BYTES
        return (
            Location.decode(self._locations[location : location + LOCATION_BYTES]),
            self._data_ids[data_id : data_id + DATA_ID_BYTES],
        )


async def listed(store: Store, data_id: bytes, location: bytes) -> list[ManifestPart]:
    """The parts that a manifest lists, read from where it is stored.

    Raises StaleLocation where it has gone, ChecksumMismatch, StoreDamaged, UnknownFormat.
    """
    place = Location.decode(location)
    return _decode(await store.volume.read(place, data_id, 0, place.length))


async def load(store: Store, record: ObjectRecord, location: bytes) -> Parts:
    """The parts of an object that has an upload id; `location` is that of its manifest.

    A manifest never changes under its data id, so one that was read lately is not read again.
    Raises StaleLocation where the object has gone, ChecksumMismatch, StoreDamaged, UnknownFormat.
    """
    parts = store.manifests.get(record.data_id)
    if parts is None:
        parts = Parts(await listed(store, record.data_id, location))
        store.manifests.keep(record.data_id, parts)
    if parts.size != record.size:
        raise StoreDamaged("the parts of an object do not add up to its size")
    return parts


def _decode(body: bytes) -> list[ManifestPart]:
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"a manifest does not decode: {error}") from error
    if found.format > FORMAT:
        raise UnknownFormat(
            f"a manifest has format {found.format}, this version reads up to {FORMAT}"
        )
    return found.parts


async def stream(store: Store, pieces: Iterable[Piece]) -> AsyncGenerator[memoryview, None]:
    """Verified bytes of one piece after the other; a slice is valid until the next is asked for."""
    for piece in pieces:
        slices = store.volume.stream(*piece)
        try:
            async for part in slices:
                yield part
        finally:
            await slices.aclose()
