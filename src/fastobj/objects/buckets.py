"""Buckets: create, find, list, delete, and the cache of their rows.

Object traffic never rewrites a bucket row; every transaction that creates an object checks its
token. DeleteBucket first sets the state `deleting`, which changes the token, so no object can
appear behind the scan that finds the bucket empty.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from fastobj.core import codes
from fastobj.core.bounded import keep
from fastobj.core.errors import Conflict, S3Error
from fastobj.core.limits import BUCKETS_CACHED_MAX, LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, Add, MetaReader, Row, ScanRow, Token, Txn, new_txn_id
from fastobj.meta.records import (
    BUCKET_ACTIVE,
    BUCKET_DELETING,
    NEVER_VERSIONED,
    BucketRecord,
)
from fastobj.objects import config_rows, object_lock, upload_rows
from fastobj.objects.config_rows import Kind
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Epochs, Store

# How long a writer waits out a DeleteBucket; one that takes longer is taken for a crashed one.
_DELETING_PAUSES_S: Final = (0.001, 0.004, 0.02, 0.05, 0.1)
_NO_CONFIGS: Final[Mapping[Kind[Any], Any]] = {}


class Bucket(NamedTuple):
    """A bucket as it was read: its record, and the token that a transaction checks."""

    name: str
    record: BucketRecord
    token: Token


class Usage(NamedTuple):
    """What a bucket holds: objects, and what stands behind them in `HISTORY`: versions that are
    not current, and delete markers."""

    objects: int = 0
    bytes: int = 0
    noncurrent: int = 0
    noncurrent_bytes: int = 0


class BucketCache:
    """A reader that remembers bucket rows; all else goes through to `meta`.

    An entry counts only while the bucket's epoch is the one read before its row was.
    """

    def __init__(self, meta: MetaReader, epochs: Epochs) -> None:
        self._meta = meta
        self._epochs = epochs
        self._rows: dict[bytes, tuple[int, tuple[bytes, Token]]] = {}
        self.get_many = meta.get_many
        self.scan = meta.scan
        self.counters = meta.counters

    def get(self, space: int, key: bytes) -> Coroutine[Any, Any, tuple[bytes, Token] | None]:
        """The value and token of a row, or None."""
        return self._meta.get(space, key) if space != keys.BUCKETS else self._bucket(key)

    async def _bucket(self, key: bytes) -> tuple[bytes, Token] | None:
        epoch = self._epochs.read(key)
        cached = self._rows.get(key)
        if cached is not None and cached[0] == epoch:
            return cached[1]
        row = await self._meta.get(keys.BUCKETS, key)
        self._rows.pop(key, None)
        if row is not None:
            keep(self._rows, key, (epoch, row), BUCKETS_CACHED_MAX)
        return row


# --- reading


async def find(store: Store, name: str) -> Bucket | None:
    """The bucket, or None."""
    return decode(name, await store.meta.get(keys.BUCKETS, name.encode()))


async def get(store: Store, name: str) -> Bucket:
    """The bucket. Raises NoSuchBucket."""
    bucket = await find(store, name)
    if bucket is None:
        raise missing(name)
    return bucket


def decode(name: str, row: tuple[bytes, Token] | None) -> Bucket | None:
    """A bucket from its row, as read or as a Conflict shows it."""
    return None if row is None else _decode(name, *row)


@lru_cache(BUCKETS_CACHED_MAX)  # each request needs its bucket, and few of them change
def _decode(name: str, value: bytes, token: Token) -> Bucket:
    return Bucket(name, records.decode(BucketRecord, value), token)


def missing(name: str) -> S3Error:
    """NoSuchBucket, naming the bucket."""
    return S3Error(codes.NO_SUCH_BUCKET, extra=(("BucketName", name),))


async def list_owned(
    store: Store, owner: str, prefix: str = "", after: str = "", limit: int = 10_000
) -> tuple[list[Bucket], bool]:
    """The owner's buckets whose names start with `prefix` and stand behind `after`.

    At most `limit` of them, and whether there are more.
    """
    start = max(prefix.encode(), keys.next_key(after.encode()) if after else keys.FIRST)
    end = keys.after(prefix.encode())
    found: list[Bucket] = []
    while True:
        rows = await store.meta.scan(keys.BUCKETS, start, end, LOOP_SCAN_ROWS_MAX)
        found += [bucket for bucket in map(_scanned, rows) if bucket.record.owner == owner]
        if len(found) > limit or len(rows) < LOOP_SCAN_ROWS_MAX:
            return found[:limit], len(found) > limit
        start = keys.next_key(rows[-1].key)


def _scanned(row: ScanRow) -> Bucket:
    return Bucket(row.key.decode(), records.decode(BucketRecord, row.value), row.token)


async def usage(store: Store, bucket: Bucket) -> Usage:
    """What is in the bucket: exact, because the figures move with each transaction."""
    key = keys.bucket_counter(bucket.record.id)
    found = await store.meta.counters(keys.CURRENT, key, keys.next_key(key))
    return Usage(*found[0][1][:4]) if found else Usage()


# --- changing


async def create(
    store: Store,
    name: str,
    owner: str,
    acl: records.Acl = None,
    configs: Mapping[Kind[Any], Any] = _NO_CONFIGS,
    versioning: int = NEVER_VERSIONED,
) -> tuple[Bucket, bool]:
    """The owner's bucket, and whether it is new. Raises BucketAlreadyExists for another's.

    A new one has these configurations, and that versioning.
    """
    record = BucketRecord(
        format=records.FORMAT,
        id=os.urandom(keys.BUCKET_ID_BYTES),
        owner=owner,
        created_ns=store.clock.now_ns(),
        region=store.region,
        acl=acl,
        configs=sum(kind.bit for kind in configs),
        versioning=versioning,
    )
    rows = [
        row
        for kind, config in configs.items()
        for row in config_rows.writing(record.id, kind, config)
    ]
    present = await find(store, name)
    retry = Retry(codes.OPERATION_ABORTED)
    while True:
        if present is None:
            try:
                return await _write(store, name, ABSENT, record, retry.arrival, rows), True
            except Conflict as conflict:
                lost = conflict
            await retry.after(lost)
            present = decode(name, lost.present[0])
        elif present.record.owner != owner:
            raise S3Error(codes.BUCKET_ALREADY_EXISTS, extra=(("BucketName", name),))
        elif present.record.state == BUCKET_ACTIVE:
            return present, False
        else:
            present = await _outwait(store, present)


async def writable(store: Store, bucket: Bucket) -> Bucket:
    """The bucket once no DeleteBucket is under way.

    Raises NoSuchBucket where that deleted it, OperationAborted where it does not come to an end.
    """
    if bucket.record.state == BUCKET_ACTIVE:
        return bucket
    present = await _outwait(store, bucket)
    if present is None or present.record.id != bucket.record.id:
        raise missing(bucket.name)
    return present


async def set_acl(store: Store, bucket: Bucket, acl: records.Acl) -> None:
    """Replaces the access control list. Raises NoSuchBucket, OperationAborted.

    It was allowed by the configurations that the bucket had: others abort it.
    """
    revision = bucket.record.configs_revision

    def with_acl(record: BucketRecord) -> BucketRecord:
        if record.configs_revision != revision:
            raise S3Error(codes.OPERATION_ABORTED)
        return msgspec.structs.replace(record, acl=acl)

    await change(store, bucket, with_acl)


async def set_versioning(store: Store, bucket: Bucket, versioning: int) -> None:
    """Has versions of objects kept from now on, or no longer. Moves no rows: whoever changes an
    object checks the bucket's row. Raises NoSuchBucket, OperationAborted, InvalidBucketState."""

    def with_it(record: BucketRecord) -> BucketRecord:
        object_lock.check_versioning(record, versioning)
        return msgspec.structs.replace(record, versioning=versioning)

    await change(store, bucket, with_it)


async def change(
    store: Store,
    bucket: Bucket,
    apply: Callable[[BucketRecord], BucketRecord],
    rows: Sequence[Row] = (),
    adds: Sequence[Add] = (),
) -> Bucket:
    """Rewrites a bucket's row as `apply` says, with `rows` and counters in the same transaction.

    Raises NoSuchBucket, OperationAborted, and what `apply` raises.
    """
    retry = Retry(codes.OPERATION_ABORTED)
    while True:
        bucket = await writable(store, bucket)
        record = apply(bucket.record)
        if record == bucket.record:
            return bucket
        try:
            return await _write(store, bucket.name, bucket.token, record, retry.arrival, rows, adds)
        except Conflict as conflict:
            lost = conflict
        await retry.after(lost)
        present = decode(bucket.name, lost.present[0])
        if present is None or present.record.id != bucket.record.id:
            raise missing(bucket.name)
        bucket = present


async def _outwait(store: Store, bucket: Bucket) -> Bucket | None:
    """Waits for a DeleteBucket to end; where it seems to have crashed, sets the bucket back.

    Setting it back is right even if the other still lives: its last step then fails its check.
    """
    present: Bucket | None = bucket
    for pause_s in _DELETING_PAUSES_S:
        await asyncio.sleep(pause_s)
        present = await find(store, bucket.name)
        if present is None or present.record.state == BUCKET_ACTIVE:
            return present
    assert present is not None
    try:
        return await _set_state(store, present, BUCKET_ACTIVE)
    except Conflict:
        raise S3Error(codes.OPERATION_ABORTED) from None


async def delete(store: Store, bucket: Bucket) -> None:
    """Deletes a bucket without objects and versions; uploads in it are aborted.

    Raises BucketNotEmpty, NoSuchBucket, OperationAborted.
    """
    present: Bucket | None = bucket
    retry = Retry(codes.OPERATION_ABORTED)
    while True:
        if present is None or present.record.id != bucket.record.id:
            raise missing(bucket.name)
        try:
            marked = await _set_state(store, present, BUCKET_DELETING, retry.arrival)
            if not await _is_empty(store, bucket.record.id):
                await _set_state(store, marked, BUCKET_ACTIVE)
                raise S3Error(codes.BUCKET_NOT_EMPTY, extra=(("BucketName", bucket.name),))
            await upload_rows.abort_all(store, bucket.record.id)
            rows = await _config_rows(store, marked.record)
            await _commit(store, bucket.name, marked.token, DELETE, rows=rows)
            return
        except Conflict as conflict:
            lost = conflict
        await retry.after(lost)
        present = decode(bucket.name, lost.present[0])


async def _is_empty(store: Store, bucket_id: bytes) -> bool:
    for space in (keys.CURRENT, keys.HISTORY):
        if await store.meta.scan(space, bucket_id, keys.after(bucket_id), 1):
            return False
    return True


async def _config_rows(store: Store, record: BucketRecord) -> list[Row]:
    """Lets go of the configurations of a bucket, all in the transaction that deletes it."""
    if not record.configs:
        return []
    end = keys.after(record.id)
    found = await store.meta.scan(keys.CONFIGS, record.id, end, LOOP_SCAN_ROWS_MAX)
    return config_rows.deleting(found)


async def _set_state(
    store: Store, bucket: Bucket, state: int, arrival: int | None = None
) -> Bucket:
    record = msgspec.structs.replace(bucket.record, state=state)
    return await _write(store, bucket.name, bucket.token, record, arrival)


async def _write(
    store: Store,
    name: str,
    expect: Token | None,
    record: BucketRecord,
    arrival: int | None = None,
    rows: Sequence[Row] = (),
    adds: Sequence[Add] = (),
) -> Bucket:
    token = await _commit(store, name, expect, records.encode(record), arrival, rows, adds)
    return Bucket(name, record, token)


async def _commit(
    store: Store,
    name: str,
    expect: Token | None,
    value: bytes | None,
    arrival: int | None = None,
    rows: Sequence[Row] = (),
    adds: Sequence[Add] = (),
) -> Token:
    """Commits one change of the bucket's row, and `rows` with it; returns the row's new token."""
    txn = Txn(new_txn_id(), [Row(keys.BUCKETS, name.encode(), expect, value), *rows], list(adds))
    has_events = any(row.space == keys.OUTBOX for row in rows)
    await store.ledger.commit(Entry(txn, arrival=arrival, has_events=has_events))
    return txn.id
