"""Puts an object under a key: one transaction over the bucket's row and the object's.

A small body travels with the transaction and is placed by the ledger; a large one is durable in
its volume before the transaction is sent. An overwrite releases the body that it replaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from fastobj._ext.crc import crc32c
from fastobj.core import codes
from fastobj.core.errors import Conflict, S3Error
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, KEEP, Add, BodyRef, Row, Token, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord
from fastobj.objects import bodies, buckets
from fastobj.objects.bodies import Release
from fastobj.objects.buckets import Bucket
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.segment_rows import sealing_rows, usage_add
from fastobj.objects.store import Store
from fastobj.objects.turns import Turn
from fastobj.storage.base import NO_LOCATION, Digest, Location, SmallBody, Writer, new_data_id

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


class LargeBody:
    """A body that its writer has finished, and that no transaction names yet."""

    def __init__(self, writer: Writer, data_id: bytes, location: Location) -> None:
        self.writer = writer
        self.data_id = data_id
        self.location = location
        self._is_sent = False

    def send(self) -> None:
        """A transaction that names the body is about to be sent."""
        if not self._is_sent:
            self._is_sent = True
            self.writer.sent()

    async def close(self, error: BaseException | None = None) -> None:
        """No transaction will be sent any more; `error` is how the last one ended.

        Gives the room back where none was sent. A cancelled commit may still be on its way, so
        its body stays held.
        """
        if not self._is_sent:
            await self.writer.abort()
        elif not isinstance(error, asyncio.CancelledError):
            self.writer.settled()


async def receive(
    store: Store,
    length: int,
    digests: Sequence[Digest],
    readinto: Callable[[memoryview], Awaitable[int]],
) -> LargeBody:
    """Takes a body of `length` bytes into the volume; `readinto` fills what it is given.

    Raises IncompleteBody where it fills less, what it raises itself, and NoSpace. Nothing is
    left then.
    """
    data_id = new_data_id()
    writer = await store.volume.writer(length, data_id, digests)
    try:
        while length:
            room = (await writer.buffer())[:length]
            if await readinto(room) != len(room):
                raise S3Error(codes.INCOMPLETE_BODY)
            await writer.push(len(room))
            length -= len(room)
        return LargeBody(writer, data_id, await writer.finish())
    except BaseException:
        await writer.abort()
        raise


class Placed(NamedTuple):
    """What a body puts into the record and into each try of the transaction."""

    data_id: bytes
    location: bytes
    bodies: tuple[SmallBody, ...] = ()
    rows: tuple[Row, ...] = ()
    adds: tuple[Add, ...] = ()


_EMPTY = Placed(b"", NO_LOCATION)


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
) -> ObjectRecord:
    """Stores an object whose body is at most `store.small_body_bytes_max` bytes.

    Raises S3Error (PreconditionFailed, NoSuchKey, NoSuchBucket, SlowDown), Unknown, Unavailable,
    NoSpace.
    """
    placed = _EMPTY
    if body:
        data_id = new_data_id()
        hint = bucket.name.encode() + b"/" + key
        small = SmallBody(data_id, body, crc32c(body), hint)
        placed = Placed(data_id, NO_LOCATION, bodies=(small,))
    return await _put(store, bucket, key, content, placed, conditions, None)


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
    error: BaseException | None = None
    try:
        placed = Placed(
            body.data_id,
            body.location.encode(),
            rows=tuple(sealing_rows(body.writer)),
            adds=(usage_add(store.volume.accounts(body.location, +1)),),
        )
        return await _put(store, bucket, key, content, placed, conditions, body)
    except BaseException as failure:
        error = failure
        raise
    finally:
        await body.close(error)


async def _put(
    store: Store,
    bucket: Bucket,
    key: bytes,
    content: Content,
    placed: Placed,
    conditions: WriteConditions,
    large: LargeBody | None,
) -> ObjectRecord:
    row_key = keys.current(bucket.record.id, key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        return await _put_in_turn(store, bucket, row_key, content, placed, conditions, large, turn)


async def _put_in_turn(
    store: Store,
    bucket: Bucket,
    row_key: bytes,
    content: Content,
    placed: Placed,
    conditions: WriteConditions,
    large: LargeBody | None,
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
        record = _record(store, content, placed)
        release = await bodies.release(store, old)
        txn = transaction(bucket, row_key, record, placed, present, old, release)
        if large is not None:
            large.send()
        try:
            await store.ledger.commit(Entry(txn, placed.bodies, retry.arrival))
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


def _record(store: Store, content: Content, placed: Placed) -> ObjectRecord:
    return ObjectRecord(
        format=records.FORMAT,
        location=placed.location,
        data_id=placed.data_id,
        size=content.size,
        etag=content.etag,
        modified_ns=store.clock.now_ns(),
        headers=content.headers,
        metadata=content.metadata,
        checksums=content.checksums,
        acl=content.acl,
    )


def transaction(
    bucket: Bucket,
    row_key: bytes,
    record: ObjectRecord,
    placed: Placed,
    present: tuple[bytes, Token] | None,
    old: ObjectRecord | None,
    release: Release,
) -> Txn:
    """Puts the object in place of `old`, which is what the row `present` holds."""
    value = records.encode(record)
    rows = [
        Row(keys.BUCKETS, bucket.name.encode(), bucket.token, KEEP),
        Row(keys.CURRENT, row_key, present[1] if present else ABSENT, value),
        *placed.rows,
        *release.rows,
    ]
    counted = (0, record.size - old.size) if old is not None else (1, record.size)
    counter = keys.bucket_counter(bucket.record.id)
    adds = [Add(keys.CURRENT, counter, counted), *placed.adds, *release.adds]
    refs = [
        BodyRef(body.data_id, OBJECT_ROW, records.location_offset(value)) for body in placed.bodies
    ]
    return Txn(new_txn_id(), rows, adds, refs)
