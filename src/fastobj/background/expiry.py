"""Lifecycle rules at work: goes through what the time index has due for them, page by page.

After each page it pauses as long as that took. A page is one bounded read and one transaction for
each hint, so a crash costs a page of work. When nothing is due it waits for the moment when
something is, or for whoever hears of something sooner.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from fastobj.background import due_index
from fastobj.background.hinting import Hinting
from fastobj.background.judging import Judge
from fastobj.background.pace import Sleep
from fastobj.core.errors import FastobjError, Unavailable, Unknown
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.core.metrics import Family, Metric
from fastobj.meta import keys
from fastobj.meta.base import ScanRow
from fastobj.objects.store import Store

_AGAIN_S: Final = 60.0  # after an error of the committer's
_PAUSE_S_MIN: Final = 0.1  # where a hint is due and could not be worked off
_WAIT_S_MAX: Final = 3600.0  # the clock may be set, where something is due at all
_PUT_OFF_NS: Final = 3_600_000_000_000
_AT_ONCE_MAX: Final = 32  # hints that are judged side by side: one sync for all
_NS_PER_S: Final = 1_000_000_000


class Counts(Protocol):
    """Where figures are counted (core.metric_page.ProcessCells)."""

    def add(self, family: Family, amount: int, *values: str) -> None:
        """Adds to a counter."""
        ...


class Expiry:
    """The rules of all buckets of one store."""

    def __init__(self, store: Store, counts: Counts, sleep: Sleep = asyncio.sleep) -> None:
        self._store = store
        self._counts = counts
        self._sleep = sleep
        self._hinting = Hinting(store)
        self._judge = Judge(store)
        self._cursor = keys.FIRST
        self._resting: dict[bytes, int] = {}  # passes that failed, by token of their row: until
        self._nudged = asyncio.Event()
        self._log = logging.getLogger("fastobj.lifecycle")

    def nudge(self) -> None:
        """Something may be due sooner than was known."""
        self._nudged.set()

    async def run(self) -> None:
        """Works without end."""
        while True:
            self._nudged.clear()
            try:
                await self._work_off()
                wait_s = await self.next_due_s()
            except FastobjError as error:
                self._log.warning("lifecycle rules pause: %s", error)
                await self._sleep(_AGAIN_S)
                continue
            await self._wait(wait_s)

    async def _work_off(self) -> None:
        clock = self._store.clock
        began_ns = clock.monotonic_ns()
        while await self.step():
            await self._sleep((clock.monotonic_ns() - began_ns) / _NS_PER_S)
            began_ns = clock.monotonic_ns()

    async def _wait(self, wait_s: float | None) -> None:
        if wait_s is not None:
            wait_s = min(max(wait_s, _PAUSE_S_MIN), _WAIT_S_MAX)
        try:
            async with asyncio.timeout(wait_s):
                await self._nudged.wait()
        except TimeoutError:
            return

    async def step(self) -> bool:
        """A page of a pass over a bucket whose rules have changed, and a page of what is due.

        Returns whether there was either. Raises Unknown, Unavailable, and what reading rows raises.
        """
        changed = await self._changed_rules()
        if changed is not None:
            await self._hint(changed)
        end = keys.due_version_end(self._store.clock.now_ns())
        page = await due_index.page(self._store.meta, keys.DUE_VERSION, self._cursor, end)
        for at in range(0, len(page), _AT_ONCE_MAX):
            await self._judge_all(page[at : at + _AT_ONCE_MAX])
        self._cursor = keys.next_key(page[-1].key) if page else keys.FIRST
        if changed is None and not page:
            return False
        self._counts.add(Metric.LIFECYCLE_RUNS, 1)
        return True

    async def _changed_rules(self) -> ScanRow | None:
        """The first bucket whose rules have changed, if there is one; none that rests."""
        start = keys.due(keys.AT_ONCE, keys.DUE_RULES)
        rows = await self._store.meta.scan(keys.DUE, start, keys.after(start), LOOP_SCAN_ROWS_MAX)
        now_ns = self._store.clock.monotonic_ns()
        self._resting = {token: end for token, end in self._resting.items() if end > now_ns}
        return next((row for row in rows if row.token not in self._resting), None)

    async def _hint(self, row: ScanRow) -> None:
        """A page of its pass; one that fails rests, until its rules are set again or for a while.

        Raises Unknown, Unavailable.
        """
        try:
            await self._hinting.step(row)
        except (Unknown, Unavailable):
            raise
        except FastobjError as error:
            self._failed(error)
            self._resting[row.token] = self._store.clock.monotonic_ns() + _PUT_OFF_NS

    def _failed(self, error: FastobjError) -> None:
        self._counts.add(Metric.LIFECYCLE_ERRORS, 1)
        self._log.warning("a lifecycle rule is not applied yet: %s", error)

    async def _judge_all(self, rows: list[ScanRow]) -> None:
        results = await asyncio.gather(*map(self._judged, rows), return_exceptions=True)
        for error in results:
            if error is not None:
                raise error

    async def _judged(self, row: ScanRow) -> None:
        try:
            done = await self._judge.judge(row)
        except (Unknown, Unavailable):
            raise
        except FastobjError as error:
            self._failed(error)
            await self._judge.put_off(row, self._store.clock.now_ns() + _PUT_OFF_NS)
            return
        self._counts.add(Metric.LIFECYCLE_JUDGED, 1)
        if done is not None:
            self._counts.add(done, 1)

    async def next_due_s(self) -> float | None:
        """Seconds until something is due, None where there is nothing."""
        if await self._changed_rules() is not None:
            return 0.0
        row = await due_index.first(self._store.meta, keys.DUE_VERSION)
        if row is None:
            return _WAIT_S_MAX if self._resting else None
        at_ns, _, _, _ = keys.due_version_of(row.key)
        return max(0.0, (at_ns - self._store.clock.now_ns()) / _NS_PER_S)
