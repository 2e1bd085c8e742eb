"""A directory as an embedded store: database, log and group commit in this process.

    with LocalStore(directory) as store:
        await store.ledger.commit(Entry(txn))
        await store.engine.get(space, key)

A thread drives the group commit. Opening is always a recovery, and closing does nothing that
correctness needs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from fastobj.core.errors import FastobjError, Unavailable
from fastobj.core.limits import LOG_SEGMENT_BYTES_MAX, LOG_SEGMENT_BYTES_MIN
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node.child import database_vfs
from fastobj.node.layout import StoreLayout, prepare
from fastobj.node.locks import StoreLock, take_store_lock
from fastobj.objects.ledger import Entry, Outcome
from fastobj.objects.local_ledger import LocalLedger, Pending, Result, pending_of
from fastobj.objects.local_recovery import Recovered, recover


class LocalStore:
    """A store in `directory`, from `open` to `close`; open and close it as often as you like.

    `epoch_changed` is told the name of each bucket whose row has changed.
    """

    engine: SqliteEngine
    ledger: ThreadLedger
    recovered: Recovered

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: tuple[int, int] = (LOG_SEGMENT_BYTES_MIN, LOG_SEGMENT_BYTES_MAX),
        epoch_changed: Callable[[bytes], None] | None = None,
    ) -> None:
        self.layout: StoreLayout = prepare(directory)
        self._segment_bytes = segment_bytes
        self._epoch_changed = epoch_changed
        self._lock: StoreLock | None = None

    def open(self) -> None:
        """Locks the store, recovers it, starts the thread. Raises StoreError."""
        self._lock = take_store_lock(self.layout)
        self.engine = SqliteEngine(self.layout.database, vfs=database_vfs())
        try:
            self.engine.open_now()
            self.recovered = recover(
                self.layout.log,
                self.layout.store_id,
                self.engine,
                segment_bytes=self._segment_bytes,
                checkpoints=self.engine.checkpointer,
                database=self.engine.checkpointer,
                epoch_changed=self._epoch_changed,
            )
        except BaseException:
            lock, self._lock = self._lock, None
            try:
                self.engine.close_now()
            finally:
                lock.close()
            raise
        self.ledger = ThreadLedger(self.recovered.ledger)

    def close(self) -> None:
        """Answers what was sent, ends the thread, closes files and lock; may be repeated.

        Raises StoreError where a checkpoint under way fails; all is closed then, too.
        """
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            self.ledger.close()
            self.recovered.log.close()
            self.engine.close_now()
        finally:
            lock.close()

    def __enter__(self) -> LocalStore:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class ThreadLedger:
    """`Ledger` over a local ledger that a thread of its own drives. For any number of loops."""

    def __init__(self, ledger: LocalLedger) -> None:
        self._ledger = ledger
        self._changed = threading.Condition()
        self._incoming: list[Pending] = []
        self._closing = False
        self._thread = threading.Thread(target=self._drive, name="local-ledger", daemon=True)
        self._thread.start()

    async def commit(self, entry: Entry) -> None:
        """Commits one. Raises Conflict, Unknown, Unavailable, NoSpace, StoreError."""
        result = (await self.commit_many([entry]))[0]
        if result is not None:
            raise result

    async def commit_many(self, entries: Sequence[Entry]) -> list[FastobjError | None]:
        """Commits independent transactions, in one batch where they fit; one result each."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Result]] = [loop.create_future() for _ in entries]
        pendings = [
            pending_of(entry, _answer(loop, future))
            for entry, future in zip(entries, futures, strict=True)
        ]
        with self._changed:
            if self._closing:
                raise Unavailable("the store is closed")
            self._incoming += pendings
            self._changed.notify()
        return list(await asyncio.gather(*futures))

    async def outcome(self, txn_id: bytes, since: int) -> Outcome:
        """What became of a transaction that was answered Unknown, or of which no answer came.

        `since` is a `last_sequence` read before it was sent. Not for one that is still under way.
        """
        return self._ledger.outcomes.ask(txn_id, since)

    @property
    def last_sequence(self) -> int:
        """The sequence of the last block of the log."""
        return self._ledger.last_sequence

    def close(self) -> None:
        """Commits what was sent and ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _drive(self) -> None:
        while self._receive():
            while (batch := self._ledger.prepare()) is not None:
                try:
                    self._ledger.write(batch)
                except FastobjError as error:
                    self._ledger.fail(batch, error)
                else:
                    self._ledger.complete(batch)

    def _receive(self) -> bool:
        """Waits for entries and submits them; False when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._incoming or self._closing)
            incoming, self._incoming = self._incoming, []
        for pending in incoming:
            self._ledger.submit(pending)
        return bool(incoming)


def _answer(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Result]
) -> Callable[[Result], None]:
    """What the ledger calls, on its thread, with the result."""

    def settle(result: Result) -> None:
        if not future.done():  # cancelled by its caller: the transaction is not
            future.set_result(result)

    def done(result: Result) -> None:
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            pass  # the loop was closed: nobody waits any more

    return done
