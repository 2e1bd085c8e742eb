"""Handlers of operations on a bucket as a whole."""

from __future__ import annotations

import re
from typing import Any, Final

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.meta.records import NEVER_VERSIONED, VERSIONING_ENABLED, Acl
from fastobj.objects import buckets, configs, object_lock, tags, trusted_time
from fastobj.objects.config_rows import Kind
from fastobj.objects.object_lock import ObjectLock
from fastobj.objects.ownership import CHOICES, Ownership
from fastobj.objects.tags import TagSet
from fastobj.s3 import acl
from fastobj.s3.context import Context, Result

_FIRST_REGION: Final = "us-east-1"  # the one whose buckets have no location, for S3 began there
_OWNERSHIP: Final = b"x-amz-object-ownership"
_LOCK: Final = b"x-amz-bucket-object-lock-enabled"
_LOCKS: Final = {b"true": True, b"false": False}
_REGION: Final = re.compile(r"EU|[a-z]{2}(-[a-z]+)+-[0-9]")


async def create_bucket(ctx: Context) -> Result:
    """Creates a bucket. One's own bucket again is no error in the first region, as in S3."""
    _check_location((ctx.document or {}).get("LocationConstraint") or "", ctx.store.region)
    named = acl.from_headers(ctx, ctx.identity.id)
    grants = named.grants if named else None
    stated = _stated(ctx, grants)
    versioning, is_locked = NEVER_VERSIONED, configs.OBJECT_LOCK in stated
    if is_locked:
        await trusted_time.begin(ctx.store)
        versioning = VERSIONING_ENABLED
    bucket, is_new = await buckets.create(
        ctx.store, ctx.bucket, ctx.identity.id, grants, stated, versioning
    )
    lacks_lock = is_locked and not bucket.record.configs & object_lock.BIT
    if not is_new and (lacks_lock or ctx.store.region != _FIRST_REGION):
        raise S3Error(codes.BUCKET_ALREADY_OWNED_BY_YOU, extra=[("BucketName", bucket.name)])
    if named and not is_new:
        await acl.check_ownership(ctx, bucket)
        await buckets.set_acl(ctx.store, bucket, grants)
    return Result(headers=[(b"location", f"/{bucket.name}".encode())])


def _stated(ctx: Context, grants: Acl) -> dict[Kind[Any], Any]:
    """The configurations that the request names for a new bucket."""
    found: dict[Kind[Any], Any] = {}
    choice = ctx.request.header(_OWNERSHIP)
    if choice is not None:
        if choice.decode("latin-1") not in CHOICES:
            message = f"Invalid {_OWNERSHIP.decode()} header: {choice.decode('latin-1')[:100]}"
            raise S3Error(codes.INVALID_ARGUMENT, message)
        ownership = found[configs.OWNERSHIP] = Ownership(choice.decode())
        ownership.check_bucket(grants)
    if _wants_lock(ctx):
        found[configs.OBJECT_LOCK] = ObjectLock()
    pairs = [(tag["Key"], tag["Value"]) for tag in (ctx.document or {}).get("Tags", ())]
    if pairs:
        found[configs.TAGGING] = TagSet(tags.check(pairs, limits.BUCKET_TAGS_MAX))
    return found


def _wants_lock(ctx: Context) -> bool:
    value = ctx.request.header(_LOCK)
    found = False if value is None else _LOCKS.get(value.lower())
    if found is None:
        message = f"{_LOCK.decode()} must be true or false"
        raise S3Error(codes.INVALID_ARGUMENT, message)
    return found


def _check_location(constraint: str, region: str) -> None:
    """Raises where the bucket should be in another region than this store's."""
    if constraint in ("", region):
        return
    extra = [("LocationConstraint", constraint)]
    if _REGION.fullmatch(constraint):
        raise S3Error(codes.ILLEGAL_LOCATION_CONSTRAINT, extra=extra)
    raise S3Error(codes.INVALID_LOCATION_CONSTRAINT, extra=extra)


async def head_bucket(ctx: Context) -> Result:
    """Tells that the bucket exists, and where."""
    bucket = ctx.existing()
    return Result(headers=[(b"x-amz-bucket-region", bucket.record.region.encode())])


async def delete_bucket(ctx: Context) -> Result:
    """Deletes an empty bucket."""
    await buckets.delete(ctx.store, ctx.existing())
    return Result(204)


async def get_bucket_location(ctx: Context) -> Result:
    """The region of the bucket; none for the first region."""
    region = ctx.existing().record.region
    return Result(document={"LocationConstraint": "" if region == _FIRST_REGION else region})
