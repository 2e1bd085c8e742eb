"""The audit finds what it is there to find."""

from fastobj.meta import keys
from fastobj.meta.base import Add, Txn, new_txn_id
from fastobj.objects import audit
from fastobj.objects.audit import Difference


async def add(world, space, key, amounts):
    await world.engine.commit(Txn(new_txn_id(), [], [Add(space, key, amounts)]))


async def test_a_store_in_order(world):
    assert await audit.differences(world.store) == []
    for name in ("first", "second"):
        bucket = await world.bucket(name)
        for number in range(150):
            await world.put(bucket, b"%d" % number, b"x" * number)
    assert await audit.differences(world.store) == []


async def test_counters_that_differ(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"body")
    counter = keys.bucket_counter(bucket.record.id)
    await add(world, keys.CURRENT, counter, (1, 3))
    await add(world, keys.SEGMENTS, keys.segment(77), (5, 1))
    assert await audit.differences(world.store) == [
        Difference(keys.CURRENT, counter, (1, 4), (2, 7)),
        Difference(keys.SEGMENTS, keys.segment(77), (), (5, 1)),
    ]


async def test_counter_of_zeros_equals_none(world):
    await add(world, keys.SEGMENTS, keys.segment(77), (0, 0))
    assert await audit.differences(world.store) == []
