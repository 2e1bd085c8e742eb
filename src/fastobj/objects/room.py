"""Room on a full disk: who may still commit, and how the log finds its next segment.

What takes space is told from the transaction itself. Bodies take room in the log, and new rows
room in the database: each is refused alone, with NoSpace, for as long as that room is missing.
What moves bodies may take the reserve that others leave. What deletes, seals or only checks is
never refused: it needs a log segment now and then, which
gives itself back, and pages that the database holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from fastobj.core.errors import NoSpace, StoreError
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, Add, LocalEngine, ScanRow, Txn
from fastobj.objects.local_engine import DatabaseRoom
from fastobj.storage.log_format import EXTENT_ID_MIN
from fastobj.storage.log_writer import LogWriter
from fastobj.storage.spares import MOVES, Claim

_ROWS_MAX: Final = 1 << 20
_ALWAYS_TAKEN: Final = frozenset({keys.DUE, keys.OUTBOX, keys.CURSORS})
_BATCHES_BETWEEN_LOOKS: Final = 16  # while the ballast is yet to be made and the disk is ample


def only_moves(txn: Txn) -> bool:
    """Whether the transaction gives a body another place, and does nothing else.

    What it takes it gives back in another segment, and that in the end with what was dead there.
    """
    return (
        len(txn.rows) == 1
        and isinstance(txn.rows[0].expect, bytes)
        and isinstance(txn.rows[0].value, bytes)
        and all(add.space == keys.SEGMENTS for add in txn.adds)
        and any(add.amounts[0] < 0 for add in txn.adds)
    )


def adds_rows(txn: Txn) -> bool:
    """Whether the transaction writes rows that take room: new ones, and those of objects.

    Segments and buckets change their state within the room that their rows have, and so do bodies
    their places. Events come with what happened, and are bounded. What says that bodies are due to
    be let go of must never be refused, nor must the end of a version by which the one before it
    becomes the current one: its row only moves.
    """
    if only_moves(txn):
        return False
    moved = sum(row.space == keys.HISTORY and row.value is DELETE for row in txn.rows)
    return moved < sum(
        isinstance(row.value, bytes)
        and row.space not in _ALWAYS_TAKEN
        and (not isinstance(row.expect, bytes) or row.space == keys.CURRENT)
        for row in txn.rows
    )


class Waiting(Protocol):
    """What waits to be committed."""

    def txn(self) -> Txn:
        """The transaction."""
        ...


class Room:
    """What the next batches may take. `database` is None where nothing can be held."""

    def __init__(self, engine: LocalEngine, log: LogWriter, database: DatabaseRoom | None) -> None:
        self.refused = False  # something was, since the owner set this back
        self._engine = engine
        self._log = log
        self._database = database
        self._watches = True  # the ballast is not known to be whole
        self._looks_in = 0
        self._no_bodies = False
        self._no_rows = False

    @property
    def is_short(self) -> bool:
        """Whether some transactions are refused."""
        return self._no_bodies or self._no_rows

    def refuses(self, txn: Txn, with_bodies: bool) -> bool:
        """Whether the transaction takes what is missing."""
        if not self.is_short or only_moves(txn):
            return False
        if not ((self._no_bodies and with_bodies) or (self._no_rows and adds_rows(txn))):
            return False
        self.refused = True
        return True

    def look(self) -> None:
        """Between two batches: whether what was missing is there again."""
        if self._watches:
            self._looks_in -= 1
            if self._no_bodies or self._looks_in < 0:
                self._look_for_ballast()
        if self._no_rows and self._database is not None:
            try:
                self._database.hold_growth(0)
                self._no_rows = False
            except NoSpace:
                return

    def _look_for_ballast(self) -> None:
        spares, least = self._log.spares, self._log.block_bytes_max
        self._watches = spares.missing_ballast(least) > 0
        self._no_bodies = self._watches and not spares.could_make(least)
        self._looks_in = _BATCHES_BETWEEN_LOOKS

    def hold(self, taken: Sequence[Waiting], txn_bytes: int) -> None:
        """Holds what the database needs for a batch. Raises NoSpace, SyncFailed."""
        if self._database is None:
            return
        if not self._no_rows:
            try:
                self._database.hold_growth(txn_bytes)
            except NoSpace:
                self._no_rows = True
                if any(adds_rows(waiting.txn()) for waiting in taken):
                    raise
        self._database.hold_commit(len(taken), txn_bytes)

    def roll(self, segment: int, claim: Claim) -> None:
        """Goes on in a fresh segment; bodies never take the ballast. Raises NoSpace, SyncFailed."""
        self._watches, self._looks_in = True, 0
        try:
            self._log.roll(segment, claim)
        except NoSpace:
            if claim.kept:
                self._no_bodies = True
                self.refused |= claim == MOVES  # what they emptied waits for a checkpoint
            if claim.kept or not self._recycle():
                raise
            self._log.roll(segment)

    def _recycle(self) -> bool:
        """Makes a spare of a log segment in which nothing lives, at once; whether there was one.

        Its row is left to maintenance: a row without a file is no fault.
        """
        if self._database is not None and not self._database.checkpoint_now():
            return False
        for row in self._dead():
            record = records.decode(records.SegmentRecord, row.value)
            try:
                self._log.spares.recycle(keys.segment_id(row.key), record.generation)
                return True
            except StoreError:
                continue  # maintenance was faster
        return False

    def _dead(self) -> list[ScanRow]:
        """The rows of sealed log segments in which nothing lives; all commits are covered."""
        rows = self._engine.read_range(
            keys.SEGMENTS, keys.FIRST, keys.segment(EXTENT_ID_MIN), _ROWS_MAX
        )
        batch = self._engine.begin()
        try:  # a counter that may not pass zero is the question whether it is zero
            return [
                row
                for row in rows
                if _is_sealed(row) and not batch.add([Add(keys.SEGMENTS, row.key, (0, 0), (0, 0))])
            ]
        finally:
            batch.rollback()


def _is_sealed(row: ScanRow) -> bool:
    record = records.decode(records.SegmentRecord, row.value)
    return record.kind == SEGMENT_LOG and record.state == SEGMENT_SEALED
