"""Commits the rows of segments for the volume, which knows neither ledger nor transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastobj.meta.base import Add, Row, Txn, new_txn_id
from fastobj.objects.ledger import Entry, Ledger


def rows_committer(ledger: Ledger) -> Callable[[list[Row], list[Add]], Awaitable[bytes]]:
    """A function that commits rows and returns their token. It raises what `commit` raises."""

    async def commit_rows(rows: list[Row], adds: list[Add]) -> bytes:
        txn = Txn(new_txn_id(), rows, adds)
        await ledger.commit(Entry(txn))
        return txn.id

    return commit_rows
