"""What the committer holds: the store's lock, the database, its checkpoints, the ledger."""

from __future__ import annotations

import logging
import os

from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError, NoSpace
from fastobj.core.limits import LOG_SEGMENT_BYTES_MIN
from fastobj.core.metrics import Metric
from fastobj.core.settings import Settings
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node.child import database_vfs, release_memory
from fastobj.node.layout import StoreLayout
from fastobj.node.locks import StoreLock, take_store_lock
from fastobj.node.shared_page import COMMITTER, MAINTENANCE, SharedPage
from fastobj.objects.local_ledger import LedgerBatch
from fastobj.objects.local_recovery import Recovered, recover
from fastobj.storage.spares import Spares


class CommitterStore:
    """Opens the store for writing: lock, settle what a fence left, recover, new segment."""

    def __init__(self, layout: StoreLayout, settings: Settings, page: SharedPage) -> None:
        self.log = logging.getLogger("fastobj.committer")
        self._page = page
        self._cells = page.metrics.of(COMMITTER)
        self._clock = SystemClock()
        self._layout = layout
        self._lock: StoreLock = take_store_lock(layout)
        drop_caches_after_fence(layout)
        self.engine = SqliteEngine(layout.database, vfs=database_vfs())
        self._open_database()
        self.checkpoints = self.engine.checkpointer
        self.recovered: Recovered = recover(
            layout.log,
            layout.store_id,
            self.engine,
            segment_bytes=(settings.log_segment_bytes_min, settings.log_segment_bytes_max),
            checkpoints=self.checkpoints,
            database=self.checkpoints,
            epoch_changed=page.epochs.bump,
        )
        self.ledger = self.recovered.ledger
        self._covered_told = self.covered_sequence
        self._segment = self.recovered.log.segment
        self._rolled = False
        self._checkpoints_told = self._stall_ns_told = 0
        page.epochs.bump_all()
        self._forget_fence()
        self._count_positions()
        self._report()

    def _open_database(self) -> None:
        """On a full disk its index in shared memory, which begins anew, takes the room of a spare.

        Raises NoSpace where there is none, StoreError.
        """
        spares = Spares(self._layout.log, LOG_SEGMENT_BYTES_MIN)
        while True:
            try:
                return self.engine.open_now()
            except NoSpace as full:
                if not spares.free_smallest():
                    raise
                self.log.warning("%s: a spare log segment makes room", full)

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
        """Brings the database up to date with the log, and gives memory back."""
        self.ledger.cover()
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
        self._rolled = self._rolled or self.recovered.log.segment != self._segment
        self._segment = self.recovered.log.segment
        cells.add(Metric.COMMIT_BATCHES, 1)
        cells.add(Metric.COMMIT_TRANSACTIONS, len(batch.accepted))
        cells.observe(Metric.COMMIT_BATCH_SIZE, len(batch.accepted))
        self._count_checkpoints()
        self._count_positions()

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

    def _forget_fence(self) -> None:
        self._layout.fence.unlink(missing_ok=True)

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
        self.recovered.log.close()
        self.engine.close_now()


def leave_fence(layout: StoreLayout, error: FastobjError) -> None:
    """After a failed sync: word for the next start, as far as the disk takes it."""
    log = logging.getLogger("fastobj.committer")
    log.critical("a sync failed, nothing is written after it: %s", error)
    try:
        layout.fence.write_text(f"{error}\n")
    except OSError as failure:
        log.critical("%s could not be written: %s", layout.fence, failure)


def drop_caches_after_fence(layout: StoreLayout) -> None:
    """After a failed sync, what the cache says may not be on the disk: read it from there.

    All processes have been started anew, so no connection holds an index of the WAL that still
    counts lost frames: SQLite rebuilds it from what the disk has, and checks every frame's sum.
    """
    if not layout.fence.exists():
        return
    names = [layout.database, layout.database.with_name(layout.database.name + "-wal")]
    for path in [*names, *layout.log.glob("*.log")]:
        if path.exists():
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
