"""Counter changes of one batch, folded in memory: one write per counter row and batch.

A counter row has `COUNTER_AMOUNTS_MAX` integers, whatever the number that a change names: shorter
amounts stand for zeros at the end, and engines always return all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fastobj.core.limits import COUNTER_AMOUNTS_MAX
from fastobj.meta.base import Add

Amounts = tuple[int, ...]
NO_AMOUNTS: Amounts = (0,) * COUNTER_AMOUNTS_MAX


class CounterFold:
    """The sums of a batch. `stored` reads the counter row as it was before the batch."""

    __slots__ = ("_before", "_stored", "_sums")

    def __init__(self, stored: Callable[[int, bytes], Amounts]) -> None:
        self._stored = stored
        self._before: dict[tuple[int, bytes], Amounts] = {}
        self._sums: dict[tuple[int, bytes], list[int]] = {}

    def add(self, adds: Sequence[Add]) -> Sequence[Add]:
        """Folds all of `adds`, or none: then returns those that would pass their ceiling.

        Raises ValueError for more amounts than a counter row has.
        """
        for add in adds:
            if not 0 < len(add.amounts) <= COUNTER_AMOUNTS_MAX:
                raise ValueError(f"a counter has 1 to {COUNTER_AMOUNTS_MAX} amounts")
            if add.ceiling is not None:
                refused = self._refused(adds)
                if refused:
                    return refused
                break
        for add in adds:
            self._fold(self._sums, add)
        return ()

    def rows(self) -> Iterator[tuple[int, bytes, int, int, int, int]]:
        """(space, key, the four sums) of each counter that changed."""
        for (space, key), (n0, n1, n2, n3) in self._sums.items():
            if n0 or n1 or n2 or n3:
                yield space, key, n0, n1, n2, n3

    def lessened(self) -> Iterator[tuple[int, bytes]]:
        """(space, key) of each counter that may have come down to nothing."""
        for at, sums in self._sums.items():
            if min(sums) < 0:
                yield at

    @staticmethod
    def _fold(sums: dict[tuple[int, bytes], list[int]], add: Add) -> None:
        row = sums.get((add.space, add.key))
        if row is None:
            row = sums[add.space, add.key] = [0] * COUNTER_AMOUNTS_MAX
        for index, amount in enumerate(add.amounts):
            row[index] += amount

    def _refused(self, adds: Sequence[Add]) -> list[Add]:
        """Those that pass their ceiling once all of `adds` are added."""
        asked: dict[tuple[int, bytes], list[int]] = {}
        for add in adds:
            self._fold(asked, add)
        return [
            add for add in adds if add.ceiling is not None and self._passes(add, add.ceiling, asked)
        ]

    def _passes(
        self,
        add: Add,
        ceiling: tuple[int | None, ...],
        asked: dict[tuple[int, bytes], list[int]],
    ) -> bool:
        at = (add.space, add.key)
        if at not in self._before:
            self._before[at] = self._stored(*at)
        folded = self._sums.get(at, NO_AMOUNTS)
        totals = map(sum, zip(self._before[at], folded, asked[at], strict=True))
        return any(
            bound is not None and total > bound
            for total, bound in zip(totals, ceiling, strict=False)
        )
