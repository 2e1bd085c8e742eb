"""Copies an object by reference: the copy names the source's body, whatever its size.

One transaction checks the source's row, counts the body's new name and writes the copy's row. No
byte moves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from fastobj.core import codes
from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict
from fastobj.meta import keys
from fastobj.meta.base import KEEP, Row, Token
from fastobj.meta.records import ObjectRecord
from fastobj.objects import bodies, buckets, get, put
from fastobj.objects.bodies import Share
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.ledger import Entry
from fastobj.objects.put import OBJECT_ROW
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store
from fastobj.objects.turns import Turn

_SOURCE_ROW: Final = OBJECT_ROW + 1  # an object that is copied onto itself has only the one

# What a copy of this object is to be, apart from its body and its time. Asked for each try; what
# it raises is passed on. Where the object has changed meanwhile there will be another try.
Describe = Callable[[ObjectRecord], Awaitable[ObjectRecord]]
_Present = tuple[bytes, Token] | None


class Source(NamedTuple):
    """The object to copy from."""

    bucket: Bucket
    key: bytes


class NotByReference(Exception):
    """What `describe` raises where the copy cannot have the source's body."""


async def copy_object(
    store: Store,
    source: Source,
    bucket: Bucket,
    key: bytes,
    describe: Describe,
    conditions: WriteConditions = UNCONDITIONAL,
) -> ObjectRecord:
    """Stores under `key` what `describe` makes of the source, with the source's body.

    `conditions` are on the object that it replaces. Raises S3Error (NoSuchKey of the source,
    PreconditionFailed, NoSuchBucket, SlowDown), Unknown, Unavailable, NoSpace.
    """
    row_key = keys.current(bucket.record.id, key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        copying = _Copying(store, source, row_key, describe)
        return await copying.run(bucket, conditions, turn)


class _Copying:
    """The tries of one copy."""

    def __init__(self, store: Store, source: Source, row_key: bytes, describe: Describe) -> None:
        self._store = store
        self._source = source
        self._source_key = keys.current(source.bucket.record.id, source.key)
        self._row_key = row_key
        self._is_onto_itself = self._source_key == row_key
        self._describe = describe

    async def run(self, bucket: Bucket, conditions: WriteConditions, turn: Turn) -> ObjectRecord:
        store = self._store
        conditional = conditions != UNCONDITIONAL
        retry = Retry(codes.CONDITIONAL_REQUEST_CONFLICT if conditional else codes.SLOW_DOWN, turn)
        present, origin = await self._read()
        while True:
            bucket = await buckets.writable(store, bucket)
            source, old = put.decode(origin), put.decode(present)
            if source is None or origin is None:
                raise get.missing(self._source.key)
            conditions.check(old)
            if await bodies.join(turn, source):
                present, origin = await self._read()
                continue
            described = await self._describe(source)
            copy = msgspec.structs.replace(
                described, modified_ns=store.clock.now_ns(), rename_token=b""
            )
            if self._is_onto_itself:
                carried, release = Carried(copy.data_id, copy.location), bodies.NOTHING
            else:
                copy = bodies.as_shared(copy)
                carried, release = await self._place(source, origin[1], old)
            txn = put.transaction(bucket, self._row_key, copy, carried, present, old, release)
            reach("copy.placed")
            try:
                await store.ledger.commit(Entry(txn, arrival=retry.arrival))
                return copy
            except Conflict as conflict:
                lost = conflict
            bucket = put.same_bucket(bucket, lost)
            present = lost.present[OBJECT_ROW]
            origin = present if self._is_onto_itself else lost.present[_SOURCE_ROW]
            if await retry.after(lost):
                present, origin = await self._read()

    async def _read(self) -> tuple[_Present, _Present]:
        """The rows of the object to replace and of the source."""
        pairs = [(keys.CURRENT, self._row_key), (keys.CURRENT, self._source_key)]
        present, origin = await self._store.meta.get_many(pairs)
        return present, origin

    async def _place(
        self, source: ObjectRecord, token: Token, old: ObjectRecord | None
    ) -> tuple[Carried, bodies.Release]:
        """The row of the source, checked; the body's new name, and that of the one recarried.

        Where both are of one body, its count stays.
        """
        if old is not None and old.data_id == source.data_id:
            share, release = Share(KEEP), bodies.NOTHING
        else:
            share = await bodies.share(self._store, source)
            release = await bodies.release(self._store, old)
        checked = Row(keys.CURRENT, self._source_key, token, share.source)
        return Carried(source.data_id, b"", rows=(checked, *share.rows)), release
