"""Copies an object by reference: the copy names the source's body, whatever its size.

One transaction checks the source's row, counts the body's new name and writes the copy's row. No
byte moves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import msgspec

from fastobj.core.crash_points import reach
from fastobj.meta.base import KEEP, Row
from fastobj.meta.records import ObjectRecord
from fastobj.objects import bodies, versions
from fastobj.objects.bodies import Share
from fastobj.objects.buckets import Bucket
from fastobj.objects.change import Change, change_key
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.store import Store
from fastobj.objects.versions import Version, Wanted

# What a copy of this object is to be, apart from its body and its time. Asked for each try; what
# it raises is passed on. Where the object has changed meanwhile there will be another try.
Describe = Callable[[ObjectRecord], Awaitable[ObjectRecord]]


class Source(NamedTuple):
    """The object to copy from, or the version of it."""

    bucket: Bucket
    key: bytes
    version: Wanted = None


class NotByReference(Exception):
    """What `describe` raises where the copy cannot have the source's body."""


class Copied(NamedTuple):
    """A copy, and the object that it was made from."""

    record: ObjectRecord
    source: ObjectRecord


async def copy_object(
    store: Store,
    source: Source,
    bucket: Bucket,
    key: bytes,
    describe: Describe,
    conditions: WriteConditions = UNCONDITIONAL,
) -> Copied:
    """Stores under `key` what `describe` makes of the source, with the source's body.

    `conditions` are on the object that it replaces. Raises S3Error (NoSuchKey and NoSuchVersion of
    the source, PreconditionFailed, NoSuchBucket, SlowDown), Unknown, Unavailable, NoSpace.
    """

    async def plan(change: Change) -> Copied:
        found = await _find(store, source, change)
        conditions.check(change.object)
        await change.join(found.record)
        described = await describe(found.record)
        copy = msgspec.structs.replace(
            described, modified_ns=store.clock.now_ns(), rename_token=b"", version=versions.NULL
        )
        record = await _put(store, change, found, copy)
        reach("copy.placed")
        return Copied(record, found.record)

    return await change_key(store, bucket, key, plan, conditions.exhausted)


async def _find(store: Store, source: Source, change: Change) -> Version:
    """The source as it is now; of the same key as the change knows it, for both are one row there.

    Raises Stale.
    """
    if _is_same_key(source, change):
        return await change.existing(source.version)
    return await versions.find(store, source.bucket, source.key, source.version)


def _is_same_key(source: Source, change: Change) -> bool:
    return (source.bucket.record.id, source.key) == (change.bucket.record.id, change.key)


async def _put(store: Store, change: Change, source: Version, copy: ObjectRecord) -> ObjectRecord:
    """Puts the copy, and counts the body's new name unless an old one goes in its favour.

    The source's row is checked, whatever else the change does of it.
    """
    gone = await change.replaced()
    if gone is not None and _is_same_row(gone, source):
        return await change.put(copy, keeps_body=True)
    copy = bodies.as_shared(copy)
    keeps_body = gone is not None and gone.record.data_id == source.record.data_id
    share = Share(KEEP) if keeps_body else await bodies.share(store, source.record)
    if change.current is not None and _is_same_row(change.current, source):  # it stays as a version
        change.carry(share.rows)
        return await change.put(copy, left=share.source or None, keeps_body=keeps_body)
    change.carry([_checked(source, share.source), *share.rows])
    return await change.put(copy, keeps_body=keeps_body)


def _is_same_row(one: Version, other: Version) -> bool:
    return (one.space, one.row_key) == (other.space, other.row_key)


def _checked(source: Version, left: bytes | Literal[0] = KEEP) -> Row:
    return Row(source.space, source.row_key, source.token, left)
