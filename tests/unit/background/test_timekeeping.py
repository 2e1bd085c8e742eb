"""Timekeeping: saved now and then, told once, and confirmed by a file."""

import asyncio
import logging

import pytest

from fastobj.background.timekeeping import AGAIN_S, LOOK_S, SAVE_S, Timekeeper, confirmation
from fastobj.core.clock import Uptime
from fastobj.core.errors import StoreError
from fastobj.meta import keys
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.objects import trusted_time
from fastobj.objects.ledger import Entry
from fastobj.objects.trusted_time import State
from tests.unit.objects.conftest import World

S = 1_000_000_000
DAY_S = 86_400


class Bench:
    """A store in memory whose two clocks a test moves, and its timekeeper."""

    def __init__(self, path):
        self.world = World()
        self.store = self.world.store
        self.file = path / "trusted-time"
        self.boot, self.up_ns = "boot", 0
        self.store.uptime = lambda: Uptime(self.boot, self.up_ns)
        self.keeper = Timekeeper(self.store, self.file)

    def passes(self, seconds, ahead=0):
        self.up_ns += int(seconds * S)
        self.world.clock.advance(int((seconds + ahead) * S))

    async def begin(self):
        await trusted_time.begin(self.store)
        return await self.record()

    async def record(self):
        found = await trusted_time.load(self.store.meta)
        return found and found[0]

    async def state(self):
        return (await trusted_time.moment(self.store)).state

    def confirm(self):
        record = trusted_time.confirmed(trusted_time.reading(self.store))
        self.file.write_bytes(confirmation(record))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def told(caplog):
    """Lines of errors so far, and forgets them."""
    caplog.set_level(logging.INFO, logger="fastobj.clock")

    def lines():
        found = [(record.levelname, record.getMessage()) for record in caplog.records]
        caplog.clear()
        return found

    return lines


async def test_where_there_is_no_lock_nothing_is_kept(bench):
    assert await bench.keeper.step() is None
    bench.passes(DAY_S)
    assert await bench.keeper.step() is None
    assert bench.world.gate.calls == 0


async def test_it_is_saved_rarely(bench):
    first = await bench.begin()
    assert await bench.keeper.step() == LOOK_S
    bench.passes(SAVE_S - 1)
    assert await bench.keeper.step() == LOOK_S
    assert await bench.record() == first
    bench.passes(1)
    await bench.keeper.step()
    assert (await bench.record()).time_ns == first.time_ns + int(SAVE_S * S)
    assert bench.world.gate.calls == 2


async def test_a_start_after_another_boot_is_saved_at_once(bench):
    first = await bench.begin()
    bench.boot, bench.up_ns = "next", 7 * S
    bench.world.clock.advance(100 * S)
    assert await bench.keeper.step() == LOOK_S
    record = await bench.record()
    assert (record.boot, record.elapsed_ns) == ("next", 7 * S)
    assert record.time_ns == first.time_ns + 100 * S
    bench.passes(DAY_S)
    assert await bench.state() is State.AGREES


async def test_a_clock_set_ahead_is_told_once_and_remembered(bench, told, tmp_path):
    await bench.begin()
    bench.passes(1, ahead=DAY_S)
    for _ in range(3):
        assert await bench.keeper.step() == AGAIN_S
    ((level, line),) = told()
    assert level == "ERROR"
    assert "86400 s ahead of the trusted time" in line
    assert line.endswith(f"fastobj clock confirm {tmp_path}")
    assert (await bench.record()).jumped
    bench.passes(1, ahead=-DAY_S)
    assert await bench.keeper.step() == LOOK_S
    assert told() == [("INFO", "the wall clock agrees with the trusted time again")]
    assert not (await bench.record()).jumped


async def test_a_clock_set_back_is_told(bench, told):
    await bench.begin()
    bench.passes(1, ahead=-DAY_S)
    assert await bench.keeper.step() == AGAIN_S
    assert "86400 s behind the trusted time" in told()[0][1]
    assert await bench.state() is State.BEHIND


@pytest.mark.parametrize("ahead", [DAY_S, -DAY_S])
async def test_what_an_operator_confirms(bench, told, ahead):
    await bench.begin()
    bench.passes(1, ahead=ahead)
    await bench.keeper.step()
    bench.confirm()
    bench.passes(60)  # until somebody looks
    assert await bench.keeper.step() == LOOK_S
    assert not bench.file.exists()
    assert await bench.state() is State.AGREES
    assert (await bench.record()).time_ns == bench.world.clock.now_ns() - 60 * S
    assert told()[-1][1].startswith("an operator has confirmed")


async def test_a_confirmation_of_a_store_that_is_stopped_for_long(bench):
    """It says what was right then, not what a clock says when it is found."""
    await bench.begin()
    bench.passes(1, ahead=DAY_S)
    bench.confirm()
    bench.boot = "next"
    bench.world.clock.advance(2 * 3600 * S)
    assert await bench.keeper.step() == AGAIN_S
    assert await bench.state() is State.AHEAD


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"time_ns": "now"}'])
async def test_what_confirms_nothing(bench, told, content):
    first = await bench.begin()
    bench.passes(1, ahead=DAY_S)
    bench.file.write_bytes(content)
    assert await bench.keeper.step() == AGAIN_S
    assert not bench.file.exists()
    assert "confirms no time" in told()[0][1]
    assert (await bench.record()).time_ns == first.time_ns + S


async def test_a_file_that_cannot_be_read_stays(bench):
    await bench.begin()
    bench.file.mkdir()
    with pytest.raises(StoreError, match="trusted-time"):
        await bench.keeper.step()


async def test_a_row_that_cannot_be_read(bench, told):
    row = Row(keys.JOBS, keys.JOB_TRUSTED_TIME, ANY, b"\xc1")
    await bench.store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
    for _ in range(2):
        assert await bench.keeper.step() == AGAIN_S
    ((level, line),) = told()
    assert level == "ERROR"
    assert "cannot be read: no retention of a locked object ends" in line
    bench.confirm()
    assert await bench.keeper.step() == LOOK_S
    assert await bench.state() is State.AGREES


async def test_the_first_lock_wakes_it(bench):
    working = asyncio.create_task(bench.keeper.run())
    await asyncio.sleep(0)
    await bench.begin()
    bench.boot = "next"  # so that it has something to save
    bench.keeper.poke()
    while (await bench.record()).boot != "next":
        await asyncio.sleep(0)
    working.cancel()


async def test_a_failure_is_told_and_tried_again(bench, told):
    await bench.begin()
    bench.boot = "next"

    async def fail():
        raise StoreError("the disk is gone")

    bench.world.gate.before.append(fail)
    working = asyncio.create_task(bench.keeper.run())
    while not (lines := told()):
        await asyncio.sleep(0)
    assert lines == [("WARNING", "the trusted time is not saved: the disk is gone")]
    assert not working.done()
    working.cancel()
