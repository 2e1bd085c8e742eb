"""Finds an object and opens its body.

A body may be moved or released between the read of its row and the read of its bytes: then the
row is read again. Only a row that did not move means that the bytes are damaged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from fastobj.core import codes
from fastobj.core.errors import ChecksumMismatch, S3Error, StaleLocation
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX, PIECE_FRAME_BYTES
from fastobj.meta import keys, records
from fastobj.meta.records import ObjectRecord, PartRecord
from fastobj.objects import bodies, manifest, versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.objects.store import Store
from fastobj.objects.versions import Wanted
from fastobj.storage.base import BodyStream, Location

READ_AGAIN_MAX: Final = 8

Body = bytes | AsyncIterator[memoryview]
T = TypeVar("T")


class Span(NamedTuple):
    """The bytes wanted of a body."""

    offset: int
    length: int


async def find_object(
    store: Store, bucket: Bucket, key: bytes, wanted: Wanted = None
) -> ObjectRecord:
    """The object under that key, or the version of it. Raises what `versions.find` raises."""
    if wanted is not None:
        return (await versions.find(store, bucket, key, wanted)).record
    row = await store.meta.get(keys.CURRENT, keys.current(bucket.record.id, key))
    if row is None:
        raise await versions.absent(store, bucket, key)
    return records.decode(ObjectRecord, row[0])


async def read_object(
    store: Store,
    bucket: Bucket,
    key: bytes,
    choose: Callable[[ObjectRecord], Span | None],
    wanted: Wanted = None,
) -> tuple[ObjectRecord, Body]:
    """The object, or version, and the bytes of it that `choose` wants (None: none of them).

    The first bytes are verified before this returns. `choose` is asked again where the object
    changed meanwhile; what it raises is passed on. Raises what `find_object` raises, and
    ChecksumMismatch.
    """

    async def read(record: ObjectRecord, location: bytes) -> tuple[ObjectRecord, Body]:
        span = choose(record)
        if span is None or span.length == 0:
            return record, b""
        return record, await _open(store, record, location, span)

    return await with_body(store, bucket, key, read, wanted)


async def read_part(
    store: Store,
    bucket: Bucket,
    key: bytes,
    choose: Callable[[ObjectRecord, Parts | None], Span | None],
    with_bytes: bool = True,
    wanted: Wanted = None,
) -> tuple[ObjectRecord, Body]:
    """What `read_object` returns, chosen by parts: None for an object that was put as a whole.

    Without the bytes b"" stands in their place.
    """

    async def read(record: ObjectRecord, location: bytes) -> tuple[ObjectRecord, Body]:
        parts = await manifest.load(store, record, location) if record.upload_id else None
        span = choose(record, parts)
        if span is None or span.length == 0 or not with_bytes:
            return record, b""
        if parts is None:
            return record, await _open(store, record, location, span)
        return record, await _open_parts(store, parts, span)

    return await with_body(store, bucket, key, read, wanted)


async def with_body(
    store: Store,
    bucket: Bucket,
    key: bytes,
    use: Callable[[ObjectRecord, bytes], Awaitable[T]],
    wanted: Wanted = None,
) -> T:
    """What `use` makes of an object and the location of its body (b"" where that is empty).

    It is called again where it finds the body gone. Raises what `find_object` raises, what `use`
    raises, and ChecksumMismatch where the body is gone though the row did not change.
    """
    stale: StaleLocation | None = None
    tried = (b"", b"")
    for _ in range(READ_AGAIN_MAX):
        record = await find_object(store, bucket, key, wanted)
        location = record.location
        if not location and record.data_id:
            location = await bodies.shared_location(store, record.data_id)
        if stale is not None and (record.data_id, location) == tried:
            raise ChecksumMismatch(f"a body is not where its row says: {stale}") from stale
        try:
            if record.data_id and not location:
                raise StaleLocation("nothing shares the body any more")
            return await use(record, location)
        except StaleLocation as error:
            stale, tried = error, (record.data_id, location)
    raise S3Error(codes.SLOW_DOWN)


async def part_checksums(store: Store, record: ObjectRecord, part: ManifestPart) -> dict[str, str]:
    """The checksums that a part was stored with; none where the object has gone meanwhile.

    They stand in the part's row, which lives as long as an object names the part.
    """
    start = keys.part(record.upload_id, part.number)
    rows = await store.meta.scan(keys.PARTS, start, keys.after(start), LOOP_SCAN_ROWS_MAX)
    found = (records.decode(PartRecord, row.value) for row in rows)
    return next((one.checksums for one in found if one.data_id == part.data_id), {})


async def _open(store: Store, record: ObjectRecord, location: bytes, span: Span) -> Body:
    if record.upload_id:
        return await _open_parts(store, await manifest.load(store, record, location), span)
    place, data_id = Location.decode(location), record.data_id
    if span.length <= max(PIECE_FRAME_BYTES, store.small_body_bytes_max):
        return await store.volume.read(place, data_id, span.offset, span.length)
    slices = store.volume.stream(place, data_id, span.offset, span.length)
    return _Begun(await anext(slices), slices)


async def _open_parts(store: Store, parts: Parts, span: Span) -> Body:
    slices = manifest.stream(store, parts, span.offset, span.length)
    return _Begun(await anext(slices), slices)


class _Begun:
    """A stream whose first slice has been read: a stale place shows before the head is sent."""

    def __init__(self, first: memoryview, rest: BodyStream) -> None:
        self._first: memoryview | None = first
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[memoryview]:
        return self

    async def __anext__(self) -> memoryview:
        first, self._first = self._first, None
        return first if first is not None else await anext(self._rest)

    async def aclose(self) -> None:
        """Ends the stream early."""
        await self._rest.aclose()
