"""What a lock forbids and what may become of it, as tables; and where versions come and go."""

import itertools

import msgspec
import pytest

from fastobj.core.clock import Uptime
from fastobj.core.errors import S3Error, StoreDamaged
from fastobj.meta import keys
from fastobj.meta.base import ANY, DELETE, Row, Txn, new_txn_id
from fastobj.meta.records import VERSIONING_ENABLED, VERSIONING_SUSPENDED, Lock, ObjectRecord
from fastobj.objects import (
    buckets,
    configs,
    delete,
    get,
    locking,
    object_lock,
    rename,
    trusted_time,
)
from fastobj.objects.change import rewrite_object
from fastobj.objects.conditions import UNCONDITIONAL_READ
from fastobj.objects.delete import Deletion
from fastobj.objects.ledger import Entry
from fastobj.objects.object_lock import COMPLIANCE, GOVERNANCE, ObjectLock
from fastobj.objects.trusted_time import Moment, State
from tests.unit.objects.conftest import START_NS, gather_errors
from tests.unit.objects.damaging import write

S = 1_000_000_000
DAY_S = 86_400
NOW_S = 1000
NOW = Moment(State.AGREES, NOW_S * S, NOW_S * S)
AHEAD = Moment(State.AHEAD, NOW_S * S, 10**6 * S)
BEHIND = Moment(State.BEHIND, 10**6 * S, NOW_S * S)
UNKNOWN = Moment(State.UNKNOWN, 10**6 * S, 10**6 * S)
LATER, OVER = NOW_S + 1, NOW_S

# Lock, moment, bypass -> whether a version with it may go for good.
REMOVALS = [
    (Lock(), NOW, False, True),
    (Lock(legal_hold=False), NOW, False, True),
    (Lock(legal_hold=True), NOW, False, False),
    (Lock(legal_hold=True), NOW, True, False),
    (Lock(GOVERNANCE, OVER, True), NOW, True, False),
    (Lock(GOVERNANCE, LATER), NOW, False, False),
    (Lock(GOVERNANCE, LATER), NOW, True, True),
    (Lock(GOVERNANCE, OVER), NOW, False, True),
    (Lock(COMPLIANCE, LATER), NOW, False, False),
    (Lock(COMPLIANCE, LATER), NOW, True, False),
    (Lock(COMPLIANCE, OVER), NOW, False, True),
    (Lock("A NEW MODE", LATER), NOW, True, False),
    (Lock("A NEW MODE", OVER), NOW, False, True),
    (Lock(GOVERNANCE, LATER), AHEAD, False, False),
    (Lock(COMPLIANCE, OVER), AHEAD, True, False),
    (Lock(GOVERNANCE, OVER), AHEAD, True, True),
    (Lock(COMPLIANCE, LATER), BEHIND, False, False),
    (Lock(COMPLIANCE, OVER), BEHIND, False, True),
    (Lock(COMPLIANCE, 1), UNKNOWN, True, False),
    (Lock(legal_hold=False), UNKNOWN, False, True),
]


@pytest.mark.parametrize(("lock", "moment", "bypass", "may"), REMOVALS)
def test_removal(lock, moment, bypass, may):
    if may:
        object_lock.check_removal(lock, moment, bypass=bypass)
        return
    with pytest.raises(S3Error, match="protected by object lock") as caught:
        object_lock.check_removal(lock, moment, bypass=bypass)
    assert caught.value.code.name == "AccessDenied"
    is_over = bool(lock.mode) and lock.retain_until_s <= moment.latest_s and not lock.legal_hold
    tells = "fastobj clock confirm" in caught.value.message
    assert tells == (is_over and moment.state in (State.AHEAD, State.UNKNOWN))


# From, to, bypass -> whether that may be done while the first one lasts.
RETENTIONS = [
    ((GOVERNANCE, 2000), (GOVERNANCE, 2000), False, True),
    ((GOVERNANCE, 2000), (GOVERNANCE, 2001), False, True),
    ((GOVERNANCE, 2000), (GOVERNANCE, 1999), False, False),
    ((GOVERNANCE, 2000), (GOVERNANCE, 1999), True, True),
    ((GOVERNANCE, 2000), (COMPLIANCE, 2000), False, False),
    ((GOVERNANCE, 2000), (COMPLIANCE, 1500), True, True),
    ((GOVERNANCE, 2000), ("", 0), False, False),
    ((GOVERNANCE, 2000), ("", 0), True, True),
    ((COMPLIANCE, 2000), (COMPLIANCE, 2001), False, True),
    ((COMPLIANCE, 2000), (COMPLIANCE, 2000), False, True),
    ((COMPLIANCE, 2000), (COMPLIANCE, 1999), True, False),
    ((COMPLIANCE, 2000), (GOVERNANCE, 3000), True, False),
    ((COMPLIANCE, 2000), ("", 0), True, False),
    (("", 0), (COMPLIANCE, 2000), False, True),
    (("", 0), ("", 0), False, True),
]


@pytest.mark.parametrize(("before", "wanted", "bypass", "may"), RETENTIONS)
@pytest.mark.parametrize("hold", [None, False, True])
def test_retention(before, wanted, bypass, may, hold):
    lock = Lock(*before, hold)
    if not may:
        with pytest.raises(S3Error, match="protected"):
            object_lock.with_retention(lock, *wanted, NOW, bypass=bypass)
        return
    assert object_lock.with_retention(lock, *wanted, NOW, bypass=bypass) == Lock(*wanted, hold)


PAIRS = list(
    itertools.permutations(
        [(GOVERNANCE, 900), (COMPLIANCE, 1000), (GOVERNANCE, 2000), (COMPLIANCE, 3000), ("", 0)], 2
    )
)


@pytest.mark.parametrize(("before", "wanted"), PAIRS)
def test_a_retention_that_is_over_binds_nobody(before, wanted):
    if before[1] <= NOW_S:
        lock = object_lock.with_retention(Lock(*before), *wanted, NOW, bypass=False)
        assert lock == Lock(*wanted)
    for moment in (AHEAD, UNKNOWN):  # it may not be
        if before[0] == COMPLIANCE and (wanted[0] != COMPLIANCE or wanted[1] < before[1]):
            with pytest.raises(S3Error, match="protected"):
                object_lock.with_retention(Lock(*before), *wanted, moment, bypass=True)


def test_where_there_was_no_lock():
    made = object_lock.with_retention(None, GOVERNANCE, 2000, NOW, bypass=False)
    assert made == Lock(GOVERNANCE, 2000)
    assert object_lock.with_legal_hold(None, True) == Lock(legal_hold=True)
    assert object_lock.with_legal_hold(made, False) == Lock(GOVERNANCE, 2000, False)


# --- defaults


@pytest.mark.parametrize(
    ("lock", "begun", "ended"),
    [
        (ObjectLock(GOVERNANCE, days=1), 0, DAY_S),
        (ObjectLock(GOVERNANCE, days=36_500), 0, 36_500 * DAY_S),
        (ObjectLock(GOVERNANCE, years=1), 0, 365 * DAY_S),
        (ObjectLock(GOVERNANCE, years=1), 730 * DAY_S, (730 + 366) * DAY_S),  # all of 1972
        (ObjectLock(GOVERNANCE, years=1), (2 * 365 + 59) * DAY_S, (3 * 365 + 60) * DAY_S),
        (ObjectLock(GOVERNANCE, years=100), object_lock.LATEST_S, object_lock.LATEST_S),
        (ObjectLock(GOVERNANCE, days=36_500), 10**20, object_lock.LATEST_S),
    ],
)
def test_how_long_a_default_lasts(lock, begun, ended):
    assert lock.retain_until_s(begun) == ended


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ((None, 1, None), "MalformedXML"),
        (("governance", 1, None), "MalformedXML"),
        (("", 1, None), "MalformedXML"),
        ((GOVERNANCE, None, None), "MalformedXML"),
        ((GOVERNANCE, 1, 1), "MalformedXML"),
        ((GOVERNANCE, 0, None), "InvalidArgument"),
        ((COMPLIANCE, None, -1), "InvalidArgument"),
        ((COMPLIANCE, None, 101), "InvalidArgument"),
        ((COMPLIANCE, 36_501, None), "InvalidArgument"),
    ],
)
def test_defaults_that_cannot_be(stated, code):
    with pytest.raises(S3Error) as caught:
        object_lock.checked(*stated)
    assert caught.value.code.name == code


def test_defaults_count_from_the_later_clock():
    default = ObjectLock(GOVERNANCE, days=1)
    for moment in (AHEAD, BEHIND):
        assert object_lock.with_default(None, default, moment) == Lock(GOVERNANCE, 10**6 + DAY_S)
    hold = Lock(legal_hold=True)
    assert object_lock.with_default(hold, default, NOW) == Lock(GOVERNANCE, NOW_S + DAY_S, True)
    stated = Lock(COMPLIANCE, 1)
    assert object_lock.with_default(stated, default, NOW) is stated
    assert object_lock.with_default(None, ObjectLock(), NOW) is None


# --- where versions come and go


async def lockable(world):
    """A bucket with versions and lock, in a store whose uptime advances with its clock."""
    world.store.uptime = lambda: Uptime("boot", world.clock.monotonic_ns())
    bucket = await world.bucket()
    await buckets.set_versioning(world.store, bucket, VERSIONING_ENABLED)
    bucket = await buckets.get(world.store, "bucket")
    await locking.enable(world.store, bucket, ObjectLock())
    return await buckets.get(world.store, "bucket")


def in_days(days, mode=COMPLIANCE):
    return Lock(mode, START_NS // S + days * DAY_S)


async def remove(world, bucket, record, **more):
    return await delete.delete_object(
        world.store, bucket, Deletion(b"key", version=record.version, **more)
    )


async def test_a_version_is_kept_until_its_retention_is_over(world):
    locked = await lockable(world)
    kept = await world.put(locked, b"key", lock=in_days(2))
    assert (await get.find_object(world.store, locked, b"key")).lock == in_days(2)
    for _ in range(2):
        with pytest.raises(S3Error, match="protected"):
            await remove(world, locked, kept, bypass=True)
        world.clock.advance(DAY_S * S)
    await remove(world, locked, kept)
    with pytest.raises(S3Error, match="does not exist"):
        await get.find_object(world.store, locked, b"key", kept.version)


@pytest.mark.parametrize("is_current", [True, False])
async def test_a_clock_that_was_set(world, is_current):
    """Ahead: nothing ends. Back: all lasts until it says so."""
    locked = await lockable(world)
    kept = await world.put(locked, b"key", lock=in_days(2))
    if not is_current:
        await world.put(locked, b"key")
    up = world.clock.monotonic_ns()
    world.store.uptime = lambda: Uptime("boot", up)
    world.clock.advance(10 * DAY_S * S)
    with pytest.raises(S3Error, match="clock has been set ahead"):
        await remove(world, locked, kept)
    record = trusted_time.confirmed(trusted_time.reading(world.store))
    await trusted_time.save(world.store, record, ANY)
    world.clock.advance(-9 * DAY_S * S)
    with pytest.raises(S3Error, match="protected"):
        await remove(world, locked, kept)
    world.clock.advance(9 * DAY_S * S)
    await remove(world, locked, kept)


async def test_without_a_trusted_time_nothing_ends(world):
    locked = await lockable(world)
    kept = await world.put(locked, b"key", lock=in_days(1))
    world.clock.advance(2 * DAY_S * S)
    row = Row(keys.JOBS, keys.JOB_TRUSTED_TIME, ANY, DELETE)
    await world.store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
    with pytest.raises(S3Error, match="does not know what time to trust"):
        await remove(world, locked, kept)


async def test_a_marker_above_it_is_allowed(world):
    locked = await lockable(world)
    kept = await world.put(locked, b"key", lock=Lock(legal_hold=True))
    marker = await delete.delete_object(world.store, locked, Deletion(b"key"))
    assert marker.is_marker
    assert (await get.find_object(world.store, locked, b"key", kept.version)).lock.legal_hold
    await delete.delete_object(world.store, locked, Deletion(b"key", version=marker.version))
    with pytest.raises(S3Error, match="protected"):
        await remove(world, locked, kept)


async def test_of_many_each_is_judged_for_itself(world):
    locked = await lockable(world)
    kept = await world.put(locked, b"a", lock=in_days(1))
    free = await world.put(locked, b"b")
    asked = [Deletion(b"a", version=kept.version), Deletion(b"b", version=free.version)]
    refused, done = await delete.delete_objects(world.store, locked, asked)
    assert refused.code.name == "AccessDenied"
    assert done.version == free.version
    assert (await world.usage(locked)).objects == 1


async def test_versioning_stays_enabled(world):
    locked = await lockable(world)
    with pytest.raises(S3Error, match="versioning state cannot be changed"):
        await buckets.set_versioning(world.store, locked, VERSIONING_SUSPENDED)


async def test_no_lock_without_versions(world):
    bucket = await world.bucket()
    for state in (None, VERSIONING_SUSPENDED):
        if state is not None:
            await buckets.set_versioning(world.store, bucket, state)
            bucket = await buckets.get(world.store, "bucket")
        with pytest.raises(S3Error, match="Versioning must be 'Enabled'"):
            await locking.enable(world.store, bucket, ObjectLock())
    with pytest.raises(S3Error, match="missing Object Lock Configuration"):
        await world.put(bucket, b"key", lock=in_days(1))
    assert await world.row(bucket, b"key") is None


async def test_a_default_that_comes_while_an_object_does(world):
    """The change of the bucket's row makes the put look again."""
    locked = await lockable(world)

    async def give_default():
        await locking.enable(world.direct, locked, ObjectLock(COMPLIANCE, days=1))

    world.direct.uptime = world.store.uptime
    world.gate.before.append(give_default)
    record = await world.put(locked, b"key")
    assert record.lock == in_days(1)


async def test_a_configuration_that_cannot_be_read_refuses(world):
    locked = await lockable(world)
    place = keys.config(locked.record.id, configs.OBJECT_LOCK.number, 0)
    await write(world.store, keys.CONFIGS, place, b"\xc1")
    world.store.configs.clear()
    with pytest.raises(StoreDamaged):
        await world.put(locked, b"key")
    assert await world.row(locked, b"key") is None


@pytest.mark.parametrize("lock", [("COMPLIANCE", "soon"), "locked", [1, 2, 3], [[], 0, None]])
async def test_a_lock_that_cannot_be_read_refuses(world, lock):
    locked = await lockable(world)
    kept = await world.put(locked, b"key", lock=in_days(1))
    fields = msgspec.to_builtins(kept, builtin_types=(bytes,))
    fields[ObjectRecord.__struct_fields__.index("lock")] = lock
    row_key = keys.current(locked.record.id, b"key")
    await write(world.store, keys.CURRENT, row_key, msgspec.msgpack.encode(fields))
    for bypass in (False, True):
        with pytest.raises(StoreDamaged):
            await remove(world, locked, kept, bypass=bypass)
    assert await world.engine.get(keys.CURRENT, row_key) is not None


async def test_what_replaces_or_moves_is_refused_too(world):
    """No such lock can come to be without versions; if one did, it would hold."""
    bucket = await world.bucket()
    await world.put(bucket, b"key")
    record = await world.row(bucket, b"key")
    row_key = keys.current(bucket.record.id, b"key")
    held = msgspec.structs.replace(record, lock=Lock(legal_hold=True))
    await write(world.store, keys.CURRENT, row_key, msgspec.msgpack.encode(held))
    attempts = [
        lambda: world.put(bucket, b"key", b"other"),
        lambda: delete.delete_object(world.store, bucket, Deletion(b"key", bypass=True)),
        lambda: rename.rename(
            world.store, bucket, b"key", b"moved", UNCONDITIONAL_READ, UNCONDITIONAL_READ
        ),
    ]
    for attempt in attempts:
        with pytest.raises(S3Error, match="protected"):
            await attempt()
    assert await world.read(bucket, b"key") == b"body"


async def hold(world, bucket, version):
    """Puts a version under a legal hold."""

    def edit(record):
        held = object_lock.with_legal_hold(record.lock, True)
        return msgspec.structs.replace(record, lock=held)

    await rewrite_object(world.store, bucket, b"key", version, edit)


async def test_who_bypasses_races_with_a_legal_hold(world):
    """Either the hold was there first, and the version stays, or there was nothing to hold."""
    locked = await lockable(world)
    outcomes = set()
    for ahead in range(0, 65, 8):  # so many who remove it begin before the hold does
        kept = await world.put(locked, b"key", lock=in_days(1, GOVERNANCE))
        calls = [remove(world, locked, kept, bypass=True) for _ in range(64)]
        calls.insert(ahead, hold(world, locked, kept.version))
        results = await gather_errors(*calls)
        held = results.pop(ahead)
        refusals = [it.code.name for it in results if isinstance(it, S3Error)]
        if isinstance(held, S3Error):
            assert held.code.name == "NoSuchVersion"
            assert refusals == []
            with pytest.raises(S3Error, match="does not exist"):
                await get.find_object(world.store, locked, b"key", kept.version)
        else:
            assert refusals == ["AccessDenied"] * 64
            left = await get.find_object(world.store, locked, b"key", kept.version)
            assert left.lock == Lock(GOVERNANCE, kept.lock.retain_until_s, True)
        outcomes.add(held is None)
    assert outcomes == {True, False}
