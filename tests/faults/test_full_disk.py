"""A full disk: writes are refused, reads and deletes go on, and space that comes back is used."""

import os

import pytest

from fastobj.testing.audited import differences_at
from tests.faults import disk

KIB = 1 << 10
MIB = 1 << 20


def small(rng):
    return max(KIB, int(60 * KIB * rng.random() ** 0.3))


def large(rng):
    return rng.randint(MIB, 8 * MIB)


def mixed(rng):
    return large(rng) if rng.random() < 0.02 else small(rng)


async def settle(full_disk, load):
    """The end of each test: nothing odd was answered, a restart changes nothing."""
    load.check_answers()
    full_disk.check_alive()
    full_disk.server.stop()
    assert await differences_at(full_disk.root) == []
    full_disk.start()
    load.check()


def drain(load, cycle):
    """Deletes everything, one by one or a thousand at once."""
    keys = sorted(load.stored)
    half = len(keys) // 2 if cycle % 3 == 2 else len(keys) * (cycle % 3)
    load.delete_many(keys[:half])
    load.delete(keys[half:])
    assert not load.stored
    assert load.listed() == []


async def cycles(full_disk, load, count, size):
    stored = []
    for cycle in range(count):
        load.fill()
        stored.append(sum(load.stored.values()))
        load.check(step=cycle % 3 * 5 + 1)  # all of it the first time
        full_disk.check_alive()
        drain(load, cycle)
        load.put_until_stored(size)
    # A fill that begins while reclaim still works may end early; a leak shows in all later ones.
    assert max(stored[count // 2 :]) > 0.7 * stored[0], f"space leaks: {stored}"
    await settle(full_disk, load)


async def test_small_bodies(full_disk, seed):
    await cycles(full_disk, full_disk.load(small, seed), 3, 60 * KIB)


async def test_large_bodies(full_disk, seed):
    await cycles(full_disk, full_disk.load(large, seed), 3, 8 * MIB)


async def test_a_foreign_file(full_disk, seed):
    load = full_disk.load(small, seed)
    for _ in range(300):
        load.put_until_stored(10 * KIB)
    disk.fill(full_disk.root / "foreign")
    load.fill()
    load.check()
    keys = sorted(load.stored)
    load.delete(keys[:200])
    load.empty(keys[200:250])
    load.delete_many(keys[200:-5])
    load.check()
    (full_disk.root / "foreign").unlink()
    load.put_until_stored(60 * KIB)
    load.put_until_stored(8 * MIB)
    await settle(full_disk, load)


async def test_a_kill_on_a_full_disk(full_disk, seed):
    load = full_disk.load(mixed, seed)
    load.fill()
    disk.fill(full_disk.root / "foreign")
    for _ in range(3):
        full_disk.server.kill_supervisor()
        full_disk.start()
        load.check()
        load.delete(sorted(load.stored)[:20])
    full_disk.check_alive()
    drain(load, 2)
    (full_disk.root / "foreign").unlink()
    load.put_until_stored(60 * KIB)
    load.put_until_stored(8 * MIB)
    await settle(full_disk, load)


async def test_a_start_with_no_block_for_the_index(full_disk, seed):
    """The database's index in shared memory begins anew with each start, and takes room for it."""
    load = full_disk.load(small, seed)
    load.fill()
    full_disk.server.kill_supervisor()
    (full_disk.root / "meta.db-shm").unlink()
    os.sync()  # else its blocks are not free yet
    disk.fill(full_disk.root / "foreign")
    full_disk.start()
    load.check()
    full_disk.check_alive()
    drain(load, 2)
    load.put_until_stored(60 * KIB)
    await settle(full_disk, load)


async def half_deleted(full_disk, load, count):
    """No segment is all dead where every other object is: only compaction gives the rest back."""
    load.fill()
    before = sum(load.stored.values())
    for _ in range(count):
        keys = sorted(load.stored)
        load.delete(keys[::2])
        half = sum(load.stored.values())
        load.fill_again(before - (before - half) // 3)
        load.check(step=7)
        full_disk.check_alive()
    await settle(full_disk, load)


@pytest.mark.parametrize("size", [small, large, mixed])
async def test_every_other_object_deleted(full_disk, seed, size):
    await half_deleted(full_disk, full_disk.load(size, seed), 2)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sizes", [small, large, mixed])
async def test_many_cycles(full_disk, seed, sizes):
    await cycles(full_disk, full_disk.load(sizes, seed), 12, 8 * MIB)
