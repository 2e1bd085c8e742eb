"""The contract of metadata engines: an ordered key-value store with transactions.

An engine knows spaces, keys, values, tokens and counters. It has never heard of buckets or
objects. A token is the id of the transaction that wrote the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from fastobj.core import limits
from fastobj.core.errors import Conflict
from fastobj.core.ids import random_id

Token = bytes

# What a transaction may expect of a row, beside a token of 16 bytes.
ABSENT: Final = None
ANY: Final = 0
# What it may leave in a row, beside a new value.
DELETE: Final = None
KEEP: Final = 0

TXN_ID_BYTES: Final = 16


class Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One row of a transaction: expect `token` (or ABSENT or ANY), leave `value` (DELETE, KEEP)."""

    space: int
    key: bytes
    expect: bytes | Literal[0] | None
    value: bytes | Literal[0] | None


class Add(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A commutative change of one counter row.

    `amounts` is added element by element; a result above the element of `ceiling` that stands at
    the same place (None: unbounded) is a conflict.
    """

    space: int
    key: bytes
    amounts: tuple[int, ...]
    ceiling: tuple[int | None, ...] | None = None


class BodyRef(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A small body that travels with the transaction.

    The ledger places it and writes its location (storage.base.LOCATION_BYTES) into the value of
    row `row` at byte `offset`.
    """

    data_id: bytes
    row: int
    offset: int


class Txn(msgspec.Struct, array_like=True, gc=False):
    """A transaction: all of it or nothing. `id` becomes the token of each row that it writes."""

    id: bytes
    rows: list[Row]
    adds: list[Add] = []
    bodies: list[BodyRef] = []


class ScanRow(NamedTuple):
    """A row as a scan returns it."""

    key: bytes
    value: bytes
    token: bytes


class EngineLimits(NamedTuple):
    """What one transaction may hold."""

    rows: int = limits.TXN_ROWS_MAX
    bytes: int = limits.TXN_BYTES_MAX
    value_bytes: int = limits.VALUE_BYTES_MAX


def new_txn_id() -> bytes:
    """A fresh transaction id: 16 random bytes."""
    return random_id(TXN_ID_BYTES)


class MetaReader(Protocol):
    """The reading half of an engine."""

    async def get(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """The value and token of a row, or None."""
        ...

    async def get_many(
        self, pairs: Sequence[tuple[int, bytes]]
    ) -> list[tuple[bytes, Token] | None]:
        """The rows asked for, in that order."""
        ...

    async def scan(
        self, space: int, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[ScanRow]:
        """At most `limit` rows with start <= key < end, in key order (or the reverse)."""
        ...

    async def counters(
        self, space: int, start: bytes, end: bytes
    ) -> list[tuple[bytes, tuple[int, ...]]]:
        """The counter rows with start <= key < end, in key order; those of zeros are not there."""
        ...


class MetaEngine(MetaReader, Protocol):
    """A whole engine."""

    limits: EngineLimits

    async def commit(self, txn: Txn) -> None:
        """Applies `txn`. Raises Conflict (nothing applied) or Unknown (may have been)."""
        ...

    async def commit_many(self, txns: Sequence[Txn]) -> list[Conflict | None]:
        """Applies independent transactions; one result each."""
        ...

    async def open(self) -> None:
        """Makes the engine ready; creates what is missing."""
        ...

    async def close(self) -> None:
        """Releases what the engine holds; nothing that was committed depends on it."""
        ...


class LogPosition(NamedTuple):
    """How far the log has been applied: the last block by sequence and CRC, and its place.

    `offset` is the block's first byte in its segment; sequence 0 means an empty log.
    """

    segment: int = 0
    generation: int = 0
    offset: int = 0
    sequence: int = 0
    crc: int = 0


class Batch(Protocol):
    """One open write transaction of a local engine, into which many Txns are applied."""

    def apply(self, txn: Txn) -> Conflict | None:
        """Checks and applies the rows of `txn` (not its adds). A Conflict leaves nothing.

        Checks see the transactions applied before it in this batch. Any other exception means
        that the whole batch must be rolled back.
        """
        ...

    def apply_unchecked(self, txn: Txn) -> None:
        """Applies the rows of `txn` without checks: replay of what was accepted before."""
        ...

    def add(self, adds: Sequence[Add]) -> Sequence[Add]:
        """Folds counter changes; returns those that would pass their ceiling, not applied.

        All adds of one call are applied, or none: where any passes its ceiling, none is.
        """
        ...

    def commit(self, position: LogPosition) -> None:
        """Writes the folded counters and the log position, and ends the transaction."""
        ...

    def rollback(self) -> None:
        """Ends the transaction without effect."""
        ...


class LocalEngine(MetaEngine, Protocol):
    """What the local ledger needs beside the contract; all of it synchronous, on one thread."""

    def begin(self) -> Batch:
        """Opens a batch. There is at most one."""
        ...

    def position(self) -> LogPosition:
        """The log position stored with the last committed batch."""
        ...

    def read(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """A committed row, synchronously."""
        ...

    def read_range(self, space: int, start: bytes, end: bytes, limit: int) -> list[ScanRow]:
        """A committed range, synchronously."""
        ...
