"""An engine in memory: the worked example of the contract, and a double for tests.

It keeps the limits of a transaction, hides a batch until it commits, and forgets all with the
object; opening it again after `close` finds what was committed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence

from fastobj.core.errors import Conflict
from fastobj.meta.base import ABSENT, ANY, Add, EngineLimits, LogPosition, Row, ScanRow, Token, Txn
from fastobj.meta.fold import NO_AMOUNTS, Amounts, CounterFold
from fastobj.meta.transact import ENGINE_LIMITS, Present, apply_each, check_txn

_Place = tuple[int, bytes]  # space, key


class _Space:
    """One ordered map: its keys sorted, its rows by key."""

    __slots__ = ("keys", "rows")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.rows: dict[bytes, tuple[bytes, Token]] = {}

    def put(self, key: bytes, row: Present) -> None:
        """Writes a row, or removes it where `row` is None."""
        if row is None:
            if self.rows.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
            return
        if key not in self.rows:
            insort(self.keys, key)
        self.rows[key] = row

    def scan(self, start: bytes, end: bytes, limit: int, reverse: bool) -> list[ScanRow]:
        """At most `limit` rows with start <= key < end."""
        low, high = bisect_left(self.keys, start), bisect_left(self.keys, end)
        if reverse:
            keys = self.keys[max(low, high - limit) : high][::-1]
        else:
            keys = self.keys[low : min(high, low + limit)]
        return [ScanRow(key, *self.rows[key]) for key in keys]


class MemoryEngine:
    """`LocalEngine` in memory."""

    limits: EngineLimits = ENGINE_LIMITS

    def __init__(self) -> None:
        self.spaces: defaultdict[int, _Space] = defaultdict(_Space)
        self.counts: defaultdict[int, dict[bytes, Amounts]] = defaultdict(dict)
        self._position = LogPosition()
        self._batch: MemoryBatch | None = None

    async def open(self) -> None:
        """Nothing to make ready."""

    async def close(self) -> None:
        """Drops an open batch."""
        if self._batch is not None:
            self._batch.rollback()

    async def get(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """The value and token of a row, or None."""
        return self.read(space, key)

    async def get_many(
        self, pairs: Sequence[tuple[int, bytes]]
    ) -> list[tuple[bytes, Token] | None]:
        """The rows asked for, in that order."""
        return [self.read(space, key) for space, key in pairs]

    async def scan(
        self, space: int, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[ScanRow]:
        """At most `limit` rows with start <= key < end, in key order (or the reverse)."""
        return self.spaces[space].scan(start, end, limit, reverse)

    async def counters(
        self, space: int, start: bytes, end: bytes
    ) -> list[tuple[bytes, tuple[int, ...]]]:
        """The counter rows with start <= key < end, in key order, all four integers of each."""
        return sorted(item for item in self.counts[space].items() if start <= item[0] < end)

    async def commit(self, txn: Txn) -> None:
        """Applies `txn`. Raises Conflict (nothing applied), ValueError (beyond the limits)."""
        (conflict,) = await self.commit_many([txn])
        if conflict is not None:
            raise conflict

    async def commit_many(self, txns: Sequence[Txn]) -> list[Conflict | None]:
        """Applies independent transactions; one result each."""
        for txn in txns:
            check_txn(txn, self.limits)
        batch = self.begin()
        try:
            results = apply_each(batch, txns)
            batch.commit(self._position)
        finally:
            batch.rollback()
        return results

    def begin(self) -> MemoryBatch:
        """Opens a batch. There is at most one."""
        assert self._batch is None, "a batch is open"
        self._batch = MemoryBatch(self)
        return self._batch

    def position(self) -> LogPosition:
        """The log position stored with the last committed batch."""
        return self._position

    def read(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """A committed row, synchronously."""
        return self.spaces[space].rows.get(key)

    def read_range(self, space: int, start: bytes, end: bytes, limit: int) -> list[ScanRow]:
        """A committed range, synchronously."""
        return self.spaces[space].scan(start, end, limit, False)

    def end_batch(self, position: LogPosition | None) -> None:
        """Takes what the open batch tells when it ends: the new log position, None for none."""
        self._batch = None
        if position is not None:
            self._position = position


class MemoryBatch:
    """A batch: its rows lie over those of the engine until it commits."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self._over: dict[_Place, Present] = {}
        self._fold = CounterFold(lambda space, key: engine.counts[space].get(key, NO_AMOUNTS))
        self._open = True

    def present(self, txn: Txn) -> list[Present]:
        """The rows that `txn` names as they stand now, in its order."""
        return [self._row(row) for row in txn.rows]

    def apply(self, txn: Txn) -> Conflict | None:
        """Checks and applies the rows of `txn`. Raises ValueError beyond the limits."""
        check_txn(txn, self._engine.limits)
        if not all(self._holds(row) for row in txn.rows):
            return Conflict(self.present(txn))
        self.apply_unchecked(txn)
        return None

    def apply_unchecked(self, txn: Txn) -> None:
        """Applies the rows of `txn` without checks."""
        assert self._open, "the batch has ended"
        for row in txn.rows:
            if not isinstance(row.value, int):  # KEEP leaves the row as it is
                left = None if row.value is None else (row.value, txn.id)
                self._over[row.space, row.key] = left

    def add(self, adds: Sequence[Add]) -> Sequence[Add]:
        """Folds all counter changes, or none: then returns those that pass their ceiling."""
        return self._fold.add(adds)

    def commit(self, position: LogPosition) -> None:
        """Makes rows, counters and the log position those of the engine."""
        assert self._open, "the batch has ended"
        for (space, key), row in self._over.items():
            self._engine.spaces[space].put(key, row)
        for space, key, *sums in self._fold.rows():
            counts = self._engine.counts[space]
            stored = counts.get(key, NO_AMOUNTS)
            counts[key] = tuple(map(int.__add__, stored, sums))
            if not any(counts[key]):
                del counts[key]
        self._end(position)

    def rollback(self) -> None:
        """Forgets the batch; after its end, nothing."""
        if self._open:
            self._end(None)

    def _end(self, position: LogPosition | None) -> None:
        self._open = False
        self._engine.end_batch(position)

    def _row(self, row: Row) -> Present:
        place = (row.space, row.key)
        return self._over[place] if place in self._over else self._engine.read(*place)

    def _holds(self, row: Row) -> bool:
        if row.expect == ANY:
            return True
        present = self._row(row)
        return (ABSENT if present is None else present[1]) == row.expect
