"""Memory shared by fork: epochs of cached records, live processes, connection counts, metrics.

One anonymous mapping of 64-bit cells, made before the first fork. Each cell has one writer, and
an aligned 64-bit store is whole for every reader, so nothing is locked.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final
from zlib import crc32

from fastobj.core.limits import EPOCH_SLOTS
from fastobj.core.metric_page import CellLayout, MetricsPage
from fastobj.node.counting import LABEL_VALUES

SUPERVISOR: Final = 0
COMMITTER: Final = 1
MAINTENANCE: Final = 2
FIRST_WORKER: Final = 3
PROCESSES_MAX: Final = 72  # these, and workers behind them
WORKERS_MAX: Final = PROCESSES_MAX - FIRST_WORKER - 1  # one slot for who replaces one of them

_ROLES: Final = ("supervisor", "committer", "maintenance")
_OWNERS_AT: Final = EPOCH_SLOTS
_CLOSED_AT: Final = _OWNERS_AT + PROCESSES_MAX
_PIDS_AT: Final = _CLOSED_AT + PROCESSES_MAX
_METRICS_AT: Final = _PIDS_AT + PROCESSES_MAX
_LINE: Final = 8  # cells: two processes never write to one cache line of metrics


class SharedPage:
    """The mapping. Make it before the first fork; slots are process slots (see above).

    Metrics are kept, and added up, for as many workers as there will be, and one that replaces
    another.
    """

    def __init__(self, workers: int = WORKERS_MAX) -> None:
        slots = FIRST_WORKER + workers + 1
        layout = CellLayout(LABEL_VALUES)
        stride = -(-layout.cells // _LINE) * _LINE
        self._cells = memoryview(mmap.mmap(-1, (_METRICS_AT + slots * stride) * 8)).cast("Q")
        self.epochs = SharedEpochs(self._cells[:EPOCH_SLOTS])
        self.metrics = MetricsPage(self._cells[_METRICS_AT:], slots, layout)

    def set_owner(self, slot: int, owner: int) -> None:
        """Says which incarnation runs in a slot; 0 when it is dead. Written by the supervisor."""
        self._cells[_OWNERS_AT + slot] = owner

    def owner(self, slot: int) -> int:
        """The incarnation that runs in a slot; 0 where none does."""
        return self._cells[_OWNERS_AT + slot]

    def live_owners(self) -> set[int]:
        """The incarnations that run now."""
        return set(self._cells[_OWNERS_AT:_CLOSED_AT]) - {0}

    def set_closed(self, slot: int, count: int) -> None:
        """How many of the connections handed to it the worker in that slot has closed."""
        self._cells[_CLOSED_AT + slot] = count

    def closed(self, slot: int) -> int:
        """The figure that the worker in that slot wrote last."""
        return self._cells[_CLOSED_AT + slot]

    def set_pid(self, slot: int, pid: int) -> None:
        """Says which process runs in a slot; 0 when it is dead. Written by the supervisor."""
        self._cells[_PIDS_AT + slot] = pid

    def processes(self) -> Iterator[tuple[str, int, int]]:
        """Role, number among its like, and pid of each process that runs now."""
        for slot, pid in enumerate(self._cells[_PIDS_AT:_METRICS_AT].tolist()):
            if not pid:
                continue
            if slot < FIRST_WORKER:
                yield _ROLES[slot], 0, pid
            else:
                yield "worker", slot - FIRST_WORKER, pid


class SharedEpochs:
    """64-bit epochs, one slot per hash of the cached key; the committer bumps, all read."""

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells

    def read(self, key: bytes) -> int:
        """The present epoch of a cached key: read it *before* the record."""
        epoch: int = self._cells[crc32(key) % EPOCH_SLOTS]
        return epoch

    def bump(self, key: bytes) -> None:
        """After COMMIT and before the answer: all caches of that key are stale from here."""
        slot = crc32(key) % EPOCH_SLOTS
        self._cells[slot] = (self._cells[slot] + 1) & 0xFFFF_FFFF_FFFF_FFFF

    def bump_all(self) -> None:
        """A committer that starts does not know what the one before it had committed."""
        for slot in range(EPOCH_SLOTS):
            self._cells[slot] = (self._cells[slot] + 1) & 0xFFFF_FFFF_FFFF_FFFF
