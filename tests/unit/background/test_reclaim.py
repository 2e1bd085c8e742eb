"""Reclaim: what may go goes, with its file before its row, and nothing else is touched."""

import os
from pathlib import Path

import msgspec
import pytest

from fastobj.background.reclaim import Reclaim, Report
from fastobj.background.segments import Known, survey
from fastobj.core.errors import Unavailable
from fastobj.core.limits import TXN_ROWS_MAX
from fastobj.core.segments import (
    SEGMENT_BODY,
    SEGMENT_EXTENTS,
    SEGMENT_LOG,
    SEGMENT_OPEN,
    SEGMENT_SEALED,
)
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, DELETE, Add, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.storage import io
from fastobj.storage.segment_files import make_folders, new_extent_id, segment_path
from fastobj.storage.spares import BALLAST, Spares, log_path

SIZE = 128 * 1024
BOUNDS = (SIZE, SIZE)
ALIVE, DEAD, DRAINING = 1, 2, 3
KNOWN = Known(alive={ALIVE}, draining={DRAINING}, covered=100)


class World:
    """A store of segments without bodies."""

    def __init__(self, root):
        self.root = root
        make_folders(str(root))
        self.log = root / "log"
        self.engine = MemoryEngine()
        self.commits: list[list[Row]] = []
        self.before_commit = lambda rows: None
        self.reclaim = Reclaim(root, self.commit_rows, self.log, BOUNDS)

    async def commit_rows(self, rows, adds):
        self.before_commit(rows)
        self.commits.append(rows)
        return await self.write(rows, adds)

    async def write(self, rows, adds=()):
        txn = Txn(new_txn_id(), list(rows), list(adds))
        await self.engine.commit(txn)
        return txn.id

    async def add(self, segment, kind, state=SEGMENT_SEALED, *, owner=ALIVE, live=0, last=50):
        """A segment with its row, its file and its live bytes."""
        record = records.SegmentRecord(records.FORMAT, kind, state, 7, SIZE, owner, last)
        row = Row(keys.SEGMENTS, keys.segment(segment), ANY, records.encode(record))
        adds = [Add(keys.SEGMENTS, keys.segment(segment), (live, 1))] if live else []
        await self.write([row], adds)
        self.path(segment).write_bytes(bytes(SIZE))
        return segment

    def path(self, segment):
        return Path(segment_path(str(self.root), segment))

    async def record(self, segment):
        row = await self.engine.get(keys.SEGMENTS, keys.segment(segment))
        return row and records.decode(records.SegmentRecord, row[0])

    async def is_there(self, segment):
        """Row and file are there (True), or both are gone (False)."""
        row = await self.record(segment)
        assert (row is not None) == self.path(segment).exists()
        return row is not None

    def spares(self):
        return list(self.log.glob("*.spare"))

    async def run(self, known=KNOWN):
        return await self.pass_by(lambda: known)

    async def pass_by(self, look):
        return await self.reclaim.run(await survey(self.engine, look))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_an_empty_store_gets_its_spares(world):
    assert await world.run() == Report()
    assert [path.stat().st_size for path in world.spares()] == [SIZE] * 2
    await world.run()
    assert len(world.spares()) == 2


async def test_log_segments_without_life_become_spares_and_then_go(world):
    for segment in range(1, 7):
        await world.add(segment, SEGMENT_LOG)
    assert await world.run() == Report(0, recycled=4, unlinked=2)
    for segment in range(1, 7):
        assert not await world.is_there(segment)
    assert sorted(path.name for path in world.spares()) == [
        f"000000000000000{segment}-8.spare" for segment in range(1, 5)
    ]


async def test_on_a_short_disk_only_the_ballast_is_made(world, monkeypatch):
    monkeypatch.setattr(io, "free_bytes", lambda path: SIZE)
    await world.run()
    assert len(world.spares()) == BALLAST


async def test_spares_that_the_log_has_outgrown_go(world):
    """A log that was large has left spares of its size: others need that room."""
    Spares(world.log, 2 * SIZE).make()
    await world.run()
    assert [path.stat().st_size for path in world.spares()] == [SIZE] * 2
    (released,) = [await world.add(9, SEGMENT_LOG)]
    record = await world.record(released)
    large = msgspec.structs.replace(record, size=4 * SIZE)
    await world.write([Row(keys.SEGMENTS, keys.segment(9), ANY, records.encode(large))])
    assert await world.run() == Report(unlinked=1)


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": SEGMENT_LOG, "live": 1},
        {"kind": SEGMENT_LOG, "last": 101},
        {"kind": SEGMENT_LOG, "state": SEGMENT_OPEN},
        {"kind": SEGMENT_LOG, "state": SEGMENT_OPEN, "owner": DEAD},
        {"kind": SEGMENT_EXTENTS, "live": 1},
        {"kind": SEGMENT_EXTENTS, "state": SEGMENT_OPEN},
        {"kind": SEGMENT_EXTENTS, "owner": DRAINING},
        {"kind": SEGMENT_BODY, "state": SEGMENT_OPEN},
        {"kind": SEGMENT_BODY, "live": 1, "owner": DEAD},
        {"kind": SEGMENT_BODY, "owner": DRAINING},
    ],
)
async def test_what_may_be_needed_stays(world, facts):
    kind = facts["kind"]
    segment = 9 if kind == SEGMENT_LOG else new_extent_id(kind == SEGMENT_BODY)
    await world.add(segment, **facts)
    before = await world.record(segment)
    assert await world.run() == Report()
    assert await world.is_there(segment)
    assert await world.record(segment) == before


@pytest.mark.parametrize("kind", [SEGMENT_EXTENTS, SEGMENT_BODY])
@pytest.mark.parametrize("owner", [ALIVE, DEAD])
async def test_sealed_extents_without_life_go(world, kind, owner):
    segment = await world.add(new_extent_id(kind == SEGMENT_BODY), kind, owner=owner)
    assert await world.run() == Report(unlinked=1)
    assert not await world.is_there(segment)


@pytest.mark.parametrize("owner", [DEAD, DRAINING])
async def test_extents_of_the_dead_are_sealed_and_go_when_their_link_is_drained(world, owner):
    segment = await world.add(new_extent_id(False), SEGMENT_EXTENTS, SEGMENT_OPEN, owner=owner)
    assert await world.run() == Report(sealed=1)
    assert (await world.record(segment)).state == SEGMENT_SEALED
    if owner == DRAINING:
        assert await world.run() == Report()
    assert await world.run(Known({ALIVE}, set(), 100)) == Report(unlinked=1)
    assert not await world.is_there(segment)


async def test_what_comes_from_a_draining_link_keeps_the_segment(world):
    segment = await world.add(new_extent_id(False), SEGMENT_EXTENTS, SEGMENT_OPEN, owner=DRAINING)
    await world.run()
    await world.write([], [Add(keys.SEGMENTS, keys.segment(segment), (4096, 1))])
    assert await world.run(Known(set(), set(), 100)) == Report()
    assert await world.is_there(segment)


async def test_who_is_alive_is_asked_behind_the_reading_of_the_rows(world):
    """A process that started meanwhile must not be taken for dead."""
    asked = []
    segment = await world.add(new_extent_id(False), SEGMENT_EXTENTS, SEGMENT_OPEN, owner=77)
    scan = world.engine.scan

    async def scan_late(*arguments):
        rows = await scan(*arguments)
        asked.append("rows")
        return rows

    world.engine.scan = scan_late

    def look():
        asked.append("alive")
        return Known({77}, set(), 100)

    await world.pass_by(look)
    assert asked == ["rows", "alive"]
    assert (await world.record(segment)).state == SEGMENT_OPEN


async def test_a_segment_sealed_by_its_owner_meanwhile_is_left_to_the_next_pass(world):
    segment = await world.add(new_extent_id(False), SEGMENT_EXTENTS, SEGMENT_OPEN, owner=DEAD)
    row = await world.engine.get(keys.SEGMENTS, keys.segment(segment))
    commit = world.engine.commit

    async def raced(txn):
        world.engine.commit = commit
        await world.write([Row(keys.SEGMENTS, keys.segment(segment), ANY, row[0])])
        await commit(txn)

    world.engine.commit = raced
    assert await world.run() == Report()
    assert await world.run() == Report(sealed=1)


async def test_the_file_goes_before_the_row(world):
    segment = await world.add(new_extent_id(True), SEGMENT_BODY)

    def fail(rows):
        assert not world.path(segment).exists()
        raise Unavailable("the committer is away")

    world.before_commit = fail
    with pytest.raises(Unavailable):
        await world.run()
    assert await world.record(segment) is not None
    world.before_commit = lambda rows: None
    assert await world.run() == Report(unlinked=1)  # a row without a file goes
    assert await world.record(segment) is None


async def test_a_recycled_file_whose_row_stayed_is_not_recycled_twice(world):
    await world.add(4, SEGMENT_LOG)

    def fail(rows):
        raise Unavailable("the committer is away")

    world.before_commit = fail
    with pytest.raises(Unavailable):
        await world.run()
    assert len(world.spares()) == 1
    world.before_commit = lambda rows: None
    assert await world.run() == Report(unlinked=1)
    assert await world.record(4) is None
    assert len(world.spares()) == 2  # that one, and one made


async def test_many_go_in_few_transactions(world):
    count = 2 * TXN_ROWS_MAX + 5
    for segment in range(1, count + 1):
        await world.add(segment, SEGMENT_LOG)
    report = await world.run()
    assert report.recycled + report.unlinked == count
    assert [len(rows) for rows in world.commits] == [TXN_ROWS_MAX, TXN_ROWS_MAX, 5]
    assert not await world.engine.scan(keys.SEGMENTS, keys.FIRST, keys.LAST, 10)


async def test_one_row_that_changed_does_not_keep_the_others(world):
    for segment in (1, 2, 3):
        await world.add(segment, SEGMENT_LOG)
    write = world.write

    async def racing(rows, adds=()):
        if len(rows) == 3:
            await write([Row(keys.SEGMENTS, keys.segment(2), ANY, rows[1].value or b"\x90")])
        return await write(rows, adds)

    world.write = racing
    await world.run()
    assert [len(rows) for rows in world.commits] == [3, 1, 1, 1]
    left = await world.engine.scan(keys.SEGMENTS, keys.FIRST, keys.LAST, 10)
    assert [keys.segment_id(row.key) for row in left] == [2]


async def test_a_file_that_cannot_be_removed_does_not_keep_the_others(world, monkeypatch, caplog):
    segments = [await world.add(new_extent_id(True), SEGMENT_BODY) for _ in range(3)]
    unlink = os.unlink

    def stubborn(path, *arguments):
        if str(path) == str(world.path(segments[1])):
            raise OSError(5, "Input/output error")
        unlink(path, *arguments)

    monkeypatch.setattr(os, "unlink", stubborn)
    assert await world.run() == Report(unlinked=2)
    assert [await world.is_there(segment) for segment in segments] == [False, True, False]
    assert f"{segments[1]:016x} is not reclaimed now" in caplog.text


async def test_more_segments_than_one_scan_returns(world):
    for segment in range(1, 251):
        await world.add(segment, SEGMENT_LOG, live=1 if segment != 240 else 0)
    assert await world.run() == Report(recycled=1)
    assert not log_path(world.log, 240).exists()


async def test_deleted_counts_as_not_there(world):
    await world.add(3, SEGMENT_LOG)
    await world.write([Row(keys.SEGMENTS, keys.segment(3), ANY, DELETE)])
    assert await world.run() == Report()
    assert log_path(world.log, 3).exists()  # not the business of this: no row, no word about it
