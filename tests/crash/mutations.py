"""Faults put into the store on purpose: what the power cuts must find, or they prove nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastobj.background.reclaim import Reclaim
from fastobj.background.segments import Survey
from fastobj.meta import instrumented_vfs
from fastobj.meta.sqlite_batch import SqliteBatch
from fastobj.meta.wal import Checkpointer
from fastobj.objects.local_ledger import LedgerBatch, LocalLedger
from fastobj.storage import extents, io, log_replay
from fastobj.storage.log_writer import LogWriter

Fault = Callable[[], Any]


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def log_sync_does_nothing() -> Any:
    """fdatasync of a log segment returns at once."""
    whole = io.File.fdatasync

    def fdatasync(self: io.File) -> None:
        if not self.path.endswith(".log"):
            whole(self)

    return _replaced(io.File, "fdatasync", fdatasync)


def answer_before_write() -> Any:
    """A block is written when the next one comes: its transactions have been answered by then."""
    whole = LogWriter.write
    waiting: dict[LogWriter, tuple[io.File, memoryview, int]] = {}

    def write(self: LogWriter, block: Any) -> None:
        if self in waiting:
            file, content, offset = waiting.pop(self)
            if file.fd >= 0:
                file.pwritev([content], offset)
                file.fdatasync()
        if not self.offset:  # a segment's first block is written at once, as replay needs it
            whole(self, block)
            return
        assert self._file is not None
        waiting[self] = (self._file, block.content, self.offset)
        self.offset += block.length
        self.last = block.ref

    return _replaced(LogWriter, "write", write)


@contextmanager
def answer_while_writing() -> Iterator[None]:
    """A batch is answered, and a moment later written: for kills, which lose no written page.

    The main thread answers, before it hands the batch to the writer: only it may touch a link.
    """
    prepare, write = LocalLedger.prepare, LocalLedger.write

    def answered(self: LocalLedger) -> LedgerBatch | None:
        batch = prepare(self)
        for pending in batch.accepted if batch is not None else ():
            pending.done(None)
            pending.done = lambda result: None
        return batch

    def written_late(self: LocalLedger, batch: LedgerBatch) -> None:
        time.sleep(0.02)
        write(self, batch)

    with (
        _replaced(LocalLedger, "prepare", answered),
        _replaced(LocalLedger, "write", written_late),
    ):
        yield


def bodies_not_verified() -> Any:
    """Replay takes a block whose bodies are torn."""
    return _replaced(log_replay, "bodies_verify", lambda block, head: True)


def blocks_not_verified() -> Any:
    """Replay takes a block without its sum."""
    return _replaced(log_replay, "block_crc", lambda block, head: head.crc)


def recycled_uncovered() -> Any:
    """Log segments are recycled although no checkpoint covers them."""
    whole = Reclaim.run

    async def run(self: Reclaim, found: Survey) -> Any:
        known = found.known._replace(covered=1 << 62)
        return await whole(self, found._replace(known=known))

    return _replaced(Reclaim, "run", run)


def covered_too_early() -> Any:
    """Every commit counts as covered at once."""
    return _replaced(Checkpointer, "covered_sequence", property(lambda self: self.sequence))


def position_behind() -> Any:
    """The database keeps the position of the block before: replay applies one block again."""
    whole = SqliteBatch.commit
    last: list[Any] = [None]

    def commit(self: SqliteBatch, position: Any) -> None:
        whole(self, last[0] if position is not None and position.offset else position)
        last[0] = position

    return _replaced(SqliteBatch, "commit", commit)


def directory_sync_does_nothing() -> Any:
    """Names are not made durable."""
    return _replaced(io, "sync_directory", lambda path: None)


def large_body_not_synced() -> Any:
    """A large body is committed before it is durable."""

    async def sync(self: extents.ExtentFile) -> None:
        return None

    return _replaced(extents.ExtentFile, "sync", sync)


def database_sync_does_nothing() -> Any:
    """Checkpoints sync neither the WAL nor the database."""
    return _replaced(instrumented_vfs.InstrumentedFile, "xSync", lambda self, flags: None)


def tail_not_settled() -> Any:
    """Recovery believes the log's tail without syncing it: for deaths before a power cut."""
    return _replaced(log_replay.Chain, "settle_tail", lambda self: None)


# What power cuts must find.
FAULTS: tuple[Fault, ...] = (
    log_sync_does_nothing,
    answer_before_write,
    bodies_not_verified,
    blocks_not_verified,
    recycled_uncovered,
    covered_too_early,
    position_behind,
    directory_sync_does_nothing,
    large_body_not_synced,
    database_sync_does_nothing,
)
