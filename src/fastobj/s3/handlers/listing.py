"""Handlers that list the objects of a bucket, in the first form and the second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastobj._ext import xmlout
from fastobj.core.limits import LIST_KEYS_MAX
from fastobj.objects import listing
from fastobj.objects.buckets import Bucket
from fastobj.objects.listing import Page
from fastobj.s3 import paging, xml
from fastobj.s3.context import Context, Result

Text = Callable[[bytes], str]


async def list_objects(ctx: Context) -> Result:
    """A page of the listing, from the marker on."""
    marker = ctx.query.get("marker", "").encode()
    bucket, text, page, document = await _page(ctx, marker)
    next_marker = None
    if page.is_truncated and "Delimiter" in document:  # else clients take the last key
        next_marker = text(page.last)
    document |= {"Marker": text(marker), "NextMarker": next_marker}
    document["Contents"] = _entries(ctx, page, "Contents", owner_of(ctx, bucket))
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
    owner = owner_of(ctx, bucket) if query.get("fetch-owner") == "true" else None
    document["Contents"] = _entries(ctx, page, "Contents", owner)
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


def _entries(ctx: Context, page: Page, element: str, owner: dict[str, str] | None) -> str:
    """The page's objects, each in an element of that name."""
    assert ctx.op.xml_out is not None
    same = {"Owner": owner, "StorageClass": "STANDARD"}
    tail = xml.encode_inside(ctx.op.xml_out, element, same).encode()
    try:
        written = xmlout.entries(page.objects, element.encode(), tail, paging.is_url(ctx.query))
    except ValueError as error:
        (index,) = error.args
        _ = page.objects[index].record  # raises what is wrong with it
        raise
    return written.decode()


def owner_of(ctx: Context, bucket: Bucket) -> dict[str, str]:
    """Objects belong to the bucket's owner. Only the sender's own display name is known."""
    owner = {"ID": bucket.record.owner}
    if owner["ID"] == ctx.identity.id:
        owner["DisplayName"] = ctx.identity.display_name
    return owner
