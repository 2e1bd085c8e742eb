"""Delivery of events: order, cursors, pauses, what goes from the outbox and what stays."""

import asyncio
import contextlib
import json
import logging

import pytest

from fastobj.background.delivery import Backoff, Courier, Delivery, Outbox
from fastobj.core import limits
from fastobj.core.clock import FixedClock
from fastobj.core.metrics import Metric
from fastobj.events.base import NotDelivered
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, ANY, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.meta.records import CursorRecord, EventRecord
from fastobj.objects import audit, events
from fastobj.objects.ledger import Entry
from fastobj.testing.store import assemble
from tests.unit.background.scrubbing import Counted
from tests.unit.objects.conftest import START_NS

NS_PER_S = 10**9


class Receiver:
    """A target that takes what it is sent, while it `is_up` and unless `refuses` says no."""

    def __init__(self, id="a"):
        self.id = id
        self.is_up = True
        self.refuses = lambda key: False
        self.tries = 0
        self.busy = self.busy_max = 0
        self.rests = 0
        self.got = []  # (key, number) of each event, as it was taken
        self.before_answer = None

    async def send(self, message):
        self.tries += 1
        self.busy += 1
        self.busy_max = max(self.busy_max, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        (record,) = json.loads(message)["Records"]
        key, number = record["s3"]["object"]["key"], record["s3"]["object"]["size"]
        if not self.is_up or self.refuses(key):
            raise NotDelivered("it answers 503")
        self.got.append((key, number))
        if self.before_answer is not None:
            await self.before_answer()

    async def rest(self):
        self.rests += 1

    def of(self, key):
        """The numbers of a key's events, the first time each was taken."""
        return list(dict.fromkeys(number for name, number in self.got if name == key))


class NoReplays:
    """Nobody asks, unless a test puts something in `asked`."""

    def __init__(self):
        self.asked = {}

    def wanted(self):
        return list(self.asked.items())

    def begun(self, target):
        del self.asked[target]


class Site:
    """A store in memory with an outbox; pauses of couriers are noted, and pass at once."""

    def __init__(self):
        self.clock = FixedClock(START_NS)
        self.engine = MemoryEngine()
        self.store = assemble(self.engine, clock=self.clock)
        self.counted = Counted()
        self.replays = NoReplays()
        self.slept = []
        self.numbers = iter(range(10**6))

    def outbox(self, retention_s=0):
        """That of another life of the process."""
        meta, ledger = self.store.meta, self.store.ledger
        return Outbox(meta, ledger, self.counted, self.clock, retention_s)

    async def write(self, key, targets="a"):
        """An event of a key, with a number of its own; returns the number."""
        number = next(self.numbers)
        told = tuple((target, "rule") for target in targets)
        event = EventRecord(
            *(1, "s3:ObjectCreated:Put", self.clock.now_ns(), "bucket", "owner", "here"),
            *(key, told),
            size=number,
        )
        row = Row(keys.OUTBOX, keys.outbox(0), ABSENT, records.encode(event))
        txn = Txn(new_txn_id(), [row], events.counted([row]))
        await self.store.ledger.commit(Entry(txn, has_events=True))
        return number

    async def write_many(self, count, names="xyz", targets="a"):
        """Events of some keys in turn: the numbers of each key."""
        written = {name: [] for name in names}
        for n in range(count):
            name = names[n % len(names)]
            written[name].append(await self.write(name, targets))
        return written

    async def left(self):
        rows = await self.engine.scan(keys.OUTBOX, keys.FIRST, keys.LAST, 10**6)
        return [records.decode(EventRecord, row.value).size for row in rows]

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def courier(self, outbox, target):
        return Courier(
            outbox, target, self.counted, sleep=self.sleep, uniform=lambda low, high: high
        )

    @contextlib.asynccontextmanager
    async def delivering(self, *targets, retention_s=0, events_max=10**6):
        """A delivery that runs until the end of the block."""
        delivery = Delivery(
            self.outbox(retention_s),
            targets,
            self.counted,
            events_max=events_max,
            replays=self.replays,
        )
        task = asyncio.create_task(delivery.run())
        try:
            yield delivery
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def site():
    return Site()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def taken(site, *targets):
    """Waits until the cursors of these targets are behind all that is in the outbox."""
    async with asyncio.timeout(20):
        while True:
            rows = await site.engine.scan(keys.OUTBOX, keys.FIRST, keys.LAST, 10**6)
            cursors = [await site.engine.get(keys.CURSORS, id.encode()) for id in targets]
            positions = [row and records.decode(CursorRecord, row[0]).position for row in cursors]
            if all(position and position >= rows[-1].key for position in positions):
                return
            await asyncio.sleep(0.001)


async def emptied(site):
    async with asyncio.timeout(20):
        while await site.left():
            await asyncio.sleep(0.001)
    assert await audit.differences(site.store) == []


async def test_all_is_delivered_in_order_of_each_key_and_goes(site):
    receiver = Receiver()
    written = await site.write_many(250)
    async with site.delivering(receiver) as delivery:
        await emptied(site)
        assert {key: receiver.of(key) for key in written} == written
        assert len(receiver.got) == 250
        assert receiver.busy_max == 3  # one of each key at a time
        last = await site.write("x")  # it is woken by what comes later
        delivery.wake()
        await emptied(site)
    assert receiver.got[-1] == ("x", last)
    assert site.counted.sums[Metric.EVENTS_DELIVERED] == 251


async def test_only_so_many_are_on_their_way_at_once(site):
    receiver = Receiver()
    await site.write_many(100, names=[f"k{n}" for n in range(50)])
    async with site.delivering(receiver):
        await emptied(site)
    assert receiver.busy_max == limits.EVENTS_AT_ONCE_MAX


async def test_a_target_that_is_down_holds_up_no_other_and_gets_all_later(site):
    up, down = Receiver("a"), Receiver("b")
    down.is_up = False
    outbox = site.outbox()
    couriers = [site.courier(outbox, target) for target in (up, down)]
    written = await site.write_many(300, targets="ab")
    for_a = await site.write_many(50, names="w", targets="a")
    tasks = [asyncio.create_task(courier.run()) for courier in couriers]
    await until(lambda: len(up.got) == 350 and down.tries > 20)
    assert {key: up.of(key) for key in "wxyz"} == for_a | written
    await until(lambda: site.counted.sums.get(Metric.EVENT_FAILURES, 0) > 20)
    assert down.busy_max <= 3
    await taken(site, "a")
    assert len(await site.left()) == 300  # what both are told of waits for the other one
    down.is_up = True
    await emptied(site)
    assert {key: down.of(key) for key in "xyz"} == written
    assert (len(down.got), len(up.got)) == (300, 350)
    for task in tasks:
        task.cancel()


async def test_pauses_grow_up_to_a_bound_and_one_is_tried_at_a_time(site, caplog):
    caplog.set_level(logging.DEBUG, "fastobj.events")
    receiver = Receiver()
    receiver.is_up = False
    written = await site.write_many(9)
    courier = site.courier(site.outbox(), receiver)
    task = asyncio.create_task(courier.run())
    await until(lambda: len(site.slept) >= 12)
    assert receiver.tries <= 3 + len(site.slept)  # all three keys, then one for each pause
    receiver.is_up = True
    await emptied(site)
    task.cancel()
    assert {key: receiver.of(key) for key in written} == written
    grown = [limits.EVENT_PAUSE_S_MIN * 2**n for n in range(len(site.slept))]
    assert site.slept == [min(limits.EVENT_PAUSE_S_MAX, pause) for pause in grown]
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1  # however often it fails
    assert "target a takes events again" in caplog.messages


def test_pauses_differ_among_those_who_wait():
    asked = []
    backoff = Backoff(lambda low, high: asked.append((low, high)) or low)
    pauses = [backoff.failed() for _ in range(40)]
    assert asked[0] == (limits.EVENT_PAUSE_S_MIN / 2, limits.EVENT_PAUSE_S_MIN)
    assert pauses[-1] == limits.EVENT_PAUSE_S_MAX / 2
    backoff.succeeded()
    assert backoff.failed() == pauses[0]


async def test_an_event_that_is_always_refused_lets_others_of_its_page_pass(site):
    receiver = Receiver()
    receiver.refuses = lambda key: key == "x"
    written = await site.write_many(30)
    task = asyncio.create_task(site.courier(site.outbox(), receiver).run())
    await until(lambda: len(receiver.got) == 20)
    assert {key: receiver.of(key) for key in "yz"} == {key: written[key] for key in "yz"}
    await until(lambda: len(site.slept) > 10)
    assert len(await site.left()) == 30
    receiver.refuses = lambda key: False
    await emptied(site)
    task.cancel()
    assert receiver.of("x") == written["x"]


@pytest.mark.parametrize("dies_after", [1, 50, 101, 102, 150])
async def test_a_death_repeats_and_loses_nothing(site, dies_after):
    written = await site.write_many(160)
    receiver = Receiver()

    async def die():
        if len(receiver.got) >= dies_after:
            await asyncio.Event().wait()  # no answer, ever

    receiver.before_answer = die
    async with site.delivering(receiver):
        await until(lambda: len(receiver.got) >= dies_after)
    receiver.before_answer = None
    async with site.delivering(receiver):
        await emptied(site)
    assert {key: receiver.of(key) for key in written} == written
    assert len(receiver.got) < 160 + limits.LOOP_SCAN_ROWS_MAX + 3


async def test_a_commit_that_fails_is_tried_again(site, caplog):
    written = await site.write_many(5)
    receiver = Receiver()
    outbox = site.outbox()
    courier = site.courier(outbox, receiver)
    commit_many, failures = site.store.ledger.commit_many, iter([NotDelivered("no committer")])

    class Ledger:
        async def commit_many(self, entries):
            return list(failures) or await commit_many(entries)

    outbox._ledger = Ledger()
    task = asyncio.create_task(courier.run())
    await emptied(site)
    task.cancel()
    assert "no committer" in caplog.text
    assert {key: receiver.of(key) for key in written} == written
    assert outbox.cursors["a"] > keys.FIRST


async def test_an_event_that_cannot_be_read_is_passed_over_and_stays(site, errors):
    broken = keys.in_order(keys.outbox(0), 0, 1)
    await site.store.ledger.commit(
        Entry(Txn(new_txn_id(), [Row(keys.OUTBOX, broken, ANY, b"\xc1")]))
    )
    number = await site.write("x")
    receiver = Receiver()
    async with site.delivering(receiver):
        await until(lambda: receiver.got == [("x", number)])
        outbox = site.outbox()
        async with asyncio.timeout(20):
            while await outbox.waiting():
                await asyncio.sleep(0.001)
    rows = await site.engine.scan(keys.OUTBOX, keys.FIRST, keys.LAST, 10)
    assert [row.key for row in rows] == [broken]
    assert any("passed over" in line for line in errors())


async def test_a_cursor_that_cannot_be_read_begins_anew(site, errors):
    row = Row(keys.CURSORS, b"a", ANY, b"\xc1")
    await site.store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
    written = await site.write_many(5)
    receiver = Receiver()
    async with site.delivering(receiver):
        await emptied(site)
    assert {key: receiver.of(key) for key in written} == written
    assert any("told again to target a" in line for line in errors())


async def test_what_a_target_without_a_setting_is_told_of_waits_for_it(site):
    await site.write_many(7, targets="ab")
    receiver = Receiver()
    async with site.delivering(receiver):
        await until(lambda: len(receiver.got) == 7)
    assert len(await site.left()) == 7
    other = Receiver("b")
    async with site.delivering(receiver, other):
        await emptied(site)
    assert len(receiver.got) == len(other.got) == 7


async def test_without_a_target_nothing_runs(site):
    await site.write("x")
    delivery = Delivery(site.outbox(), [], site.counted, events_max=1, replays=site.replays)
    await asyncio.wait_for(delivery.run(), 1)


# --- bounds


async def test_the_oldest_beyond_the_bound_are_dropped_and_told_of(site, errors):
    receiver = Receiver()
    receiver.is_up = False
    await site.write_many(2500)
    async with site.delivering(receiver, events_max=100):
        async with asyncio.timeout(20):
            while len(await site.left()) > 100:
                await asyncio.sleep(0.001)
        assert await site.left() == list(range(2400, 2500))
    assert await audit.differences(site.store) == []
    assert site.counted.sums[Metric.EVENTS_DROPPED] == 2400
    assert any("2400 events were dropped" in line for line in errors())
    receiver.is_up = True
    async with site.delivering(receiver, events_max=100):
        await emptied(site)
    assert [number for _, number in receiver.got] == list(range(2400, 2500))


async def test_what_was_dropped_under_way_is_counted_off_once(site):
    """A target has a page in its hands while that is dropped; taking it must not count again."""
    receiver = Receiver()
    outbox = site.outbox()
    await site.write_many(60)
    page, end = await outbox.page("a", keys.FIRST)
    assert await outbox.bound(20) == 40
    await outbox.taken("a", page, end)
    assert await site.left() == []
    assert await audit.differences(site.store) == []
    assert receiver.got == []


async def test_a_cursor_is_durable(site):
    outbox = site.outbox()
    await site.write_many(40, targets="ab")
    page, end = await outbox.page("a", keys.FIRST)
    await outbox.taken("a", page, end)
    row = await site.engine.get(keys.CURSORS, b"a")
    assert records.decode(CursorRecord, row[0]).position == end
    again = site.outbox()
    await again.load()
    assert again.cursors == {"a": end}
    assert await again.page("a", end) == ([], end)


# --- retention and replays


async def test_retained_events_stay_for_their_time(site):
    receiver = Receiver()
    outbox = site.outbox(retention_s=60)
    await site.write_many(150)
    site.clock.advance(30 * NS_PER_S)
    young = await site.write("x")
    position, courier = keys.FIRST, site.courier(outbox, receiver)
    while len(receiver.got) < 151:
        position = await courier._step(position)
    assert len(await site.left()) == 151
    await outbox.sweep()
    assert len(await site.left()) == 151
    site.clock.advance(31 * NS_PER_S)
    await outbox.sweep()
    assert await site.left() == [young]
    site.clock.advance(31 * NS_PER_S)
    late = await site.write("x", targets="b")
    await outbox.sweep()
    assert await site.left() == [late]
    site.clock.advance(100 * NS_PER_S)
    await outbox.sweep()  # passed over: nobody has it yet
    page, end = await outbox.page("b", keys.FIRST)
    await outbox.taken("b", page, end)
    assert await site.left() == []
    assert await audit.differences(site.store) == []


async def test_a_replay_tells_one_target_again_what_is_retained(site, caplog):
    caplog.set_level(logging.INFO, "fastobj.events")
    one, other = Receiver("a"), Receiver("b")
    old = [await site.write("x", targets="ab") for _ in range(5)]
    site.clock.advance(10 * NS_PER_S)
    since_ns = site.clock.now_ns()
    new = [await site.write("x", targets="ab") for _ in range(5)]
    async with site.delivering(one, other, retention_s=3600) as delivery:
        await until(lambda: len(one.got) == len(other.got) == 10)
        await taken(site, "a", "b")  # else what is under way is told again as well
        site.replays.asked["a"] = since_ns
        delivery.wake()
        await until(lambda: len(one.got) == 15)
        site.replays.asked |= {"a": 0, "unknown": 0}
        delivery.wake()
        await until(lambda: len(one.got) == 25 and not site.replays.asked)
    assert [number for _, number in one.got] == old + new + new + old + new
    assert len(other.got) == 10
    assert "5 events are told again to target a" in caplog.messages
    assert "no setting names it" in caplog.text
