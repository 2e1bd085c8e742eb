"""Handlers of access control lists, of buckets and of objects."""

from __future__ import annotations

from fastobj.objects import buckets, get
from fastobj.objects.acl import set_object_acl
from fastobj.s3 import acl
from fastobj.s3.context import Context, Result
from fastobj.s3.object_headers import version_header


async def get_bucket_acl(ctx: Context) -> Result:
    """Who is granted what on a bucket."""
    record = ctx.existing().record
    return Result(document=acl.document(record.acl, record.owner, ctx.identities))


async def put_bucket_acl(ctx: Context) -> Result:
    """Replaces the list of a bucket."""
    bucket = ctx.existing()
    await buckets.set_acl(ctx.store, bucket, acl.from_request(ctx, bucket.record.owner))
    return Result()


async def get_object_acl(ctx: Context) -> Result:
    """Who is granted what on an object."""
    bucket = ctx.existing()
    record = await get.find_object(ctx.store, bucket, ctx.key, ctx.version())
    document = acl.document(record.acl, bucket.record.owner, ctx.identities)
    return Result(headers=version_header(bucket, record), document=document)


async def put_object_acl(ctx: Context) -> Result:
    """Replaces the list of an object."""
    bucket = ctx.existing()
    grants = acl.from_request(ctx, bucket.record.owner)
    record = await set_object_acl(ctx.store, bucket, ctx.key, grants, ctx.version())
    return Result(headers=version_header(bucket, record))
