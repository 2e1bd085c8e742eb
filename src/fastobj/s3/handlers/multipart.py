"""Handlers of multipart uploads."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import LIST_PARTS_MAX, LIST_UPLOADS_MAX
from fastobj.core.secret import Secret
from fastobj.http.message import Request
from fastobj.meta.records import PartRecord
from fastobj.objects import complete, encryption, parts, uploads
from fastobj.objects.complete import Expected, Listed
from fastobj.objects.conditions import failed
from fastobj.objects.part_sums import COMPOSITE, FULL_OBJECT
from fastobj.objects.put import Content
from fastobj.objects.uploads import Description, Upload
from fastobj.s3 import acl, locking, paging, tagging
from fastobj.s3 import encryption as wanted
from fastobj.s3.context import Context, Document, Result
from fastobj.s3.expiration import abort_headers, expiration_header, has_rules
from fastobj.s3.headers import check_part_number
from fastobj.s3.object_headers import (
    checksum_type,
    exact_seconds,
    new_version_header,
    stored_headers,
    sum_elements,
    sum_headers,
    user_metadata,
    write_conditions,
)
from fastobj.s3.payload import ALGORITHMS, PayloadCheck, Sums
from fastobj.s3.receive import receive

_INITIATED: Final = b"x-amz-if-match-initiated-time"
_NS_PER_S: Final = 1_000_000_000
_TYPES: Final = {"COMPOSITE": True, "FULL_OBJECT": False}
_ELEMENTS: Final = {f"Checksum{name.upper()}": name for name in ALGORITHMS}

# --- begin


async def create_multipart_upload(ctx: Context) -> Result:
    """Begins an upload; its object will have the headers of this request."""
    algorithm, is_composite = _checksum_asked(ctx.request)
    bucket = ctx.existing()
    named = acl.from_headers(ctx, bucket.record.owner)
    lock, wish = await locking.stated(ctx), await wanted.wish(ctx)
    seal = None if wish is None else await encryption.begin(ctx.store, wish)
    described = Description(
        stored_headers(ctx.request),
        user_metadata(ctx.request),
        algorithm,
        is_composite,
        named.grants if named else None,
        tagging.from_header(ctx.request),
        None if seal is None else seal.encryption,
        lock,
    )
    upload = await uploads.create(ctx.store, bucket, ctx.key, ctx.identity.id, described)
    headers = wanted.told(described.encryption, wish.customer if wish else None)
    if algorithm:
        headers.append((b"x-amz-checksum-algorithm", algorithm.upper().encode()))
        headers.append((b"x-amz-checksum-type", _type_name(is_composite).encode()))
    if has_rules(bucket):
        headers += await abort_headers(ctx, upload)
    document = {
        "Bucket": ctx.bucket,
        "Key": ctx.key.decode(),
        "UploadId": uploads.id_text(upload.id),
    }
    return Result(headers=headers, document=document)


def _checksum_asked(request: Request) -> tuple[str, bool]:
    """The algorithm in lower case ("": none), and whether it is composite."""
    algorithm = (request.header(b"x-amz-checksum-algorithm") or b"").decode("latin-1").lower()
    kind = _composite_asked(request)
    if not algorithm:
        if kind is not None:
            message = "The x-amz-checksum-type header can only be used with the"
            message += " x-amz-checksum-algorithm header."
            raise S3Error(codes.INVALID_REQUEST, message)
        return "", False
    if algorithm not in ALGORITHMS:
        raise S3Error(codes.INVALID_REQUEST, "Checksum algorithm provided is unsupported.")
    is_composite = algorithm in COMPOSITE if kind is None else kind
    if algorithm not in (COMPOSITE if is_composite else FULL_OBJECT):
        message = (
            f"The {_type_name(is_composite)} checksum type cannot be used with the"
            f" {algorithm} checksum algorithm."
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    return algorithm, is_composite


def _composite_asked(request: Request) -> bool | None:
    value = request.header(b"x-amz-checksum-type")
    if value is None:
        return None
    kind = _TYPES.get(value.decode("latin-1").upper())
    if kind is None:
        message = "Value for x-amz-checksum-type header is invalid."
        raise S3Error(codes.INVALID_REQUEST, message)
    return kind


def _type_name(is_composite: bool) -> str:
    return "COMPOSITE" if is_composite else "FULL_OBJECT"


# --- parts


async def upload_part(ctx: Context) -> Result:
    """Stores a part. All that can be refused is refused before the body is asked for."""
    length = ctx.request.body.length
    if length is None:
        raise S3Error(codes.MISSING_CONTENT_LENGTH)
    check_part_number(ctx.query["partNumber"], ctx.store.parts_max)
    upload = await _upload(ctx)
    said, customer = upload.record.encryption, wanted.customer_key(ctx)
    key = None
    if said is not None or customer is not None:
        key = await encryption.seal_of_upload(ctx.store, said, customer)
    whole = ctx.store.whole_sum if key is None else None
    check = PayloadCheck(ctx, upload.record.algorithm, whole)
    _check_algorithm(upload, check.algorithm)
    if length <= ctx.store.small_body_bytes_max:
        record = await _put_small(ctx, upload, length, check, key)
    else:
        record = await _put_large(ctx, upload, length, check, key)
    etag = (b"etag", f'"{record.etag}"'.encode())
    return Result(headers=[etag, *sum_headers(record.checksums), *wanted.told(said, customer)])


async def _put_small(
    ctx: Context, upload: Upload, length: int, check: PayloadCheck, key: Secret | None
) -> PartRecord:
    body = await ctx.request.body.read(length)
    content = _content(upload, length, check.check_small(body), key)
    return await parts.put_small(ctx.store, upload, _number(ctx), content, body, key)


async def _put_large(
    ctx: Context, upload: Upload, length: int, check: PayloadCheck, key: Secret | None
) -> PartRecord:
    body = await receive(ctx, length, check, key)
    try:
        content = _content(upload, length, check.finish(), key)
    except S3Error as error:
        await body.close(error)
        raise
    return await parts.put_large(ctx.store, upload, _number(ctx), content, body)


def _content(upload: Upload, length: int, sums: Sums, key: Secret | None) -> Content:
    etag = encryption.etag(upload.record.encryption, key, sums.etag)
    return Content(length, etag, checksums=sums.checksums, blake3=sums.blake3)


def _number(ctx: Context) -> int:
    return int(ctx.query["partNumber"])


def _check_algorithm(upload: Upload, sent: str) -> None:
    """An upload that was created with an algorithm takes parts with no other."""
    wanted = upload.record.algorithm
    if wanted and sent and sent != wanted:
        message = (
            f"Checksum Type mismatch occurred, expected checksum Type: {wanted},"
            f" actual checksum Type: {sent}"
        )
        raise S3Error(codes.INVALID_REQUEST, message)


async def _upload(ctx: Context) -> Upload:
    bucket = ctx.existing()
    return await uploads.get(ctx.store, bucket, ctx.key, ctx.query["uploadId"])


# --- end


async def complete_multipart_upload(ctx: Context) -> Result:
    """Makes one object of the parts that are listed."""
    asked = ctx.document or {}
    bucket, customer = ctx.existing(), wanted.customer_key(ctx)
    record = await complete.complete(
        ctx.store,
        bucket,
        ctx.key,
        ctx.query["uploadId"],
        [_listed(part) for part in asked["Part"]],
        _expected(ctx.request),
        write_conditions(ctx.request),
        customer,
    )
    host = (ctx.request.header(b"host") or b"").decode("latin-1")
    told = {
        "Location": f"http://{host}/{bucket.name}/{quote(ctx.key, safe='/')}",
        "Bucket": bucket.name,
        "Key": ctx.key.decode(),
        "ETag": record.etag,
        "ChecksumType": checksum_type(record.checksums),
    }
    headers = [*wanted.told(record.encryption, customer), *new_version_header(record)]
    if has_rules(bucket):
        headers += await expiration_header(ctx, record)
    return Result(headers=headers, document=told | sum_elements(record.checksums))


def _listed(part: Document) -> Listed:
    number = part["PartNumber"]
    check_part_number(str(number))
    sums = {name: part[element] for element, name in _ELEMENTS.items() if part.get(element)}
    return Listed(number, part["ETag"].lower(), sums)


def _expected(request: Request) -> Expected:
    size = request.header(b"x-amz-mp-object-size")
    if size is not None and not (size.isdigit() and len(size) < 20):
        raise S3Error(codes.INVALID_REQUEST, "Value for x-amz-mp-object-size header is invalid.")
    sent = {name: request.header(f"x-amz-checksum-{name}".encode()) for name in ALGORITHMS}
    sums = {name: value.decode("latin-1") for name, value in sent.items() if value is not None}
    if len(sums) > 1:
        message = "Expecting a single x-amz-checksum- header."
        raise S3Error(codes.INVALID_REQUEST, message)
    return Expected(None if size is None else int(size), _composite_asked(request), sums)


async def abort_multipart_upload(ctx: Context) -> Result:
    """Ends an upload; its parts are let go of.

    Whoever names when it was begun is content where there is none, as where it has been ended.
    """
    begun_s = exact_seconds(ctx.request, _INITIATED)
    bucket, upload_id = ctx.existing(), uploads.parse_id(ctx.query["uploadId"])
    upload = await uploads.find(ctx.store, bucket, ctx.key, upload_id)
    if begun_s is None and upload is None:
        raise uploads.missing(ctx.query["uploadId"])
    if upload is not None:
        if begun_s is not None and upload.record.created_ns // _NS_PER_S != begun_s:
            raise failed(_INITIATED.decode())
        await uploads.abort(ctx.store, upload)
    return Result(204)


# --- list


async def list_parts(ctx: Context) -> Result:
    """A page of the parts of an upload, by number."""
    query = ctx.query
    entries_max = paging.entries_max(query, "max-parts", LIST_PARTS_MAX)
    after = min(paging.entries_max(query, "part-number-marker", 2**31 - 1, unsaid=0), 2**16 - 2)
    upload = await _upload(ctx)
    bucket = ctx.existing()
    page = await parts.list_page(ctx.store, upload, after=after, entries_max=entries_max)
    document: dict[str, Any] = {
        "Bucket": ctx.bucket,
        "Key": ctx.key.decode(),
        "PartNumberMarker": after,
        "NextPartNumberMarker": page.parts[-1].number if page.is_truncated else None,
        "MaxParts": entries_max,
        "IsTruncated": page.is_truncated,
        "Part": [_listed_part(part.number, part.record) for part in page.parts],
    }
    headers = await abort_headers(ctx, upload) if has_rules(bucket) else []
    return Result(headers=headers, document=document | _shown(ctx, bucket.record.owner, upload))


def _listed_part(number: int, record: PartRecord) -> Document:
    return {
        "PartNumber": number,
        "LastModified": record.modified_ns,
        "ETag": record.etag,
        "Size": record.size,
        **sum_elements(record.checksums),
    }


async def list_multipart_uploads(ctx: Context) -> Result:
    """A page of the uploads of a bucket that are open."""
    query = ctx.query
    entries_max = paging.entries_max(query, "max-uploads", LIST_UPLOADS_MAX)
    text = paging.text_encoder(query)
    prefix, delimiter, key_marker = (
        query.get(name, "").encode() for name in ("prefix", "delimiter", "key-marker")
    )
    id_marker = query.get("upload-id-marker", "") if key_marker else ""
    bucket = ctx.existing()
    page = await uploads.list_page(
        ctx.store,
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        after=key_marker,
        after_id=_parse_marker(id_marker),
        entries_max=entries_max,
    )
    document: dict[str, Any] = {
        "Bucket": bucket.name,
        "KeyMarker": text(key_marker),
        "UploadIdMarker": id_marker,
        "NextKeyMarker": text(page.last) if page.is_truncated else None,
        "NextUploadIdMarker": uploads.id_text(page.last_id) if page.is_truncated else None,
        "Prefix": text(prefix),
        "Delimiter": text(delimiter) if delimiter else None,
        "EncodingType": query.get("encoding-type") or None,
        "MaxUploads": entries_max,
        "IsTruncated": page.is_truncated,
        "Upload": [
            {
                "Key": text(upload.key),
                "Initiated": upload.record.created_ns,
                **_shown(ctx, bucket.record.owner, upload),
            }
            for upload in page.uploads
        ],
        "CommonPrefixes": [{"Prefix": text(common)} for common in page.prefixes],
    }
    return Result(document=document)


def _parse_marker(text: str) -> bytes:
    found = uploads.parse_id(text)
    if text and found == uploads.NO_ID:
        extra = [("ArgumentName", "upload-id-marker"), ("ArgumentValue", text)]
        raise S3Error(codes.INVALID_ARGUMENT, "Invalid uploadId marker", extra=extra)
    return found


def _shown(ctx: Context, owner: str, upload: Upload) -> dict[str, Any]:
    """What both listings say of an upload."""
    record = upload.record
    shown: dict[str, Any] = {
        "UploadId": uploads.id_text(upload.id),
        "Initiator": _person(ctx, record.owner),
        "Owner": _person(ctx, owner),
        "StorageClass": "STANDARD",
    }
    if record.algorithm:
        shown["ChecksumAlgorithm"] = record.algorithm.upper()
        shown["ChecksumType"] = _type_name(record.is_composite)
    return shown


def _person(ctx: Context, owner: str) -> dict[str, str]:
    """Only the sender's own display name is known."""
    found = {"ID": owner}
    if owner == ctx.identity.id:
        found["DisplayName"] = ctx.identity.display_name
    return found
