"""The seam through which anything becomes durable and visible: `commit(txn, bodies)`.

Implementations: `local_ledger` (group commit into the log, in the committer or a test server),
`engine_ledger` (an engine that commits on its own), `node.link_ledger` (a worker's end of the
link to the committer).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from fastobj.core.errors import FastobjError
from fastobj.meta.base import Row, Txn
from fastobj.storage.base import LOCATION_BYTES, Location, SmallBody

__all__ = ["Entry", "Ledger", "Outcome", "SmallBody", "with_location"]


class Entry(NamedTuple):
    """One transaction with its small bodies, in the order of `txn.bodies`.

    `arrival` is what a Conflict of an earlier try carried, so that a hot key is served in order
    of first arrival. With `has_events` some rows are events, whose keys get the order of commits.
    """

    txn: Txn
    bodies: Sequence[SmallBody] = ()
    arrival: int | None = None
    has_events: bool = False


class Outcome(Enum):
    """What became of a transaction."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not committed"
    TOO_OLD = "too old"


class Ledger(Protocol):
    """Commits transactions; when `commit` returns, the transaction is durable and visible."""

    async def commit(self, entry: Entry) -> None:
        """Commits one. Raises Conflict, Unknown, Unavailable, NoSpace."""
        ...

    async def commit_many(self, entries: Sequence[Entry]) -> list[FastobjError | None]:
        """Commits independent transactions in one batch where they fit; one result each."""
        ...


def with_location(row: Row, offset: int, place: Location) -> Row:
    """The row with the place of its body written at byte `offset` of its value.

    Raises ValueError for a row without a value, or without that room in it.
    """
    value = row.value
    if not isinstance(value, bytes) or offset + LOCATION_BYTES > len(value):
        raise ValueError("a body names a row that has no room for its location")
    patched = value[:offset] + place.encode() + value[offset + LOCATION_BYTES :]
    return Row(row.space, row.key, row.expect, patched)
