"""What the local ledger needs of its engine and of the database below it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from fastobj.meta.base import Add, LocalEngine, LogPosition, Txn
from fastobj.meta.transact import WholeBatch

txn_decoder: msgspec.msgpack.Decoder[Txn] = msgspec.msgpack.Decoder(Txn)


class Checkpoints(Protocol):
    """The checkpointer of the engine's database (meta.wal), as far as the ledger needs it."""

    @property
    def covered_sequence(self) -> int:
        """The highest sequence that a completed checkpoint covers."""
        ...

    def committed(self, sequence: int) -> None:
        """A batch up to that sequence has been committed to the database."""
        ...

    def checkpoint_now(self) -> bool:
        """Checkpoints as before a batch; whether all commits are covered now."""
        ...

    def tidy(self) -> None:
        """Gives back what the database holds and no longer needs. Raises NoSpace, StoreError."""
        ...

    def before_batch(self) -> None:
        """Between two batches: the moment in which the database may be checkpointed whole."""
        ...


class LedgerEngine(LocalEngine, Protocol):
    """A local engine whose batches can also tell what is there."""

    def begin(self) -> WholeBatch:
        """Opens a batch. There is at most one."""
        ...


class DatabaseRoom(Protocol):
    """What the engine's database holds of the disk (meta.wal), as far as the ledger needs it."""

    def hold_growth(self, txn_bytes: int) -> None:
        """Holds room for rows of that many bytes. Raises NoSpace."""
        ...

    def hold_commit(self, txns: int, txn_bytes: int) -> None:
        """Holds room for the commit of so many transactions. Raises NoSpace, SyncFailed."""
        ...

    def checkpoint_now(self) -> bool:
        """Checkpoints as before a batch; whether all commits are covered now."""
        ...


def apply_logged(engine: LocalEngine, blocks: Iterable[list[bytes]], position: LogPosition) -> None:
    """Commits to the engine what blocks of the log say, up to `position`: no checks, no ceilings.

    Raises NoSpace, SyncFailed, StoreError, and leaves nothing then.
    """
    batch = engine.begin()
    try:
        for encoded in blocks:
            for raw in encoded:
                txn = txn_decoder.decode(raw)
                batch.apply_unchecked(txn)
                batch.add([Add(add.space, add.key, add.amounts) for add in txn.adds])
        batch.commit(position)
    except BaseException:
        batch.rollback()
        raise
