"""Versions: where each change leaves them, what it gives back, and races of 64 writers."""

import asyncio
import random
from functools import partial

import msgspec
import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta import keys, records
from fastobj.objects import acl, audit, buckets, change, copy, delete, get, versions
from fastobj.objects.buckets import Usage
from fastobj.objects.conditions import WriteConditions
from fastobj.objects.copy import Source
from fastobj.objects.delete import Deleted, Deletion
from fastobj.objects.versions import NULL, DeleteMarkerFound
from tests.unit.objects.test_delete import raises
from tests.unit.objects.versioning import (
    ENABLED,
    SUSPENDED,
    Yielding,
    listed,
    remove,
    set_to,
    stack,
    versioned,
)

WRITERS = 64


async def as_it_is(record):
    return record


async def body_of(world, bucket, key, version=None):
    _, body = await get.read_object(
        world.store, bucket, key, lambda it: get.Span(0, it.size), wanted=version
    )
    return body


# --- ids


def test_ids_are_read_back():
    for order in (1, 2**63, keys.ORDER_MAX):
        version = versions.new_id(order)
        assert versions.order_of(version) == order
        assert versions.parse_id(versions.id_text(version)) == version
    assert versions.parse_id("null") == NULL
    assert versions.order_of(NULL) == 0


@pytest.mark.parametrize("text", ["", "Null", "a" * 15, "a" * 17, "=" * 16, "é" * 16, "a+/" * 5])
def test_what_is_no_id(text):
    with raises(codes.INVALID_ARGUMENT):
        versions.parse_id(text)


# --- what a change costs


async def test_a_plain_bucket_pays_nothing(world):
    bucket = await world.bucket()
    reads = []
    meta = world.store.meta
    for name in ("get", "get_many", "scan"):
        world.store.meta = Counting(world.store.meta, name, reads)
    await world.put(bucket, b"key")
    await world.put(bucket, b"key")
    await remove(world, bucket, b"key")
    world.store.meta = meta
    assert [space for name, space in reads] == [keys.CURRENT] * 3
    rows = [[row.space for row in entry.txn.rows] for entry in world.gate.entries]
    assert rows == [[keys.BUCKETS, keys.CURRENT]] * 3


class Counting:
    """A reader that notes what is asked of it by one name."""

    def __init__(self, meta, name, reads):
        self._meta = meta
        self._name = name
        self._reads = reads

    def __getattr__(self, name):
        if name == self._name:
            return self._note
        return getattr(self._meta, name)

    async def _note(self, *args):
        self._reads.append((self._name, args[0]))
        return await getattr(self._meta, self._name)(*args)


async def test_a_delete_checks_the_bucket(world):
    """Versioning was enabled between the read of the bucket and the commit: nothing is lost."""
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"kept")
    world.gate.before.append(partial(buckets.set_versioning, world.direct, bucket, ENABLED))
    deleted = await remove(world, bucket, b"key")
    assert deleted.is_marker
    bucket = await buckets.get(world.store, bucket.name)
    assert await stack(world, bucket, b"key") == [(deleted.version, True), (NULL, False)]
    assert await body_of(world, bucket, b"key", NULL) == b"kept"


async def test_many_deletes_check_the_bucket(world):
    bucket = await world.bucket()
    for key in (b"a", b"b"):
        await world.put(bucket, key)
    world.gate.before.append(partial(buckets.set_versioning, world.direct, bucket, ENABLED))
    results = await delete.delete_objects(world.store, bucket, [Deletion(b"a"), Deletion(b"b")])
    assert [result.is_marker for result in results] == [True, True]
    bucket = await buckets.get(world.store, bucket.name)
    assert await world.usage(bucket) == Usage(0, 0, 4, 8)


# --- where versions stand


async def test_usage(world):
    bucket = await versioned(world)
    first = await world.put(bucket, b"key", b"12345")
    await world.put(bucket, b"key", b"123")
    assert await world.usage(bucket) == Usage(1, 3, 1, 5)
    marker = await remove(world, bucket, b"key")
    assert await world.usage(bucket) == Usage(0, 0, 3, 8)
    await remove(world, bucket, b"key", first.version)
    await remove(world, bucket, b"key", marker.version)
    assert await world.usage(bucket) == Usage(1, 3)
    assert len(world.volume) == 1
    assert await audit.differences(world.store) == []


async def test_a_version_keeps_its_place(world):
    """Its row moves, and its body does not."""
    bucket = await versioned(world)
    record, large = await world.put_large(bucket, b"key", b"x" * 100_000)
    await world.put(bucket, b"key")
    found = await versions.find(world.store, bucket, b"key", record.version)
    assert found.space == keys.HISTORY
    assert found.record == record
    assert found.record.location == large.location.encode()


async def test_nothing_is_left_of_a_key(world):
    bucket = await versioned(world)
    record = await world.put(bucket, b"key")
    marker = await remove(world, bucket, b"key")
    for version in (record.version, marker.version):
        await remove(world, bucket, b"key", version)
    for space in (keys.CURRENT, keys.HISTORY, keys.STAMPS):
        assert await world.engine.scan(space, keys.FIRST, keys.LAST, 9) == []
    await buckets.delete(world.store, bucket)


async def test_a_clock_that_goes_back(world):
    """The order of versions is that of their commits, whatever the clock says."""
    bucket = await versioned(world)
    made = []
    for _ in range(5):
        made.append((await world.put(bucket, b"key")).version)
        world.clock.advance(-(10**9))
    assert await stack(world, bucket, b"key") == [(version, False) for version in reversed(made)]


async def test_an_object_of_the_future(world):
    bucket = await world.bucket()
    await world.put(bucket, b"key", b"future")
    world.clock.advance(-(10**15))
    bucket = await set_to(world, bucket, ENABLED)
    record = await world.put(bucket, b"key", b"now")
    assert await stack(world, bucket, b"key") == [(record.version, False), (NULL, False)]


async def test_keys_that_begin_another(world):
    """What stands between keys in the rows of their versions is in no key."""
    bucket = await versioned(world)
    names = [b"a", b"a\0", b"a\0\0", b"a\0\xc3\xbf", b"aa", b"b\0"]
    for name in names * 2:
        await world.put(bucket, name)
    found, _ = await listed(world, bucket)
    assert [one.key for one in found] == [name for name in sorted(names) for _ in range(2)]
    for name in names:
        assert len(await stack(world, bucket, name)) == 2


async def test_conditions_of_a_version(world):
    bucket = await versioned(world)
    first = await world.put(bucket, b"key", b"first")
    await world.put(bucket, b"key", b"second")
    wrong, right = WriteConditions(("other",)), WriteConditions((first.etag,))
    with raises(codes.PRECONDITION_FAILED):
        await delete.delete_object(world.store, bucket, Deletion(b"key", wrong, first.version))
    for _ in range(2):  # what is not there is deleted whatever is asked of it
        deletion = Deletion(b"key", right, first.version)
        deleted = await delete.delete_object(world.store, bucket, deletion)
        assert deleted == Deleted(first.version, False)


async def test_what_is_said_of_a_version_changes_in_place(world):
    bucket = await versioned(world)
    await world.put(bucket, b"key", b"first")
    first = await get.find_object(world.store, bucket, b"key")
    await world.put(bucket, b"key", b"second")
    second = await get.find_object(world.store, bucket, b"key")
    grants = (records.Grant("CanonicalUser", "else", "READ"),)
    told = await acl.set_object_acl(world.store, bucket, b"key", grants, first.version)
    assert told == msgspec.structs.replace(first, acl=grants)
    assert await get.find_object(world.store, bucket, b"key", first.version) == told
    assert await get.find_object(world.store, bucket, b"key") == second
    marker = await remove(world, bucket, b"key")
    for wanted in (None, marker.version):
        with pytest.raises(DeleteMarkerFound):
            await acl.set_object_acl(world.store, bucket, b"key", grants, wanted)
    with raises(codes.NO_SUCH_VERSION):
        await acl.set_object_acl(world.store, bucket, b"key", grants, NULL)


async def test_a_plan_may_add_rows(world):
    """What others want to have in the same transaction: events, rows of the time index."""
    bucket = await versioned(world)
    record = await world.put(bucket, b"key")
    row = change.Row(keys.JOBS, b"other", change.ABSENT, b"value")

    async def plan(trying):
        await trying.remove(await trying.version(record.version))
        trying.carry([row])

    await change.change_key(world.store, bucket, b"key", plan)
    assert (await world.engine.get(keys.JOBS, b"other"))[0] == b"value"
    assert await stack(world, bucket, b"key") == []


# --- races


async def test_64_writers_make_64_versions(world):
    bucket = await versioned(world)
    world.store.meta = Yielding(world.store.meta)
    stores = (world.store, world.direct)
    made = await asyncio.gather(
        *(world.put(bucket, b"key", b"%d" % n, store=stores[n % 2]) for n in range(WRITERS))
    )
    order = sorted((one.version for one in made), reverse=True)
    assert await stack(world, bucket, b"key") == [(version, False) for version in order]
    for record, number in zip(made, range(WRITERS), strict=True):
        assert await body_of(world, bucket, b"key", record.version) == b"%d" % number
    assert await audit.differences(world.store) == []


async def test_64_writers_leave_one_null_version(world):
    bucket = await versioned(world, ENABLED)
    kept = await world.put(bucket, b"key", b"kept")
    bucket = await set_to(world, bucket, SUSPENDED)
    world.store.meta = Yielding(world.store.meta)
    stores = (world.store, world.direct)
    await asyncio.gather(
        *(world.put(bucket, b"key", b"%d" % n, store=stores[n % 2]) for n in range(WRITERS))
    )
    assert await stack(world, bucket, b"key") == [(NULL, False), (kept.version, False)]
    assert await audit.differences(world.store) == []


async def test_each_version_goes_that_64_delete_by_its_id(world):
    """While others promote the next one: none is taken for gone because it has just moved."""
    bucket = await versioned(world)
    made = [await world.put(bucket, b"key", b"%d" % number) for number in range(WRITERS)]
    world.store.meta = Yielding(world.store.meta)
    random.shuffle(made)
    await asyncio.gather(*(remove(world, bucket, b"key", one.version) for one in made))
    assert await stack(world, bucket, b"key") == []
    assert len(world.volume) == 0
    assert await world.usage(bucket) == Usage()


async def test_one_of_64_is_the_first(world):
    bucket = await versioned(world)
    await remove(world, bucket, b"key")
    world.store.meta = Yielding(world.store.meta)
    first = WriteConditions(if_none_match=("*",))
    results = await asyncio.gather(
        *(world.put(bucket, b"key", b"%d" % n, first) for n in range(WRITERS)),
        return_exceptions=True,
    )
    lost = [one for one in results if isinstance(one, S3Error)]
    assert len(lost) == WRITERS - 1
    assert {error.code for error in lost} == {codes.PRECONDITION_FAILED}


async def test_a_version_is_found_while_it_moves(world):
    bucket = await versioned(world)
    record = await world.put(bucket, b"key", b"moving")
    world.store.meta = Yielding(world.store.meta)

    async def overwrite_and_promote():
        for _ in range(20):
            newer = await world.put(bucket, b"key", b"newer", store=world.direct)
            await asyncio.sleep(0)
            await remove(world, bucket, b"key", newer.version, store=world.direct)
            await asyncio.sleep(0)

    mover = asyncio.ensure_future(overwrite_and_promote())
    while not mover.done():
        assert await body_of(world, bucket, b"key", record.version) == b"moving"
    await mover


async def test_a_mixed_crowd(world):
    """Puts, deletes, deletes by id and copies at once, while versioning is switched."""
    bucket = await versioned(world)
    chance = random.Random(20)
    seen = [NULL]
    world.store.meta = Yielding(world.store.meta)

    async def act():
        store = chance.choice([world.store, world.direct])
        present = await buckets.get(store, bucket.name)
        key = chance.choice([b"a", b"b"])
        what = chance.choice("ppddvvvcs")
        if what == "p":
            seen.append((await world.put(present, key, store=store)).version)
        elif what == "d":
            await remove(world, present, key, store=store)
        elif what == "v":
            await remove(world, present, key, chance.choice(seen), store=store)
        elif what == "s":
            state = chance.choice([ENABLED, SUSPENDED])
            await buckets.set_versioning(store, present, state)
        else:
            source = Source(present, b"a", chance.choice([None, *seen]))
            await copy.copy_object(store, source, present, key, as_it_is)

    results = await asyncio.gather(*(act() for _ in range(400)), return_exceptions=True)
    expected = {codes.NO_SUCH_KEY, codes.NO_SUCH_VERSION, codes.METHOD_NOT_ALLOWED}
    for one in results:
        if isinstance(one, BaseException):
            assert isinstance(one, S3Error), repr(one)
            assert one.code in expected
    bucket = await buckets.get(world.store, bucket.name)
    for key in (b"a", b"b"):
        for version, is_marker in await stack(world, bucket, key):
            if not is_marker:
                assert await body_of(world, bucket, key, version) == b"body"
    assert await audit.differences(world.store) == []
