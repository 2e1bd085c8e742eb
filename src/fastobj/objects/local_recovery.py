"""Every start is a recovery: settle the log's tail, replay it, go on in a fresh segment.

Recovery never appends to an old segment and never guesses: a gap refuses to start and names the
file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from fastobj.core.errors import NoSpace
from fastobj.core.limits import LOG_SEGMENT_BYTES_MAX, LOG_SEGMENT_BYTES_MIN
from fastobj.meta.base import Add, LocalEngine, LogPosition, Txn
from fastobj.objects.local_ledger import Checkpoints, LocalLedger, Outcomes
from fastobj.storage import io
from fastobj.storage.crash_points import reach
from fastobj.storage.log_format import BlockRef
from fastobj.storage.log_replay import Chain, Discovery, ReadBlock, discover
from fastobj.storage.log_writer import LogWriter
from fastobj.storage.spares import SUFFIX, Spares, wanted_bytes

_BLOCKS_PER_COMMIT: Final = 256
_txn_decoder = msgspec.msgpack.Decoder(Txn)


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
    engine: LocalEngine,
    *,
    segment_bytes: tuple[int, int] = (LOG_SEGMENT_BYTES_MIN, LOG_SEGMENT_BYTES_MAX),
    checkpoints: Checkpoints | None = None,
    epoch_changed: Callable[[bytes], None] | None = None,
) -> Recovered:
    """Replays the log in `directory` into `engine` and opens the ledger.

    Raises StoreDamaged (nothing was changed), NoSpace, SyncFailed.
    """
    discovery = discover(directory, store)
    chain = Chain(directory, store, discovery)
    chain.settle_tail()
    outcomes = Outcomes()
    spares = Spares(directory, _segment_bytes(discovery, segment_bytes))
    tail, replayed, transactions = _replay(chain, engine, outcomes, spares)
    _remember_before(chain, tail, outcomes)
    _clear_unused(discovery, directory, spares)
    log = LogWriter(
        directory, store, tail.ref if tail else BlockRef(), spares, segment_bytes[0]
    )
    log.covered = tail.head.covered if tail else 0
    owner = log.last.sequence + 1  # the sequence of this life's first block: never used twice
    ledger = LocalLedger(
        engine,
        log,
        max(discovery.next_segment, log.last.segment + 1),
        owner,
        checkpoints=checkpoints,
        outcomes=outcomes,
        epoch_changed=epoch_changed,
    )
    # The fresh segment's first block, synced, names the end of the log before it.
    before = chain.last()
    ledger.open_segment(
        (0, 0, 0, 0)
        if before is None
        else (before.segment, before.generation, before.size, log.last.sequence)
    )
    return Recovered(ledger, log, spares, replayed, transactions)


def _replay(
    chain: Chain, engine: LocalEngine, outcomes: Outcomes, spares: Spares
) -> tuple[ReadBlock | None, int, int]:
    """Applies all blocks behind the engine's position; returns the log's last block."""
    position = BlockRef(*engine.position())
    last: ReadBlock | None = None
    blocks = transactions = 0
    walk = chain.walk(position)
    while group := list(islice(walk, _BLOCKS_PER_COMMIT)):
        try:
            transactions += _apply_group(engine, group, outcomes)
        except NoSpace:
            if not spares.list():
                raise
            spares.free(spares.list()[-1])  # the ballast: room for the database
            transactions += _apply_group(engine, group, outcomes)
        blocks += len(group)
        last = group[-1]
        reach("replay.committed")
    if last is None and position.sequence:
        last = chain.block(position)
    return last, blocks, transactions


def _apply_group(engine: LocalEngine, group: list[ReadBlock], outcomes: Outcomes) -> int:
    batch = engine.begin()
    seen: list[tuple[int, list[bytes]]] = []
    try:
        for block in group:
            txns = [_txn_decoder.decode(raw) for raw in block.txns]
            for txn in txns:
                batch.apply_unchecked(txn)
                batch.add([Add(add.space, add.key, add.amounts) for add in txn.adds])
            seen.append((block.ref.sequence, [txn.id for txn in txns]))
        batch.commit(LogPosition(*group[-1].ref))
    except BaseException:
        batch.rollback()
        raise
    for sequence, ids in seen:
        outcomes.remember(sequence, ids)
    return sum(len(ids) for _, ids in seen)


def _remember_before(chain: Chain, tail: ReadBlock | None, outcomes: Outcomes) -> None:
    """Brings back the ids of blocks that the database had already, as far as checkpoints reach.

    A process that died between COMMIT and its answers leaves callers who ask for the outcome.
    """
    if tail is None:
        return
    covered = tail.head.covered
    known = outcomes.first_sequence() or tail.ref.sequence + 1
    older: list[tuple[int, list[bytes]]] = []
    for block in chain.walk(chain.before(covered + 1), bodies=False):
        if block.ref.sequence >= known:
            break
        if block.ref.sequence > covered:
            older.append((block.ref.sequence, [txn_id(raw) for raw in block.txns]))
    outcomes.remember_older(older)
    outcomes.horizon = (outcomes.first_sequence() or tail.ref.sequence + 1) - 1


def txn_id(raw: bytes) -> bytes:
    """The id of an encoded transaction."""
    txn: Txn = _txn_decoder.decode(raw)
    return txn.id


def _clear_unused(discovery: Discovery, directory: Path, spares: Spares) -> None:
    """Files that a roll renamed and never wrote become spares again."""
    for path in discovery.unused:
        io.rename(path, directory / f"{path.stem}-1{SUFFIX}")
    spares.remove_unfinished()
    if discovery.unused:
        io.sync_directory(directory)


def _segment_bytes(discovery: Discovery, bounds: tuple[int, int]) -> int:
    return wanted_bytes(sum(segment.size for segment in discovery.chain.values()), bounds)
