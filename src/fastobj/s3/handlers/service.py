"""Handlers of operations on the service: the list of buckets."""

from __future__ import annotations

from typing import Final

from fastobj.objects import buckets
from fastobj.s3 import paging
from fastobj.s3.context import Context, Result

_BUCKETS_MAX: Final = 10_000
_PAGING: Final = frozenset({"max-buckets", "prefix", "continuation-token", "bucket-region"})


async def list_buckets(ctx: Context) -> Result:
    """The sender's buckets, by name."""
    query = ctx.query
    limit = paging.entries_max(query, "max-buckets", _BUCKETS_MAX, least=1)
    token, prefix = query.get("continuation-token"), query.get("prefix", "")
    after = paging.decode_token(token).decode() if token else ""
    found: list[buckets.Bucket] = []
    more = False
    if query.get("bucket-region", ctx.store.region) == ctx.store.region:
        owner = ctx.identity.id
        found, more = await buckets.list_owned(ctx.store, owner, prefix, after, limit)
    is_paged = not _PAGING.isdisjoint(query)
    listed = [
        {
            "Name": bucket.name,
            "CreationDate": bucket.record.created_ns,
            "BucketRegion": bucket.record.region if is_paged else None,
        }
        for bucket in found
    ]
    document = {
        "Owner": {"ID": ctx.identity.id, "DisplayName": ctx.identity.display_name},
        "Buckets": listed,
        "ContinuationToken": paging.encode_token(found[-1].name.encode()) if more else None,
        "Prefix": prefix or None,
    }
    return Result(document=document)
