"""Puts an object under a key: one transaction over the bucket's row and the object's.

A small body travels with the transaction and is placed by the ledger; a large one is durable in
its volume before the transaction is sent. An overwrite releases the body that it replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import Conflict
from fastobj.core.secret import Secret
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, KEEP, Add, Row, Token, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord
from fastobj.objects import bodies, buckets
from fastobj.objects.bodies import Release
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried, LargeBody, carry_large, carry_small
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store
from fastobj.objects.turns import Turn

# Where the rows of these stand in a transaction that puts an object.
_BUCKET_ROW: Final = 0
OBJECT_ROW: Final = 1


class Content(msgspec.Struct, frozen=True):
    """What is stored under the key, apart from the bytes: see ObjectRecord for each field."""

    size: int
    etag: str
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    checksums: dict[str, str] = {}
    acl: records.Acl = None
    blake3: bytes = b""
    tags: dict[str, str] = {}
    encryption: records.Encryption | None = None


async def check_conditions(
    store: Store, bucket: Bucket, key: bytes, conditions: WriteConditions
) -> None:
    """Checks conditions before a body is asked for; the transaction checks them again."""
    if conditions != UNCONDITIONAL:
        row = await store.meta.get(keys.CURRENT, keys.current(bucket.record.id, key))
        conditions.check(decode(row))


async def put_small(
    store: Store,
    bucket: Bucket,
    key: bytes,
    content: Content,
    body: bytes,
    conditions: WriteConditions = UNCONDITIONAL,
    encrypting: Secret | None = None,
) -> ObjectRecord:
    """Stores an object whose body is at most `store.small_body_bytes_max` bytes.

    Where the content is encrypted, `encrypting` is its key; a large body is encrypted already.
    Raises S3Error (PreconditionFailed, NoSuchKey, NoSuchBucket, SlowDown), Unknown, Unavailable,
    NoSpace.
    """
    carried = carry_small(body, bucket.name.encode() + b"/" + key, encrypting)
    return await _put(store, bucket, key, content, carried, conditions)


async def put_large(
    store: Store,
    bucket: Bucket,
    key: bytes,
    content: Content,
    body: LargeBody,
    conditions: WriteConditions = UNCONDITIONAL,
) -> ObjectRecord:
    """Stores an object whose body is in its volume; settles or aborts its writer.

    Raises what `put_small` raises.
    """
    async with carry_large(store, body) as carried:
        return await _put(store, bucket, key, content, carried, conditions)


async def _put(
    store: Store,
    bucket: Bucket,
    key: bytes,
    content: Content,
    carried: Carried,
    conditions: WriteConditions,
) -> ObjectRecord:
    row_key = keys.current(bucket.record.id, key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        return await _put_in_turn(store, bucket, row_key, content, carried, conditions, turn)


async def _put_in_turn(
    store: Store,
    bucket: Bucket,
    row_key: bytes,
    content: Content,
    carried: Carried,
    conditions: WriteConditions,
    turn: Turn,
) -> ObjectRecord:
    conditional = conditions != UNCONDITIONAL
    retry = Retry(codes.CONDITIONAL_REQUEST_CONFLICT if conditional else codes.SLOW_DOWN, turn)
    present = await store.meta.get(keys.CURRENT, row_key)
    while True:
        bucket = await buckets.writable(store, bucket)
        old = decode(present)
        conditions.check(old)
        if await bodies.join(turn, old):
            present = await store.meta.get(keys.CURRENT, row_key)
            continue
        record = record_of(store, content, carried)
        release = await bodies.release(store, old)
        txn = transaction(bucket, row_key, record, carried, present, old, release)
        carried.send()
        try:
            await store.ledger.commit(Entry(txn, carried.bodies, retry.arrival))
            return record
        except Conflict as conflict:
            lost = conflict
        bucket = same_bucket(bucket, lost)
        present = lost.present[OBJECT_ROW]
        if await retry.after(lost):
            present = await store.meta.get(keys.CURRENT, row_key)


def decode(row: tuple[bytes, Token] | None) -> ObjectRecord | None:
    """An object from its row, as read or as a Conflict shows it."""
    return None if row is None else records.decode(ObjectRecord, row[0])


def same_bucket(bucket: Bucket, conflict: Conflict) -> Bucket:
    """The bucket's present row; one made again under the same name is another bucket."""
    present = buckets.decode(bucket.name, conflict.present[_BUCKET_ROW])
    if present is None or present.record.id != bucket.record.id:
        raise buckets.missing(bucket.name)
    return present


def record_of(store: Store, content: Content, carried: Carried) -> ObjectRecord:
    """The record of an object that is put as a whole."""
    return ObjectRecord(
        format=records.FORMAT,
        location=carried.location,
        data_id=carried.data_id,
        size=content.size,
        etag=content.etag,
        modified_ns=store.clock.now_ns(),
        headers=content.headers,
        metadata=content.metadata,
        checksums=content.checksums,
        acl=content.acl,
        blake3=content.blake3,
        tags=content.tags,
        encryption=content.encryption,
    )


def transaction(
    bucket: Bucket,
    row_key: bytes,
    record: ObjectRecord,
    carried: Carried,
    present: tuple[bytes, Token] | None,
    old: ObjectRecord | None,
    release: Release,
    others: Sequence[Row] = (),
) -> Txn:
    """Puts the object in place of `old`, which is what the row `present` holds.

    `others` are rows that change with it; they stand right behind the object's.
    """
    value = records.encode(record)
    rows = [
        Row(keys.BUCKETS, bucket.name.encode(), bucket.token, KEEP),
        Row(keys.CURRENT, row_key, present[1] if present else ABSENT, value),
        *others,
        *carried.rows,
        *release.rows,
    ]
    counted = (0, record.size - old.size) if old is not None else (1, record.size)
    counter = keys.bucket_counter(bucket.record.id)
    adds = [Add(keys.CURRENT, counter, counted), *carried.adds, *release.adds]
    return Txn(new_txn_id(), rows, adds, carried.refs(OBJECT_ROW, value))
