"""The default engine: one SQLite database in WAL mode, by way of APSW.

Point reads and short scans run at once on the caller's thread; longer ones on a thread and a
connection of their own. Writes have a connection too, so that no read ever sees an open batch.
The reading half belongs to one thread and the writing half (`begin`, `commit`, `checkpointer`) to
one thread, the same or another; nothing of it survives a fork.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from fastobj.core.clock import Clock, SystemClock
from fastobj.core.errors import Conflict, StoreError, SyncFailed, Unknown
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta.base import EngineLimits, LogPosition, ScanRow, Token, Txn
from fastobj.meta.sqlite_batch import SqliteBatch, SqliteWriter
from fastobj.meta.sqlite_connect import Synchronous, open_checkpointer, open_reader, open_writer
from fastobj.meta.sqlite_reader import SqliteReader
from fastobj.meta.transact import ENGINE_LIMITS, apply_each, check_txn
from fastobj.meta.wal import Checkpointer

T = TypeVar("T")


class SqliteEngine:
    """`LocalEngine` in the file `path`.

    `synchronous` is NORMAL where a log makes commits durable and FULL where nothing else does.
    `vfs` names a registered SQLite VFS for all of its connections.
    """

    limits: EngineLimits = ENGINE_LIMITS

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "NORMAL",
        read_only: bool = False,
        vfs: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._path = os.fspath(path)
        self._synchronous: Synchronous = synchronous
        self._read_only = read_only
        self._vfs = vfs
        self._clock = clock or SystemClock()
        self._pid = 0
        self._reader: SqliteReader | None = None
        self._writer: SqliteWriter | None = None
        self._checkpointer: Checkpointer | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._pool_reader: SqliteReader | None = None

    # --- life

    async def open(self) -> None:
        """Opens the database; makes it unless `read_only`. Raises StoreError."""
        self.open_now()

    async def close(self) -> None:
        """Closes all connections; an open batch is rolled back."""
        self.close_now()

    def open_now(self) -> None:
        """`open` without a loop."""
        assert self._reader is None, "the engine is open"
        self._pid = os.getpid()
        if not self._read_only:
            connection = open_writer(self._path, self._synchronous, self._vfs)
            self._writer = SqliteWriter(connection, self._path)
            open_own = partial(open_checkpointer, self._path, self._vfs)
            self._checkpointer = Checkpointer(connection, self._path, open_own, self._clock)
        self._reader = self._new_reader()

    def close_now(self) -> None:
        """`close` without a loop. Raises what a checkpoint in its thread failed with."""
        assert self._pid in (0, os.getpid()), "a connection crossed a fork"
        self._close_readers()
        writer, checkpointer = self._writer, self._checkpointer
        self._writer = self._checkpointer = None
        if writer is None:
            return
        try:
            if writer.batch is not None:
                writer.batch.rollback()
            if checkpointer is not None:  # else the opening failed between the two
                checkpointer.close()
        finally:
            writer.connection.close()

    def release_memory(self) -> None:
        """Gives page caches back, for idle times; call it between batches."""
        self._reading().release_memory()
        if self._writer is not None:
            self._writer.connection.pragma("shrink_memory")

    # --- reads

    async def get(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """The value and token of a row, or None."""
        return self._reading().get(space, key)

    async def get_many(
        self, pairs: Sequence[tuple[int, bytes]]
    ) -> list[tuple[bytes, Token] | None]:
        """The rows asked for, in that order."""
        if len(pairs) > LOOP_SCAN_ROWS_MAX:
            return await self._in_pool(lambda reader: [reader.get(*pair) for pair in pairs])
        get = self._reading().get
        return [get(space, key) for space, key in pairs]

    async def scan(
        self, space: int, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[ScanRow]:
        """At most `limit` rows with start <= key < end, in key order (or the reverse)."""
        if limit > LOOP_SCAN_ROWS_MAX:
            return await self._in_pool(
                lambda reader: reader.scan(space, start, end, limit, reverse)
            )
        return self._reading().scan(space, start, end, limit, reverse)

    async def counters(
        self, space: int, start: bytes, end: bytes
    ) -> list[tuple[bytes, tuple[int, ...]]]:
        """The counter rows with start <= key < end, in key order, all four integers of each."""
        rows = self._reading().counters(space, start, end, LOOP_SCAN_ROWS_MAX + 1)
        if len(rows) > LOOP_SCAN_ROWS_MAX:
            return await self._in_pool(lambda reader: reader.counters(space, start, end, -1))
        return rows

    def read(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """A committed row, synchronously."""
        return self._reading().get(space, key)

    def read_range(self, space: int, start: bytes, end: bytes, limit: int) -> list[ScanRow]:
        """A committed range, synchronously."""
        return self._reading().scan(space, start, end, limit)

    def position(self) -> LogPosition:
        """The log position stored with the last committed batch."""
        return self._reading().position()

    # --- writes

    @property
    def checkpointer(self) -> Checkpointer:
        """What keeps the WAL short; the committer calls it around its batches."""
        if self._checkpointer is None:
            raise StoreError(f"{self._path} is not open for writing")
        return self._checkpointer

    def begin(self) -> SqliteBatch:
        """Opens a batch. There is at most one. Raises StoreLocked, StoreError."""
        assert self._pid == os.getpid(), "a connection crossed a fork"
        if self._writer is None:
            raise StoreError(f"{self._path} is not open for writing")
        return self._writer.begin()

    async def commit(self, txn: Txn) -> None:
        """Applies `txn`. Raises Conflict, Unknown (its sync failed), NoSpace, ValueError."""
        (conflict,) = self._commit_now([txn])
        if conflict is not None:
            raise conflict

    async def commit_many(self, txns: Sequence[Txn]) -> list[Conflict | None]:
        """Applies independent transactions in one batch; one result each."""
        return self._commit_now(txns)

    def _commit_now(self, txns: Sequence[Txn]) -> list[Conflict | None]:
        for txn in txns:
            check_txn(txn, self.limits)
        checkpointer = self.checkpointer
        checkpointer.before_batch()
        batch = self.begin()
        try:
            results = apply_each(batch, txns)
            batch.commit(None)
        except SyncFailed as error:
            raise Unknown("the sync of a commit failed") from error
        finally:
            batch.rollback()
        checkpointer.committed(checkpointer.sequence)
        return results

    # --- connections

    def _reading(self) -> SqliteReader:
        if self._reader is None:
            raise StoreError(f"{self._path} is not open")
        return self._reader

    def _new_reader(self) -> SqliteReader:
        return SqliteReader(open_reader(self._path, self._vfs), self._path)

    async def _in_pool(self, work: Callable[[SqliteReader], T]) -> T:
        """Runs a long read in its thread, on that thread's own connection."""
        if self._pool is None:
            self._reading()
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="meta-scan")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._run_in_pool, work)

    def _run_in_pool(self, work: Callable[[SqliteReader], T]) -> T:
        if self._pool_reader is None:
            self._pool_reader = self._new_reader()
        return work(self._pool_reader)

    def _close_readers(self) -> None:
        if self._pool is not None:
            self._pool.submit(self._close_pool_reader).result()
            self._pool.shutdown()
            self._pool = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _close_pool_reader(self) -> None:
        if self._pool_reader is not None:
            self._pool_reader.close()
            self._pool_reader = None
