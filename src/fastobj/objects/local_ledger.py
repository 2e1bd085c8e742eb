"""Group commit: queue, batch, log, engine. Knows no event loop and no socket.

One commit takes all that queued, checks and applies it to the engine inside one open database
transaction, writes one block to the log and syncs it, commits the database, and only then are
the answers given. Nothing is visible before it is durable, and a failed sync is a rollback.

The owner drives it: `submit` entries, `prepare` a batch, `write` it (this may happen on another
thread), `complete` it. There is at most one batch between `prepare` and `complete`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fastobj._ext.blocks import BodyChanged
from fastobj.core.crash_points import reach
from fastobj.core.errors import (
    ChecksumMismatch,
    Conflict,
    FastobjError,
    NoSpace,
    StoreError,
    SyncFailed,
    Unknown,
)
from fastobj.core.limits import MIB
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, KEEP, Add, LogPosition, Row, Txn
from fastobj.meta.transact import WholeBatch, apply_whole
from fastobj.objects.encoded import EncodedEntry, encode_entry
from fastobj.objects.ledger import Entry
from fastobj.objects.local_engine import (
    Checkpoints,
    DatabaseRoom,
    LedgerEngine,
    apply_logged,
    txn_decoder,
)
from fastobj.objects.log_rows import Sealed, first_block_txn
from fastobj.objects.outcomes import Outcomes
from fastobj.objects.room import Room, only_moves
from fastobj.objects.soonest import Soonest, is_hint
from fastobj.storage.log_format import RECORD_ALIGN_BYTES, block_bytes
from fastobj.storage.log_writer import (
    RECORDS_PER_BLOCK_MAX,
    TXN_PREFIX_BYTES,
    Block,
    BlockBuilder,
    LogWriter,
    content_bytes,
)
from fastobj.storage.spares import BODIES, DELETES, IDLE, MOVES, Claim

if TYPE_CHECKING:
    from typing_extensions import Buffer

# A segment's first block carries a transaction of its own: at most this many bytes.
_FIRST_TXN_BYTES: Final = 512
# What a fresh segment must give back, when nobody commits, for the open one to be left.
_LOOSE_BYTES_MIN: Final = MIB
_encoder = msgspec.msgpack.Encoder()
Result = FastobjError | None


class Pending:
    """An entry on its way through the ledger. `done` is called once, with None or the error.

    `payloads` are the bytes of its bodies.
    """

    __slots__ = ("arrival", "done", "entry", "payloads", "record_bytes", "txn_bytes")

    def __init__(
        self, entry: EncodedEntry, payloads: Sequence[Buffer], done: Callable[[Result], None]
    ) -> None:
        self.entry = entry
        self.payloads = payloads
        self.arrival = entry.arrival
        self.txn_bytes = len(entry.txn) + TXN_PREFIX_BYTES
        self.record_bytes = entry.records_bytes() if payloads else 0
        self.done = done

    def txn(self) -> Txn:
        """The transaction, the places of its bodies still open."""
        return txn_decoder.decode(self.entry.txn)


def pending_of(entry: Entry, done: Callable[[Result], None]) -> Pending:
    """An entry of this process. Raises ValueError as `encode_entry` does."""
    return Pending(encode_entry(entry), [body.payload for body in entry.bodies], done)


class LedgerBatch:
    """A prepared batch: what was accepted, what conflicted, and the block to write (or none)."""

    __slots__ = (
        *("accepted", "block", "buckets", "encoded", "engine", "events"),
        *("hinted", "hints", "ids", "refused", "released"),
    )

    def __init__(self, engine: WholeBatch) -> None:
        self.engine = engine
        self.accepted: list[Pending] = []
        self.refused: list[tuple[Pending, FastobjError]] = []
        self.block: Block | None = None
        self.encoded: list[bytes] = []  # what the block says
        self.ids: list[bytes] = []
        self.buckets: list[bytes] = []
        self.released = False
        self.hinted = False  # and one of these is news, known once they are committed
        self.hints: list[Row] = []
        self.events = 0


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
        self._soonest = Soonest()
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
                if any(map(self._refuses, taken)):
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

    def rest(self) -> None:
        """Between two batches, when none will come for a while: covers all, gives room back."""
        self.cover()
        log = self._log
        log.spares.shrink()
        if self.fenced is None and not self.room.is_short and self._is_loose():
            try:
                sealed = (log.segment, log.generation, log.size, log.last.sequence)
                self.open_segment(sealed, IDLE)
            except NoSpace:
                return
            except StoreError as error:
                self.fenced = error
            self.cover()
        if self._checkpoints is not None and self.fenced is None:
            try:
                self._checkpoints.tidy()
            except NoSpace:
                return
            except StoreError as error:
                self.fenced = error

    def _is_loose(self) -> bool:
        """Whether so little lives in the open segment that a fresh one would give room back."""
        log = self._log
        lives_max = min(log.offset // 2, (log.size - log.spares.size_bytes - _LOOSE_BYTES_MIN) // 2)
        if lives_max < 0:
            return False
        batch = self._engine.begin()
        try:  # a counter that may not pass a ceiling is the question whether it is below it
            asked = Add(keys.SEGMENTS, keys.segment(log.segment), (0, 0), (lives_max, None))
            return not batch.add([asked])
        finally:
            batch.rollback()

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
            if is_short and self._refuses(head):
                queue.popleft().done(NoSpace("the disk is full"))
                continue
            content += head.txn_bytes + head.record_bytes
            records += len(head.payloads)
            if taken and (content > self._log.block_bytes_max or records > RECORDS_PER_BLOCK_MAX):
                break
            taken.append(queue.popleft())
        return taken

    def _refuses(self, pending: Pending) -> bool:
        return self.room.refuses(pending.txn(), with_bodies=bool(pending.payloads))

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
        txn_bytes, record_bytes = _sizes(taken)
        bodies = sum(len(pending.payloads) for pending in taken)
        length = block_bytes(content_bytes(_FIRST_TXN_BYTES + txn_bytes, record_bytes))
        if length > log.block_bytes_max or bodies > RECORDS_PER_BLOCK_MAX:
            raise ValueError(
                f"{length} bytes with {bodies} bodies: a block takes"
                f" {log.block_bytes_max} bytes and {RECORDS_PER_BLOCK_MAX} bodies"
            )
        self.room.hold(taken, txn_bytes)
        if length > log.room():
            sealed = (log.segment, log.generation, log.size, log.last.sequence)
            self._roll(sealed, _claim(taken))

    def _apply(self, taken: list[Pending]) -> LedgerBatch:
        batch = LedgerBatch(self._engine.begin())
        try:
            builder = self._builder(batch, taken)
            for pending in taken:
                self._apply_one(batch, builder, pending)
            if batch.encoded:
                batch.block = builder.build()
        except BaseException:
            batch.engine.rollback()
            raise
        return batch

    def _builder(self, batch: LedgerBatch, taken: list[Pending]) -> BlockBuilder:
        """A block builder with room for all of `taken`.

        A segment's first block carries the rows that open it and seal the one before.
        """
        log = self._log
        txn_bytes, record_bytes = _sizes(taken)
        counter = keys.segment(log.segment)
        if log.offset:
            return log.builder(txn_bytes, record_bytes, counter)
        first = first_block_txn(log, self._sealed, self._owner)
        batch.engine.apply_unchecked(first)
        encoded = _encoder.encode(first)
        builder = log.builder(txn_bytes + TXN_PREFIX_BYTES + len(encoded), record_bytes, counter)
        batch.encoded.append(builder.add(encoded, [], []))
        return builder

    def _roll(self, sealed: Sealed, claim: Claim) -> None:
        segment = self._next_segment
        self._next_segment += 1  # also where the roll fails: an id is never used twice
        self.room.roll(segment, claim)
        self._sealed = sealed

    def open_segment(self, sealed: Sealed, claim: Claim = DELETES) -> None:
        """Goes on behind `sealed` in a fresh segment, and commits its first block."""
        self._roll(sealed, claim)
        batch = self._apply([])
        try:
            self.write(batch)
        except BaseException:
            batch.engine.rollback()
            raise
        self._commit(batch)

    def _apply_one(self, batch: LedgerBatch, builder: BlockBuilder, pending: Pending) -> None:
        entry = pending.entry
        try:
            ordered = entry.in_order(self._log.last.sequence + 1, len(batch.accepted))
            encoded = builder.add(ordered, entry.places, pending.payloads)
        except BodyChanged as error:
            raise ChecksumMismatch("a body changed on its way to the committer") from error
        txn = txn_decoder.decode(encoded)
        if txn.bodies:
            raise ValueError("a transaction names bodies that did not come with it")
        conflict = self._check(batch, txn)
        if conflict is not None:
            builder.take_back()
            conflict.arrival = pending.arrival
            batch.refused.append((pending, conflict))
            self.conflicts += 1
            return
        batch.encoded.append(encoded)
        self._note(batch, pending, txn)

    def _check(self, batch: LedgerBatch, txn: Txn) -> Conflict | None:
        """Applies all of the transaction, or nothing.

        Counters that have a ceiling go first, for unlike rows they can be taken back.
        """
        engine = batch.engine
        if any(add.ceiling is not None for add in txn.adds):
            return apply_whole(engine, txn)
        conflict = engine.apply(txn)
        if conflict is None:
            engine.add(txn.adds)
        return conflict

    def _note(self, batch: LedgerBatch, pending: Pending, txn: Txn) -> None:
        batch.accepted.append(pending)
        batch.ids.append(txn.id)
        for row in txn.rows:
            space = row.space
            if space == keys.BUCKETS:
                if row.value != KEEP:
                    batch.buckets.append(row.key)
            elif space == keys.OUTBOX:
                batch.events += isinstance(row.value, bytes)
            elif space == keys.DUE:
                self._note_due(batch, row)
            elif space == keys.SEGMENTS and isinstance(row.value, bytes):
                batch.released = True  # sealed: it may be dead already
            elif space == keys.JOBS and row.expect is ABSENT and isinstance(row.value, bytes):
                batch.released = True  # a new job: it is maintenance that does it
        for add in txn.adds:
            if add.space == keys.SEGMENTS and add.amounts[0] < 0:
                batch.released = True

    def _note_due(self, batch: LedgerBatch, row: Row) -> None:
        """Maintenance looks when it is due."""
        if is_hint(row):
            batch.hints.append(row)
        else:
            batch.released |= isinstance(row.value, bytes)

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
        batch.hinted = self._soonest.has_news(batch.hints)
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
        try:
            batch.engine.rollback()
        except StoreError as failure:
            self._fence(batch, failure)
            return
        self._queue.extendleft(pending for pending, _ in reversed(batch.refused))
        for pending in batch.accepted:
            pending.done(error)

    def _fence(self, batch: LedgerBatch, error: FastobjError) -> None:
        """The block may be on the disk, so the answer is Unknown.

        What conflicted is not told with what: that may be a row of this very batch.
        """
        self.fenced = error
        # Where the drive fails that too, nothing of it is committed either: nothing ever is again.
        with suppress(StoreError):
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


def _sizes(taken: Sequence[Pending]) -> tuple[int, int]:
    """The bytes of all their transactions, prefixes included, and those of all their records."""
    txns = records = 0
    for pending in taken:
        txns += pending.txn_bytes
        records += pending.record_bytes
    return txns, records


def _claim(taken: Sequence[Pending]) -> Claim:
    """What a roll may take for them."""
    with_bodies = [pending for pending in taken if pending.payloads]
    if not with_bodies:
        return DELETES
    return MOVES if all(only_moves(pending.txn()) for pending in with_bodies) else BODIES


def _arrival(pending: Pending) -> int:
    return pending.arrival or 0


def _refusal(cause: Exception) -> StoreError:
    """A transaction that fails by itself: larger than allowed, or a body without its row."""
    refusal = StoreError(f"refused: {cause}")
    refusal.__cause__ = cause
    return refusal
