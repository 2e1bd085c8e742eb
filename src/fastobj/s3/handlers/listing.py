"""Handlers that list the objects of a bucket: in the first form, the second, and as versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import LIST_KEYS_MAX
from fastobj.objects import listing
from fastobj.objects.buckets import Bucket
from fastobj.objects.listing import Page
from fastobj.s3 import paging
from fastobj.s3.context import Context, Result
from fastobj.s3.object_headers import checksum_type

Text = Callable[[bytes], str]
_NULL_VERSION: Final = "null"


async def list_objects(ctx: Context) -> Result:
    """A page of the listing, from the marker on."""
    marker = ctx.query.get("marker", "").encode()
    bucket, text, page, document = await _page(ctx, marker)
    next_marker = None
    if page.is_truncated and "Delimiter" in document:  # else clients take the last key
        next_marker = text(page.last)
    document |= {"Marker": text(marker), "NextMarker": next_marker}
    document["Contents"] = _contents(page, text, _owner(ctx, bucket))
    return Result(document=document)


async def list_objects_v2(ctx: Context) -> Result:
    """A page of the listing, from the continuation token on, or else behind `start-after`."""
    query = ctx.query
    token, start_after = query.get("continuation-token"), query.get("start-after")
    after = paging.decode_token(token) if token else (start_after or "").encode()
    bucket, text, page, document = await _page(ctx, after)
    document |= {
        "StartAfter": text(start_after.encode()) if start_after else None,
        "ContinuationToken": token,
        "NextContinuationToken": paging.encode_token(page.last) if page.is_truncated else None,
        "KeyCount": len(page.objects) + len(page.prefixes),
    }
    owner = _owner(ctx, bucket) if query.get("fetch-owner") == "true" else None
    document["Contents"] = _contents(page, text, owner)
    return Result(document=document)


async def list_object_versions(ctx: Context) -> Result:
    """A page of all versions; without versioning each object is the only one of its key."""
    marker, version = ctx.query.get("key-marker", ""), ctx.query.get("version-id-marker", "")
    if version and not marker:
        message = "A version-id marker cannot be specified without a key marker."
        raise S3Error(codes.INVALID_ARGUMENT, message)
    if version not in ("", _NULL_VERSION):
        raise S3Error(codes.INVALID_ARGUMENT, "Invalid version id specified")
    bucket, text, page, document = await _page(ctx, marker.encode())
    document |= {"KeyMarker": text(marker.encode()), "VersionIdMarker": version}
    if page.is_truncated:
        document["NextKeyMarker"] = text(page.last)
        if page.objects and page.objects[-1].key == page.last:  # else a common prefix
            document["NextVersionIdMarker"] = _NULL_VERSION
    document["Version"] = [
        {**entry, "VersionId": _NULL_VERSION, "IsLatest": True}
        for entry in _contents(page, text, _owner(ctx, bucket))
    ]
    return Result(document=document)


async def _page(ctx: Context, after: bytes) -> tuple[Bucket, Text, Page, dict[str, Any]]:
    """The page behind `after`, and what both forms say about it."""
    query = ctx.query
    entries_max = paging.entries_max(query, "max-keys", LIST_KEYS_MAX)
    text = paging.text_encoder(query)
    prefix, delimiter = query.get("prefix", "").encode(), query.get("delimiter", "").encode()
    bucket = ctx.existing()
    page = await listing.list_page(
        ctx.store,
        bucket,
        prefix=prefix,
        delimiter=delimiter,
        after=after,
        entries_max=entries_max,
    )
    document: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": text(prefix),
        "MaxKeys": entries_max,
        "EncodingType": query.get("encoding-type") or None,
        "IsTruncated": page.is_truncated,
        "CommonPrefixes": [{"Prefix": text(common)} for common in page.prefixes],
    }
    if delimiter:
        document["Delimiter"] = text(delimiter)
    return bucket, text, page, document


def _contents(page: Page, text: Text, owner: dict[str, str] | None) -> list[dict[str, Any]]:
    return [
        {
            "Key": text(key),
            "LastModified": record.modified_ns,
            "ETag": record.etag,
            "ChecksumAlgorithm": list(map(str.upper, record.checksums)),
            "ChecksumType": checksum_type(record.checksums),
            "Size": record.size,
            "Owner": owner,
            "StorageClass": "STANDARD",
        }
        for key, record in page.objects
    ]


def _owner(ctx: Context, bucket: Bucket) -> dict[str, str]:
    """Objects belong to the bucket's owner. Only the sender's own display name is known."""
    owner = {"ID": bucket.record.owner}
    if owner["ID"] == ctx.identity.id:
        owner["DisplayName"] = ctx.identity.display_name
    return owner
