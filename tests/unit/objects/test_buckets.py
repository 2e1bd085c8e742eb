"""Buckets: who gets the name, who may delete, and what a crash in between leaves."""

import asyncio

import pytest

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.meta import keys
from fastobj.meta.records import BUCKET_ACTIVE, BUCKET_DELETING
from fastobj.objects import buckets
from fastobj.objects.buckets import BucketCache, Usage
from fastobj.testing.store import LocalEpochs


def raises(code):
    return pytest.raises(S3Error, check=lambda error: error.code is code)


async def test_create_then_find(world):
    made, is_new = await buckets.create(world.store, "bucket", "ann")
    assert is_new
    assert await buckets.get(world.store, "bucket") == made
    assert made.record.owner == "ann"
    assert made.record.created_ns == world.clock.now_ns()
    assert len(made.record.id) == keys.BUCKET_ID_BYTES


async def test_create_again(world):
    made, _ = await buckets.create(world.store, "bucket", "ann")
    assert await buckets.create(world.store, "bucket", "ann") == (made, False)
    with raises(codes.BUCKET_ALREADY_EXISTS):
        await buckets.create(world.store, "bucket", "bob")


async def test_create_loses_a_race(world):
    world.gate.before.append(lambda: buckets.create(world.direct, "bucket", "bob"))
    with raises(codes.BUCKET_ALREADY_EXISTS):
        await buckets.create(world.store, "bucket", "ann")


async def test_one_of_many_creators_wins(world):
    made = await asyncio.gather(*(buckets.create(world.store, "bucket", "ann") for _ in range(20)))
    assert [is_new for _, is_new in made].count(True) == 1
    assert len({bucket.token for bucket, _ in made}) == 1


async def test_get_of_nothing(world):
    with raises(codes.NO_SUCH_BUCKET):
        await buckets.get(world.store, "bucket")


async def test_delete(world):
    bucket = await world.bucket()
    await buckets.delete(world.store, bucket)
    assert await buckets.find(world.store, "bucket") is None
    with raises(codes.NO_SUCH_BUCKET):
        await buckets.delete(world.store, bucket)


async def test_delete_with_objects(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key")
    with raises(codes.BUCKET_NOT_EMPTY):
        await buckets.delete(world.store, bucket)
    assert (await buckets.get(world.store, "bucket")).record.state == BUCKET_ACTIVE
    await world.put(bucket, b"more")


async def test_put_between_mark_and_scan_is_refused_or_seen(world):
    bucket = await world.bucket()
    outcomes = []

    async def put():
        outcomes.append(asyncio.create_task(world.put(bucket, b"key", store=world.direct)))
        await asyncio.sleep(0)

    world.gate.before += [lambda: asyncio.sleep(0), put]
    await buckets.delete(world.store, bucket)
    with raises(codes.NO_SUCH_BUCKET):
        await outcomes[0]
    assert await world.engine.scan(keys.CURRENT, keys.FIRST, keys.LAST, 1) == []


async def test_put_outwaits_a_crashed_delete(world):
    bucket = await world.bucket()
    marked = await buckets._set_state(world.store, bucket, BUCKET_DELETING)
    await world.put(bucket, b"key")
    present = await buckets.get(world.store, "bucket")
    assert present.record.state == BUCKET_ACTIVE
    assert present.token != marked.token


async def test_create_and_delete_after_a_crashed_delete(world):
    bucket = await world.bucket()
    await buckets._set_state(world.store, bucket, BUCKET_DELETING)
    present, is_new = await buckets.create(world.store, "bucket", "owner")
    assert not is_new
    assert present.record.state == BUCKET_ACTIVE
    marked = await buckets._set_state(world.store, present, BUCKET_DELETING)
    await buckets.delete(world.store, marked)
    assert await buckets.find(world.store, "bucket") is None


async def test_delete_that_was_set_back_starts_again(world):
    bucket = await world.bucket()

    async def set_back():
        marked = await buckets.get(world.store, "bucket")
        await buckets._set_state(world.direct, marked, BUCKET_ACTIVE)

    world.gate.before += [lambda: asyncio.sleep(0), set_back]
    await buckets.delete(world.store, bucket)
    assert world.gate.calls == 4
    assert await buckets.find(world.store, "bucket") is None


async def test_concurrent_deletes_end(world):
    bucket = await world.bucket()
    results = await asyncio.gather(
        *(buckets.delete(world.store, bucket) for _ in range(8)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert {error.code for error in results if error} <= {
        codes.NO_SUCH_BUCKET,
        codes.OPERATION_ABORTED,
    }


async def test_bucket_made_again_is_another(world):
    old = await world.bucket()
    await buckets.delete(world.store, old)
    new = await world.bucket()
    assert new.record.id != old.record.id
    with raises(codes.NO_SUCH_BUCKET):
        await world.put(old, b"key")
    assert await world.usage(new) == Usage()


async def test_list_owned(world):
    names = [f"b{number:03}" for number in range(limits.LOOP_SCAN_ROWS_MAX + 30)]
    for name in names:
        await world.bucket(name, "ann")
        await world.bucket(f"{name}-bob", "bob")

    async def listed(**asked):
        found, more = await buckets.list_owned(world.store, "ann", **asked)
        return [bucket.name for bucket in found], more

    assert await listed() == (names, False)
    assert await listed(limit=len(names)) == (names, False)
    assert await listed(limit=len(names) - 1) == (names[:-1], True)
    assert await listed(after="b120") == (names[121:], False)
    assert await listed(prefix="b01", limit=3) == (names[10:13], True)
    assert await listed(prefix="b01", after="b012") == (names[13:20], False)
    assert await listed(prefix="c") == ([], False)


class CountingMeta:
    """Rows by (space, key), and how often they were asked for."""

    def __init__(self):
        self.rows = {}
        self.reads = 0
        self.get_many = self.scan = self.counters = None

    async def get(self, space, key):
        self.reads += 1
        return self.rows.get((space, key))


async def test_cache_reads_again_after_a_bump_only():
    meta, epochs = CountingMeta(), LocalEpochs()
    meta.rows[keys.BUCKETS, b"a"] = (b"value", b"token")
    cache = BucketCache(meta, epochs)
    for _ in range(3):
        assert await cache.get(keys.BUCKETS, b"a") == (b"value", b"token")
    assert meta.reads == 1
    del meta.rows[keys.BUCKETS, b"a"]
    epochs.bump(b"a")
    assert await cache.get(keys.BUCKETS, b"a") is None
    assert await cache.get(keys.BUCKETS, b"a") is None
    assert meta.reads == 3


async def test_cache_leaves_other_spaces_alone():
    meta = CountingMeta()
    cache = BucketCache(meta, LocalEpochs())
    for _ in range(2):
        assert await cache.get(keys.CURRENT, b"a") is None
    assert meta.reads == 2


async def test_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(buckets, "BUCKETS_CACHED_MAX", 3)
    meta = CountingMeta()
    cache = BucketCache(meta, LocalEpochs())
    for number in range(10):
        meta.rows[keys.BUCKETS, b"%d" % number] = (b"", b"")
        await cache.get(keys.BUCKETS, b"%d" % number)
    assert list(cache._rows) == [b"7", b"8", b"9"]


async def test_row_read_while_it_changes_is_not_kept():
    class Changing(CountingMeta):
        async def get(self, space, key):
            row = await super().get(space, key)
            epochs.bump(key)
            return row

    epochs = LocalEpochs()
    meta = Changing()
    meta.rows[keys.BUCKETS, b"a"] = (b"value", b"token")
    cache = BucketCache(meta, epochs)
    await cache.get(keys.BUCKETS, b"a")
    await cache.get(keys.BUCKETS, b"a")
    assert meta.reads == 2
