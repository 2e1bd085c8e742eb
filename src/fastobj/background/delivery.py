"""Delivery: takes events from the outbox to their targets, at least once, in order for each key.

The outbox is a log in the order of commits. Each target has a cursor in it: all up to there has
been taken by the target. A target works on a page of its events behind the cursor: those of one
key one behind the other, those of different keys beside each other. What the target does not take
is tried again, after a pause that grows; it alone waits meanwhile, with one page in memory. When
all of a page is taken, one commit moves the cursor and deletes the events that all their targets
have, unless they are retained for a while so that they can be replayed.

A death between an answer and that commit repeats a page, in the same order; nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from fastobj.core.clock import Clock
from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict, FastobjError, StoreError
from fastobj.core.limits import (
    EVENT_PAUSE_S_MAX,
    EVENT_PAUSE_S_MIN,
    EVENTS_AT_ONCE_MAX,
    LOOP_SCAN_ROWS_MAX,
    TXN_ROWS_MAX,
)
from fastobj.core.metrics import Family, Metric
from fastobj.events.base import NotDelivered, Target
from fastobj.meta import keys, records, walk
from fastobj.meta.base import ANY, DELETE, Add, MetaReader, Row, ScanRow, Txn, new_txn_id
from fastobj.meta.records import CursorRecord, EventRecord
from fastobj.objects.event_message import message
from fastobj.objects.ledger import Entry, Ledger

Sleep = Callable[[float], Awaitable[None]]

_AGAIN_S: Final = 5.0  # after an error that is none of a target
_REST_S: Final = 60.0  # after this long without an event a target's connections are closed
_SWEEP_S: Final = 10.0  # between two looks for what is retained no more, and for replays
_DROPPED_AT_ONCE: Final = 1000
_NS_PER_S: Final = 1_000_000_000


class Counts(Protocol):
    """Where figures are counted (core.metric_page.ProcessCells)."""

    def add(self, family: Family, amount: int, *values: str) -> None:
        """Adds to a counter."""
        ...


class Event(NamedTuple):
    """An event of the outbox with its row, and the id of the notification that tells a target."""

    row: ScanRow
    record: EventRecord
    configuration: str

    @property
    def lane(self) -> tuple[str, str]:
        """What orders it: the events of one key are told one behind the other."""
        return self.record.bucket, self.record.key


class Outbox:
    """The rows of events and the cursors of targets: who has what, and what may go.

    Nobody else deletes events: all that moves cursors or deletes does so here, one at a time.
    """

    def __init__(
        self,
        meta: MetaReader,
        ledger: Ledger,
        counts: Counts,
        clock: Clock,
        retention_s: float = 0,
    ) -> None:
        self.is_retained = retention_s > 0
        self._meta = meta
        self._ledger = ledger
        self._counts = counts
        self._clock = clock
        self._retention_ns = int(retention_s * _NS_PER_S)
        self._turn = asyncio.Lock()
        self._swept = keys.FIRST
        self._log = logging.getLogger("fastobj.events")
        self.cursors: dict[str, bytes] = {}  # by target, those that settings do not name included

    async def load(self) -> None:
        """Reads the cursors. One that cannot be read begins anew: that repeats, and loses none."""
        async for row in walk.rows(self._meta, keys.CURSORS):
            target = row.key.decode()
            try:
                self.cursors[target] = records.decode(CursorRecord, row.value).position
            except StoreError as error:
                self._log.error("all that waits is told again to target %s: %s", target, error)

    async def page(self, target: str, position: bytes) -> tuple[list[Event], bytes]:
        """The next events of a target behind `position`, and how far it has looked.

        That is `position` itself where there is nothing more. An event that cannot be read is
        passed over; its row stays.
        """
        start = keys.next_key(position)
        rows = await self._meta.scan(keys.OUTBOX, start, keys.LAST, LOOP_SCAN_ROWS_MAX)
        found: list[Event] = []
        for row in rows:
            record = self._decode(row)
            if record is not None:
                found += [
                    Event(row, record, configuration)
                    for id, configuration in record.targets
                    if id == target
                ]
        return found, rows[-1].key if rows else position

    def _decode(self, row: ScanRow) -> EventRecord | None:
        try:
            return records.decode(EventRecord, row.value)
        except StoreError as error:
            self._log.error("event %s is passed over: %s", row.key.hex(), error)
            return None

    async def waiting(self) -> int:
        """How many events are in the outbox."""
        key = keys.OUTBOX_COUNTER
        found = await self._meta.counters(keys.OUTBOX, key, keys.next_key(key))
        return found[0][1][0] if found else 0

    async def taken(self, target: str, events: Sequence[Event], position: bytes) -> None:
        """The target has these events, and so all up to `position`. Raises what commits raise.

        Events that nobody waits for any more go, or stay for as long as they are retained.
        """
        async with self._turn:
            before = self.cursors.get(target, keys.FIRST)
            self.cursors[target] = position
            try:
                gone = [event.row for event in events if self._may_go(event.record, event.row.key)]
                await self._commit(await self._still_there(gone), self._cursor(target, position))
            except BaseException:
                self.cursors[target] = before
                raise

    async def set_back(self, target: str, since_ns: int) -> int:
        """Has a target told again of what has happened since then, as far as it is retained.

        Returns how many events that are. Raises what commits raise.
        """
        async with self._turn:
            count, position = 0, self.cursors.get(target, keys.FIRST)
            before = keys.FIRST
            async for row in walk.rows(self._meta, keys.OUTBOX, end=keys.next_key(position)):
                record = self._decode(row)
                is_told = record is not None and target in dict(record.targets)
                if count or (is_told and record is not None and record.at_ns >= since_ns):
                    count += is_told
                else:
                    before = row.key
            if count:
                await self._commit([], self._cursor(target, before))
                self.cursors[target] = before
            return count

    async def sweep(self) -> None:
        """Deletes what all targets have and is retained no more. Raises what commits raise."""
        async with self._turn:
            until_ns = self._clock.now_ns() - self._retention_ns
            while True:
                start = self._swept
                rows = await self._meta.scan(keys.OUTBOX, start, keys.LAST, LOOP_SCAN_ROWS_MAX)
                gone: list[ScanRow] = []
                for row in rows:
                    record = self._decode(row)
                    if record is not None and record.at_ns > until_ns:
                        break
                    self._swept = keys.next_key(row.key)
                    if record is not None and self._may_go(record, row.key):
                        gone.append(row)
                await self._commit(gone)
                if len(rows) < LOOP_SCAN_ROWS_MAX or self._swept <= rows[-1].key:
                    return

    async def bound(self, most: int) -> int:
        """Drops the oldest events beyond `most`; how many somebody had not been told of.

        Raises what commits raise.
        """
        lost = 0
        async with self._turn:
            over = await self.waiting() - most
            while over > 0:
                rows = await self._meta.scan(
                    keys.OUTBOX, keys.FIRST, keys.LAST, min(over, _DROPPED_AT_ONCE)
                )
                if not rows:
                    break
                for row in rows:
                    record = self._decode(row)
                    lost += record is None or not self._is_told(record, row.key)
                await self._commit(rows)
                over -= len(rows)
                await asyncio.sleep(0)
        self._counts.add(Metric.EVENTS_DROPPED, lost)
        return lost

    # --- rows

    def _is_told(self, record: EventRecord, key: bytes) -> bool:
        return all(self.cursors.get(id, keys.FIRST) >= key for id, _ in record.targets)

    def _may_go(self, record: EventRecord, key: bytes) -> bool:
        if not self._is_told(record, key):
            return False
        return record.at_ns + self._retention_ns <= self._clock.now_ns() or not self.is_retained

    async def _still_there(self, rows: Sequence[ScanRow]) -> list[ScanRow]:
        """Those that were not dropped meanwhile."""
        found = await self._meta.get_many([(keys.OUTBOX, row.key) for row in rows])
        return [row for row, present in zip(rows, found, strict=True) if present is not None]

    def _cursor(self, target: str, position: bytes) -> Row:
        value = records.encode(CursorRecord(records.FORMAT, position))
        return Row(keys.CURSORS, target.encode(), ANY, value)

    async def _commit(self, gone: Sequence[ScanRow], cursor: Row | None = None) -> None:
        """Deletes rows, and then moves a cursor: in as many transactions as that takes."""
        most = TXN_ROWS_MAX - 1
        entries: list[Entry] = []
        for at in range(0, len(gone), most):
            rows = [Row(keys.OUTBOX, row.key, row.token, DELETE) for row in gone[at : at + most]]
            less = [Add(keys.OUTBOX, keys.OUTBOX_COUNTER, (-len(rows),))]
            entries.append(Entry(Txn(new_txn_id(), rows, less)))
        if cursor is not None:
            entries.append(Entry(Txn(new_txn_id(), [cursor])))
        for result in await self._ledger.commit_many(entries):
            if result is not None and not isinstance(result, Conflict):
                raise result


class Backoff:
    """Pauses between tries: each about twice as long as the one before, up to a bound.

    `uniform` gives a number between two, so that not all who wait for one thing come at once.
    """

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self.failures = 0

    def succeeded(self) -> None:
        """What comes next is tried at once."""
        self.failures = 0

    def failed(self) -> float:
        """The seconds to wait now."""
        longest = min(EVENT_PAUSE_S_MAX, EVENT_PAUSE_S_MIN * 2 ** min(self.failures, 32))
        self.failures += 1
        return self._uniform(longest / 2, longest)


class Courier:
    """Takes events to one target, one page after the other."""

    def __init__(
        self,
        outbox: Outbox,
        target: Target,
        counts: Counts,
        *,
        sleep: Sleep = asyncio.sleep,
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        self._outbox = outbox
        self._target = target
        self._counts = counts
        self._sleep = sleep
        self._backoff = Backoff(uniform or random.Random().uniform)
        self._more = asyncio.Event()
        self._log = logging.getLogger("fastobj.events")

    def wake(self) -> None:
        """There may be more events."""
        self._more.set()

    async def run(self) -> None:
        """Goes on without end."""
        position = self._outbox.cursors.get(self._target.id, keys.FIRST)
        while True:
            self._more.clear()  # before the look: what comes behind it is not missed
            try:
                position = await self._step(position)
            except FastobjError as error:
                self._log.warning("events for %s wait: %s", self._target.id, error)
                await self._sleep(_AGAIN_S)

    async def _step(self, position: bytes) -> bytes:
        """Takes one page to the target, or waits for one; returns how far that is."""
        events, end = await self._outbox.page(self._target.id, position)
        if events:
            await self.deliver(events)
            reach("delivery.delivered")
            await self._outbox.taken(self._target.id, events, end)
            reach("delivery.taken")
        elif end == position:
            await self._wait()
        return end

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_REST_S):
                await self._more.wait()
        except TimeoutError:
            await self._target.rest()
            await self._more.wait()

    async def deliver(self, events: Sequence[Event]) -> None:
        """Returns once the target has taken all of them.

        After a failure one is tried at a time, until one is taken; and the key that failed comes
        last, so that one event which is always refused holds up its own key until all others of
        the page are there.
        """
        lanes: dict[tuple[str, str], deque[Event]] = {}
        for event in events:
            lanes.setdefault(event.lane, deque()).append(event)
        left = deque(lanes.values())
        while left:
            failed: list[NotDelivered] = []
            count = 1 if self._backoff.failures else EVENTS_AT_ONCE_MAX
            workers = [self._work(left, failed) for _ in range(min(count, len(left)))]
            await asyncio.gather(*workers)
            if failed:
                await self._pause(failed[0])

    async def _work(self, left: deque[deque[Event]], failed: list[NotDelivered]) -> None:
        """Takes whole lanes to the target, until none is left or somebody has failed."""
        while left and not failed:
            lane = left.popleft()
            try:
                while lane:
                    await self._send(lane[0])
                    lane.popleft()
            except NotDelivered as error:
                failed.append(error)
                self._counts.add(Metric.EVENT_FAILURES, 1)
            finally:
                if lane:
                    left.append(lane)

    async def _send(self, event: Event) -> None:
        await self._target.send(message(event.record, event.row.key, event.configuration))
        self._counts.add(Metric.EVENTS_DELIVERED, 1)
        if self._backoff.failures:
            self._log.info("target %s takes events again", self._target.id)
            self._backoff.succeeded()

    async def _pause(self, error: NotDelivered) -> None:
        level = logging.DEBUG if self._backoff.failures else logging.WARNING  # once, not each time
        pause_s = self._backoff.failed()
        self._log.log(
            level,
            "target %s does not take events: %s; they wait, and are tried again",
            *(self._target.id, error),
        )
        await self._sleep(pause_s)


class Delivery:
    """The couriers of all targets that settings name, and what keeps the outbox within bounds.

    `replays` tells which targets are to be told again of what has happened since when, in
    nanoseconds since the Unix epoch, and is told when that is under way.
    """

    def __init__(
        self,
        outbox: Outbox,
        targets: Sequence[Target],
        counts: Counts,
        *,
        events_max: int,
        replays: Replays,
    ) -> None:
        self._outbox = outbox
        self._targets = {target.id: target for target in targets}
        self._counts = counts
        self._events_max = events_max
        self._replays = replays
        self._couriers: dict[str, Courier] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._more = asyncio.Event()
        self._log = logging.getLogger("fastobj.events")

    def wake(self) -> None:
        """Events have been committed."""
        self._more.set()
        for courier in self._couriers.values():
            courier.wake()

    async def run(self) -> None:
        """Delivers without end; returns at once where there is no target."""
        if not self._targets:
            return
        await self._outbox.load()
        async with self._group:
            for id in self._targets:
                self._begin(id)
            while True:
                self._more.clear()
                try:
                    await self._tend()
                except FastobjError as error:
                    self._log.warning("the outbox is not tended now: %s", error)
                    await asyncio.sleep(_AGAIN_S)
                await self._wait()

    def _begin(self, id: str) -> None:
        courier = self._couriers[id] = Courier(self._outbox, self._targets[id], self._counts)
        self._tasks[id] = self._group.create_task(courier.run())

    async def _wait(self) -> None:
        """Until somebody commits events; where some are retained, no longer than for a while."""
        try:
            async with asyncio.timeout(_SWEEP_S if self._outbox.is_retained else None):
                await self._more.wait()
        except TimeoutError:
            return

    async def _tend(self) -> None:
        lost = await self._outbox.bound(self._events_max)
        if lost:
            self._log.error(
                "%d events were dropped undelivered: there were more than events-max (%d);"
                " look at the targets that do not take theirs, or raise it",
                *(lost, self._events_max),
            )
        if self._outbox.is_retained:
            await self._outbox.sweep()
            for id, since_ns in self._replays.wanted():
                await self._replay(id, since_ns)

    async def _replay(self, id: str, since_ns: int) -> None:
        task = self._tasks.get(id)
        if task is None:
            self._log.error("nothing is told again to target %s: no setting names it", id)
        else:
            task.cancel()
            await asyncio.wait({task})
            try:
                count = await self._outbox.set_back(id, since_ns)
            finally:
                self._begin(id)
            self._log.info("%d events are told again to target %s", count, id)
        self._replays.begun(id)


class Replays(Protocol):
    """Where somebody says that a target is to be told again of what has happened."""

    def wanted(self) -> list[tuple[str, int]]:
        """Targets, and since when, in nanoseconds since the Unix epoch."""
        ...

    def begun(self, target: str) -> None:
        """That has been seen to."""
        ...
