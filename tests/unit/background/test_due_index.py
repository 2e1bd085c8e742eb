"""The rows of one kind in the time index, found without those of others."""

import asyncio

import pytest

from fastobj.background import due_index
from fastobj.background.garbage import Garbage
from fastobj.core.clock import FixedClock
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.storage.memory import MemoryVolume

HOUR_NS = 3600 * 10**9


class Counting:
    def __init__(self, engine):
        self.engine = engine
        self.get = engine.get
        self.rows = self.scans = 0

    async def scan(self, *args):
        found = await self.engine.scan(*args)
        self.scans += 1
        self.rows += len(found)
        return found


@pytest.fixture
def meta():
    return asyncio.run(filled())


async def filled():
    engine = MemoryEngine()
    for hour in (0, 3, 4, 5):
        for kind in (1, 2, 4):
            names = range(300 if kind == 2 else 1)
            for at in range(0, len(names), 30):
                rows = [
                    Row(keys.DUE, keys.due(hour, kind, b"%04d" % name), ANY, b"x")
                    for name in names[at : at + 30]
                ]
                await engine.commit(Txn(new_txn_id(), rows))
    return Counting(engine)


async def test_the_first_of_each_kind(meta):
    for kind in (1, 2, 4):
        row = await due_index.first(meta, kind)
        assert keys.due_of(row.key)[:2] == (0, kind)
    assert await due_index.first(meta, 3) is None
    assert meta.rows <= 30  # three hundred rows of another kind cost nothing


async def test_pages_hold_all_of_a_kind_up_to_the_end(meta):
    for kind, count in ((1, 3), (2, 900), (3, 0), (4, 3)):
        seen, start = [], keys.FIRST
        while page := await due_index.page(meta, kind, start, keys.due(5)):
            assert len(page) <= LOOP_SCAN_ROWS_MAX
            assert len({keys.due_of(row.key)[0] for row in page}) == 1
            seen += [row.key for row in page]
            start = keys.next_key(seen[-1])
        assert len(seen) == len(set(seen)) == count
        assert seen == sorted(seen)
        assert {keys.due_of(key)[1] for key in seen} <= {kind}


async def test_garbage_looks_at_no_hints_of_rules():
    """However many of them are due, a pass over what else is due costs the same."""
    engine, clock = MemoryEngine(), FixedClock(100 * HOUR_NS)
    for start in range(0, 3000, 30):
        hints = [
            Row(keys.DUE, keys.due_version(50 * HOUR_NS + at, b"8 bytes.", b"key"), ANY, b"x")
            for at in range(start, start + 30)
        ]
        await engine.commit(Txn(new_txn_id(), hints))
    gone = records.encode(records.UploadDue(records.FORMAT, b"8 bytes.", b"key"))
    for hour in (50, 51, 200):
        row = Row(keys.DUE, keys.due(hour, keys.DUE_UPLOAD, bytes(16)), ANY, gone)
        await engine.commit(Txn(new_txn_id(), [row]))
    meta = Counting(engine)

    async def commit_rows(rows, adds):
        txn = Txn(new_txn_id(), rows, adds)
        await engine.commit(txn)
        return txn.id

    garbage = Garbage(meta, commit_rows, MemoryVolume().accounts, clock)
    assert await garbage.run() == (0, 0)
    assert meta.rows < 50
    assert await garbage.next_due_s() == 100 * 3600
    left = await engine.scan(keys.DUE, keys.FIRST, keys.LAST, 10_000)
    assert len(left) == 3001
