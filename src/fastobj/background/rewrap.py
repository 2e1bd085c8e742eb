"""Rewrapping: keys of objects that an older version of a key has wrapped are wrapped by the newest.

It asks the key service now and then for the newest versions of the keys that are in use; where one
has a newer version than before, a pass looks at all rows that hold wrapped keys. Only the wrapped
key in a row changes: no body is read, and ETag, dates and order stay. It remembers how far it is.

What others commit meanwhile behind the pass (a request that began before the rotation, a rename)
may still hold what an older version has wrapped: so a day after a pass that has changed anything
another one looks again. That nothing is left says `kms_keys.uses`, while no server runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from fastobj.background.pace import Pace, Sleep
from fastobj.background.scrub import Counts
from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict, FastobjError, StoreDamaged, StoreError, UnknownFormat
from fastobj.core.limits import REWRAP_BATCH_ROWS, REWRAP_ROW_COST, REWRAP_ROWS_S
from fastobj.core.metrics import Metric
from fastobj.kms.base import KeyNotFound, Kms, KmsError, Wrapped
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, ScanRow, Txn, new_txn_id
from fastobj.meta.records import KmsKeyRecord, RewrapRecord
from fastobj.objects import kms_keys
from fastobj.objects.encryption import bound
from fastobj.objects.kms_keys import WRAPPING, KmsKey, Wrapping
from fastobj.objects.ledger import Entry
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.store import Store

AGAIN_NS: Final = 24 * 3600 * 1_000_000_000
SAVE_NS: Final = 5_000_000_000
AGAIN_S: Final = 60.0  # after an error
TRIES_MAX: Final = 5  # of a row that others change meanwhile
_NONE_YET: Final = RewrapRecord(records.FORMAT, 0, finished_ns=1)


class _Found(NamedTuple):
    """A row whose key an older version has wrapped, as it was read."""

    space: int
    row: ScanRow
    record: Wrapping
    key_id: str
    wrapped: Wrapped


class Rewrap:
    """The passes over one store, which has a key service. `interval_s` is between two looks."""

    def __init__(
        self,
        store: Store,
        kms: Kms,
        counts: Counts,
        *,
        interval_s: float,
        sleep: Sleep = asyncio.sleep,
        rested: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._kms = kms
        self._counts = counts
        self._interval_s = interval_s
        self._sleep = sleep
        self._rested = rested
        self._pace = Pace(REWRAP_ROWS_S, store.clock, sleep)  # of rows, instead of bytes
        self._commit_rows = rows_committer(store.ledger)
        self._log = logging.getLogger("fastobj.rewrap")
        self._record = _NONE_YET
        self._saved_ns = 0
        self._unknown: set[str] = set()  # keys that the service does not have, as was told

    async def run(self) -> None:
        """Looks without end; returns at once where it is never to."""
        while self._interval_s:
            pause_s = self._interval_s
            try:
                await self.look()
            except FastobjError as error:
                self._log.warning("rewrapping pauses: %s", error)
                pause_s = min(pause_s, AGAIN_S)
            await self._sleep(pause_s)

    async def look(self) -> None:
        """Goes on with the pass that was begun, or begins one where there is something to do.

        Raises KmsUnavailable, what reading rows raises, and what a commit raises.
        """
        await self._load()
        present = await kms_keys.known(self._store.meta)
        if self._record.finished_ns:
            targets = await self._targets(present)
            if not targets:
                return
            self._begin(targets)
        await self._pass(present)

    # --- what there is to do

    async def _load(self) -> None:
        """Reads how far it is. A row that cannot be read begins anew."""
        self._record = _NONE_YET
        try:
            self._record = await kms_keys.progress(self._store.meta) or _NONE_YET
        except StoreError as error:
            self._log.error("rewrapping begins anew, its own row cannot be read: %s", error)
        if not self._record.finished_ns and self._record.space not in WRAPPING:
            self._record = _NONE_YET

    async def _targets(self, present: Sequence[KmsKey]) -> dict[str, int]:
        """The keys that have a newer version than the last pass has seen, and that version."""
        last, targets = self._record, dict[str, int]()
        is_again = bool(last.again_ns) and self._store.clock.now_ns() >= last.again_ns
        for key in present:
            newest = await self._newest(key.id)
            before = last.targets.get(key.id, 0)
            if newest > max(before, key.record.version) or (is_again and newest and before):
                targets[key.id] = newest
        return targets

    async def _newest(self, key_id: str) -> int:
        """The newest version; 0 where the service has no such key."""
        try:
            newest = await self._kms.newest(key_id)
        except KeyNotFound as error:
            if key_id not in self._unknown:
                self._unknown.add(key_id)
                self._log.error("what the key %r has wrapped cannot be read: %s", key_id, error)
            return 0
        self._unknown.discard(key_id)
        return newest

    def _begin(self, targets: dict[str, int]) -> None:
        now_ns = max(1, self._store.clock.now_ns())
        self._record = RewrapRecord(records.FORMAT, now_ns, targets, WRAPPING[0])
        told = ", ".join(f"{key_id} version {version}" for key_id, version in targets.items())
        self._log.info("rewrapping begins a pass, by %s", told)

    # --- the pass

    async def _pass(self, present: Sequence[KmsKey]) -> None:
        await self._save()
        for space in WRAPPING[WRAPPING.index(self._record.space) :]:
            if space != self._record.space:
                self._set(space=space, key=keys.FIRST)
            await self._rewrap_space(space)
        await self._end(present)

    async def _rewrap_space(self, space: int) -> None:
        meta = self._store.meta
        while True:
            page = await meta.scan(space, self._record.key, keys.LAST, REWRAP_BATCH_ROWS)
            found = [one for row in page if (one := self._find(space, row)) is not None]
            await self._rewrap(found)
            await self._pace.spend(len(page) + REWRAP_ROW_COST * len(found))
            if page:
                self._set(key=keys.next_key(page[-1].key))
            if self._store.clock.monotonic_ns() - self._saved_ns >= SAVE_NS:
                await self._save()
            if len(page) < REWRAP_BATCH_ROWS:
                return

    def _find(self, space: int, row: ScanRow) -> _Found | None:
        """The row, if an older version has wrapped the key in it."""
        try:
            record = kms_keys.wrapping_of(space, row.value)
        except (StoreDamaged, UnknownFormat) as error:
            self._log.error("a row is passed over, for it cannot be read: %s", error)
            return None
        used = kms_keys.of_service(record)
        if used is None or self._kms.version(used.wrapped) >= self._target(used.key_id):
            return None
        context = bound(used.kind, used.context)
        return _Found(space, row, record, used.key_id, Wrapped(used.wrapped, context))

    def _target(self, key_id: str) -> int:
        return self._record.targets.get(key_id, 0)

    async def _rewrap(self, found: list[_Found]) -> None:
        """Rewraps the keys in these rows. What others have changed meanwhile is read again."""
        for _ in range(TRIES_MAX):
            if not found:
                return
            changed = await self._commit(await self._ask(found))
            found = [one for row in changed if (one := await self._read_again(row)) is not None]
        for one in found:
            self._failed(one, "it changes faster than it can be rewrapped")

    async def _ask(self, found: Sequence[_Found]) -> list[tuple[_Found, bytes]]:
        """The rows and their keys as the service wraps them now, one call for each of its keys."""
        by_key: defaultdict[str, list[_Found]] = defaultdict(list)
        for one in found:
            by_key[one.key_id].append(one)
        done: list[tuple[_Found, bytes]] = []
        for key_id, rows in by_key.items():
            results: Sequence[bytes | KmsError]
            try:
                results = await self._kms.rewrap(key_id, [one.wrapped for one in rows])
            except KeyNotFound as error:
                results = [error] * len(rows)
            for one, result in zip(rows, results, strict=True):
                if isinstance(result, bytes):
                    done.append((one, result))
                else:
                    self._failed(one, str(result))
        return done

    def _failed(self, one: _Found, why: str) -> None:
        name = _object_key(one).decode(errors="replace")
        self._log.error("the key of %r cannot be rewrapped: %s", name, why)
        self._set(failed=dict(Counter(self._record.failed) + Counter([one.key_id])))
        self._counts.add(Metric.REWRAP_FAILURES, 1)

    async def _commit(self, done: Sequence[tuple[_Found, bytes]]) -> list[_Found]:
        """Commits the rows, each for itself; returns those that have changed meanwhile."""
        if not done:
            return []
        entries = [Entry(Txn(new_txn_id(), [_row(one, wrapped)])) for one, wrapped in done]
        changed: list[_Found] = []
        results = await self._store.ledger.commit_many(entries)
        for (one, _), result in zip(done, results, strict=True):
            if isinstance(result, Conflict):
                changed.append(one)
            elif result is not None:
                raise result
        count = len(done) - len(changed)
        self._set(rewrapped=self._record.rewrapped + count)
        self._counts.add(Metric.REWRAPPED, count)
        reach("rewrap.committed")
        return changed

    async def _read_again(self, one: _Found) -> _Found | None:
        present = await self._store.meta.get(one.space, one.row.key)
        return None if present is None else self._find(one.space, ScanRow(one.row.key, *present))

    # --- its end, and how far it is

    async def _end(self, present: Sequence[KmsKey]) -> None:
        """Notes which versions are not needed any more, unless something has failed."""
        record = self._record
        now_ns = max(1, self._store.clock.now_ns())
        again_ns = now_ns + AGAIN_NS if record.rewrapped or record.failed else 0
        self._set(finished_ns=now_ns, again_ns=again_ns)
        done = [
            key
            for key in present
            if key.id not in record.failed and self._target(key.id) > key.record.version
        ]
        rows = [Row(keys.KMS_KEYS, key.id.encode(), key.token, self._done(key)) for key in done]
        for row in rows:
            await self._commit_rows([row], [])
        await self._save()
        level = logging.ERROR if record.failed else logging.INFO
        counts = record.rewrapped, sum(record.failed.values())
        self._log.log(level, "rewrapping has ended a pass: %d rewrapped, %d failed", *counts)
        self._rested()

    def _done(self, key: KmsKey) -> bytes:
        return records.encode(KmsKeyRecord(records.FORMAT, self._target(key.id)))

    async def _save(self) -> None:
        value = records.encode(self._record)
        await self._commit_rows([Row(keys.JOBS, keys.JOB_REWRAP, ANY, value)], [])
        self._saved_ns = self._store.clock.monotonic_ns()

    def _set(self, **changes: object) -> None:
        self._record = msgspec.structs.replace(self._record, **changes)


def _row(one: _Found, wrapped: bytes) -> Row:
    return Row(one.space, one.row.key, one.row.token, kms_keys.rewrapped(one.record, wrapped))


def _object_key(one: _Found) -> bytes:
    if one.space == keys.CURRENT:
        return keys.object_key(one.row.key)
    split = keys.upload_of if one.space == keys.UPLOADS else keys.history_of
    return split(one.row.key)[0]
