"""Finds an object and opens its body.

A body may be moved or released between the read of its row and the read of its bytes: then the
row is read again. Only a row that did not move means that the bytes are damaged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from fastobj.core import codes
from fastobj.core.errors import MAY_HAVE_MOVED, ChecksumMismatch, S3Error, StaleLocation, StoreError
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX, PIECE_FRAME_BYTES
from fastobj.core.secret import Secret
from fastobj.meta import keys, records
from fastobj.meta.records import ObjectRecord, PartRecord
from fastobj.objects import bodies, encryption, manifest, versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.encryption import Readable
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
    customer: Secret | None = None,
    wanted: Wanted = None,
) -> tuple[ObjectRecord, Body]:
    """The object, or version, and the bytes of it that `choose` wants (None: none of them).

    The first bytes are verified before this returns. `choose` is asked again where the object
    changed meanwhile; what it raises is passed on. `customer` is the key that the reader has
    brought. Raises what `find_object` raises, ChecksumMismatch, and what `encryption.unlock`
    raises.
    """

    async def read(record: ObjectRecord, location: bytes) -> tuple[ObjectRecord, Body]:
        check_customer(record, customer)
        span = choose(record)
        if span is None or span.length == 0:
            return record, b""
        return record, await _open(store, record, location, span, customer)

    return await with_body(store, bucket, key, read, wanted)


async def read_part(
    store: Store,
    bucket: Bucket,
    key: bytes,
    choose: Callable[[ObjectRecord, Parts | None], Span | None],
    with_bytes: bool = True,
    customer: Secret | None = None,
    wanted: Wanted = None,
) -> tuple[ObjectRecord, Body]:
    """What `read_object` returns, chosen by parts: None for an object that was put as a whole.

    Without the bytes b"" stands in their place.
    """

    async def read(record: ObjectRecord, location: bytes) -> tuple[ObjectRecord, Body]:
        check_customer(record, customer)
        parts = await manifest.load(store, record, location) if record.upload_id else None
        span = choose(record, parts)
        if span is None or span.length == 0 or not with_bytes:
            return record, b""
        if parts is None:
            return record, await _open(store, record, location, span, customer)
        volume = await encryption.opened(store, record.encryption, customer)
        return record, await _open_parts(store, volume, parts, span)

    return await with_body(store, bucket, key, read, wanted)


def check_customer(record: ObjectRecord, customer: Secret | None) -> None:
    """Refuses a reader who has not brought the object's key, or one too many.

    Raises what `encryption.check` raises.
    """
    if record.encryption is not None or customer is not None:
        encryption.check(record.encryption, customer)


async def with_body(
    store: Store,
    bucket: Bucket,
    key: bytes,
    use: Callable[[ObjectRecord, bytes], Awaitable[T]],
    wanted: Wanted = None,
) -> T:
    """What `use` makes of an object and the location of its body (b"" where that is empty).

    It is called again where it finds the body gone, or other bytes. Raises what `find_object`
    raises, what `use`
    raises, and ChecksumMismatch where the body is gone though the row did not change.
    """
    stale: StoreError | None = None
    tried = (b"", b"")
    for _ in range(READ_AGAIN_MAX):
        record = await find_object(store, bucket, key, wanted)
        location = record.location
        if not location and record.data_id:
            location = await bodies.shared_location(store, record.data_id)
        if stale is not None and (record.data_id, location) == tried:
            if isinstance(stale, ChecksumMismatch):
                raise stale
            raise ChecksumMismatch(f"a body is not where its row says: {stale}") from stale
        try:
            if record.data_id and not location:
                raise StaleLocation("nothing shares the body any more")
            return await use(record, location)
        except MAY_HAVE_MOVED as error:
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


async def _open(
    store: Store, record: ObjectRecord, location: bytes, span: Span, customer: Secret | None
) -> Body:
    volume: Readable = store.volume
    if record.encryption is not None:
        volume = await encryption.opened(store, record.encryption, customer)
    if record.upload_id:
        return await _open_parts(store, volume, await manifest.load(store, record, location), span)
    place, data_id = Location.decode(location), record.data_id
    if span.length <= max(PIECE_FRAME_BYTES, store.small_body_bytes_max):
        return await volume.read(place, data_id, span.offset, span.length)
    slices = volume.stream(place, data_id, span.offset, span.length)
    return _Begun(await anext(slices), slices)


async def _open_parts(store: Store, volume: Readable, parts: Parts, span: Span) -> Body:
    slices = manifest.stream(store, volume, parts, span.offset, span.length)
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
