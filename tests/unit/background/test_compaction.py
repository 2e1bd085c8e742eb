"""Compaction: what lives leaves sparse segments, byte for byte, and nothing else changes."""

import asyncio
import os
from contextlib import asynccontextmanager
from inspect import Signature, signature
from pathlib import Path

import pytest

from fastobj.background.compaction import Compaction
from fastobj.background.reclaim import Reclaim
from fastobj.background.segments import Known, survey
from fastobj.core.clock import FixedClock
from fastobj.core.errors import ChecksumMismatch, NoSpace
from fastobj.core.limits import KIB, MIB
from fastobj.core.segments import SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.meta.records import VERSIONING_ENABLED
from fastobj.objects import audit, buckets, complete, delete, get, version_listing
from fastobj.objects.conditions import UNCONDITIONAL
from fastobj.objects.delete import Deletion
from fastobj.objects.get import Span
from fastobj.objects.ledger import Entry
from fastobj.objects.segment_rows import rows_committer
from fastobj.storage import extents
from fastobj.storage.base import Location
from fastobj.storage.segment_files import is_log, segment_path
from tests.golden.make import SEGMENT_BYTES, opened
from tests.unit.objects.conftest import START_NS
from tests.unit.objects.uploading import Site

OWNER = 7
TOGETHER = 50


class StepClock(FixedClock):
    """A clock by which each look takes a while, so that a step ends after a few pieces of work."""

    def monotonic_ns(self):
        self.advance(50_000_000)
        return super().monotonic_ns()


class Room(Site):
    """A store on a disk with what maintenance does to it."""

    def __init__(self, store, clock, local):
        super().__init__(store, clock)
        self.local = local
        self.root = local.layout.root
        commit_rows = rows_committer(store.ledger)
        self.reclaim = Reclaim(self.root, commit_rows, local.layout.log, SEGMENT_BYTES)
        self.compaction = Compaction(store, StepClock(START_NS), bytes_min=0)
        self.bodies = {}

    async def settle(self):
        """Waits for what the volume does behind its callers' backs."""
        while tasks := self.store.volume._extents._tasks:
            await asyncio.wait(tasks)

    async def survey(self):
        await self.settle()
        checkpointer = self.local.engine.checkpointer
        checkpointer.checkpoint_now()
        return await survey(
            self.store.meta, lambda: Known({OWNER}, set(), checkpointer.covered_sequence)
        )

    async def keep(self, key, size):
        """An object of random bytes, which are remembered."""
        self.bodies[key] = os.urandom(size)
        await self.put(key, self.bodies[key])

    async def remove(self, key):
        del self.bodies[key]
        await delete.delete_object(self.store, self.bucket, Deletion(key))

    async def fill(self, count, size):
        """Together, so that blocks are filled."""
        names = [b"%d-%05d" % (size, number) for number in range(count)]
        for at in range(0, count, TOGETHER):
            await asyncio.gather(*(self.keep(name, size) for name in names[at : at + TOGETHER]))

    async def part_among_others(self, upload, number, body):
        """A part whose neighbours in its segment will be gone."""
        for neighbour in range(3):
            name = b"neighbour %d" % neighbour
            await self.put(name, os.urandom(max(len(body), 1)))
            await delete.delete_object(self.store, self.bucket, Deletion(name))
        return await self.part(upload, number, body)

    async def upload_among_others(self, bodies):
        upload = await self.create()
        return upload, [
            await self.part_among_others(upload, n, body) for n, body in enumerate(bodies, 1)
        ]

    async def thin(self, keep_every):
        await self.remove_all(k for n, k in enumerate(self.bodies) if n % keep_every)

    async def remove_all(self, names):
        names = list(names)
        for at in range(0, len(names), TOGETHER):
            await asyncio.gather(*map(self.remove, names[at : at + TOGETHER]))

    async def roll(self):
        """Seals what is open: the log's segment by filling it, the extents by closing theirs."""
        await self.store.volume._extents._retire()
        first = await self.open_log()
        while await self.open_log() == first:
            await self.put(b"filler", os.urandom(900))
        await delete.delete_object(self.store, self.bucket, Deletion(b"filler"))

    async def open_log(self):
        found = await self.survey()
        return {s.id for s in found.segments if s.record.state != SEGMENT_SEALED and is_log(s.id)}

    async def compact(self, *, steps_max=1000, room=None):
        """Passes as maintenance makes them until there is nothing to do; returns their number."""
        for steps in range(steps_max):
            await self.reclaim.run(await self.survey())
            if not await self.compaction.step(await self.survey(), room):
                return steps
        raise AssertionError(f"compaction goes on after {steps_max} steps")

    async def held(self):
        """Bytes of segments that are not open."""
        found = await self.survey()
        return sum(s.record.size for s in found.segments if s.record.state == SEGMENT_SEALED)

    async def verify(self):
        for key, body in self.bodies.items():
            assert await self.read(key) == body, key
        assert await audit.differences(self.store) == []

    async def place(self, space, key):
        value, _ = await self.store.meta.get(space, key)
        return Location.decode(records.location_of(value))

    async def places(self, space=keys.CURRENT):
        return {row.key: records.location_of(row.value) for row in await self.rows(space)}


@asynccontextmanager
async def room_in(directory: Path):
    clock = FixedClock(START_NS)
    async with opened(directory, clock) as (local, store):
        room = Room(store, clock, local)
        await room.begin()
        yield room


def in_a_room(test):
    """Runs a test on a store with small segments."""

    async def run(tmp_path, monkeypatch, **fixtures):
        monkeypatch.setattr(extents, "EXTENT_FILE_BYTES_MIN", 256 * KIB)
        monkeypatch.setattr(extents, "EXTENT_FILE_BYTES_MAX", 256 * KIB)
        async with room_in(tmp_path / "store") as room:
            await test(room, **fixtures)

    own = list(signature(run).parameters.values())[:2]
    asked = list(signature(test).parameters.values())[1:]
    run.__signature__ = Signature([*own, *asked])
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@pytest.mark.parametrize("size", [100, 900, 5000, 60 * KIB])
@in_a_room
async def test_what_lives_is_moved_and_space_comes_back(room, size):
    """The room that is left is below twice what lives, and a bit."""
    await room.fill(3 * MIB // 2 // (size + 512), size)
    await room.thin(10)
    await room.roll()
    before = await room.held()
    await room.compact()
    lives = sum(len(body) + 600 for body in room.bodies.values())
    assert await room.held() < min(2 * lives + 2 * SEGMENT_BYTES[0], before / 2)
    assert room.compaction.total.bodies
    assert room.compaction.total.damaged == 0
    await room.verify()


@pytest.mark.parametrize("size", [1, 30])
@in_a_room
async def test_tiny_objects_are_not_moved_round_and_round(room, size):
    """Their transactions outweigh them: how much, is learnt as they are moved.

    Half of them dead is just at what is worth a round: how they were grouped decides.
    """
    await room.fill(1500, size)
    await room.thin(2)
    await room.roll()
    steps = await room.compact()
    moved = room.compaction.total.bodies
    assert moved <= 2 * len(room.bodies)
    await room.compact(steps_max=max(steps, 1))
    assert room.compaction.total.bodies - moved < len(room.bodies)
    assert await room.compact() == 0
    await room.verify()


@in_a_room
async def test_a_full_segment_is_left_alone(room):
    await room.fill(300, 3000)
    found = await room.survey()
    full = {s.id for s in found.segments if s.record.state == SEGMENT_SEALED}
    await room.roll()
    before = await room.places()
    await room.compact()
    after = await room.places()
    moved = {Location.decode(before[key]).segment for key in before if before[key] != after[key]}
    assert full
    assert not moved & full


@in_a_room
async def test_a_short_disk_asks_for_more(room):
    """A third of the bytes dead is worth a round only there."""
    await room.fill(300, 3000)
    await room.roll()
    await room.remove_all(k for n, k in enumerate(room.bodies) if n % 3 == 0)
    await room.roll()
    await room.compact()
    assert room.compaction.total.bodies < len(room.bodies) / 4  # of the last segment
    await room.compact(room=1 << 30)
    assert room.compaction.total.bodies > len(room.bodies) / 2
    await room.verify()


@in_a_room
async def test_enough_must_be_gained(room):
    await room.fill(300, 900)
    await room.thin(10)
    await room.roll()
    found = await room.survey()
    gained = sum(room.compaction.gain(found, s) for s in found.segments if found.lives(s).bodies)
    room.compaction._bytes_min = 2 * gained
    assert await room.compact() == 0
    room.compaction._bytes_min = gained // 2
    assert await room.compact() > 0


@in_a_room
async def test_parts_are_found_where_they_went(room):
    """A manifest says where parts stood; their rows say where they are."""
    bodies = [os.urandom(size) for size in (60 * KIB, 5000, 50 * KIB, 0, 700)]
    whole = b"".join(bodies)
    await room.complete(*await room.upload_among_others(bodies))
    await room.roll()
    parts = await room.places(keys.PARTS)
    await room.compact()
    moved = await room.places(keys.PARTS)
    went = [parts[key] != moved[key] for key in parts]
    assert sum(went) >= 3, went
    for _ in range(2):  # the second time by what was learnt
        assert await room.read() == whole
    assert await room.read(offset=60 * KIB - 5, length=6000) == whole[60 * KIB - 5 :][:6000]
    room.store.manifests.clear()
    assert await room.read() == whole
    assert await room.read(offset=len(whole) - 3) == whole[-3:]
    await room.verify()


@in_a_room
async def test_a_download_goes_on_while_its_parts_move(room):
    bodies = [os.urandom(60 * KIB + number) for number in range(4)]
    await room.complete(*await room.upload_among_others(bodies))
    whole = b"".join(bodies)
    _, body = await get.read_object(room.store, room.bucket, b"key", lambda it: Span(0, it.size))
    first = bytes(await anext(body))
    places = set((await room.places(keys.PARTS)).values())
    await room.roll()
    await room.compact()
    assert not places & set((await room.places(keys.PARTS)).values())
    for place in places:
        assert not Path(segment_path(str(room.root), Location.decode(place).segment)).exists()
    assert first + b"".join([bytes(piece) async for piece in body]) == whole


@in_a_room
async def test_a_shared_body_moves_once(room):
    for size in (900, 80 * KIB):
        await room.keep(b"%d" % size, size)
        for copy in (b"one", b"two"):
            await room.copy(b"%d" % size, b"%d-%s" % (size, copy))
            room.bodies[b"%d-%s" % (size, copy)] = room.bodies[b"%d" % size]
    shared = await room.places(keys.SHARED)
    assert len(shared) == 2
    kept = dict(room.bodies)
    await room.fill(300, 900)
    await room.fill(20, 70 * KIB)
    await room.remove_all(room.bodies.keys() - kept.keys())
    await room.roll()
    await room.compact(room=1 << 30)
    moved = await room.places(keys.SHARED)
    assert all(shared[key] != moved[key] for key in shared)
    assert room.compaction.total.bodies == 2
    await room.verify()


@in_a_room
async def test_parts_of_an_open_upload_move_between_listing_and_completion(room):
    """Complete makes a manifest of the places that it has read: they may be old by then."""
    bodies = [os.urandom(size) for size in (60 * KIB, 500, 50 * KIB)]
    upload, listed = await room.upload_among_others(bodies)
    await room.roll()
    commit = complete.manifest.encode

    planned = []

    def encode(parts):
        planned.append([part.location for part in parts])
        return commit(parts)

    async def move():
        await room.compact()

    room.gate.before.append(move)
    complete.manifest.encode = encode
    try:
        await room.complete(upload, listed)
    finally:
        complete.manifest.encode = commit
    moved = await room.places(keys.PARTS)
    assert not set(planned[0]) & set(moved.values())
    assert await room.read() == b"".join(bodies)
    await room.verify()


@in_a_room
async def test_what_changes_meanwhile_is_left_to_whoever_changed_it(room):
    """Objects that are overwritten or deleted between the scan and their move."""
    await room.fill(2000, 900)
    await room.thin(5)
    await room.roll()
    await room.reclaim.run(await room.survey())
    found = await room.survey()
    while not room.compaction.total.bodies:
        assert await room.compaction.step(found)
    left = list(room.bodies)[-20:]
    for number, key in enumerate(left):
        if number % 2:
            await room.remove(key)
        else:
            await room.keep(key, 901)
    await room.compact()
    assert room.compaction.total.raced >= 1
    await room.verify()


@in_a_room
async def test_a_commit_that_loses_its_race_changes_nothing(room):
    await room.fill(300, 900)
    await room.thin(10)
    await room.roll()
    target = list(room.bodies)[-1]

    async def overwrite():
        body = room.bodies[target] = os.urandom(800)
        gate, room.store.ledger = room.store.ledger, room.direct
        await room.put(target, body)
        room.store.ledger = gate

    await room.reclaim.run(await room.survey())
    found = await room.survey()
    room.gate.before.append(overwrite)
    while not room.compaction.total.raced:
        assert await room.compaction.step(found)
    assert room.compaction.total.raced == 1
    await room.verify()


@pytest.mark.parametrize("size", [900, 70 * KIB])
@in_a_room
async def test_a_damaged_body_stays_where_it_is(room, size, caplog):
    """Neither it nor its segment goes, the others move, and no round is made for it for ever."""
    await room.fill(2 * MIB // size, size)
    await room.thin(10)
    await room.roll()
    victim = list(room.bodies)[1]
    row_key = keys.current(room.bucket.record.id, victim)
    place = await room.place(keys.CURRENT, row_key)
    path = Path(segment_path(str(room.root), place.segment))
    with path.open("r+b") as file:
        file.seek(place.offset + 4096 + 300 if size > KIB else place.offset + 300)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    await room.compact(steps_max=200)
    assert await room.place(keys.CURRENT, row_key) == place
    assert path.exists()
    assert room.compaction.total.damaged == 2  # in each of two rounds
    assert "do not verify" in caplog.text
    with pytest.raises(ChecksumMismatch):
        await room.read(victim)
    del room.bodies[victim]
    await room.verify()
    await delete.delete_object(room.store, room.bucket, Deletion(victim))
    await room.compact()
    assert not path.exists()


@in_a_room
async def test_a_row_that_does_not_decode_keeps_its_body(room):
    await room.fill(600, 900)
    await room.thin(10)
    await room.roll()
    victim = keys.current(room.bucket.record.id, list(room.bodies)[1])
    value, _ = await room.store.meta.get(keys.CURRENT, victim)
    place = records.location_of(value)
    broken = value[: records.location_offset(value) + len(place)] + b"\xc1" * 20
    await room.store.ledger.commit(
        Entry(Txn(new_txn_id(), [Row(keys.CURRENT, victim, ANY, broken)]))
    )
    await room.compact(steps_max=200)
    assert room.compaction.total.damaged
    assert room.compaction.total.bodies
    assert (await room.store.meta.get(keys.CURRENT, victim))[0] == broken
    assert Path(segment_path(str(room.root), Location.decode(place).segment)).exists()


@in_a_room
async def test_a_large_body_that_does_not_fit_stays(room):
    await room.fill(20, 70 * KIB)
    await room.thin(10)
    await room.roll()
    before = await room.places()

    async def full(*arguments):
        raise NoSpace("the disk is full")

    room.store.volume.writer = full
    await room.compact(steps_max=50)
    assert await room.places() == before
    await room.verify()


@in_a_room
async def test_moved_bodies_survive_a_recovery(room):
    await room.fill(300, 900)
    await room.fill(10, 70 * KIB)
    await room.thin(10)
    await room.roll()
    await room.compact()
    bodies, bucket = room.bodies, room.bucket
    await room.store.volume.close()
    room.local.close()
    async with opened(room.root, FixedClock(START_NS)) as (local, store):
        again = Room(store, FixedClock(START_NS), local)
        again.bucket, again.bodies = bucket, bodies
        await again.verify()


@in_a_room
async def test_versions_move(room):
    """The rows of those that are not current are looked at too, and so are shared bodies."""
    await room.put(b"key", b"0" * 5000)
    await buckets.set_versioning(room.store, room.bucket, VERSIONING_ENABLED)
    room.bucket = await buckets.get(room.store, room.bucket.name)
    bodies = {}
    for number in range(3):
        for other in range(8):
            await room.put(b"filler %d" % other, os.urandom(9000))
        await room.put(b"key", b"%d" % number * 5000)
        record = await get.find_object(room.store, room.bucket, b"key")
        bodies[record.version] = b"%d" % number * 5000
    for version in await versions_of(room, b"filler"):
        await delete.delete_object(room.store, room.bucket, Deletion(*version))
    before = await room.places(keys.HISTORY)
    await room.roll()
    await room.compact(room=1 << 30)
    after = await room.places(keys.HISTORY)
    assert {key for key in before if key in after and before[key] != after[key]}
    for version, body in bodies.items():
        _, read = await get.read_object(
            room.store, room.bucket, b"key", lambda it: Span(0, it.size), wanted=version
        )
        assert bytes(read) == body
    assert await audit.differences(room.store) == []


async def versions_of(room, prefix):
    page = await version_listing.list_versions(
        room.store, room.bucket, prefix=prefix, entries_max=1000
    )
    return [(one.key, UNCONDITIONAL, one.record.version) for one in page.versions]
