"""Object lock where buckets and versions change: configurations, defaults, the one refusal."""

from __future__ import annotations

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import VERSIONING_ENABLED, BucketRecord, Lock, ObjectRecord
from fastobj.objects import configs, object_lock, trusted_time
from fastobj.objects.buckets import Bucket
from fastobj.objects.object_lock import ObjectLock
from fastobj.objects.store import Store


def check_enabled(bucket: Bucket) -> None:
    """Refuses locks in a bucket whose objects cannot be locked. Raises InvalidRequest."""
    if not bucket.record.configs & object_lock.BIT:
        message = "Bucket is missing Object Lock Configuration"
        raise S3Error(codes.INVALID_REQUEST, message, extra=[("BucketName", bucket.name)])


async def enable(store: Store, bucket: Bucket, lock: ObjectLock) -> None:
    """Has objects of the bucket be locked as `lock` says; there is no way back.

    Raises InvalidBucketState where versions are not kept, and what `configs.put` raises.
    """
    await trusted_time.begin(store)
    await configs.put(store, bucket, configs.OBJECT_LOCK, lock, _check_versioned)


def _check_versioned(record: BucketRecord) -> None:
    if record.versioning != VERSIONING_ENABLED:
        message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        raise S3Error(codes.INVALID_BUCKET_STATE, message)


async def default_of(store: Store, bucket: Bucket) -> ObjectLock | None:
    """The bucket's lock configuration, None where it has none. Raises what `configs.find` does."""
    return await configs.find(store, bucket, configs.OBJECT_LOCK)


async def of_new(store: Store, bucket: Bucket, record: ObjectRecord) -> ObjectRecord:
    """An object that is put, with the retention that its bucket gives it.

    Raises InvalidRequest for a lock that the bucket does not allow, and what `default_of` raises.
    """
    default = await default_of(store, bucket)
    if default is None:
        check_enabled(bucket)
        return record
    if not default.mode or (record.lock is not None and record.lock.mode):
        return record
    now = await trusted_time.moment(store)
    return msgspec.structs.replace(record, lock=object_lock.with_default(record.lock, default, now))


async def check_removal(store: Store, lock: Lock, *, bypass: bool = False) -> None:
    """Lets a version with that lock go for good, or not. Raises AccessDenied."""
    object_lock.check_removal(lock, await trusted_time.moment(store), bypass=bypass)
