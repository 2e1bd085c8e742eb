"""Manifests: stored bodies that list the bodies of an object's parts, so that a read of any range
finds its parts without their rows.

A manifest is MessagePack: an array of the format number and an array of parts, each an array of
part number, size, data id and location. An empty part has neither data id nor location.

A manifest never changes, but the parts that it lists may be moved. Its locations are where they
stood when it was made; who finds one stale asks the part's own row. So does who finds one of zero
bytes alone: that part was placed by the transaction that named the manifest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import accumulate
from sys import getsizeof
from typing import Final, NamedTuple

import msgspec

from fastobj.core.errors import (
    MAY_HAVE_MOVED,
    StaleLocation,
    StoreDamaged,
    StoreError,
    UnknownFormat,
)
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX, OBJECT_BYTES_MAX, PART_NUMBER_MAX
from fastobj.meta import keys, records
from fastobj.meta.records import ObjectRecord, PartRecord
from fastobj.objects.encryption import Readable
from fastobj.objects.store import Store
from fastobj.storage.base import (
    DATA_ID_BYTES,
    LOCATION_BYTES,
    NO_LOCATION,
    BodyStream,
    Location,
)

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
    """Bytes of one part's body; `part` is which one of the object's."""

    location: Location
    data_id: bytes
    offset: int
    length: int
    part: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Manifest)


def encode(parts: Sequence[ManifestPart]) -> bytes:
    """The bytes of a manifest."""
    return _encoder.encode(_Manifest(FORMAT, list(parts)))


class Parts:
    """The parts of an object, in their order: as columns, for there may be ten thousand.

    `upload_id` is that of their rows; b"" for a body that has none.
    """

    __slots__ = ("_data_ids", "_locations", "_numbers", "_starts", "_upload_id")

    def __init__(self, parts: Sequence[ManifestPart], upload_id: bytes = b"") -> None:
        self._upload_id = upload_id
        self._numbers = array("H", [part.number for part in parts])
        self._starts = array("Q", [0, *accumulate([part.size for part in parts])])
        self._data_ids = b"".join([part.data_id or _NO_DATA_ID for part in parts])
        self._locations = bytearray().join([part.location or NO_LOCATION for part in parts])

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
        return self._starts[index], self._part(index)

    def page(self, after: int, most: int) -> list[ManifestPart]:
        """The parts whose numbers are above `after`, at most `most`."""
        first = bisect_right(self._numbers, after)
        return [self._part(index) for index in range(len(self._numbers))[first : first + most]]

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """What must be read, one behind the other, for a range that lies in the object."""
        index = bisect_right(self._starts, offset) - 1
        while length:
            begin = offset - self._starts[index]
            count = min(length, self._starts[index + 1] - offset)
            if count:
                yield Piece(*self._body(index), begin, count, index)
            offset += count
            length -= count
            index += 1

    async def find_again(self, store: Store, piece: Piece, stale: StoreError) -> Piece:
        """The piece where its part's row says that it is now. Raises `stale`: it has not moved."""
        if not self._upload_id:
            raise stale
        before = piece.location.encode()
        await self._look_up(store, piece.part)
        location, _ = self._body(piece.part)
        if location.encode() == before:
            raise stale
        return piece._replace(location=location)

    async def place(self, store: Store) -> None:
        """Asks for the place of each part of which the manifest does not say one."""
        places = self._locations
        for index, at in enumerate(range(0, len(places), LOCATION_BYTES)):
            is_unknown = places[at : at + LOCATION_BYTES] == NO_LOCATION
            if is_unknown and self._starts[index] < self._starts[index + 1]:
                await self._look_up(store, index)

    async def _look_up(self, store: Store, index: int) -> None:
        """Takes the place of a part from its row, if there is one."""
        start = keys.part(self._upload_id, self._numbers[index])
        _, data_id = self._body(index)
        for row in await store.meta.scan(keys.PARTS, start, keys.after(start), LOOP_SCAN_ROWS_MAX):
            record = records.decode(PartRecord, row.value)
            if record.data_id == data_id:
                at = index * LOCATION_BYTES
                self._locations[at : at + LOCATION_BYTES] = record.location

    def _part(self, index: int) -> ManifestPart:
        number, size = self._numbers[index], self._starts[index + 1] - self._starts[index]
        if not size:
            return ManifestPart(number, 0, b"", b"")
        location, data_id = index * LOCATION_BYTES, index * DATA_ID_BYTES
        return ManifestPart(
            number,
            size,
            self._data_ids[data_id : data_id + DATA_ID_BYTES],
            bytes(self._locations[location : location + LOCATION_BYTES]),
        )

    def _body(self, index: int) -> tuple[Location, bytes]:
        location, data_id = index * LOCATION_BYTES, index * DATA_ID_BYTES
        return (
            Location.decode(bytes(self._locations[location : location + LOCATION_BYTES])),
            self._data_ids[data_id : data_id + DATA_ID_BYTES],
        )


async def listed(store: Store, data_id: bytes, location: bytes) -> list[ManifestPart]:
    """The parts that a manifest lists, read from where it is stored.

    Raises StaleLocation where it has gone, ChecksumMismatch, StoreDamaged, UnknownFormat.
    """
    place = Location.decode(location)
    return decode(await store.volume.read(place, data_id, 0, place.length))


async def load(store: Store, record: ObjectRecord, location: bytes) -> Parts:
    """The parts of an object that has an upload id; `location` is that of its manifest.

    A manifest never changes under its data id, so one that was read lately is not read again.
    Raises StaleLocation where the object has gone, ChecksumMismatch, StoreDamaged, UnknownFormat.
    """
    parts = store.manifests.get(record.data_id)
    if parts is None:
        parts = Parts(await listed(store, record.data_id, location), record.upload_id)
        store.manifests.keep(record.data_id, parts)
    if parts.size != record.size:
        raise StoreDamaged("the parts of an object do not add up to its size")
    return parts


def decode(body: bytes) -> list[ManifestPart]:
    """The parts in a manifest. Raises StoreDamaged, UnknownFormat."""
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"a manifest does not decode: {error}") from error
    if found.format > FORMAT:
        raise UnknownFormat(
            f"a manifest has format {found.format}, this version reads up to {FORMAT}"
        )
    if not all(map(_is_sound, found.parts)):
        raise StoreDamaged("a manifest lists a part that cannot be")
    return found.parts


def _is_sound(part: ManifestPart) -> bool:
    """Whether number and size may be those of a part, and it has a body if it has bytes."""
    if not (0 < part.number <= PART_NUMBER_MAX and 0 <= part.size <= OBJECT_BYTES_MAX):
        return False
    if not part.size:
        return not part.data_id and part.location in (b"", NO_LOCATION)
    return len(part.data_id) == DATA_ID_BYTES and len(part.location) == LOCATION_BYTES


async def stream(
    store: Store, volume: Readable, parts: Parts, offset: int, length: int
) -> AsyncGenerator[memoryview, None]:
    """Verified bytes of a range of the object; a slice is valid until the next is asked for.

    They are read from `volume`, which decrypts them where they are encrypted.
    Raises StaleLocation where a part has gone, ChecksumMismatch.
    """
    for piece in parts.pieces(offset, length):
        slices, first = await _begin(store, volume, parts, piece)
        try:
            yield first
            async for part in slices:
                yield part
        finally:
            await slices.aclose()


async def _begin(
    store: Store, volume: Readable, parts: Parts, piece: Piece
) -> tuple[BodyStream, memoryview]:
    """The slices of a piece, and the first of them."""
    piece = await _placed(store, parts, piece)
    while True:
        slices = volume.stream(*_place(piece))
        try:
            return slices, await anext(slices)
        except MAY_HAVE_MOVED as stale:
            piece = await parts.find_again(store, piece, stale)


async def read(store: Store, volume: Readable, parts: Parts, offset: int, length: int) -> bytes:
    """What `stream` gives, at once."""
    found: list[bytes] = []
    for piece in parts.pieces(offset, length):
        piece = await _placed(store, parts, piece)
        while True:
            try:
                found.append(await volume.read(*_place(piece)))
                break
            except MAY_HAVE_MOVED as stale:
                piece = await parts.find_again(store, piece, stale)
    return found[0] if len(found) == 1 else b"".join(found)


async def _placed(store: Store, parts: Parts, piece: Piece) -> Piece:
    """The piece with a place, where the manifest says none. Raises StaleLocation."""
    if piece.location.volume:
        return piece
    return await parts.find_again(store, piece, StaleLocation("the part has gone"))


def _place(piece: Piece) -> tuple[Location, bytes, int, int]:
    return piece.location, piece.data_id, piece.offset, piece.length
