"""The scrub: reads and verifies every row and every body, in rounds, on a budget.

It remembers how far it is, so that a restart costs a few seconds of work, and which bodies are
damaged. It deletes nothing and moves nothing: the file of a damaged body stays, because only
segments in which nothing lives are released. Between two rounds it is one timer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from fastobj.background.pace import Pace, Sleep
from fastobj.core.errors import Conflict, FastobjError, StoreError
from fastobj.core.limits import MIB
from fastobj.core.metrics import Family, Metric
from fastobj.meta import keys, records, walk
from fastobj.meta.base import ANY, DELETE, Row, ScanRow
from fastobj.meta.records import DamageRecord, ScrubRecord
from fastobj.objects import damage
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.store import Store
from fastobj.objects.verify import SPACES, Fault, Verified, Verifier

ROW_COST_BYTES: Final = 4096  # what a row costs of the budget, beside its body: a page is read
SAVE_NS: Final = 5_000_000_000
SAVE_BYTES: Final = 64 * MIB
AGAIN_S: Final = 60.0  # after an error that is no damage
_NS_PER_S: Final = 1_000_000_000
_NONE_YET: Final = ScrubRecord(records.FORMAT, 0, 0, finished_ns=1)


class Counts(Protocol):
    """Where figures are counted (core.metric_page.ProcessCells)."""

    def add(self, family: Family, amount: int, *values: str) -> None:
        """Adds to a counter."""
        ...


class Scrub:
    """The rounds over one store. `interval_s` is from the beginning of one to that of the next.

    The first begins that long after `made_ns`, when the store was made, in nanoseconds since the
    Unix epoch. `rested` is called behind each round.
    """

    def __init__(
        self,
        store: Store,
        counts: Counts,
        *,
        interval_s: float,
        bytes_s: int,
        made_ns: int,
        sleep: Sleep = asyncio.sleep,
        rested: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._counts = counts
        self._interval_ns = int(interval_s * _NS_PER_S)
        self._made_ns = made_ns
        self._sleep = sleep
        self._rested = rested
        self._pace = Pace(bytes_s, store.clock, sleep)
        self._commit_rows = rows_committer(store.ledger)
        self._verifier = Verifier(store, self._why_damaged, self._spend)
        self._log = logging.getLogger("fastobj.scrub")
        self._record = _NONE_YET
        self._saved_ns = self._unsaved_bytes = 0
        self._is_damaged = True  # until somebody has looked

    async def run(self) -> None:
        """Rounds without end; returns at once where there are to be none."""
        while self._interval_ns:
            try:
                await self._load()
                due_s = self._due_s()
                if due_s > 0:
                    await self._sleep(due_s)
                    continue  # the clock may have been set
                await self.round()
            except FastobjError as error:
                self._log.warning("the scrub pauses: %s", error)
                await self._sleep(AGAIN_S)

    async def round(self) -> None:
        """Goes on with the round that was begun, or begins one, and ends it.

        Raises what reading rows, or committing some of our own, raises, and Busy.
        """
        await self._load()
        await self._begin()
        for space in SPACES[SPACES.index(self._record.space) :]:
            if space != self._record.space:
                self._at(space, keys.FIRST)
            await self._scrub(space)
        await self.forget_gone()
        now_ns = max(1, self._store.clock.now_ns())
        self._set(finished_ns=now_ns, ended_ns=now_ns)
        await self._save()
        self._counts.add(Metric.SCRUB_ROUNDS, 1)
        self._report()
        self._rested()

    async def forget_gone(self) -> None:
        """Forgets damage whose body or row is there no more. Raises what a commit raises."""
        if not self._is_damaged:
            return
        async for row in walk.rows(self._store.meta, keys.DAMAGED):
            try:
                record = records.decode(DamageRecord, row.value)
                is_gone = await damage.is_gone(self._store.meta, row.key, record)
            except StoreError:
                is_gone = False  # a round reports the row
            if is_gone:
                await self._forget(row.key, row.token, "is there no more")
        self._is_damaged = await self._has_damage()

    async def _has_damage(self) -> bool:
        return bool(await self._store.meta.scan(keys.DAMAGED, keys.FIRST, keys.LAST, 1))

    # --- the round

    async def _load(self) -> None:
        """Reads how far the last life came. A row that cannot be read begins anew."""
        row = await self._store.meta.get(keys.JOBS, keys.JOB_SCRUB)
        self._record = _NONE_YET
        if row is None:
            return
        try:
            record = records.decode(ScrubRecord, row[0])
        except StoreError as error:
            self._log.error("the scrub begins anew, for its own row cannot be read: %s", error)
            return
        if record.space in SPACES or record.finished_ns:
            self._record = record

    def _due_s(self) -> float:
        """Seconds until there is something to do."""
        record = self._record
        if not record.finished_ns:
            return 0.0
        last_ns = record.started_ns or self._made_ns
        now_ns = self._store.clock.now_ns()
        if last_ns > now_ns:  # the clock went back
            return self._interval_ns / _NS_PER_S
        return max(0.0, (last_ns + self._interval_ns - now_ns) / _NS_PER_S)

    async def _begin(self) -> None:
        clock = self._store.clock
        self._saved_ns, self._unsaved_bytes = clock.monotonic_ns(), 0
        self._is_damaged = await self._has_damage()
        self._verifier.begin()
        if not self._record.finished_ns:
            self._log.info("the scrub goes on with round %d", self._record.round)
            return
        number = self._record.round + 1
        self._record = ScrubRecord(
            records.FORMAT,
            number,
            max(1, clock.now_ns()),
            SPACES[0],
            ended_ns=self._record.ended_ns,
        )
        self._log.info("the scrub begins round %d", number)

    async def _scrub(self, space: int) -> None:
        async for row in walk.rows(self._store.meta, space, self._record.key):
            verified = await self._verifier.verify(space, row)
            await self._note(space, row, verified)
            self._at(space, keys.next_key(row.key))
            await self._pace.spend(ROW_COST_BYTES)
            if self._is_to_be_saved():
                await self._save()

    async def _note(self, space: int, row: ScanRow, verified: Verified) -> None:
        if verified.fault is not None:
            await self._remember(verified.fault)
            return
        if verified.data_id:
            self._set(bodies=self._record.bodies + 1)
            self._counts.add(Metric.SCRUB_BODIES, 1)
            await self._forget_whole(keys.damaged_body(verified.data_id))
        await self._forget_whole(keys.damaged_row(space, row.key))

    async def _spend(self, size_bytes: int) -> None:
        self._set(bytes_read=self._record.bytes_read + size_bytes)
        self._unsaved_bytes += size_bytes
        self._counts.add(Metric.SCRUB_BYTES, size_bytes)
        await self._pace.spend(size_bytes)

    def _report(self) -> None:
        record = self._record
        if self._verifier.missing:
            self._log.warning("BLAKE3 sums were not compared: %s", self._verifier.missing)
        level = logging.WARNING if record.damaged else logging.INFO
        self._log.log(
            level,
            "the scrub has ended round %d: %d bodies and %d bytes verified, damage found: %d",
            *(record.round, record.bodies, record.bytes_read, record.damaged),
        )

    # --- damage

    async def _why_damaged(self, data_id: bytes) -> str:
        """What is known of a body that this round has met before."""
        if not self._is_damaged:
            return ""
        row = await self._store.meta.get(keys.DAMAGED, keys.damaged_body(data_id))
        if row is None:
            return ""
        try:
            return records.decode(DamageRecord, row[0]).reason
        except StoreError:
            return "its damage was found before, and the row that says why cannot be read"

    async def _remember(self, fault: Fault) -> None:
        self._log.error("%s", (await damage.words(self._store.meta, fault)).line())
        self._set(damaged=self._record.damaged + 1)
        if await self._store.meta.get(keys.DAMAGED, damage.row_key(fault)) is None:
            row = damage.found_row(fault, self._store.clock.now_ns())
            await self._commit_rows([row], [])  # nobody else writes these rows
            self._counts.add(Metric.SCRUB_DAMAGE, 1)
        self._is_damaged = True  # only now: meanwhile another pass may have looked

    async def _forget_whole(self, key: bytes) -> None:
        """What verified is damaged no more."""
        if self._is_damaged:
            row = await self._store.meta.get(keys.DAMAGED, key)
            if row is not None:
                await self._forget(key, row[1], "is whole again")

    async def _forget(self, key: bytes, token: bytes, why: str) -> None:
        try:
            await self._commit_rows([Row(keys.DAMAGED, key, token, DELETE)], [])
        except Conflict:
            return  # somebody else was faster
        self._log.info("what was damaged %s: %s", why, key.hex())

    # --- how far it is

    def _is_to_be_saved(self) -> bool:
        since_ns = self._store.clock.monotonic_ns() - self._saved_ns
        return since_ns >= SAVE_NS or self._unsaved_bytes >= SAVE_BYTES

    async def _save(self) -> None:
        value = records.encode(self._record)
        await self._commit_rows([Row(keys.JOBS, keys.JOB_SCRUB, ANY, value)], [])
        self._saved_ns, self._unsaved_bytes = self._store.clock.monotonic_ns(), 0

    def _at(self, space: int, key: bytes) -> None:
        self._set(space=space, key=key)

    def _set(self, **changes: object) -> None:
        self._record = msgspec.structs.replace(self._record, **changes)
