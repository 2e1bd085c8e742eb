"""Puts an object under a key, whose one transaction is a change of that key.

A small body travels with the transaction and is placed by the ledger; a large one is durable in
its volume before the transaction is sent.
"""

from __future__ import annotations

import msgspec

from fastobj.core.secret import Secret
from fastobj.meta import records
from fastobj.meta.records import ObjectRecord
from fastobj.objects import versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried, LargeBody, carry_large, carry_small
from fastobj.objects.change import Change, change_key
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.store import Store


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
    lock: records.Lock | None = None


async def check_conditions(
    store: Store, bucket: Bucket, key: bytes, conditions: WriteConditions
) -> None:
    """Checks conditions before a body is asked for; the transaction checks them again."""
    if conditions != UNCONDITIONAL:
        conditions.check(await versions.current_object(store, bucket, key))


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
    async def plan(change: Change) -> ObjectRecord:
        conditions.check(change.object)
        return await change.put(record_of(store, content, carried), carried)

    return await change_key(store, bucket, key, plan, conditions.exhausted)


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
        lock=content.lock,
    )
