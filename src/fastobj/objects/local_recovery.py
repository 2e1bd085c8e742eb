"""Every start is a recovery: settle the log's tail, replay it, go on in a fresh segment.

Recovery never appends to an old segment and never guesses: a gap refuses to start and names the
file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.crash_points import reach
from fastobj.core.errors import NoSpace
from fastobj.core.limits import LOG_SEGMENT_BYTES_MAX, LOG_SEGMENT_BYTES_MIN, MIB
from fastobj.meta import keys
from fastobj.meta.base import LogPosition
from fastobj.objects.local_engine import (
    Checkpoints,
    DatabaseRoom,
    LedgerEngine,
    apply_logged,
    txn_decoder,
)
from fastobj.objects.local_ledger import LocalLedger
from fastobj.objects.log_rows import Sealed
from fastobj.objects.outcomes import Outcomes
from fastobj.storage import io
from fastobj.storage.log_format import BlockRef
from fastobj.storage.log_replay import Chain, Discovery, ReadBlock, discover
from fastobj.storage.log_writer import LogWriter
from fastobj.storage.spares import Spares, spare_path, wanted_bytes

_COMMIT_BLOCKS_MAX: Final = 256
_COMMIT_BYTES_MAX: Final = 8 * MIB


@dataclass(slots=True)
class Recovered:
    """What a recovery found and opened."""

    ledger: LocalLedger
    log: LogWriter
    spares: Spares
    blocks_replayed: int
    transactions_replayed: int


def recover(
    directory: Path,
    store: bytes,
    engine: LedgerEngine,
    *,
    segment_bytes: tuple[int, int] = (LOG_SEGMENT_BYTES_MIN, LOG_SEGMENT_BYTES_MAX),
    checkpoints: Checkpoints | None = None,
    database: DatabaseRoom | None = None,
    epoch_changed: Callable[[bytes], None] | None = None,
) -> Recovered:
    """Replays the log in `directory` into `engine` and opens the ledger.

    `database` lets the ledger hold room of the disk for the engine before it needs it.
    Raises StoreDamaged (no file of the log was changed), NoSpace, SyncFailed.
    """
    discovery = discover(directory, store)
    chain = Chain(directory, store, discovery)
    chain.settle_tail()
    spares = Spares(directory, _segment_bytes(directory, discovery, segment_bytes))
    replay = _Replay(engine, spares, checkpoints, database)
    last = replay.run(chain)
    replay.remember_before(chain, last)
    _clear_unused(discovery, engine, directory, last)
    spares.remove_unfinished()
    log = LogWriter(directory, store, last.ref, spares, segment_bytes[0])
    log.covered = last.covered
    ledger = LocalLedger(
        engine,
        log,
        max(discovery.next_segment, last.ref.segment + 1),
        last.ref.sequence + 1,  # the owner: the sequence of the first block that it writes
        checkpoints=checkpoints,
        database=database,
        outcomes=replay.outcomes,
        epoch_changed=epoch_changed,
    )
    # The fresh segment's first block, synced, names the end of the log before it.
    try:
        ledger.open_segment(_sealed(discovery, last.ref))
    except BaseException:
        log.close()
        raise
    return Recovered(ledger, log, spares, replay.blocks, replay.transactions)


class _Last(NamedTuple):
    """The last block of the log, and what it says to be covered."""

    ref: BlockRef = BlockRef()
    covered: int = 0


class _Replay:
    """Applies to the engine what it lacks of the log, and remembers what it had."""

    def __init__(
        self,
        engine: LedgerEngine,
        spares: Spares,
        checkpoints: Checkpoints | None,
        database: DatabaseRoom | None,
    ) -> None:
        self.outcomes = Outcomes()
        self.blocks = self.transactions = 0
        self._engine = engine
        self._spares = spares
        self._checkpoints = checkpoints
        self._database = database

    def run(self, chain: Chain) -> _Last:
        """Applies all blocks behind the engine's position; returns the last one of the log."""
        position = BlockRef(*self._engine.position())
        last = chain.block(position)
        for group in _groups(chain.walk(position)):
            self._apply(group)
            last = group[-1]
        return _Last(last.ref, last.head.covered) if last is not None else _Last(position)

    def _apply(self, group: list[ReadBlock]) -> None:
        """Applies a group, on a full disk in halves, and block by block with the ballast's room."""
        try:
            self._commit(group)
        except NoSpace:
            middle = len(group) // 2
            if middle:
                self._apply(group[:middle])
                self._apply(group[middle:])
                return
            if not self._spares.free_smallest():
                raise
            self._apply(group)

    def _commit(self, group: list[ReadBlock]) -> None:
        if self._checkpoints is not None:
            self._checkpoints.before_batch()
        self._hold(group)
        apply_logged(self._engine, [block.txns for block in group], LogPosition(*group[-1].ref))
        for block in group:
            ids = [_txn_id(raw) for raw in block.txns]
            self.outcomes.remember(block.ref.sequence, ids)
            self.transactions += len(ids)
        self.blocks += len(group)
        if self._checkpoints is not None:
            self._checkpoints.committed(group[-1].ref.sequence)
        reach("replay.committed")

    def _hold(self, group: list[ReadBlock]) -> None:
        """What may add no rows is not told from what may: both find room, or the slack is used."""
        if self._database is None:
            return
        txn_bytes = sum(block.head.txns_length for block in group)
        try:
            self._database.hold_growth(txn_bytes)
        except NoSpace:
            pass  # the blocks took place: a checkpoint that cannot copy them gets the ballast
        self._database.hold_commit(sum(len(block.txns) for block in group), txn_bytes)

    def remember_before(self, chain: Chain, last: _Last) -> None:
        """Brings back the ids of blocks that the database had already, back to covered ones.

        A process that died between COMMIT and its answers leaves callers who ask for the outcome.
        """
        known = self.outcomes.first_sequence() or last.ref.sequence + 1
        older: list[tuple[int, list[bytes]]] = []
        for block in chain.walk(chain.before(last.covered + 1), bodies=False):
            if block.ref.sequence >= known:
                break
            if block.ref.sequence > last.covered:
                older.append((block.ref.sequence, [_txn_id(raw) for raw in block.txns]))
        self.outcomes.remember_older(older)
        self.outcomes.horizon = (self.outcomes.first_sequence() or known) - 1


def _groups(blocks: Iterable[ReadBlock]) -> Iterator[list[ReadBlock]]:
    """Blocks in runs that are held in memory, and committed to the database, at once."""
    group: list[ReadBlock] = []
    size = 0
    for block in blocks:
        group.append(block)
        size += block.head.txns_length
        if len(group) == _COMMIT_BLOCKS_MAX or size >= _COMMIT_BYTES_MAX:
            yield group
            group, size = [], 0
    if group:
        yield group


def _txn_id(raw: bytes) -> bytes:
    return txn_decoder.decode(raw).id


def _clear_unused(discovery: Discovery, engine: LedgerEngine, directory: Path, last: _Last) -> None:
    """Files that a roll renamed, and in which no block counts, become spares again.

    This precedes the fresh segment: two that follow one block would contradict each other.
    A segment in use has a row, which its first block brought: a file with a row whose first block
    does not verify is damaged, and left as it is for the reads of its other bodies.
    """
    unused = dict(discovery.unused)
    for segment in discovery.chain.values():
        if segment.first.sequence > last.ref.sequence:  # its first block was cut short
            unused[segment.segment] = segment.path
    for number, path in unused.items():
        if engine.read(keys.SEGMENTS, keys.segment(number)) is None:
            io.rename(str(path), str(spare_path(directory, number, 1)))
    if unused:
        io.sync_directory(str(directory))


def _sealed(discovery: Discovery, last: BlockRef) -> Sealed:
    """The segment that the log goes on behind; zeros for a new store."""
    segment = discovery.chain.get(last.segment)
    if segment is None:
        return (0, 0, 0, 0)
    return (segment.segment, segment.generation, segment.size, last.sequence)


def _segment_bytes(directory: Path, discovery: Discovery, bounds: tuple[int, int]) -> int:
    """First segments are small and grow with the log, so that a small disk is not eaten."""
    held = sum(segment.size for segment in discovery.chain.values())
    return wanted_bytes(held, io.free_bytes(directory), bounds)
