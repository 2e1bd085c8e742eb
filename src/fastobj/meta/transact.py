"""What all engines do alike with a transaction: check its size, apply the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from fastobj.core.errors import Conflict
from fastobj.meta.base import TXN_ID_BYTES, Batch, EngineLimits, Token, Txn

ENGINE_LIMITS: Final = EngineLimits()

Present = tuple[bytes, Token] | None


class WholeBatch(Batch, Protocol):
    """A batch that can also tell what is there."""

    def present(self, txn: Txn) -> list[Present]:
        """The rows that `txn` names as they stand now, in its order."""
        ...


def check_txn(txn: Txn, bounds: EngineLimits = ENGINE_LIMITS) -> None:
    """Raises ValueError where `txn` is larger than `bounds` or names one row twice.

    Keys and values of rows count; adds and bodies do not.
    """
    rows = txn.rows
    size = 0
    for row in rows:
        size += len(row.key)
        value = row.value
        if value:  # neither DELETE nor KEEP nor empty
            if len(value) > bounds.value_bytes:
                raise ValueError(f"a value of {len(value)} bytes: at most {bounds.value_bytes}")
            size += len(value)
    if len(rows) > bounds.rows or size > bounds.bytes:
        raise ValueError(
            f"a transaction of {len(rows)} rows and {size} bytes:"
            f" at most {bounds.rows} rows and {bounds.bytes} bytes"
        )
    if len(rows) > 1 and len({(row.space, row.key) for row in rows}) < len(rows):
        raise ValueError("a transaction names one row twice")
    if len(txn.id) != TXN_ID_BYTES:
        raise ValueError(f"a transaction id has {TXN_ID_BYTES} bytes, not {len(txn.id)}")


def apply_whole(batch: WholeBatch, txn: Txn) -> Conflict | None:
    """Applies rows and adds of `txn`; a Conflict leaves nothing of either.

    Adds go first: unlike rows they can be taken back, by adding their opposites.
    """
    if txn.adds and batch.add(txn.adds):
        return Conflict(batch.present(txn))
    conflict = batch.apply(txn)
    if conflict is not None and txn.adds:
        take_back(batch, txn)
    return conflict


def take_back(batch: Batch, txn: Txn) -> None:
    """Undoes `batch.add(txn.adds)` within the same batch."""
    opposites = [
        msgspec.structs.replace(add, amounts=tuple(-n for n in add.amounts), ceiling=None)
        for add in txn.adds
    ]
    batch.add(opposites)


def apply_each(batch: WholeBatch, txns: Sequence[Txn]) -> list[Conflict | None]:
    """Applies independent transactions in their order; one result each."""
    return [apply_whole(batch, txn) for txn in txns]
