"""The ids of the transactions committed lately, so that a lost answer can be asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from fastobj.objects.ledger import Outcome


class Outcomes:
    """The ids of the transactions committed lately, so that a lost answer can be asked for.

    `horizon` is the highest sequence that has been forgotten: about a transaction sent when the
    sender knew a sequence at or above it, absence means that it was not committed.
    """

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}
        self._blocks: deque[tuple[int, list[bytes]]] = deque()
        self.horizon = 0

    def remember(self, sequence: int, ids: Sequence[bytes]) -> None:
        """The transactions of block `sequence` have been committed."""
        self._blocks.append((sequence, list(ids)))
        for txn_id in ids:
            self._ids[txn_id] = sequence

    def remember_older(self, blocks: Sequence[tuple[int, list[bytes]]]) -> None:
        """Blocks before all those remembered so far, in order."""
        for sequence, ids in reversed(blocks):
            self._blocks.appendleft((sequence, ids))
            for txn_id in ids:
                self._ids[txn_id] = sequence

    def first_sequence(self) -> int | None:
        """The lowest sequence that is remembered."""
        return self._blocks[0][0] if self._blocks else None

    def forget(self, covered: int) -> None:
        """Forgets the blocks up to `covered`."""
        while self._blocks and self._blocks[0][0] <= covered:
            sequence, ids = self._blocks.popleft()
            self.horizon = sequence
            for txn_id in ids:
                self._ids.pop(txn_id, None)

    def ask(self, txn_id: bytes, since: int) -> Outcome:
        """What became of a transaction whose sender knew block `since` when it was sent."""
        if txn_id in self._ids:
            return Outcome.COMMITTED
        return Outcome.NOT_COMMITTED if since >= self.horizon else Outcome.TOO_OLD
