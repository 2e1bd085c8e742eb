"""Garbage: works off the time index, in bounded transactions: old uploads, parts to let go of.

Each row is a hint, judged now that it is due; it goes with the last of what it asked for, so a
crash costs a repetition and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from fastobj.background import due_index
from fastobj.core.clock import Clock
from fastobj.core.errors import Conflict
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX, PARTS_GRACE_S, TXN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, KEEP, Add, MetaReader, Row, ScanRow
from fastobj.meta.records import PartRecord, PartsDue, UploadDue, UploadRecord
from fastobj.objects import upload_rows
from fastobj.objects.parts import accounts
from fastobj.storage.base import Location, Usage

CommitRows = Callable[[list[Row], list[Add]], Awaitable[bytes]]
Accounts = Callable[[Location, int], Usage]

_DROPPED_MAX: Final = TXN_ROWS_MAX - 1  # by one transaction, beside the row of what is due
_UPLOAD: Final = keys.DUE_UPLOAD
_PARTS: Final = keys.DUE_PARTS
_NS_PER_S: Final = 1_000_000_000
_NS_PER_HOUR: Final = 3600 * _NS_PER_S


class Cleared(NamedTuple):
    """What a pass did."""

    expired: int = 0  # uploads
    released: int = 0  # parts


class Garbage:
    """Passes over what is due in one store. `accounts` is that of its volume."""

    def __init__(
        self,
        meta: MetaReader,
        commit_rows: CommitRows,
        accounts: Accounts,
        clock: Clock,
        parts_grace_s: float = PARTS_GRACE_S,
    ) -> None:
        self._meta = meta
        self._commit_rows = commit_rows
        self._accounts = accounts
        self._clock = clock
        self._grace_ns = int(parts_grace_s * _NS_PER_S)
        self._resting_ns: int | None = None  # until then nothing that the last pass left is due

    async def run(self) -> Cleared:
        """Works off all that is due by now. Raises what a commit raises but Conflict."""
        self._resting_ns = None
        expired = await self._work_off(_UPLOAD, self._expire)
        released = await self._work_off(_PARTS, self._release)  # those of expired ones too
        return Cleared(expired, released)

    async def _work_off(self, kind: int, work: Callable[[ScanRow], Awaitable[int]]) -> int:
        """Gives each row of that kind that is due to `work`; returns how much that did."""
        done = 0
        cursor, end = keys.FIRST, keys.due(self._clock.now_ns() // _NS_PER_HOUR + 1)
        while rows := await due_index.page(self._meta, kind, cursor, end):
            for row in rows:
                done += await work(row)
            cursor = keys.next_key(rows[-1].key)
        return done

    async def _expire(self, row: ScanRow) -> int:
        """Aborts an upload, unless it has ended; then only its row in the index goes."""
        due = records.decode(UploadDue, row.value)
        _, _, upload_id = keys.due_of(row.key)
        row_key = keys.upload(due.bucket_id, due.key, upload_id)
        present = await self._meta.get(keys.UPLOADS, row_key)
        if present is None:
            return await self._commit([Row(keys.DUE, row.key, row.token, DELETE)], [], 0)
        record = records.decode(UploadRecord, present[0])
        return await self._commit(upload_rows.aborting(row_key, present[1], record), [], 1)

    async def _release(self, row: ScanRow) -> int:
        """Lets go of the parts of an upload that are not kept, and at last of the row."""
        due = records.decode(PartsDue, row.value)
        if self._rests(due.since_ns):
            return 0
        _, _, upload_id = keys.due_of(row.key)
        kept = _suffixes(due.kept)
        cursor, end = upload_id, keys.after(upload_id)
        done = 0
        while True:
            found = await self._meta.scan(keys.PARTS, cursor, end, LOOP_SCAN_ROWS_MAX)
            gone = [part for part in found if keys.part_suffix(part.key) not in kept]
            for at in range(0, len(gone), _DROPPED_MAX):
                done += await self._drop(row, gone[at : at + _DROPPED_MAX])
            if len(found) < LOOP_SCAN_ROWS_MAX:
                break
            cursor = keys.next_key(found[-1].key)
        return await self._commit([Row(keys.DUE, row.key, row.token, DELETE)], [], done)

    def _rests(self, since_ns: int) -> bool:
        """Whether what was let go of then may still be being read; not if the clock went back."""
        end_ns = since_ns + self._grace_ns
        if not since_ns <= self._clock.now_ns() < end_ns:
            return False
        self._resting_ns = min(end_ns, self._resting_ns or end_ns)
        return True

    async def _drop(self, due: ScanRow, group: list[ScanRow]) -> int:
        """Lets go of parts, if what is due is still that: an append may have added one to keep."""
        rows = [Row(keys.DUE, due.key, due.token, KEEP)]
        rows += [Row(keys.PARTS, part.key, part.token, DELETE) for part in group]
        adds = [
            add
            for part in group
            for add in accounts(self._accounts, records.decode(PartRecord, part.value), -1)
        ]
        return await self._commit(rows, adds, len(group))

    async def _commit(self, rows: list[Row], adds: list[Add], done: int) -> int:
        """Returns `done`; 0 where a row has changed meanwhile: the next pass judges it anew."""
        try:
            await self._commit_rows(rows, adds)
        except Conflict:
            return 0
        return done

    async def next_due_s(self) -> float | None:
        """Seconds until the next row is due, None where there is none.

        Behind a pass: what came since is not looked at.
        """
        found = [await due_index.first(self._meta, kind) for kind in (_UPLOAD, _PARTS)]
        due_ns = [self._due_ns(row) for row in found if row is not None]
        if not due_ns:
            return None
        return max(0.0, (min(due_ns) - self._clock.now_ns()) / _NS_PER_S)

    def _due_ns(self, row: ScanRow) -> int:
        hour, _, _ = keys.due_of(row.key)
        if hour == keys.AT_ONCE and self._resting_ns is not None:
            return self._resting_ns
        return hour * _NS_PER_HOUR


def _suffixes(kept: bytes) -> frozenset[bytes]:
    step = keys.PART_SUFFIX_BYTES
    return frozenset(kept[at : at + step] for at in range(0, len(kept), step))
