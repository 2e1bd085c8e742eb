"""A store opened for writing by this process: its lock, its database, its log after recovery."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from fastobj.core.errors import NoSpace
from fastobj.core.limits import LOG_SEGMENT_BYTES_MAX, LOG_SEGMENT_BYTES_MIN
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node.child import database_vfs
from fastobj.node.layout import StoreLayout
from fastobj.node.locks import StoreLock, take_store_lock
from fastobj.objects.local_recovery import Recovered, recover
from fastobj.storage.log_writer import block_bytes_max
from fastobj.storage.spares import Spares

_log = logging.getLogger("fastobj.committer")


class RecoveredStore:
    """Lock, settle what a fence left, recover, new segment: however a store is opened.

    `epoch_changed` is told the name of each bucket whose row has changed. Raises StoreLocked,
    StoreDamaged, StoreError, NoSpace, SyncFailed; then nothing stays open.
    """

    recovered: Recovered

    def __init__(
        self,
        layout: StoreLayout,
        *,
        segment_bytes: tuple[int, int] = (LOG_SEGMENT_BYTES_MIN, LOG_SEGMENT_BYTES_MAX),
        epoch_changed: Callable[[bytes], None] | None = None,
    ) -> None:
        self._lock: StoreLock = take_store_lock(layout)
        self.engine = SqliteEngine(layout.database, vfs=database_vfs())
        try:
            if layout.fence.exists():
                drop_caches(layout)
            _open_database(self.engine, layout, segment_bytes[0])
            self.recovered = recover(
                layout.log,
                layout.store_id,
                self.engine,
                segment_bytes=segment_bytes,
                checkpoints=self.engine.checkpointer,
                database=self.engine.checkpointer,
                epoch_changed=epoch_changed,
            )
        except BaseException:
            try:
                self.engine.close_now()
            finally:
                self._lock.close()
            raise
        layout.fence.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes files and lock; nothing that was committed depends on it.

        Raises what a checkpoint in its thread failed with; all is closed then, too.
        """
        try:
            self.recovered.log.close()
            self.engine.close_now()
        finally:
            self._lock.close()


def _open_database(engine: SqliteEngine, layout: StoreLayout, segment_bytes_min: int) -> None:
    """On a full disk its index in shared memory, which begins anew, takes room of the spares.

    Raises NoSpace where there is none, StoreError.
    """
    spares = Spares(layout.log, segment_bytes_min)
    while True:
        try:
            return engine.open_now()
        except NoSpace as full:
            if not spares.give_room(block_bytes_max(segment_bytes_min)):
                raise
            _log.warning("%s: a spare log segment makes room", full)


def drop_caches(layout: StoreLayout) -> None:
    """After a failed sync, what the cache says may not be on the disk: read it from there.

    All processes have been started anew, so no connection holds an index of the WAL that still
    counts lost frames: SQLite rebuilds it from what the disk has, and checks every frame's sum.
    """
    names = [layout.database, layout.database.with_name(layout.database.name + "-wal")]
    for path in [*names, *layout.log.glob("*.log")]:
        drop_cache(path)


def drop_cache(path: Path) -> None:
    """Has the next reads of a file, where there is one, come from the drive.

    Not for a database that this process has open: closing a descriptor would drop its locks.
    """
    if path.exists():
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
