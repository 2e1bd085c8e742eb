"""Group commit: queue, batch, log, engine. Knows no event loop and no socket.

One commit takes all that queued, checks and applies it to the engine inside one open database
transaction, writes one block to the log and syncs it, commits the database, and only then are
the answers given. Nothing is visible before it is durable, and a failed sync is a rollback.

The owner drives it: `submit` entries, `prepare` a batch, `write` it (this may happen on another
thread), `complete` it. There is at most one batch between `prepare` and `complete`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from fastobj._ext.crc import crc32c
from fastobj.core.errors import (
    ChecksumMismatch,
    Conflict,
    FastobjError,
    NoSpace,
    StoreError,
    SyncFailed,
    Unknown,
)
from fastobj.meta import keys
from fastobj.meta.base import KEEP, LogPosition, Txn
from fastobj.meta.transact import WholeBatch, take_back
from fastobj.objects.ledger import Entry, with_location
from fastobj.objects.local_engine import Checkpoints, DatabaseRoom, LedgerEngine, apply_logged
from fastobj.objects.log_rows import Sealed, first_block_txn
from fastobj.objects.outcomes import Outcomes
from fastobj.objects.room import Room
from fastobj.objects.segment_rows import usage_add
from fastobj.storage.base import Usage
from fastobj.storage.crash_points import reach
from fastobj.storage.log_format import RECORD_ALIGN_BYTES, block_bytes, footprint
from fastobj.storage.log_writer import (
    RECORDS_PER_BLOCK_MAX,
    TXN_PREFIX_BYTES,
    Block,
    BlockBuilder,
    LogWriter,
    content_bytes,
    records_bytes,
)

# A body adds one counter row to its transaction when it is placed: at most this many bytes.
_PLACED_ADD_BYTES: Final = 48
# A segment's first block carries a transaction of its own: at most this many bytes.
_FIRST_TXN_BYTES: Final = 512
_encoder = msgspec.msgpack.Encoder()
Result = FastobjError | None


class Pending:
    """An entry on its way through the ledger. `done` is called once, with None or the error."""

    __slots__ = ("arrival", "done", "entry", "record_bytes", "txn_bytes_max")

    def __init__(self, entry: Entry, encoded_bytes: int, done: Callable[[Result], None]) -> None:
        self.entry = entry
        self.arrival = entry.arrival
        placed = _PLACED_ADD_BYTES * len(entry.bodies)
        self.txn_bytes_max = encoded_bytes + TXN_PREFIX_BYTES + placed
        self.record_bytes = records_bytes(entry.bodies)
        self.done = done


class LedgerBatch:
    """A prepared batch: what was accepted, what conflicted, and the block to write (or none)."""

    __slots__ = ("accepted", "block", "buckets", "encoded", "engine", "ids", "refused", "released")

    def __init__(self, engine: WholeBatch) -> None:
        self.engine = engine
        self.accepted: list[Pending] = []
        self.refused: list[tuple[Pending, FastobjError]] = []
        self.block: Block | None = None
        self.encoded: list[bytes] = []  # what the block says
        self.ids: list[bytes] = []
        self.buckets: list[bytes] = []
        self.released = False


class Stats(NamedTuple):
    """Figures since the start."""

    batches: int
    transactions: int
    conflicts: int


class LocalLedger:
    """The group commit itself. Open one with `local_recovery.recover`."""

    def __init__(
        self,
        engine: LedgerEngine,
        log: LogWriter,
        next_segment: int,
        owner: int,
        *,
        checkpoints: Checkpoints | None = None,
        database: DatabaseRoom | None = None,
        outcomes: Outcomes | None = None,
        epoch_changed: Callable[[bytes], None] | None = None,
    ) -> None:
        self._engine = engine
        self._log = log
        self._next_segment = next_segment
        self._owner = owner
        self._sealed: Sealed = (0, 0, 0, 0)
        self._checkpoints = checkpoints
        self.room = Room(engine, log, database)
        self.outcomes = outcomes if outcomes is not None else Outcomes()
        self._epoch_changed = epoch_changed
        self._queue: deque[Pending] = deque()
        self._unsorted = False
        self._arrivals = 0
        self._take_max = 0  # 0: all that fits; else after an engine error, the half to try
        self.fenced: FastobjError | None = None
        self.batches = self.transactions = self.conflicts = 0

    # --- what comes in

    def submit(self, pending: Pending) -> None:
        """Queues an entry; `done` is called when its batch completes. Never blocks."""
        if pending.arrival is None:
            self._arrivals += 1
            pending.arrival = self._arrivals
        else:
            self._unsorted = True
        self._queue.append(pending)

    def waiting(self) -> int:
        """Entries that no batch has taken yet."""
        return len(self._queue)

    def prepare(self) -> LedgerBatch | None:
        """Takes what queued, applies it and builds its block; None where nothing is left to do.

        Where the engine fails, the batch is rolled back and tried again in halves, so that a bad
        transaction fails alone.
        """
        if self._queue and self.fenced is None:
            self.room.look()  # once: what is found missing behind it is refused, not tried again
        while self._queue:
            if self.fenced is not None:
                self._refuse_all(self.fenced)
                return None
            taken: list[Pending] = []
            try:
                self._checkpoint()
                taken = self._take()
                if taken:
                    self._make_room(taken)
                    return self._apply(taken)
            except SyncFailed as failure:  # what it did not sync, only a fresh start knows
                self.fenced = failure
                self._queue.extendleft(reversed(taken))
            except NoSpace as failure:
                if any(self.room.refuses(pending.entry.txn) for pending in taken):
                    self._queue.extendleft(reversed(taken))  # they alone are refused, the next time
                else:
                    self._split(taken, failure)
            except Exception as failure:  # whatever it is, it must not reach the others
                if not taken:
                    raise
                self._split(taken, failure)
        self._cover_for_reclaim()
        return None

    def _cover_for_reclaim(self) -> None:
        """Segments that died since the last checkpoint are what refused transactions wait for."""
        checkpoints = self._checkpoints
        if not self.room.is_short or not self.room.refused or checkpoints is None:
            return
        if checkpoints.covered_sequence < self.last_sequence:
            self.cover()

    def _checkpoint(self) -> None:
        """Lets the engine's database be checkpointed, with the room of a spare on a full disk.

        Where that is not enough the batch goes on: the database says itself when it is full.
        """
        if self._checkpoints is None:
            return
        try:
            self._checkpoints.before_batch()
        except NoSpace:
            self._log.spares.free_smallest()
        except SyncFailed:
            raise
        except StoreError as error:
            raise SyncFailed(f"a checkpoint failed: {error}") from error

    def cover(self) -> None:
        """Checkpoints the database between two batches, so that no block needs to be replayed.

        Where the disk is full or a reader is busy, the next checkpoint does it. A failed sync
        fences the ledger.
        """
        if self._checkpoints is None or self.fenced is not None:
            return
        try:
            self._checkpoints.checkpoint_now()
        except NoSpace:
            return
        except StoreError as error:
            self.fenced = error

    def _take(self) -> list[Pending]:
        """The longest run from the queue's head that fits one block, in order of first arrival.

        What takes space that is missing is refused on the way.
        """
        if self._unsorted:
            self._queue = deque(sorted(self._queue, key=_arrival))
            self._unsorted = False
        taken: list[Pending] = []
        content = content_bytes(_FIRST_TXN_BYTES, RECORD_ALIGN_BYTES)
        records = 0
        queue = self._queue
        is_short = self.room.is_short
        while queue and (not self._take_max or len(taken) < self._take_max):
            head = queue[0]
            if is_short and self.room.refuses(head.entry.txn):
                queue.popleft().done(NoSpace("the disk is full"))
                continue
            content += head.txn_bytes_max + head.record_bytes
            records += len(head.entry.bodies)
            if taken and (content > self._log.block_bytes_max or records > RECORDS_PER_BLOCK_MAX):
                break
            taken.append(queue.popleft())
        return taken

    def _split(self, taken: list[Pending], error: Exception) -> None:
        if len(taken) > 1:
            self._take_max = len(taken) // 2
            self._queue.extendleft(reversed(taken))
            return
        self._take_max = 0
        taken[0].done(error if isinstance(error, FastobjError) else _refusal(error))

    # --- one batch

    def _make_room(self, taken: list[Pending]) -> None:
        """Room for all of `taken`, in the database and in the log, there in a fresh segment.

        Raises ValueError where no block has that room, NoSpace, SyncFailed.
        """
        log = self._log
        txn_bytes = sum(pending.txn_bytes_max for pending in taken)
        record_bytes = sum(pending.record_bytes for pending in taken)
        bodies = sum(len(pending.entry.bodies) for pending in taken)
        length = block_bytes(content_bytes(_FIRST_TXN_BYTES + txn_bytes, record_bytes))
        if length > log.block_bytes_max or bodies > RECORDS_PER_BLOCK_MAX:
            raise ValueError(
                f"{length} bytes with {bodies} bodies: a block takes"
                f" {log.block_bytes_max} bytes and {RECORDS_PER_BLOCK_MAX} bodies"
            )
        self.room.hold([pending.entry.txn for pending in taken], txn_bytes)
        if length > log.room():
            sealed = (log.segment, log.generation, log.size, log.last.sequence)
            self._roll(sealed, with_bodies=bodies > 0)

    def _apply(self, taken: list[Pending]) -> LedgerBatch:
        batch = LedgerBatch(self._engine.begin())
        encoded = batch.encoded
        try:
            builder = self._builder(batch, taken)
            for pending in taken:
                self._apply_one(batch, builder, pending)
            if encoded:
                batch.block = builder.build(encoded)
        except BaseException:
            batch.engine.rollback()
            raise
        return batch

    def _builder(self, batch: LedgerBatch, taken: list[Pending]) -> BlockBuilder:
        """A block builder with room for all of `taken`.

        A segment's first block carries the rows that open it and seal the one before.
        """
        log = self._log
        txn_bytes = sum(pending.txn_bytes_max for pending in taken)
        if log.offset:
            return log.builder(txn_bytes)
        first = first_block_txn(log, self._sealed, self._owner)
        batch.engine.apply_unchecked(first)
        batch.encoded.append(_encoder.encode(first))
        return log.builder(txn_bytes + TXN_PREFIX_BYTES + len(batch.encoded[0]))

    def _roll(self, sealed: Sealed, with_bodies: bool) -> None:
        segment = self._next_segment
        self._next_segment += 1  # also where the roll fails: an id is never used twice
        self.room.roll(segment, with_bodies)
        self._sealed = sealed

    def open_segment(self, sealed: Sealed) -> None:
        """Goes on behind `sealed` in a fresh segment, and commits its first block."""
        self._roll(sealed, with_bodies=False)
        batch = self._apply([])
        try:
            self.write(batch)
        except BaseException:
            batch.engine.rollback()
            raise
        self._commit(batch)

    def _apply_one(self, batch: LedgerBatch, builder: BlockBuilder, pending: Pending) -> None:
        txn = pending.entry.txn
        ceilings = any(add.ceiling is not None for add in txn.adds)
        conflict = self._check_ceilings(batch, txn) if ceilings else None
        placed = txn
        if conflict is None:
            mark = builder.mark()
            placed = self._place(builder, pending.entry) if txn.bodies else txn
            conflict = batch.engine.apply(placed)
            if conflict is not None:
                builder.reset(mark)
                if ceilings:
                    take_back(batch.engine, txn)
        if conflict is not None:
            conflict.arrival = pending.arrival
            batch.refused.append((pending, conflict))
            self.conflicts += 1
            return
        batch.engine.add(placed.adds[len(txn.adds) :] if ceilings else placed.adds)
        batch.encoded.append(_encoder.encode(placed))
        self._note(batch, pending, placed)

    def _check_ceilings(self, batch: LedgerBatch, txn: Txn) -> Conflict | None:
        if not batch.engine.add(txn.adds):
            return None
        return Conflict(batch.engine.present(txn))

    def _place(self, builder: BlockBuilder, entry: Entry) -> Txn:
        """The transaction with its bodies placed: finished rows, and their live bytes counted."""
        txn = entry.txn
        rows = list(txn.rows)
        adds = list(txn.adds)
        for ref, body in zip(txn.bodies, entry.bodies, strict=True):
            if crc32c(body.payload) != body.crc32c:
                raise ChecksumMismatch("a body changed on its way to the committer")
            place = builder.place(body)
            rows[ref.row] = with_location(rows[ref.row], ref.offset, place)
            adds.append(usage_add(Usage(place.segment, footprint(place.length), 1)))
        return Txn(txn.id, rows, adds)

    def _note(self, batch: LedgerBatch, pending: Pending, txn: Txn) -> None:
        batch.accepted.append(pending)
        batch.ids.append(txn.id)
        for row in txn.rows:
            if row.space == keys.BUCKETS and row.value != KEEP:
                batch.buckets.append(row.key)
            elif row.space == keys.SEGMENTS and isinstance(row.value, bytes):
                batch.released = True  # sealed: it may be dead already
            elif row.space == keys.DUE and isinstance(row.value, bytes):
                batch.released = True  # maintenance looks when it is due
        if not batch.released:
            batch.released = any(
                add.space == keys.SEGMENTS and add.amounts[0] < 0 for add in txn.adds
            )

    def write(self, batch: LedgerBatch) -> None:
        """Writes and syncs the batch's block. Raises SyncFailed, NoSpace: then call `fail`."""
        if batch.block is not None:
            self._log.write(batch.block)

    def complete(self, batch: LedgerBatch) -> None:
        """Makes the written batch visible and gives the answers."""
        try:
            self._commit(batch)
        except StoreError as failure:
            # The block is durable, the database lacks it: only a replay brings them together.
            self._fence(batch, failure)
            return
        reach("commit.before_answer")
        self._take_max = 0
        for pending in batch.accepted:
            pending.done(None)
        for pending, error in batch.refused:
            pending.done(error)
        reach("commit.answered")

    def _commit(self, batch: LedgerBatch) -> None:
        if batch.block is None:
            batch.engine.rollback()
            return
        position = LogPosition(*batch.block.ref)
        try:
            batch.engine.commit(position)
        except NoSpace as full:
            batch.engine.rollback()
            self._commit_with_ballast(batch, position, full)
        reach("commit.committed")
        self.batches += 1
        self.transactions += len(batch.accepted)
        self.outcomes.remember(position.sequence, batch.ids)
        if self._checkpoints is not None:
            self._checkpoints.committed(position.sequence)
            # A checkpointer counts from its own start, the log from what was proved before it.
            self._log.covered = max(self._log.covered, self._checkpoints.covered_sequence)
            self.outcomes.forget(self._log.covered)
        if self._epoch_changed is not None:
            for name in batch.buckets:
                self._epoch_changed(name)

    def _commit_with_ballast(
        self, batch: LedgerBatch, position: LogPosition, full: NoSpace
    ) -> None:
        """The block is durable, so the database must take it. Raises `full` without ballast."""
        while self._log.spares.free_smallest():
            try:
                apply_logged(self._engine, [batch.encoded], position)
                return
            except NoSpace as error:
                full = error
        raise full

    def fail(self, batch: LedgerBatch, error: FastobjError) -> None:
        """After a failed write: nothing of the batch is visible.

        After NoSpace nothing was written, and the ledger goes on; else it takes nothing more.
        """
        if not isinstance(error, NoSpace):
            self._fence(batch, error)
            return
        batch.engine.rollback()
        self._queue.extendleft(pending for pending, _ in reversed(batch.refused))
        for pending in batch.accepted:
            pending.done(error)

    def _fence(self, batch: LedgerBatch, error: FastobjError) -> None:
        """The block may be on the disk, so the answer is Unknown.

        What conflicted is not told with what: that may be a row of this very batch.
        """
        self.fenced = error
        batch.engine.rollback()
        for pending in batch.accepted:
            pending.done(Unknown(f"the log could not be synced: {error}"))
        self._queue.extendleft(pending for pending, _ in reversed(batch.refused))
        self._refuse_all(error)

    def _refuse_all(self, error: FastobjError) -> None:
        """Nothing of these was applied, nor will be."""
        while self._queue:
            self._queue.popleft().done(StoreError(f"the log is fenced: {error}"))

    def stats(self) -> Stats:
        """Batches, transactions and conflicts since the start."""
        return Stats(self.batches, self.transactions, self.conflicts)

    @property
    def last_sequence(self) -> int:
        """The sequence of the last block that was written and synced."""
        return self._log.last.sequence


def encoded_bytes(txn: Txn) -> int:
    """The bytes that a transaction takes in a block."""
    return len(_encoder.encode(txn))


def _arrival(pending: Pending) -> int:
    return pending.arrival or 0


def _refusal(cause: Exception) -> StoreError:
    """A transaction that fails by itself: larger than allowed, or a body without its row."""
    refusal = StoreError(f"refused: {cause}")
    refusal.__cause__ = cause
    return refusal
