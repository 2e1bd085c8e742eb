"""Copies: one body with many names, races for source, destination and count, nothing leaked."""

import asyncio
import random
from functools import partial

import msgspec
import pytest

from fastobj.core import codes
from fastobj.core.errors import ChecksumMismatch, Conflict, NoSpace, S3Error, StaleLocation
from fastobj.core.limits import DELETE_KEYS_MAX, TXN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, Row, Txn, new_txn_id
from fastobj.objects import audit, buckets, copy, delete, versions
from fastobj.objects.buckets import Usage
from fastobj.objects.conditions import WriteConditions
from fastobj.objects.copy import Source
from fastobj.objects.delete import Deletion

from .conftest import gather_errors

SIZES = [1, 4, 64 * 1024, 200_000]


def raises(code):
    return pytest.raises(S3Error, check=lambda error: error.code is code)


async def as_it_is(record):
    return record


async def copied(world, bucket, source, key, *, to=None, store=None, **more):
    """Copies an object, within the bucket unless `to` names another."""
    described = more.pop("describe", as_it_is)
    args = (store or world.store, Source(bucket, source), to or bucket, key, described)
    return (await copy.copy_object(*args, **more)).record


async def deleted(world, bucket, key, store=None):
    await delete.delete_object(store or world.store, bucket, Deletion(key))


async def count_of(world, data_id):
    """How many names the shared row counts; None where there is none."""
    row = await world.engine.get(keys.SHARED, data_id)
    return row and records.decode(records.SharedRecord, row[0]).count


async def body_of(world, bucket, key, size):
    """Puts a body of that size, small or large; returns it."""
    body = random.Random(size).randbytes(size)
    if size > 64 * 1024:
        await world.put_large(bucket, key, body)
    else:
        await world.put(bucket, key, body)
    return body


@pytest.mark.parametrize("size", SIZES)
async def test_a_copy_names_the_same_body(world, size):
    bucket = await world.bucket()
    body = await body_of(world, bucket, b"a", size)
    stored = len(world.volume)
    for key in (b"b", b"c"):
        await copied(world, bucket, b"a", key)
    assert len(world.volume) == stored
    assert {await world.read(bucket, key) for key in (b"a", b"b", b"c")} == {body}
    rows = [await world.row(bucket, key) for key in (b"a", b"b", b"c")]
    assert len({row.data_id for row in rows}) == 1
    assert {row.location for row in rows} == {b""}
    assert await count_of(world, rows[0].data_id) == 3
    assert await world.usage(bucket) == Usage(3, 3 * size)
    assert await audit.differences(world.store) == []


@pytest.mark.parametrize("last", range(3))
async def test_the_last_one_gives_the_body_back(world, last):
    bucket = await world.bucket()
    body = await body_of(world, bucket, b"0", 70_000)
    await copied(world, bucket, b"0", b"1")
    await copied(world, bucket, b"1", b"2")
    record = await world.row(bucket, b"0")
    for index in range(3):
        if index != last:
            await deleted(world, bucket, b"%d" % index)
    assert await world.read(bucket, b"%d" % last) == body
    assert await count_of(world, record.data_id) == 1
    assert await audit.differences(world.store) == []
    await deleted(world, bucket, b"%d" % last)
    assert await count_of(world, record.data_id) is None
    assert len(world.volume) == 0
    assert await audit.differences(world.store) == []


async def test_an_overwrite_takes_one_name(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"first")
    await copied(world, bucket, b"a", b"b")
    await world.put(bucket, b"a", b"second")
    assert await world.read(bucket, b"b") == b"first"
    await world.put_large(bucket, b"b", b"third")
    assert len(world.volume) == 2
    assert await audit.differences(world.store) == []


async def test_a_copy_releases_what_it_replaces(world):
    bucket = await world.bucket()
    for key in (b"a", b"b", b"c"):
        await world.put(bucket, key, b"body of " + key)
    await copied(world, bucket, b"a", b"c")
    await copied(world, bucket, b"b", b"c")
    await copied(world, bucket, b"c", b"a")
    assert len(world.volume) == 1
    assert await world.read(bucket, b"a") == b"body of b"
    assert await audit.differences(world.store) == []


async def test_a_copy_over_a_copy_changes_no_count(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"body")
    for _ in range(3):
        await copied(world, bucket, b"a", b"b")
        await copied(world, bucket, b"b", b"a")
    assert await count_of(world, (await world.row(bucket, b"a")).data_id) == 2
    assert await audit.differences(world.store) == []


@pytest.mark.parametrize("shared", [False, True])
async def test_onto_itself(world, shared):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"body", metadata={"old": "1"})
    if shared:
        await copied(world, bucket, b"a", b"b")
    before = await world.row(bucket, b"a")

    async def describe(record):
        return msgspec.structs.replace(record, metadata={"new": "2"})

    world.clock.advance(5)
    await copied(world, bucket, b"a", b"a", describe=describe)
    after = await world.row(bucket, b"a")
    assert after.metadata == {"new": "2"}
    assert after.modified_ns > before.modified_ns
    assert (after.location, after.data_id) == (before.location, before.data_id)
    assert await world.read(bucket, b"a") == b"body"
    assert await audit.differences(world.store) == []


async def test_empty_bodies(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"", metadata={"n": "v"})
    await copied(world, bucket, b"a", b"b")
    await world.put(bucket, b"c", b"body")
    await copied(world, bucket, b"a", b"c")
    await copied(world, bucket, b"c", b"b")
    assert (await world.row(bucket, b"b")).metadata == {"n": "v"}
    assert await world.read(bucket, b"b") == b""
    assert len(world.volume) == 0
    await world.put(bucket, b"c", b"body")
    assert await audit.differences(world.store) == []


async def test_across_buckets(world):
    source, target = await world.bucket("source"), await world.bucket("target")
    await world.put(source, b"a", b"body")
    await copied(world, source, b"a", b"b", to=target)
    await deleted(world, source, b"a")
    await buckets.delete(world.store, source)
    assert await world.read(target, b"b") == b"body"
    assert await world.usage(target) == Usage(1, 4)
    assert await audit.differences(world.store) == []


async def test_what_a_copy_says(world):
    bucket = await world.bucket()
    content = {"headers": {"content-type": "a/b"}, "metadata": {"n": "v"}}
    source = await world.put(bucket, b"a", b"body", checksums={"crc32": "AAAA"}, **content)
    world.clock.advance(7)
    told = await copied(world, bucket, b"a", b"b")
    assert told == await world.row(bucket, b"b")
    same = {"location": b"", "modified_ns": world.clock.now_ns()}
    assert told == msgspec.structs.replace(source, **same)


async def test_missing_source(world):
    bucket = await world.bucket()
    with raises(codes.NO_SUCH_KEY) as caught:
        await copied(world, bucket, b"a", b"b")
    assert caught.value.extra == (("Key", "a"),)


async def test_conditions(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"first")
    absent_only = WriteConditions(if_none_match=("*",))
    with raises(codes.NO_SUCH_KEY):
        await copied(world, bucket, b"a", b"b", conditions=WriteConditions(if_match=("*",)))
    record = await copied(world, bucket, b"a", b"b", conditions=absent_only)
    with raises(codes.PRECONDITION_FAILED):
        await copied(world, bucket, b"a", b"b", conditions=absent_only)
    with raises(codes.PRECONDITION_FAILED):
        await copied(world, bucket, b"a", b"b", conditions=WriteConditions(if_match=("other",)))
    await copied(world, bucket, b"a", b"b", conditions=WriteConditions(if_match=(record.etag,)))
    assert await audit.differences(world.store) == []


# --- races: what happens between the reading and the commit


async def nothing(world, bucket):
    """Nobody is in the way."""


async def overwrite_source(world, bucket):
    await world.put(bucket, b"a", b"rival", store=world.direct)


async def overwrite_target(world, bucket):
    await world.put(bucket, b"b", b"rival", store=world.direct)


async def copy_source(world, bucket):
    await copied(world, bucket, b"a", b"rival", store=world.direct)


async def delete_and_put_back(world, bucket):
    await deleted(world, bucket, b"a", store=world.direct)
    await world.put(bucket, b"a", b"rival", store=world.direct)


async def swap(world, bucket):
    """The target is a copy of the source by then."""
    await copied(world, bucket, b"a", b"b", store=world.direct)


async def swap_back(world, bucket):
    await copied(world, bucket, b"b", b"a", store=world.direct)


RIVALS = [
    overwrite_source,
    overwrite_target,
    copy_source,
    delete_and_put_back,
    swap,
    swap_back,
]


@pytest.mark.parametrize("first", [nothing, copy_source, swap])
@pytest.mark.parametrize("rival", RIVALS)
async def test_lost_races(world, first, rival):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"source")
    await world.put(bucket, b"b", b"target")
    await first(world, bucket)
    world.gate.before.append(partial(rival, world, bucket))
    await copied(world, bucket, b"a", b"b")
    assert await world.read(bucket, b"b") == await world.read(bucket, b"a")
    assert await audit.differences(world.store) == []


@pytest.mark.parametrize("first", [nothing, copy_source, swap])
@pytest.mark.parametrize("rival", RIVALS)
async def test_overwrites_and_deletes_that_lose_races(world, first, rival):
    bucket = await world.bucket()
    for change in (
        partial(world.put, bucket, b"a", b"mine"),
        partial(deleted, world, bucket, b"a"),
    ):
        await world.put(bucket, b"a", b"source")
        await world.put(bucket, b"b", b"target")
        await first(world, bucket)
        world.gate.before.append(partial(rival, world, bucket))
        await change()
        assert await audit.differences(world.store) == []


async def test_source_deleted_meanwhile(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"source")
    world.gate.before.append(partial(deleted, world, bucket, b"a", store=world.direct))
    with raises(codes.NO_SUCH_KEY):
        await copied(world, bucket, b"a", b"b")
    assert await world.row(bucket, b"b") is None
    assert await audit.differences(world.store) == []


async def test_target_bucket_deleted_meanwhile(world):
    source, target = await world.bucket("source"), await world.bucket("target")
    await world.put(source, b"a", b"body")
    world.gate.before.append(partial(buckets.delete, world.direct, target))
    with raises(codes.NO_SUCH_BUCKET):
        await copied(world, source, b"a", b"b", to=target)
    assert await audit.differences(world.store) == []


async def test_a_lost_race_describes_the_source_again(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"source")
    world.gate.before.append(partial(overwrite_source, world, bucket))
    seen = []

    async def describe(record):
        seen.append(record.etag)
        if len(seen) == 2:
            raise S3Error(codes.PRECONDITION_FAILED)
        return record

    with raises(codes.PRECONDITION_FAILED):
        await copied(world, bucket, b"a", b"b", describe=describe)
    assert len(set(seen)) == 2


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (WriteConditions(), codes.SLOW_DOWN),
        (WriteConditions(if_none_match=("*",)), codes.CONDITIONAL_REQUEST_CONFLICT),
    ],
)
async def test_endless_race_ends(world, monkeypatch, conditions, code):
    monkeypatch.setattr("fastobj.objects.retry.CONFLICT_RETRIES_MAX", 3)
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"source")
    rows = [await world.engine.get(1, b"bucket"), None]
    rows.append(await world.engine.get(keys.CURRENT, keys.current(bucket.record.id, b"a")))
    rows.append(None)  # of the shared body to be

    async def lose():
        raise Conflict(rows)

    world.gate.before += [lose] * 4
    with raises(code):
        await copied(world, bucket, b"a", b"b", conditions=conditions)


async def test_a_failed_commit_changes_nothing(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"source")

    async def fail():
        raise NoSpace("full")

    world.gate.before.append(fail)
    with pytest.raises(NoSpace):
        await copied(world, bucket, b"a", b"b")
    assert (await world.row(bucket, b"a")).location
    assert await audit.differences(world.store) == []


async def test_a_transaction_is_small(world):
    bucket = await world.bucket()
    for key in (b"a", b"b", b"c"):
        await world.put(bucket, key, b"body of " + key)
        await copied(world, bucket, key, key + b"2")
    world.gate.entries.clear()
    await copied(world, bucket, b"a", b"b")
    (entry,) = world.gate.entries
    spaces = [row.space for row in entry.txn.rows]
    assert spaces == [keys.BUCKETS, keys.CURRENT, keys.CURRENT, keys.SHARED, keys.SHARED]
    assert len(spaces) <= TXN_ROWS_MAX
    assert entry.bodies == ()


async def test_many_at_once(world):
    """All that clients may do with five keys, at the same time."""
    bucket = await world.bucket()
    rng = random.Random(7)
    names = [b"%d" % number for number in range(5)]

    async def client(number):
        for _ in range(30):
            key, other = rng.choice(names), rng.choice(names)
            choice = rng.random()
            try:
                if choice < 0.5:
                    await copied(world, bucket, key, other)
                elif choice < 0.7:
                    await deleted(world, bucket, key)
                elif choice < 0.8:
                    wanted = [Deletion(name) for name in rng.sample(names, 3)]
                    assert not any(await delete.delete_objects(world.store, bucket, wanted))
                else:
                    await world.put(bucket, key, b"%d of %d" % (rng.randrange(999), number))
            except S3Error as error:
                if error.code is not codes.NO_SUCH_KEY:
                    raise

    await asyncio.gather(*map(client, range(16)))
    assert await audit.differences(world.store) == []
    await delete.delete_objects(world.store, bucket, list(map(Deletion, names)))
    assert await world.engine.counters(keys.SEGMENTS, keys.FIRST, keys.LAST) == []
    assert await world.engine.scan(keys.SHARED, keys.FIRST, keys.LAST, 9) == []


async def test_many_copies_are_deleted_in_one_commit(world):
    bucket = await world.bucket()
    await world.put(bucket, b"0", b"body")
    for number in range(1, 300):
        await copied(world, bucket, b"0", b"%d" % number)
    assert DELETE_KEYS_MAX >= 300
    world.gate.calls = 0
    wanted = [Deletion(b"%d" % number) for number in range(300)]
    assert await delete.delete_objects(world.store, bucket, wanted) == [None] * 300
    assert world.gate.calls == 1
    assert len(world.volume) == 0
    assert await audit.differences(world.store) == []


async def test_many_copies_are_deleted_against_a_rival(world):
    bucket = await world.bucket()
    await world.put(bucket, b"0", b"body")
    for number in range(1, 20):
        await copied(world, bucket, b"0", b"%d" % number)
    world.gate.before.append(partial(deleted, world, bucket, b"7", store=world.direct))
    wanted = [Deletion(b"%d" % number) for number in range(19)]
    assert await delete.delete_objects(world.store, bucket, wanted) == [None] * 19
    assert await world.read(bucket, b"19") == b"body"
    assert await audit.differences(world.store) == []


async def test_racers_for_one_count_all_succeed(world, monkeypatch):
    """Each loses but a few races, however many there are: they take turns at the count."""
    monkeypatch.setattr("fastobj.objects.retry.CONFLICT_RETRIES_MAX", 4)
    bucket = await world.bucket()
    await world.put(bucket, b"0", b"body")
    targets = [b"t%d" % number for number in range(64)]
    await asyncio.gather(*(copied(world, bucket, b"0", key) for key in targets))
    assert await count_of(world, (await world.row(bucket, b"0")).data_id) == 65
    results = await gather_errors(*(deleted(world, bucket, key) for key in targets))
    assert results == [None] * 64
    assert await audit.differences(world.store) == []


# --- reading


async def test_a_body_that_moves_is_read_where_it_is(world):
    """Whoever moves a shared body rewrites one row, whatever names the body has."""
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"body")
    await copied(world, bucket, b"a", b"b")
    data_id = (await world.row(bucket, b"a")).data_id
    value, token = await world.engine.get(keys.SHARED, data_id)
    moved = await world.large(b"body")
    place = msgspec.structs.replace(
        records.decode(records.SharedRecord, value), location=moved.location.encode()
    )
    asked = []

    async def read_there(location, *args):
        asked.append(location)
        return b"body"

    async def read_stale(*args):
        world.volume.read = read_there
        row = Row(keys.SHARED, data_id, token, records.encode(place))
        await world.engine.commit(Txn(new_txn_id(), [row]))
        raise StaleLocation("moved")

    world.volume.read = read_stale
    assert await world.read(bucket, b"b") == b"body"
    assert asked == [moved.location]


async def test_a_shared_row_that_is_lost_is_damage(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"body")
    await copied(world, bucket, b"a", b"b")
    data_id = (await world.row(bucket, b"a")).data_id
    _, token = await world.engine.get(keys.SHARED, data_id)
    await world.engine.commit(Txn(new_txn_id(), [Row(keys.SHARED, data_id, token, DELETE)]))
    with pytest.raises(ChecksumMismatch):
        await world.read(bucket, b"a")
    assert audit.Difference(keys.SHARED, data_id, (2,), ()) in await audit.differences(world.store)


async def test_a_body_deleted_while_it_is_looked_for(world):
    bucket = await world.bucket()
    await world.put(bucket, b"a", b"body")
    await copied(world, bucket, b"a", b"b")
    await deleted(world, bucket, b"b")
    get = world.store.meta.get

    async def get_late(space, key):
        if space == keys.SHARED:
            world.store.meta.get = get
            await deleted(world, bucket, b"a", store=world.direct)
        return await get(space, key)

    world.store.meta.get = get_late
    with raises(codes.NO_SUCH_KEY):
        await world.read(bucket, b"a")


class _Between:
    """A reader that has somebody act once, before the first row that was not there is answered."""

    def __init__(self, meta, act):
        self._meta, self._act = meta, act

    async def get(self, space, key):
        found = await self._meta.get(space, key)
        if found is None and space == keys.CURRENT and (act := self._act):
            self._act = None
            await act()
        return found

    def __getattr__(self, name):
        return getattr(self._meta, name)


@pytest.mark.parametrize("wanted", [None, versions.NULL], ids=["latest", "null"])
async def test_an_object_that_comes_while_it_is_copied_onto_itself(world, wanted):
    bucket = await world.bucket()
    world.store.meta = _Between(world.engine, lambda: world.put(bucket, b"a", store=world.direct))
    source = Source(bucket, b"a", wanted)
    conditions = WriteConditions(if_none_match=("*",))
    with raises(codes.NO_SUCH_KEY):
        await copy.copy_object(world.store, source, bucket, b"a", as_it_is, conditions)
    assert await world.read(bucket, b"a") == b"body"
    assert await audit.differences(world.store) == []
