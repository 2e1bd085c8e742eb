"""The configurations of a bucket: one table of their kinds, and how each is put, read and deleted.

Whether a bucket has one stands in its row, so that a bucket without any costs no read. A change
rewrites that row in the same transaction: what was read under its token holds while the row does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error, StoreDamaged
from fastobj.meta import keys
from fastobj.meta.base import Add, Row, ScanRow
from fastobj.meta.records import BucketRecord
from fastobj.objects import buckets, config_rows, object_lock
from fastobj.objects.buckets import Bucket
from fastobj.objects.config_rows import Kind
from fastobj.objects.cors import Cors
from fastobj.objects.encryption_default import EncryptionDefault
from fastobj.objects.lifecycle_rules import Lifecycle
from fastobj.objects.notifications import Notifications
from fastobj.objects.ownership import Ownership
from fastobj.objects.store import Store
from fastobj.objects.tags import TagSet

Config = TypeVar("Config")

_LARGE: Final = limits.CONFIG_ROWS_MAX
_LOOKS_MAX: Final = 100

# The numbers are part of the format (docs/format.md).
TAGGING: Final = Kind(1, "tagging", TagSet)
CORS: Final = Kind(2, "CORS", Cors, _LARGE)
LIFECYCLE: Final = Kind(3, "lifecycle", Lifecycle, _LARGE)
NOTIFICATION: Final = Kind(4, "notification", Notifications, _LARGE)
ENCRYPTION: Final = Kind(5, "encryption", EncryptionDefault)
OWNERSHIP: Final = Kind(6, "ownership", Ownership)
OBJECT_LOCK: Final = Kind(object_lock.KIND, "object lock", object_lock.ObjectLock)  # stays

KINDS: Final[dict[int, Kind[Any]]] = {
    kind.number: kind
    for kind in (TAGGING, CORS, LIFECYCLE, NOTIFICATION, ENCRYPTION, OWNERSHIP, OBJECT_LOCK)
}


async def find(store: Store, bucket: Bucket, kind: Kind[Config]) -> Config | None:
    """The bucket's configuration of that kind, or None.

    Raises StoreDamaged where there is one that cannot be read, NoSuchBucket.
    """
    for _ in range(_LOOKS_MAX):
        if not bucket.record.configs & kind.bit:
            return None
        place = keys.config(bucket.record.id, kind.number, 0) + bucket.token
        kept = store.configs.get(place)
        if kept is not None:
            known: Config = kept.config
            return known
        rows = await rows_of(store, bucket.record.id, kind.number)
        if rows:
            config = config_rows.read(kind, rows)
            store.configs.keep(place, config_rows.kept(config, rows))
            return config
        bucket = await _changed(store, bucket, kind)
    raise S3Error(codes.OPERATION_ABORTED)


async def rows_of(store: Store, bucket_id: bytes, number: int) -> list[ScanRow]:
    """The rows of a configuration, in one look."""
    start = keys.config(bucket_id, number, 0)
    end = keys.after(start[:-1])
    return await store.meta.scan(keys.CONFIGS, start, end, limits.LOOP_SCAN_ROWS_MAX)


async def _changed(store: Store, bucket: Bucket, kind: Kind[Config]) -> Bucket:
    """The bucket as it is now that the rows have gone which it told of."""
    present = await buckets.find(store, bucket.name)
    if present is None or present.record.id != bucket.record.id:
        raise buckets.missing(bucket.name)
    if present.token == bucket.token:
        raise StoreDamaged(f"the {kind.name} configuration of a bucket has no rows")
    return present


async def put(
    store: Store,
    bucket: Bucket,
    kind: Kind[Config],
    config: Config,
    check: Callable[[BucketRecord], None] | None = None,
    *,
    beside: Sequence[Row] = (),
    adds: Sequence[Add] = (),
) -> None:
    """Replaces a configuration; `check` sees the bucket's row as it is then, and may raise.

    `beside` are rows, and `adds` counters, that change in the same transaction. Raises
    NoSuchBucket, OperationAborted, InvalidRequest for one that is too large.
    """
    rows = config_rows.writing(bucket.record.id, kind, config)

    def with_it(record: BucketRecord) -> BucketRecord:
        if check is not None:
            check(record)
        return _with(record, record.configs | kind.bit)

    await buckets.change(store, bucket, with_it, [*rows, *beside], adds)


async def delete(store: Store, bucket: Bucket, kind: Kind[Config]) -> None:
    """Deletes a configuration, if there is one. Raises NoSuchBucket, OperationAborted."""
    if not bucket.record.configs & kind.bit:
        return
    rows = config_rows.writing(bucket.record.id, kind, None)

    def without_it(record: BucketRecord) -> BucketRecord:
        return _with(record, record.configs & ~kind.bit)

    await buckets.change(store, bucket, without_it, rows)


def _with(record: BucketRecord, configs: int) -> BucketRecord:
    return replace(record, configs=configs, configs_revision=record.configs_revision + 1)
