"""Checkpoints: how the WAL of the metadata database stays short, and what they prove.

A checkpoint syncs the WAL, copies frames into the database and, where it reached the end of the
WAL, syncs the database. PASSIVE waits for nobody and leaves frames behind that a reader's snapshot
needs; RESTART keeps writers out, waits for such readers, and lets the next commit write the WAL
from its start. So PASSIVE, on a thread and a connection of its own, does the copying while batches
go on, again and again while much is written meanwhile, and RESTART, on the writer's connection
between two batches, has little left to copy: mostly its stall is the sync of the database, which
PASSIVE cannot do while the WAL grows. At the cap RESTART runs whatever is left. They never run at
once.

**Covered.** A checkpoint reads the end of the WAL once, when it begins, and reports that end and
how many frames are copied. Where both are equal, every commit that returned before the checkpoint
was asked for is in frames that were synced in the WAL before they were copied; SQLite reuses those
frames only after a checkpoint that synced the database too. So those commits survive a power cut
without the log. A sequence is covered when that was reported by a checkpoint begun after its
COMMIT. Frames that commits add meanwhile are not part of the report, and a report that falls short
(readers) covers nothing.

**Readers.** A read transaction lasts for one call, so a RESTART meets busy readers for
milliseconds at most, unless a process was stopped in the middle of a read. It waits a bounded
time, counts the failure and is tried again once the WAL has grown some more; until then the WAL
may grow beyond its cap.

**A full disk.** Before a batch the WAL is allocated for what its commit may write. Where the disk
has no more, a RESTART lets the WAL begin anew in what it holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import apsw

from fastobj.core import limits
from fastobj.core.clock import Clock
from fastobj.core.crash_points import reach
from fastobj.core.errors import NoSpace
from fastobj.meta.room import WAL_HELD_BYTES_MIN, DatabaseRoom, pages_added
from fastobj.meta.sqlite_connect import translated

WAL_HEAD_BYTES: Final = 32
FRAME_HEAD_BYTES: Final = 24
_RESTARTS_MAX: Final = 25  # tries on a full disk while readers are busy
# A database is rebuilt in memory and goes through the WAL, so only one that has become small is.
_VACUUM_PAGES_MIN: Final = 1024  # free ones
_VACUUM_PAGES_MAX: Final = 4096  # used ones


@dataclass(slots=True)
class CheckpointStats:
    """What checkpoints cost. Stalls are the time that the writer waited."""

    passive_count: int = 0
    restart_count: int = 0
    restart_busy_count: int = 0
    stall_ns: int = 0
    stall_ns_max: int = 0
    wal_bytes_max: int = 0


class Checkpointer:
    """Keeps the WAL short on behalf of the one writer; every method belongs to its thread.

    `writer` is the writer's connection, `open_own` opens another for the thread of PASSIVE.
    """

    def __init__(
        self,
        writer: apsw.Connection,
        path: str,
        open_own: Callable[[], apsw.Connection],
        clock: Clock,
    ) -> None:
        self.stats = CheckpointStats()
        self._writer = writer
        self._path = path
        self._open_own = open_own
        self._clock = clock
        self._own: apsw.Connection | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._passive: Future[bool] | None = None
        self._passive_sequence = 0
        self._passive_frames = 0
        self._sequence = 0
        self._covered = 0
        self._frame_bytes = FRAME_HEAD_BYTES + int(writer.pragma("page_size"))
        self._due_bytes = limits.WAL_BYTES_PASSIVE
        self._room = DatabaseRoom(writer, path)
        # What a writer before this one left in the WAL; -1 where there is none.
        self._frames = max(0, writer.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)[0])
        writer.set_wal_hook(self._on_commit)

    @property
    def sequence(self) -> int:
        """The sequence of the last commit that was told."""
        return self._sequence

    @property
    def covered_sequence(self) -> int:
        """Commits up to this log sequence survive a power cut without the log; 0: none known."""
        return self._covered

    @property
    def wal_bytes(self) -> int:
        """What the commits since the WAL last began anew take in it."""
        return WAL_HEAD_BYTES + self._frames * self._frame_bytes

    def committed(self, sequence: int) -> None:
        """Tells that COMMIT returned for the block of this log sequence."""
        self._sequence = sequence
        size = self.wal_bytes
        if size > self.stats.wal_bytes_max:
            self.stats.wal_bytes_max = size
        if self._due_bytes <= size < limits.WAL_BYTES_MAX and self._passive is None:
            self._start_passive()

    def before_batch(self) -> None:
        """Runs RESTART where it is due: PASSIVE left little, or the WAL is at its cap.

        Raises NoSpace (call again once room was made), SyncFailed, StoreError.
        """
        size = self.wal_bytes
        if size < limits.WAL_BYTES_MAX:
            if self._passive is not None and self._passive.done() and self._restart_is_due():
                self._restart_timed()
        elif self._passive is not None or size >= self._due_bytes:
            self._restart_timed()

    def hold_growth(self, txn_bytes: int) -> None:
        """Holds room for rows of that many bytes in the database's file. Raises NoSpace."""
        self._room.hold_growth(pages_added(txn_bytes))

    def hold_commit(self, txns: int, txn_bytes: int) -> None:
        """Holds room for the commit of so many transactions in the WAL.

        Raises NoSpace where readers keep the WAL from its start or the batch is too large for
        what is held, and what a checkpoint raises.
        """
        room = self._room
        frames_bytes = room.pages_written(txns, txn_bytes) * self._frame_bytes
        if self.wal_bytes + frames_bytes <= room.wal_bytes:
            return
        if room.hold_wal(self.wal_bytes + frames_bytes):
            return
        for _ in range(_RESTARTS_MAX):
            if self._restart_timed():
                break
        if self.wal_bytes + frames_bytes > room.wal_bytes:
            raise NoSpace(f"{self._path}-wal: the disk has no room for the commit")

    def checkpoint_now(self) -> bool:
        """Runs RESTART at once, as before a batch; returns whether all commits are covered."""
        return self._restart_timed()

    def tidy(self) -> None:
        """For idle times: cuts the files to what they need, unless the disk is short.

        Raises NoSpace, SyncFailed, StoreError.
        """
        self._await_passive()
        if not self._room.is_ample(self._path):
            return
        if self._vacuum():
            self._restart_timed()
        if os.path.getsize(f"{self._path}-wal") > WAL_HELD_BYTES_MIN:
            self._truncate()

    def _vacuum(self) -> bool:
        """Rebuilds a database that is small and mostly free pages; whether it was one."""
        pages = int(self._writer.pragma("page_count"))
        free = int(self._writer.pragma("freelist_count"))
        if free * 2 < pages or free < _VACUUM_PAGES_MIN or pages - free > _VACUUM_PAGES_MAX:
            return False
        try:
            self._writer.execute("VACUUM")
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise translated(error, self._path, self._writer) from error
        return True

    def _truncate(self) -> None:
        """Lets the WAL go, and holds anew what a commit needs on a full disk."""
        try:
            self._writer.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return
        except apsw.Error as error:
            raise translated(error, self._path, self._writer) from error
        self._frames = 0
        self._due_bytes = limits.WAL_BYTES_PASSIVE
        self._room.hold_wal(0)

    def close(self) -> None:
        """Waits for PASSIVE and ends its thread. Raises what PASSIVE failed with."""
        self._writer.set_wal_hook(None)
        try:
            self._await_passive()
        finally:
            if self._pool is not None:
                self._pool.submit(self._close_own).result()
                self._pool.shutdown()
                self._pool = None

    def _on_commit(self, connection: apsw.Connection, database: str, frames: int) -> int:
        if frames < self._frames:  # the WAL was begun anew
            self._passive_frames = 0
        self._frames = frames
        return apsw.SQLITE_OK

    def _start_passive(self) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.stats.passive_count += 1
        self._passive_sequence = self._sequence
        self._passive_frames = self._frames
        self._passive = self._pool.submit(self._run_passive)

    def _restart_is_due(self) -> bool:
        """Takes the result of PASSIVE: whether it left little. It is run again after much."""
        self._await_passive()
        if self.wal_bytes < self._due_bytes:
            return False  # all was copied, so a commit has begun the WAL anew by itself
        left = (self._frames - self._passive_frames) * self._frame_bytes
        if left > limits.WAL_BYTES_RETRY:
            self._start_passive()
            return False
        return True

    def _run_passive(self) -> bool:
        """In the thread: whether all frames that were there at the beginning are copied."""
        if self._own is None:
            self._own = self._open_own()
        try:
            frames, copied = self._own.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # another process checkpoints this database
            return False
        except apsw.Error as error:
            raise translated(error, self._path, self._own) from error
        reach("checkpoint.copied")
        return frames == copied

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None

    def _await_passive(self) -> None:
        """Takes the result of PASSIVE, waiting for it."""
        passive, self._passive = self._passive, None
        self._room.forget_growth()
        if passive is not None and passive.result():
            self._covered = max(self._covered, self._passive_sequence)

    def _restart_timed(self) -> bool:
        begin = self._clock.monotonic_ns()
        try:
            self._await_passive()
            return self._restart()
        finally:
            stall = self._clock.monotonic_ns() - begin
            self.stats.stall_ns += stall
            self.stats.stall_ns_max = max(self.stats.stall_ns_max, stall)

    def _restart(self) -> bool:
        assert not self._writer.in_transaction, "a batch is open"
        self._writer.set_busy_timeout(limits.WAL_RESTART_WAIT_MS_MAX)
        try:
            frames, copied = self._writer.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            self.stats.restart_busy_count += 1
            self._due_bytes = self.wal_bytes + limits.WAL_BYTES_RETRY
            return False
        except apsw.Error as error:
            raise translated(error, self._path, self._writer) from error
        finally:
            self._writer.set_busy_timeout(limits.SQLITE_BUSY_MS_MAX)
        reach("checkpoint.restarted")
        self.stats.restart_count += 1
        self._due_bytes = limits.WAL_BYTES_PASSIVE
        self._frames = 0
        self._room.forget_growth()
        if frames == copied:
            self._covered = self._sequence
        return frames == copied
