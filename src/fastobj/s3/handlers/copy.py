"""Handlers of copies: of objects, which never move a byte, and into parts of uploads."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import OBJECT_BYTES_MAX
from fastobj.meta.records import Lock, ObjectRecord
from fastobj.objects import copy, copy_bytes, copy_part, encryption, get, uploads
from fastobj.objects.buckets import Bucket
from fastobj.objects.conditions import ReadConditions, Verdict, failed
from fastobj.objects.copy import Copied, Source
from fastobj.objects.copy_part import Customers
from fastobj.objects.encryption import Wish
from fastobj.objects.get import Span
from fastobj.objects.versions import DeleteMarkerFound
from fastobj.s3 import acl, locking, ranges, tagging
from fastobj.s3 import encryption as wanted
from fastobj.s3.context import Context, Result
from fastobj.s3.expiration import expiration_header, has_rules
from fastobj.s3.headers import check_part_number
from fastobj.s3.names import CopySource
from fastobj.s3.object_headers import (
    checksum_elements,
    new_version_header,
    source_conditions,
    source_version_header,
    stored_headers,
    sum_elements,
    user_metadata,
    write_conditions,
)
from fastobj.s3.payload import ALGORITHMS, Computed, check_length

_DIRECTIVE: Final = b"x-amz-metadata-directive"
_DIRECTIVES: Final = {b"COPY": False, b"REPLACE": True}


async def copy_object(ctx: Context) -> Result:
    """Makes an object from another one, or changes what is said of an object."""
    bucket, source = ctx.existing(), ctx.existing_source()
    wish = _Wish(ctx, source, await wanted.wish(ctx), await locking.stated(ctx))
    with _source_of_bytes():
        record, copied = await _copy(ctx, source, bucket, wish)
    told = {"ETag": record.etag, "LastModified": record.modified_ns}
    headers = wanted.told(record.encryption, wish.customers.copy_key)
    headers += new_version_header(record) + source_version_header(source.bucket, copied)
    if has_rules(bucket):
        headers += await expiration_header(ctx, record)
    return Result(headers=headers, document={**told, **checksum_elements(record)})


async def _copy(ctx: Context, source: Source, bucket: Bucket, wish: _Wish) -> Copied:
    """By reference; by bytes where that cannot be."""
    conditions = write_conditions(ctx.request)
    try:
        return await copy.copy_object(
            ctx.store, source, bucket, ctx.key, wish.describe_reference, conditions
        )
    except copy.NotByReference:
        return await copy_bytes.copy_bytes(
            ctx.store,
            source,
            bucket,
            ctx.key,
            wish.describe,
            wish.measure,
            wish.encryption,
            wish.customers,
            conditions,
        )


@contextmanager
def _source_of_bytes() -> Iterator[None]:
    """A delete marker has none, even where its own id names it."""
    try:
        yield
    except DeleteMarkerFound as error:
        if error.is_latest:
            raise
        message = (
            "The source of a copy request may not specifically refer to a delete marker by"
            " version id."
        )
        raise S3Error(codes.INVALID_REQUEST, message) from None


class _Wish:
    """What a request wants of a copy, and what that comes to for a source."""

    def __init__(
        self, ctx: Context, source: Source, wish: Wish | None, lock: Lock | None = None
    ) -> None:
        request = ctx.request
        self._ctx = ctx
        self._source = source
        self._conditions = source_conditions(request)
        self._algorithm = _algorithm(request.header(b"x-amz-checksum-algorithm"))
        self._replaces = _replaces(request.header(_DIRECTIVE))
        self._headers = stored_headers(request) if self._replaces else {}
        self._metadata = user_metadata(request) if self._replaces else {}
        self._tags = tagging.of_copy(request)
        named = acl.from_headers(ctx, ctx.existing().record.owner)
        self._acl = named.grants if named else None  # a copy takes no list along
        self._lock = lock  # and no lock
        self._sums: dict[bytes, dict[str, str]] = {}  # by data id: a body is read once
        self.encryption = wish
        target = None if self.encryption is None else self.encryption.customer
        self.customers = Customers(wanted.customer_key(ctx, of_source=True), target)
        if ctx.source == CopySource(ctx.bucket, ctx.key):
            self._check_change()

    def _check_change(self) -> None:
        """Onto itself an object is copied only to change it; naming its class counts for that."""
        storage_class = self._ctx.request.header(b"x-amz-storage-class")
        if (
            not self._replaces
            and not self._algorithm
            and storage_class is None
            and self.encryption is None
        ):
            message = (
                "This copy request is illegal because it is trying to copy an object to itself"
                " without changing the object's metadata, storage class, website redirect location"
                " or encryption attributes."
            )
            raise S3Error(codes.INVALID_REQUEST, message)

    def measure(self) -> Computed:
        """What measures bytes that are copied."""
        whole = self._ctx.store.whole_sum if self.encryption is None else None
        return Computed(self._algorithm, whole)

    async def describe_reference(self, source: ObjectRecord) -> ObjectRecord:
        """The copy of that source, with its body. Raises what `describe` raises, AccessDenied,
        NotByReference, and what `encryption.shared` raises."""
        found, wish = source.encryption, self.encryption
        if found is None and wish is None and self.customers.source_key is None:
            return await self.describe(source)
        get.check_customer(source, self.customers.source_key)
        if not encryption.may_share(found, wish):
            raise copy.NotByReference
        described = await self.describe(source)
        if found is None or wish is None:
            return described
        record, etag = await encryption.shared(
            self._ctx.store, source, self.customers.source_key, wish
        )
        return msgspec.structs.replace(described, etag=etag, encryption=record)

    async def describe(self, source: ObjectRecord) -> ObjectRecord:
        """The copy of that source. Raises PreconditionFailed, InvalidRequest, NoSuchKey."""
        _check_conditions(self._conditions, source)
        _check_size(source.size)
        described = msgspec.structs.replace(
            source, checksums=await self._checksums(source), acl=self._acl, lock=self._lock
        )
        if self._replaces:
            described = msgspec.structs.replace(
                described, headers=self._headers, metadata=self._metadata
            )
        if self._tags is not None:
            described = msgspec.structs.replace(described, tags=self._tags)
        return described

    async def _checksums(self, source: ObjectRecord) -> dict[str, str]:
        """Those stored, or the one that is asked for: that costs one reading of the bytes.

        Where other bytes are read than the record tells of, it is old, and there is another try.
        """
        name = self._algorithm
        if not name:
            return source.checksums
        stored = source.checksums.get(name, "-")
        if "-" not in stored:  # a checksum of checksums of parts is not one of the bytes
            return {name: stored}
        if source.data_id not in self._sums:
            await self._read(name)
        return self._sums.get(source.data_id, {})

    async def _read(self, name: str) -> None:
        store, (bucket, key, version) = self._ctx.store, self._source
        digest = ALGORITHMS[name].begin()
        record, body = await get.read_object(
            store, bucket, key, lambda it: Span(0, it.size), self.customers.source_key, version
        )
        if isinstance(body, bytes):
            digest.update(body)
        else:
            async for piece in body:
                digest.update(piece)
        self._sums[record.data_id] = {name: b64encode(digest.digest()).decode()}


async def upload_part_copy(ctx: Context) -> Result:
    """Makes a part of an upload from an object, or from a range of its bytes."""
    check_part_number(ctx.query["partNumber"], ctx.store.parts_max)
    upload = await uploads.get(ctx.store, ctx.existing(), ctx.key, ctx.query["uploadId"])
    source_key = wanted.customer_key(ctx, of_source=True)
    customers = Customers(source_key, wanted.customer_key(ctx))
    source = ctx.existing_source()
    found: list[ObjectRecord] = []
    conditions = source_conditions(ctx.request)
    asked = ranges.parse_copy(ctx.request.header(b"x-amz-copy-source-range"))

    def choose(record: ObjectRecord) -> Span:
        found[:] = [record]
        _check_conditions(conditions, record)
        span = asked.resolve(record.size)
        _check_size(span.length)
        check_length(span.length, ctx.object_bytes_max)
        return Span(span.offset, span.length)

    number = int(ctx.query["partNumber"])
    whole = ctx.store.whole_sum if upload.record.encryption is None else None
    measure = partial(Computed, upload.record.algorithm, whole)
    with _source_of_bytes():
        part = await copy_part.copy_part(
            ctx.store, source, upload, number, choose, measure, customers
        )
    told = {"ETag": part.etag, "LastModified": part.modified_ns}
    headers = wanted.told(upload.record.encryption, customers.copy_key)
    headers += source_version_header(source.bucket, *found)
    return Result(headers=headers, document=told | sum_elements(part.checksums))


def _check_conditions(conditions: ReadConditions, source: ObjectRecord) -> None:
    if conditions.judge(source) is Verdict.NOT_MODIFIED:
        raise failed("x-amz-copy-source-If-None-Match or -If-Modified-Since")


def _check_size(size: int) -> None:
    if size > OBJECT_BYTES_MAX:
        message = "The specified copy source is larger than the maximum allowable size"
        message += f" for a copy source: {OBJECT_BYTES_MAX}"
        raise S3Error(codes.INVALID_REQUEST, message)


def _replaces(directive: bytes | None) -> bool:
    """Whether headers and metadata come from the request and not from the source."""
    if directive is None:
        return False
    found = _DIRECTIVES.get(directive.upper())
    if found is None:
        text = directive.decode("latin-1")
        extra = [("ArgumentName", _DIRECTIVE.decode()), ("ArgumentValue", text)]
        raise S3Error(codes.INVALID_ARGUMENT, "Unknown metadata directive.", extra=extra)
    return found


def _algorithm(value: bytes | None) -> str:
    """The checksum to store with the copy, "" for those of the source."""
    if value is None:
        return ""
    name = value.decode("latin-1").lower()
    if name not in ALGORITHMS:
        raise S3Error(codes.INVALID_REQUEST, "Checksum algorithm provided is unsupported.")
    return name
