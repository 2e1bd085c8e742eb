"""Handlers of what is said of an object beside its bytes: tags, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import LIST_PARTS_MAX
from fastobj.http.message import Headers, Request
from fastobj.meta.records import ObjectRecord
from fastobj.objects import attributes, get
from fastobj.objects.attributes import Page
from fastobj.objects.change import rewrite_object
from fastobj.objects.conditions import Verdict
from fastobj.s3 import paging, tagging
from fastobj.s3.context import Context, Document, Result
from fastobj.s3.encryption import reader_key
from fastobj.s3.object_headers import (
    checksum_elements,
    last_modified_header,
    read_conditions,
    sum_elements,
    validators,
    version_header,
)

# --- tags


async def get_object_tagging(ctx: Context) -> Result:
    """The tags of an object."""
    bucket = ctx.existing()
    record = await get.find_object(ctx.store, bucket, ctx.key, ctx.version())
    return Result(headers=version_header(bucket, record), document=tagging.document(record.tags))


async def put_object_tagging(ctx: Context) -> Result:
    """Replaces the tags of an object."""
    tags = tagging.from_document(ctx.document or {})
    return Result(headers=await _set_tags(ctx, tags))


async def delete_object_tagging(ctx: Context) -> Result:
    """Takes all tags from an object."""
    return Result(204, await _set_tags(ctx, {}))


async def _set_tags(ctx: Context, tags: dict[str, str]) -> Headers:
    """What is told of the version whose tags these are now."""
    bucket = ctx.existing()

    def edit(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, tags=tags)

    record = await rewrite_object(ctx.store, bucket, ctx.key, ctx.version(), edit)
    return version_header(bucket, record)


# --- attributes

_ATTRIBUTES: Final = b"x-amz-object-attributes"
_NAMES: Final = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})
_MAX_PARTS: Final = "x-amz-max-parts"
_MARKER: Final = "x-amz-part-number-marker"


async def get_object_attributes(ctx: Context) -> Result:
    """What the request names of an object's attributes; what it does not have is left out."""
    asked = _asked(ctx.request)
    said = {name: _text(ctx.request, name) for name in (_MAX_PARTS, _MARKER)}
    entries_max = paging.entries_max(said, _MAX_PARTS, LIST_PARTS_MAX)
    after = min(paging.entries_max(said, _MARKER, 2**31 - 1, unsaid=0), 2**16 - 1)
    conditions, customer = read_conditions(ctx.request), reader_key(ctx)
    bucket, page = ctx.existing(), None
    if "ObjectParts" in asked:
        record, page = await attributes.find_parts(
            ctx.store,
            bucket,
            ctx.key,
            ctx.version(),
            after=after,
            entries_max=entries_max,
            customer=customer,
        )
    else:
        record = await get.find_object(ctx.store, bucket, ctx.key, ctx.version())
        get.check_customer(record, customer)
    if conditions.judge(record) is Verdict.NOT_MODIFIED:
        return Result(304, validators(record))
    known: Document = {
        "ETag": record.etag,
        "Checksum": checksum_elements(record) or None,
        "ObjectParts": page and _parts(record, page, after, entries_max),
        "StorageClass": "STANDARD",
        "ObjectSize": record.size,
    }
    shown = {name: value for name, value in known.items() if name in asked}
    headers = [last_modified_header(record), *version_header(bucket, record)]
    return Result(headers=headers, document=shown)


def _asked(request: Request) -> set[str]:
    """The names of the attributes that are wanted. Raises InvalidRequest, InvalidArgument."""
    lines = [value.decode("latin-1") for name, value in request.headers if name == _ATTRIBUTES]
    names = {name.strip() for line in lines for name in line.split(",")} - {""}
    if not names:
        message = (
            "The x-amz-object-attributes header specifying the attributes to be retrieved is"
            " either missing or empty"
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    if unknown := names - _NAMES:
        extra = [("ArgumentName", _ATTRIBUTES.decode()), ("ArgumentValue", min(unknown))]
        raise S3Error(codes.INVALID_ARGUMENT, "Invalid attribute name specified.", extra=extra)
    return names


def _text(request: Request, name: str) -> str:
    return (request.header(name.encode()) or b"").decode("latin-1")


def _parts(record: ObjectRecord, page: Page, after: int, entries_max: int) -> Mapping[str, Any]:
    return {
        "PartsCount": record.parts,
        "PartNumberMarker": after,
        "NextPartNumberMarker": page.parts[-1].number if page.is_truncated else None,
        "MaxParts": entries_max,
        "IsTruncated": page.is_truncated,
        "Part": [
            {"PartNumber": part.number, "Size": part.size, **sum_elements(part.checksums)}
            for part in page.parts
        ],
    }
