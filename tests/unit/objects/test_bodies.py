"""How bodies are accounted for: what a transaction carries that names one more, or less."""

import msgspec
import pytest

from fastobj.core.errors import Conflict
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, KEEP, Row, Txn, new_txn_id
from fastobj.meta.records import SharedRecord
from fastobj.objects import bodies
from fastobj.objects.bodies import NOTHING, Release, Share
from fastobj.storage.base import Location


def shared_row(record, count):
    return records.encode(SharedRecord(records.FORMAT, record.location, count))


async def share_by_hand(world, record, count):
    """Commits a shared row for the object's body; the record that now says so, and the token."""
    row = Row(keys.SHARED, record.data_id, ABSENT, shared_row(record, count))
    txn = Txn(new_txn_id(), [row])
    await world.engine.commit(txn)
    return bodies.as_shared(record), txn.id


async def stored(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"body")
    return await world.row(bucket, b"key")


async def empty(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"")
    return await world.row(bucket, b"key")


async def test_nothing_is_released_of_nothing(world):
    assert await bodies.release(world.store, None) == NOTHING
    assert await bodies.release(world.store, await empty(world)) == NOTHING


async def test_an_empty_body_is_shared_by_nothing(world):
    record = await empty(world)
    assert await bodies.share(world.store, record) == Share(KEEP)
    assert bodies.as_shared(record) == record
    assert bodies.kept(world.store, record) == []


async def test_a_body_with_one_name(world):
    record = await stored(world)
    (gone,) = (await bodies.release(world.store, record)).adds
    (there,) = bodies.kept(world.store, record)
    assert gone.amounts == (-4, -1)
    assert there.amounts == (4, 1)
    segment = Location.decode(record.location).segment
    assert {gone.key, there.key} == {keys.segment(segment)}
    assert (await bodies.release(world.store, record)).rows == ()


async def test_the_first_share_moves_the_location(world):
    record = await stored(world)
    share = await bodies.share(world.store, record)
    assert share.rows == (Row(keys.SHARED, record.data_id, ABSENT, shared_row(record, 2)),)
    left = records.decode(records.ObjectRecord, share.source)
    assert left == msgspec.structs.replace(record, location=b"")
    assert bodies.kept(world.store, left) == []
    assert bodies.kept(world.store, SharedRecord(1, record.location, 2)) == bodies.kept(
        world.store, record
    )


async def test_each_further_name_is_counted(world):
    record = await stored(world)
    shared, token = await share_by_hand(world, record, 2)
    more, less = (shared_row(record, count) for count in (3, 1))
    assert await bodies.share(world.store, shared) == Share(
        KEEP, (Row(keys.SHARED, record.data_id, token, more),)
    )
    assert await bodies.release(world.store, shared) == Release(
        (Row(keys.SHARED, record.data_id, token, less),)
    )
    assert await bodies.shared_location(world.store, record.data_id) == record.location


async def test_with_the_last_name_goes_the_body(world):
    record = await stored(world)
    shared, token = await share_by_hand(world, record, 1)
    alone = (await bodies.release(world.store, record)).adds
    assert await bodies.release(world.store, shared) == Release(
        (Row(keys.SHARED, record.data_id, token, DELETE),), alone
    )


async def test_a_share_that_is_not_there_fails_the_transaction(world):
    """The object's row has changed meanwhile. Nothing may ever name a body that is not there."""
    shared = bodies.as_shared(await stored(world))
    for row in (await bodies.share(world.store, shared)).rows:
        with pytest.raises(Conflict):
            await world.engine.commit(Txn(new_txn_id(), [row]))
    release = await bodies.release(world.store, shared)
    assert release == Release((Row(keys.SHARED, shared.data_id, ABSENT, KEEP),))
    assert await bodies.shared_location(world.store, shared.data_id) == b""


async def test_what_is_foreseen_counts_down(world):
    record = await stored(world)
    shared, first = await share_by_hand(world, record, 3)
    ahead = {}
    expected = first
    for left in (shared_row(record, 2), shared_row(record, 1), DELETE):
        release = await bodies.release(world.store, shared, ahead)
        assert release.rows == (Row(keys.SHARED, record.data_id, expected, left),)
        assert bool(release.adds) == (left is DELETE)
        txn = Txn(new_txn_id(), list(release.rows))
        bodies.foresee(ahead, txn)
        expected = txn.id
    assert ahead == {record.data_id: None}
    assert await bodies.shared_location(world.store, record.data_id) == record.location
