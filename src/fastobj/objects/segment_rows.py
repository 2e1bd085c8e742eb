"""The rows and counters of segments: what the volumes say of theirs, as transactions say it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastobj.core.segments import SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, Add, Row, Token, Txn, new_txn_id
from fastobj.objects.ledger import Entry, Ledger
from fastobj.storage.base import Sealing, SegmentInfo, Usage, Writer


def rows_committer(ledger: Ledger) -> Callable[[list[Row], list[Add]], Awaitable[Token]]:
    """A function that commits rows and returns their token. It raises what `commit` raises."""

    async def commit_rows(rows: list[Row], adds: list[Add]) -> Token:
        txn = Txn(new_txn_id(), rows, adds)
        await ledger.commit(Entry(txn))
        return txn.id

    return commit_rows


class SegmentRows:
    """The segments of one process (storage.base.SegmentBook), each change a transaction.

    `owner` is the incarnation of the process. Everything raises what the ledger's `commit` raises.
    """

    def __init__(self, ledger: Ledger, owner: int) -> None:
        self.owner = owner
        self._commit_rows = rows_committer(ledger)

    async def opened(self, segment: SegmentInfo) -> Token:
        """Commits the row of a fresh segment; returns its token."""
        return await self._commit_rows([_row(segment, ABSENT, _value(segment, SEGMENT_OPEN))], [])

    async def sealed(self, segment: SegmentInfo, token: Token) -> None:
        """Seals the segment, if its row still has that token."""
        await self._commit_rows([_sealing_row(Sealing(segment, token))], [])

    async def removed(self, segment: SegmentInfo, token: Token) -> None:
        """Removes the segment's row, if it still has that token."""
        await self._commit_rows([_row(segment, token, DELETE)], [])


def sealing_rows(writer: Writer) -> list[Row]:
    """The rows that the transaction which keeps the writer's finished body must carry."""
    sealing = writer.sealing()
    return [] if sealing is None else [_sealing_row(sealing)]


def usage_add(usage: Usage) -> Add:
    """The change of a segment's counter: live bytes, bodies."""
    return Add(keys.SEGMENTS, keys.segment(usage.segment), (usage.size_bytes, usage.bodies))


def _sealing_row(sealing: Sealing) -> Row:
    segment, token = sealing
    return _row(segment, token, _value(segment, SEGMENT_SEALED))


def _row(segment: SegmentInfo, expect: Token | None, value: bytes | None) -> Row:
    return Row(keys.SEGMENTS, keys.segment(segment.id), expect, value)


def _value(segment: SegmentInfo, state: int) -> bytes:
    return records.encode(
        records.SegmentRecord(
            format=records.FORMAT,
            kind=segment.kind,
            state=state,
            generation=segment.generation,
            size=segment.size_bytes,
            owner=segment.owner,
        )
    )
