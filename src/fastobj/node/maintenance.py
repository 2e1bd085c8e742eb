"""The maintenance process: works when it is nudged, and only then; no request waits for it.

**Pace.** After each piece of work it pauses as long as that took, so at most half of a core is its
own; on a short disk it does not pause, for then whoever writes waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

import uvloop

from fastobj.background import orphans
from fastobj.background.compaction import Compaction
from fastobj.background.delivery import Delivery
from fastobj.background.expiry import Expiry
from fastobj.background.garbage import Garbage
from fastobj.background.reclaim import Reclaim, Report
from fastobj.background.rewrap import Rewrap
from fastobj.background.scrub import Scrub
from fastobj.background.segments import Known, Survey, survey
from fastobj.background.timekeeping import Timekeeper
from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError, NoSpace
from fastobj.core.metrics import Metric
from fastobj.kms.base import Kms
from fastobj.meta import keys
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node import frames, links
from fastobj.node.child import ChildContext, database_vfs, release_memory
from fastobj.node.event_delivery import delivery_of
from fastobj.node.maintenance_store import maintenance_store
from fastobj.node.peer import Peer
from fastobj.node.shared_page import MAINTENANCE
from fastobj.objects.moves import Moved
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.store import Store
from fastobj.storage import io
from fastobj.storage.pool import IoPool

_POOL_THREADS: Final = 2
_PAUSE_S_MIN: Final = 0.1
_PAUSE_FACTOR: Final = 10  # a pass that found nothing is followed by a pause ten times as long
_AGAIN_S: Final = 60.0  # unless somebody nudges before
_PAUSE_FACTOR_BUSY: Final = 1  # else it must keep up with whoever overwrites
_PAUSE_FACTOR_SHORT: Final = 0
_COMPACT_AGAIN_NS: Final = 10_000_000_000
_COMPACT_AGAIN_FULL_NS: Final = 300_000_000


def run(context: ChildContext) -> int:
    """Reclaims until the supervisor says stop or goes away; returns the exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(context))


async def _serve(context: ChildContext) -> int:
    return await Maintenance(context).serve()


class Maintenance:
    """The loop: wait for a nudge, make a pass, pause."""

    def __init__(self, context: ChildContext) -> None:
        self._context = context
        self._log = logging.getLogger("fastobj.maintenance")
        self._clock = SystemClock()
        self._nudged = asyncio.Event()
        self._nudge = frames.NudgeHead([], 0)
        self._stopping = asyncio.Event()
        self._peer = Peer(context, self._fail, on_nudge=self._on_nudge)
        self._ledger = self._peer.ledger
        self._status = 0
        self._failed = False  # the last pass over what is due
        self._working_beside: list[asyncio.Task[None]] = []
        self._timekeeper: Timekeeper | None = None
        self._expiry: Expiry | None = None
        self._delivery: Delivery | None = None
        self._kms: Kms | None = None
        self._settled_for: set[int] = set()
        self._compact_after_ns = 0
        self._cells = context.page.metrics.of(MAINTENANCE)
        self._engine = SqliteEngine(context.layout.database, read_only=True, vfs=database_vfs())

    async def serve(self) -> int:
        """Runs until told to stop."""
        control = self._context.control
        control.setblocking(False)
        asyncio.get_running_loop().add_reader(control.fileno(), self._on_control)
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()  # raises what ended it
        working.cancel()
        for task in self._working_beside:
            task.cancel()
        if self._kms is not None:
            await self._kms.close()
        self._ledger.close()
        return self._status

    async def _work(self) -> int:
        await self._nudged.wait()  # the committer has recovered the database
        await self._engine.open()
        settings = self._context.settings
        pool = IoPool(_POOL_THREADS)
        store = maintenance_store(self._context, self._engine, self._ledger, pool, self._cells)
        reclaim = Reclaim(
            self._context.layout.root,
            rows_committer(self._ledger),
            self._context.layout.log,
            (settings.log_segment_bytes_min, settings.log_segment_bytes_max),
        )
        garbage = Garbage(
            self._engine,
            rows_committer(self._ledger),
            store.volume.accounts,
            self._clock,
            settings.parts_grace_seconds,
        )
        compaction = Compaction(store, self._clock)
        scrub = self._scrub(store)
        self._begin_beside(store, scrub)
        while True:
            await self._wait(garbage)
            began = self._clock.monotonic_ns()
            await self._clear(garbage)
            await self._forget_gone(scrub)
            found = await survey(self._engine, self._known)
            report = await self._pass(reclaim, found)
            is_short = io.is_short(self._context.layout.root)
            worked = await self._compact(compaction, found, is_short=is_short)
            if report.sealed or worked:
                self._nudged.set()  # what was sealed may be empty, and what was begun goes on
            took_s = (self._clock.monotonic_ns() - began) / 1e9
            await asyncio.sleep(_pause_s(took_s, any(report) or worked, is_short))

    def _scrub(self, store: Store) -> Scrub:
        context = self._context
        return Scrub(
            store,
            self._cells,
            interval_s=context.settings.scrub_interval,
            bytes_s=context.settings.scrub_rate,
            made_ns=context.layout.made_ns,
            rested=self._rest,
        )

    def _begin_beside(self, store: Store, scrub: Scrub) -> None:
        """What works beside the passes, for as long as this process lives."""
        context = self._context
        self._beside("the scrub", scrub.run())
        self._timekeeper = Timekeeper(store, context.layout.trusted_time)
        self._beside("timekeeping", self._timekeeper.run())
        self._expiry = Expiry(store, self._cells)
        self._beside("lifecycle rules", self._expiry.run())
        if context.settings.notify_webhook:
            self._delivery = delivery_of(context, store, self._cells)
            self._beside("the delivery of events", self._delivery.run())
        if store.encryption.kms is not None:
            self._kms = store.encryption.kms
            interval_s = context.settings.kms_check_interval
            rewrap = Rewrap(store, self._kms, self._cells, interval_s=interval_s, rested=self._rest)
            self._beside("rewrapping", rewrap.run())

    def _beside(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._working_beside.append(task)
        task.add_done_callback(partial(self._ended, what))

    def _ended(self, what: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.critical("%s failed", what, exc_info=task.exception())
            self._fail(f"{what} failed")

    def _rest(self) -> None:
        self._engine.release_memory()
        release_memory()

    async def _forget_gone(self, scrub: Scrub) -> None:
        try:
            await scrub.forget_gone()
        except FastobjError as error:
            self._log.warning("damage that has gone is not forgotten yet: %s", error)

    async def _wait(self, garbage: Garbage) -> None:
        """Until somebody nudges, or until something is due; what failed waits for a while."""
        due_s = await garbage.next_due_s()
        if due_s is not None and self._failed:
            due_s = max(due_s, _AGAIN_S)
        try:
            async with asyncio.timeout(due_s):
                await self._nudged.wait()
        except TimeoutError:
            return
        self._nudged.clear()

    async def _clear(self, garbage: Garbage) -> None:
        self._failed = False
        try:
            cleared = await garbage.run()
        except FastobjError as error:
            self._failed = True
            self._log.warning("what is due is not worked off: %s", error)
            return
        if any(cleared):
            self._log.info("garbage: %s", cleared)

    async def _pass(self, reclaim: Reclaim, found: Survey) -> Report:
        try:
            self._settle_orphans()
            report = await reclaim.run(found)
        except FastobjError as error:
            self._log.warning("a reclaim pass ended early: %s", error)
            return Report()
        if any(report):
            self._log.debug("reclaim: %s", report)
        return report

    async def _compact(self, compaction: Compaction, found: Survey, *, is_short: bool) -> bool:
        """A step of compaction, if there is one to make; what failed waits for a while."""
        if self._clock.monotonic_ns() < self._compact_after_ns:
            return False
        before = compaction.total
        try:
            room = io.free_bytes(self._context.layout.root) if is_short else None
            return await compaction.step(found, room)
        except FastobjError as error:
            is_full = isinstance(error, NoSpace)  # what was moved gives room, once it is covered
            self._log.log(
                logging.DEBUG if is_full else logging.WARNING,
                "a round of compaction ended early: %s",
                error,
            )
            pause_ns = _COMPACT_AGAIN_FULL_NS if is_full else _COMPACT_AGAIN_NS
            self._compact_after_ns = self._clock.monotonic_ns() + pause_ns
            return False
        finally:
            self._count(compaction.total - before)

    def _count(self, moved: Moved) -> None:
        self._cells.add(Metric.COMPACTED_BODIES, moved.bodies)
        self._cells.add(Metric.COMPACTED_BYTES, moved.size_bytes)

    def _settle_orphans(self) -> None:
        """At the start, and when processes have ended: only a death leaves files without rows."""
        alive = self._context.page.live_owners() | set(self._nudge.attached)
        if alive != self._settled_for:
            layout = self._context.layout
            orphans.settle(layout.extents, layout.quarantine, self._has_row)
            self._settled_for = alive

    def _has_row(self, segment: int) -> bool:
        return self._engine.read(keys.SEGMENTS, keys.segment(segment)) is not None

    def _known(self) -> Known:
        alive = self._context.page.live_owners()
        return Known(alive, set(self._nudge.attached) - alive, self._nudge.covered)

    def _on_nudge(self, nudge: frames.NudgeHead) -> None:
        self._nudge = nudge
        if nudge.has_work:
            self._nudged.set()
            if self._timekeeper is not None:
                self._timekeeper.poke()
        if nudge.hinted and self._expiry is not None:
            self._expiry.nudge()
        if nudge.has_events and self._delivery is not None:
            self._delivery.wake()

    def _fail(self, reason: str) -> None:
        """Ends with an error; another process takes this place."""
        self._log.critical("this process ends: %s", reason)
        self._status = 1
        self._stopping.set()

    def _on_control(self) -> None:
        messages, alive = links.receive_all(self._context.control)
        for message in messages:
            if message.kind == links.LINK:
                self._peer.take(message)
            elif message.kind == links.STOP:
                self._stopping.set()
        if not alive:
            self._stopping.set()


def _pause_s(took_s: float, was_busy: bool, is_short: bool) -> float:
    if not was_busy:
        return max(_PAUSE_S_MIN, took_s * _PAUSE_FACTOR)
    return took_s * (_PAUSE_FACTOR_SHORT if is_short else _PAUSE_FACTOR_BUSY)
