"""Handlers of operations on objects."""

from __future__ import annotations

from typing import Any

from fastobj.core import codes
from fastobj.core.errors import FastobjError, S3Error
from fastobj.core.limits import DELETE_KEYS_MAX, KEY_BYTES_MAX
from fastobj.core.secret import Secret
from fastobj.http.message import Headers
from fastobj.meta.records import Encryption, Lock, ObjectRecord
from fastobj.objects import delete, get, object_lock, put, versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.conditions import Verdict, WriteConditions
from fastobj.objects.delete import Deleted, Deletion
from fastobj.objects.encryption import Wish, begin, etag
from fastobj.objects.get import Span
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.objects.put import Content
from fastobj.objects.store import Store
from fastobj.objects.versions import Wanted
from fastobj.s3 import acl, appending, encryption, errors, locking, ranges, tagging
from fastobj.s3.context import Context, Document, Result
from fastobj.s3.dates import parse_http_date
from fastobj.s3.expiration import expiration_header, has_rules
from fastobj.s3.object_headers import (
    checksum_headers,
    checksum_type_header,
    deleted_headers,
    deletion_conditions,
    etag_header,
    new_version_header,
    object_headers,
    read_conditions,
    stored_headers,
    sum_headers,
    user_metadata,
    validators,
    version_header,
    write_conditions,
)
from fastobj.s3.payload import PayloadCheck, Sums
from fastobj.s3.ranges import ByteRange
from fastobj.s3.receive import receive

# --- put


async def put_object(ctx: Context) -> Result:
    """Stores an object. All that can be refused is refused before the body is asked for."""
    if appending.OFFSET in ctx.request.names:
        return await appending.append(ctx)
    lock = await locking.stated(ctx) if locking.is_stated(ctx) else None
    upload = _Upload(ctx, ctx.existing(), await encryption.wish(ctx), lock)
    if upload.bucket.record.configs & object_lock.BIT:
        await locking.check_digest(ctx, lock, upload.check.algorithm)
    await put.check_conditions(ctx.store, upload.bucket, ctx.key, upload.conditions)
    if upload.wish is not None:
        await upload.seal(ctx.store, upload.wish)
    if upload.length <= ctx.store.small_body_bytes_max:
        record = await _put_small(ctx, upload)
    else:
        record = await _put_large(ctx, upload)
    headers = [etag_header(record), *checksum_headers(record), *new_version_header(record)]
    if upload.wish is not None:
        headers += encryption.told(record.encryption, upload.wish.customer)
    if has_rules(upload.bucket):
        headers += await expiration_header(ctx, record)
    return Result(headers=headers)


class _Upload:
    """What a request to store an object says before its body."""

    def __init__(self, ctx: Context, bucket: Bucket, wish: Wish | None, lock: Lock | None) -> None:
        request = ctx.request
        self.bucket = bucket
        self._body = request.body
        _body_length(request.body.length)
        self.headers = stored_headers(request)
        self.metadata = user_metadata(request)
        self.conditions = write_conditions(request)
        self.wish = wish
        self._lock = lock
        self.key: Secret | None = None
        self._encryption: Encryption | None = None
        self.check = PayloadCheck(ctx, whole=None if self.wish else ctx.store.whole_sum)
        named = acl.from_headers(ctx, bucket.record.owner)
        self.acl = named.grants if named else None
        self.tags = tagging.from_header(request)

    @property
    def length(self) -> int:
        """Of the body; that of a form's file is the most that it may be, until it has been read."""
        return _body_length(self._body.length)

    async def seal(self, store: Store, wish: Wish) -> None:
        """Makes the key that the body will be encrypted with."""
        self.key, self._encryption = await begin(store, wish)

    def content(self, sums: Sums) -> Content:
        """What is stored once the body has kept its promises."""
        return Content(
            self.length,
            etag(self._encryption, self.key, sums.etag),
            self.headers,
            self.metadata,
            sums.checksums,
            self.acl,
            sums.blake3,
            self.tags,
            self._encryption,
            self._lock,
        )


def _body_length(length: int | None) -> int:
    if length is None:
        raise S3Error(codes.MISSING_CONTENT_LENGTH)
    return length


async def _put_small(ctx: Context, upload: _Upload) -> ObjectRecord:
    body = await ctx.request.body.read(upload.length)
    content = upload.content(upload.check.check_small(body))
    return await put.put_small(
        ctx.store, upload.bucket, ctx.key, content, body, upload.conditions, upload.key
    )


async def _put_large(ctx: Context, upload: _Upload) -> ObjectRecord:
    store, check = ctx.store, upload.check
    body = await receive(ctx, upload.length, check, upload.key)
    try:
        content = upload.content(check.finish())
    except S3Error as error:
        await body.close(error)
        raise
    return await put.put_large(store, upload.bucket, ctx.key, content, body, upload.conditions)


# --- get and head


async def get_object(ctx: Context) -> Result:
    """An object, or the range of it that is asked for."""
    view = _View(ctx)
    bucket = ctx.existing()
    if "partNumber" in ctx.query:
        record, body = await get.read_part(
            ctx.store, bucket, ctx.key, view.choose_part, True, view.customer, ctx.version()
        )
        await view.find_checksums(record)
    else:
        record, body = await get.read_object(
            ctx.store, bucket, ctx.key, view.choose, view.customer, ctx.version()
        )
    if has_rules(bucket):
        await view.find_expiration(record)
    return view.result(bucket, record, body)


async def head_object(ctx: Context) -> Result:
    """What `get_object` would answer, without the body."""
    view = _View(ctx)
    bucket = ctx.existing()
    if "partNumber" in ctx.query:
        record, _ = await get.read_part(
            ctx.store, bucket, ctx.key, view.choose_part, False, view.customer, ctx.version()
        )
        await view.find_checksums(record)
    else:
        record = await get.find_object(ctx.store, bucket, ctx.key, ctx.version())
        get.check_customer(record, view.customer)
        view.choose(record)
    if has_rules(bucket):
        await view.find_expiration(record)
    return view.result(bucket, record, b"")


class _View:
    """What a request wants to see of an object, and what that comes to for the one found."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.customer = encryption.reader_key(ctx)
        self._conditions = read_conditions(ctx.request)
        self._verdict = Verdict.GO_ON
        self._range: ByteRange | None = None
        self._is_part = False
        self._part: ManifestPart | None = None  # of an object that was made of parts
        self._part_checksums: dict[str, str] = {}
        self._expiration: Headers = []
        mode = ctx.request.header(b"x-amz-checksum-mode") or b""
        self._wants_checksums = mode.lower() == b"enabled"

    def choose(self, record: ObjectRecord) -> Span | None:
        """The bytes to read; None for none. Raises PreconditionFailed, InvalidRange."""
        self._verdict = self._conditions.judge(record)
        if self._verdict is Verdict.NOT_MODIFIED:
            return None
        self._range = ranges.resolve(self._ctx.request.header(b"range"), record.size)
        if self._range is None:
            return Span(0, record.size)
        return Span(self._range.offset, self._range.length)

    def choose_part(self, record: ObjectRecord, parts: Parts | None) -> Span | None:
        """The bytes of the part that is asked for; all of an object without parts is part 1."""
        self._verdict = self._conditions.judge(record)
        if self._verdict is Verdict.NOT_MODIFIED:
            return None
        if self._ctx.request.header(b"range") is not None:
            message = "Cannot specify both Range header and partNumber query parameter"
            raise S3Error(codes.INVALID_REQUEST, message)
        span, self._part = _place(record, parts, int(self._ctx.query["partNumber"]))
        self._range = ByteRange(*span, record.size) if span.length else None
        self._is_part = True
        return span

    async def find_checksums(self, record: ObjectRecord) -> None:
        """Looks up those of the chosen part, of the algorithm that the object has one of."""
        if self._part is not None and record.checksums and self._wants_checksums:
            found = await get.part_checksums(self._ctx.store, record, self._part)
            self._part_checksums = {
                name: sum for name, sum in found.items() if name in record.checksums
            }

    async def find_expiration(self, record: ObjectRecord) -> None:
        """Looks up when lifecycle rules let the object expire."""
        self._expiration = await expiration_header(self._ctx, record)

    def result(self, bucket: Bucket, record: ObjectRecord, body: get.Body) -> Result:
        """The answer, for the record that was chosen from last."""
        if self._verdict is Verdict.NOT_MODIFIED:
            return Result(304, validators(record))
        headers = object_headers(record, self._ctx.query)
        if self._expiration:
            headers += self._expiration
        if bucket.record.versioning:
            headers += version_header(bucket, record)
        if record.encryption is not None:
            headers += encryption.told(record.encryption, self.customer)
        if self._is_part and record.parts:
            headers.append((b"x-amz-mp-parts-count", str(record.parts).encode()))
        if self._wants_checksums and (self._is_part or self._range is None):
            headers += self._checksums(record)
        if self._range is None:
            length = record.size if self._part is None else self._part.size
            return Result(200, headers, body=body, length=length)
        headers.append((b"content-range", self._range.content_range()))
        return Result(206, headers, body=body, length=self._range.length)

    def _checksums(self, record: ObjectRecord) -> Headers:
        if self._part is None:
            return checksum_headers(record)
        kind = checksum_type_header(record)
        return [*sum_headers(self._part_checksums), *kind] if self._part_checksums else []


def _place(
    record: ObjectRecord, parts: Parts | None, number: int
) -> tuple[Span, ManifestPart | None]:
    """Where a part lies in the object, and the part itself where the object was made of such.

    Raises InvalidPartNumber.
    """
    found = parts.find(number) if parts is not None else None
    if found is not None:
        offset, part = found
        return Span(offset, part.size), part
    if parts is None and number == 1:
        return Span(0, record.size), None
    count = str(record.parts or 1)
    extra = [("PartNumberRequested", str(number)), ("ActualPartCount", count)]
    raise S3Error(codes.INVALID_PART_NUMBER, extra=extra)


# --- delete


async def delete_object(ctx: Context) -> Result:
    """Deletes an object, or a version of it; one that is not there is no error."""
    bucket = ctx.existing()
    conditions, bypass = deletion_conditions(ctx.request), locking.bypasses(ctx, bucket)
    deletion = Deletion(ctx.key, conditions, ctx.version(), bypass)
    deleted = await delete.delete_object(ctx.store, bucket, deletion)
    return Result(204, deleted_headers(deleted))


async def delete_objects(ctx: Context) -> Result:
    """Deletes many objects, each for itself."""
    document = ctx.document or {}
    asked: list[Document] = document["Object"]
    if len(asked) > DELETE_KEYS_MAX or not all(wish["Key"] for wish in asked):
        raise S3Error(codes.MALFORMED_XML)
    bucket = ctx.existing()
    refused = [_refusal(wish) for wish in asked]
    wanted = [wish for wish, error in zip(asked, refused, strict=True) if error is None]
    bypass = locking.bypasses(ctx, bucket)
    deletions = [_deletion(wish, bypass) for wish in wanted]
    done = iter(await delete.delete_objects(ctx.store, bucket, deletions))
    results = [next(done) if error is None else error for error in refused]
    answer: dict[str, list[Document]] = {"Deleted": [], "Error": []}
    for wish, result in zip(asked, results, strict=True):
        if isinstance(result, FastobjError):
            answer["Error"].append(_not_deleted(wish, result))
        elif not document.get("Quiet"):
            answer["Deleted"].append(_named(wish) | _marker(result))
    return Result(document=answer)


def _refusal(wish: Document) -> S3Error | None:
    """What makes a key of the list one that cannot be deleted, or None."""
    if len(wish["Key"].encode()) > KEY_BYTES_MAX:
        return S3Error(codes.KEY_TOO_LONG)
    try:
        _version(wish)
    except S3Error:
        return S3Error(codes.NO_SUCH_VERSION)
    return None


def _version(wish: Document) -> Wanted:
    text = wish.get("VersionId")
    return None if text is None else versions.parse_id(text)


def _deletion(wish: Document, bypass: bool) -> Deletion:
    etag, date = wish.get("ETag"), wish.get("LastModifiedTime")
    modified_s = parse_http_date(date.strip()) if date else None
    if date and modified_s is None:
        message = f"{codes.MALFORMED_XML.message} (LastModifiedTime has a bad value)"
        raise S3Error(codes.MALFORMED_XML, message)
    conditions = WriteConditions((etag,) if etag else None, None, modified_s, wish.get("Size"))
    return Deletion(wish["Key"].encode(), conditions, _version(wish), bypass)


def _named(wish: Document) -> dict[str, Any]:
    return {"Key": wish["Key"], "VersionId": wish.get("VersionId")}


def _marker(deleted: Deleted | None) -> dict[str, Any]:
    """What is told of the delete marker that a deletion left, or took away."""
    if deleted is None or not deleted.is_marker:
        return {}
    return {"DeleteMarker": True, "DeleteMarkerVersionId": versions.id_text(deleted.version)}


def _not_deleted(wish: Document, error: FastobjError) -> Document:
    told = errors.translate(error)
    return {**_named(wish), "Code": told.code.name, "Message": told.message}
