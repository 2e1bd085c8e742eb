"""What the committer holds: the store's lock, the database, its checkpoints, the ledger."""

from __future__ import annotations

import logging

from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError
from fastobj.core.metrics import Metric
from fastobj.core.settings import Settings
from fastobj.node.child import release_memory
from fastobj.node.layout import StoreLayout
from fastobj.node.recovered_store import RecoveredStore
from fastobj.node.shared_page import COMMITTER, MAINTENANCE, SharedPage
from fastobj.objects.local_ledger import LedgerBatch
from fastobj.objects.local_recovery import Recovered


class CommitterStore:
    """The store, opened for writing, and what is counted of it."""

    def __init__(self, layout: StoreLayout, settings: Settings, page: SharedPage) -> None:
        self.log = logging.getLogger("fastobj.committer")
        self._page = page
        self._cells = page.metrics.of(COMMITTER)
        self._clock = SystemClock()
        self._layout = layout
        self._store = RecoveredStore(
            layout,
            segment_bytes=(settings.log_segment_bytes_min, settings.log_segment_bytes_max),
            epoch_changed=page.epochs.bump,
        )
        self.engine = self._store.engine
        self.checkpoints = self.engine.checkpointer
        self.recovered: Recovered = self._store.recovered
        self.ledger = self.recovered.ledger
        self._covered_told = self.covered_sequence
        self._segment = self.recovered.log.segment
        self._rolled = False
        self._checkpoints_told = self._stall_ns_told = 0
        page.epochs.bump_all()
        self._count_positions()
        self._report()

    @property
    def covered_sequence(self) -> int:
        """The highest log sequence that a completed checkpoint covers."""
        return self.checkpoints.covered_sequence

    def is_maintenance(self, owner: int) -> bool:
        """Whether that incarnation is the present maintenance process."""
        return owner == self._page.owner(MAINTENANCE)

    def wants_maintenance(self) -> bool:
        """Whether since the last call a checkpoint has ended, a spare was used up, or something
        was refused for want of space.
        """
        room = self.ledger.room
        wants = self._rolled or self._covered_told != self.covered_sequence or room.refused
        room.refused = False
        self._covered_told = self.covered_sequence
        self._rolled = False
        return wants

    def write(self, batch: LedgerBatch) -> None:
        """Writes and syncs a batch, and counts that. Raises SyncFailed."""
        began = self._clock.monotonic_ns()
        self.ledger.write(batch)
        self._cells.observe(Metric.LOG_SYNCS, self._clock.monotonic_ns() - began)

    def rest(self) -> None:
        """Brings the database up to date with the log, and gives room and memory back."""
        self.ledger.rest()
        self._look_at_segment()
        self.engine.release_memory()
        release_memory()
        self._count_checkpoints()
        self._count_positions()

    def count(self, batch: LedgerBatch) -> None:
        """Counts a finished batch in the shared page."""
        cells = self._cells
        cells.add(Metric.COMMIT_CONFLICTS, len(batch.refused))
        if batch.block is None:
            return
        self._look_at_segment()
        cells.add(Metric.COMMIT_BATCHES, 1)
        cells.add(Metric.COMMIT_TRANSACTIONS, len(batch.accepted))
        cells.observe(Metric.COMMIT_BATCH_SIZE, len(batch.accepted))
        if batch.events:
            cells.add(Metric.EVENTS_WRITTEN, batch.events)
        self._count_checkpoints()
        self._count_positions()

    def _look_at_segment(self) -> None:
        self._rolled = self._rolled or self.recovered.log.segment != self._segment
        self._segment = self.recovered.log.segment

    def _count_checkpoints(self) -> None:
        """The cells outlive this process, the checkpointer's figures do not: add what is new."""
        stats = self.checkpoints.stats
        if stats.stall_ns == self._stall_ns_told and stats.restart_count == self._checkpoints_told:
            return
        self._cells.add(Metric.CHECKPOINTS, stats.restart_count - self._checkpoints_told)
        self._cells.add(Metric.CHECKPOINT_STALL_NS, stats.stall_ns - self._stall_ns_told)
        self._checkpoints_told, self._stall_ns_told = stats.restart_count, stats.stall_ns

    def _count_positions(self) -> None:
        self._cells.set(Metric.LAST_SEQUENCE, self.ledger.last_sequence)
        self._cells.set(Metric.COVERED_SEQUENCE, self.covered_sequence)

    def log_fence(self, error: FastobjError) -> None:
        """Leaves word for the next start, as far as the disk takes it."""
        leave_fence(self._layout, error)

    def _report(self) -> None:
        self.log.info(
            "recovered: %d blocks with %d transactions replayed, log goes on behind block %d",
            self.recovered.blocks_replayed,
            self.recovered.transactions_replayed,
            self.ledger.last_sequence,
        )

    def close(self) -> None:
        """Closes files; nothing that was committed depends on it.

        Raises what a checkpoint in its thread failed with.
        """
        self._store.close()


def leave_fence(layout: StoreLayout, error: FastobjError) -> None:
    """After a failed sync: word for the next start, as far as the disk takes it."""
    log = logging.getLogger("fastobj.committer")
    log.critical("a sync failed, nothing is written after it: %s", error)
    try:
        layout.fence.write_text(f"{error}\n")
    except OSError as failure:
        log.critical("%s could not be written: %s", layout.fence, failure)
