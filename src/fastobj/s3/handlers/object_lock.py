"""Handlers of object lock: of buckets, and the retention and legal hold of a version."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import Lock, ObjectRecord
from fastobj.objects import get, locking, object_lock, trusted_time
from fastobj.objects.change import rewrite_object
from fastobj.objects.object_lock import ObjectLock
from fastobj.s3.context import Context, Document, Result
from fastobj.s3.locking import STATUS, STATUS_TEXTS, bypasses, check_future, rounded_up

_NS_PER_S = 1_000_000_000
_ENABLED = "Enabled"

# --- buckets


async def get_object_lock_configuration(ctx: Context) -> Result:
    """That objects of the bucket may be locked, and the retention that they get unasked."""
    found = await locking.default_of(ctx.store, ctx.existing())
    if found is None:
        code = codes.OBJECT_LOCK_CONFIGURATION_NOT_FOUND
        raise S3Error(code, extra=[("BucketName", ctx.bucket)])
    document: Document = {"ObjectLockEnabled": _ENABLED}
    if found.mode:
        default = {
            "Mode": found.mode,
            "Days": found.days or None,
            "Years": found.years or None,
        }
        document = {**document, "Rule": {"DefaultRetention": default}}
    return Result(document=document)


async def put_object_lock_configuration(ctx: Context) -> Result:
    """Lets objects of the bucket be locked for good, and sets the retention they get unasked."""
    bucket, document = ctx.existing(), ctx.document or {}
    if document["ObjectLockEnabled"] != _ENABLED:
        raise S3Error(codes.MALFORMED_XML)
    lock = ObjectLock()
    if "Rule" in document:
        default = document["Rule"]["DefaultRetention"]
        lock = object_lock.checked(default["Mode"], default.get("Days"), default.get("Years"))
    await locking.enable(ctx.store, bucket, lock)
    return Result()


# --- versions


async def get_object_retention(ctx: Context) -> Result:
    """Until when a version is kept, and how strictly."""
    lock = await _lock(ctx)
    if not lock.mode:
        raise _none()
    until_ns = lock.retain_until_s * _NS_PER_S
    return Result(document={"Mode": lock.mode, "RetainUntilDate": until_ns})


async def put_object_retention(ctx: Context) -> Result:
    """Sets until when a version is kept; an empty document ends that."""
    bucket, document = ctx.existing(), ctx.document or {}
    locking.check_enabled(bucket)
    mode, until_ns = document.get("Mode", ""), document.get("RetainUntilDate")
    if (mode not in object_lock.MODES and document) or (until_ns is None and document):
        raise S3Error(codes.MALFORMED_XML)
    until_s = rounded_up(until_ns or 0)
    if document:
        await check_future(ctx, until_s)
    now, bypass = await trusted_time.moment(ctx.store), bypasses(ctx, bucket)

    def edit(lock: Lock | None) -> Lock:
        return object_lock.with_retention(lock, mode, until_s, now, bypass=bypass)

    return await _edit(ctx, edit)


async def get_object_legal_hold(ctx: Context) -> Result:
    """Whether a version is under a legal hold, where that was ever said."""
    lock = await _lock(ctx)
    if lock.legal_hold is None:
        raise _none()
    return Result(document={"Status": STATUS_TEXTS[lock.legal_hold]})


async def put_object_legal_hold(ctx: Context) -> Result:
    """Puts a version under a legal hold, or ends that."""
    locking.check_enabled(ctx.existing())
    status = (ctx.document or {})["Status"]
    if status not in STATUS:
        raise S3Error(codes.MALFORMED_XML)
    return await _edit(ctx, lambda lock: object_lock.with_legal_hold(lock, STATUS[status]))


async def _lock(ctx: Context) -> Lock:
    """The lock of the version. Raises what finding it does, and where there is none."""
    bucket = ctx.existing()
    locking.check_enabled(bucket)
    record = await get.find_object(ctx.store, bucket, ctx.key, ctx.version())
    if record.lock is None:
        raise _none()
    return record.lock


def _none() -> S3Error:
    return S3Error(codes.NO_SUCH_OBJECT_LOCK_CONFIGURATION)


async def _edit(ctx: Context, edit: Callable[[Lock | None], Lock]) -> Result:
    def edit_record(record: ObjectRecord) -> ObjectRecord:
        return msgspec.structs.replace(record, lock=edit(record.lock))

    await rewrite_object(ctx.store, ctx.existing(), ctx.key, ctx.version(), edit_record)
    return Result()
