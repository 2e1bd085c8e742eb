"""Deletes: idempotent, conditional, many at once, and what they give back."""

from functools import partial

import pytest

from fastobj.core import codes, limits
from fastobj.core.errors import NoSpace, S3Error
from fastobj.objects import audit, delete
from fastobj.objects.buckets import Usage
from fastobj.objects.change import OBJECT_ROW
from fastobj.objects.conditions import WriteConditions
from fastobj.objects.delete import Deletion


def raises(code):
    return pytest.raises(S3Error, check=lambda error: error.code is code)


def matching(etag):
    return WriteConditions(if_match=(etag,))


def codes_of(results):
    return [result and result.code for result in results]


async def test_delete_gives_everything_back(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key")
    await world.put_large(bucket, b"large", b"x" * 100_000)
    await world.put(bucket, b"empty", b"")
    for key in (b"key", b"large", b"empty", b"key", b"never"):
        await delete.delete_object(world.store, bucket, Deletion(key))
    assert len(world.volume) == 0
    assert await world.usage(bucket) == Usage(0, 0)
    assert await audit.differences(world.store) == []


async def test_conditions(world):
    bucket = await world.bucket()
    record = await world.put(bucket, b"key")
    with raises(codes.PRECONDITION_FAILED):
        await delete.delete_object(world.store, bucket, Deletion(b"key", matching("other")))
    await delete.delete_object(world.store, bucket, Deletion(b"key", matching(record.etag)))
    with raises(codes.NO_SUCH_KEY):
        await delete.delete_object(world.store, bucket, Deletion(b"key", matching(record.etag)))


async def test_lost_race(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key")
    rival = partial(world.put, bucket, b"key", b"rival", store=world.direct)
    world.gate.before.append(rival)
    await delete.delete_object(world.store, bucket, Deletion(b"key"))
    assert await world.row(bucket, b"key") is None
    record = await world.put(bucket, b"key")
    world.gate.before.append(rival)
    with raises(codes.PRECONDITION_FAILED):
        await delete.delete_object(world.store, bucket, Deletion(b"key", matching(record.etag)))


async def test_lost_to_another_delete(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key")
    rival = partial(delete.delete_object, world.direct, bucket, Deletion(b"key"))
    world.gate.before.append(rival)
    await delete.delete_object(world.store, bucket, Deletion(b"key"))
    assert await world.usage(bucket) == Usage(0, 0)


async def test_many_in_one_commit(world):
    bucket = await world.bucket()
    keys = [b"%04d" % number for number in range(limits.LOOP_SCAN_ROWS_MAX * 2 + 7)]
    for key in keys[::2]:
        await world.put(bucket, key)
    world.gate.calls = 0
    deletions = [Deletion(key) for key in keys]
    assert await delete.delete_objects(world.store, bucket, deletions) == [None] * len(keys)
    assert world.gate.calls == 1
    assert await world.usage(bucket) == Usage(0, 0)
    assert await delete.delete_objects(world.store, bucket, deletions) == [None] * len(keys)
    assert world.gate.calls == 1


async def test_many_with_conditions(world):
    bucket = await world.bucket()
    etags = [(await world.put(bucket, key, key)).etag for key in (b"a", b"b")]
    deletions = [
        Deletion(b"a", matching(etags[0])),
        Deletion(b"b", matching(etags[0])),
        Deletion(b"c", matching(etags[0])),
        Deletion(b"d"),
    ]
    results = await delete.delete_objects(world.store, bucket, deletions)
    assert codes_of(results) == [None, codes.PRECONDITION_FAILED, codes.NO_SUCH_KEY, None]
    assert await world.usage(bucket) == Usage(1, 1)


async def test_repeated_key(world):
    bucket = await world.bucket()
    record = await world.put(bucket, b"a")
    twice = [Deletion(b"a"), Deletion(b"a"), Deletion(b"a", matching(record.etag))]
    results = await delete.delete_objects(world.store, bucket, twice)
    assert codes_of(results) == [None, None, codes.NO_SUCH_KEY]
    assert await world.usage(bucket) == Usage(0, 0)


async def test_only_lost_keys_go_again(world):
    bucket = await world.bucket()
    for key in (b"a", b"b", b"c"):
        await world.put(bucket, key)
    world.gate.before.append(partial(world.put, bucket, b"b", b"rival", store=world.direct))
    world.gate.entries.clear()
    deletions = [Deletion(key) for key in (b"a", b"b", b"c")]
    assert await delete.delete_objects(world.store, bucket, deletions) == [None] * 3
    assert [entry.txn.rows[OBJECT_ROW].key[8:] for entry in world.gate.entries] == [
        b"a",
        b"b",
        b"c",
        b"b",
    ]
    assert await audit.differences(world.store) == []


async def test_endless_race_fails_its_key_only(world, monkeypatch):
    monkeypatch.setattr("fastobj.objects.retry.CONFLICT_RETRIES_MAX", 1)
    bucket = await world.bucket()
    for key in (b"a", b"b"):
        await world.put(bucket, key)
    rival = partial(world.put, bucket, b"a", b"rival", store=world.direct)
    world.gate.before += [rival, rival]
    results = await delete.delete_objects(world.store, bucket, [Deletion(b"a"), Deletion(b"b")])
    assert codes_of(results) == [codes.SLOW_DOWN, None]


async def test_failure_of_one_key(world, monkeypatch):
    bucket = await world.bucket()
    for key in (b"a", b"b"):
        await world.put(bucket, key)

    async def refuse_first(entries):
        return [NoSpace("full"), *await world.direct.ledger.commit_many(entries[1:])]

    monkeypatch.setattr(world.gate, "commit_many", refuse_first)
    results = await delete.delete_objects(world.store, bucket, [Deletion(b"a"), Deletion(b"b")])
    assert [type(result) for result in results] == [NoSpace, type(None)]
