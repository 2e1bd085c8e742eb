"""A ledger over an engine that commits on its own: small bodies go to the volume first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from fastobj.core.errors import Conflict, FastobjError
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, MetaEngine, Txn
from fastobj.objects.ledger import Entry, with_location
from fastobj.objects.segment_rows import sealing_rows, usage_add
from fastobj.storage.base import Location, SmallBody, Volume, Writer, fill


class _Placed(NamedTuple):
    """A transaction whose bodies are stored, and the writers that hold them."""

    txn: Txn
    writers: list[Writer]


class EngineLedger:
    """Commits into `engine`, with small bodies in `volume`.

    `committed` is told of each transaction once it is applied, before the answer is given: the
    place to bump epochs and to release bodies.
    """

    def __init__(
        self,
        engine: MetaEngine,
        volume: Volume,
        committed: Callable[[Txn], None] | None = None,
    ) -> None:
        self._engine = engine
        self._volume = volume
        self._committed = committed
        self._blocks = count(1)  # what is committed at once is what a block of the log would be

    async def commit(self, entry: Entry) -> None:
        """Commits one. Raises Conflict, Unknown, NoSpace."""
        result = (await self.commit_many([entry]))[0]
        if result is not None:
            raise result

    async def commit_many(self, entries: Sequence[Entry]) -> list[FastobjError | None]:
        """Commits independent transactions; one result each."""
        attempts = await asyncio.gather(*(self._try_place(entry) for entry in entries))
        placed = [attempt for attempt in attempts if isinstance(attempt, _Placed)]
        writers = [writer for one in placed for writer in one.writers]
        for writer in writers:
            writer.sent()
        block = next(self._blocks)
        txns = [_in_order(one.txn, block, place) for place, one in enumerate(placed)]
        try:
            committed = iter(await self._engine.commit_many(txns))
        except asyncio.CancelledError:
            raise  # the engine may still apply it, so the bodies stay held
        except BaseException:
            _settle(writers)
            raise
        _settle(writers)
        return [self._result(attempt, committed) for attempt in attempts]

    def _result(
        self, attempt: _Placed | FastobjError, committed: Iterator[Conflict | None]
    ) -> FastobjError | None:
        if not isinstance(attempt, _Placed):
            return attempt
        conflict = next(committed)
        if conflict is None and self._committed is not None:
            self._committed(attempt.txn)
        return conflict

    async def _try_place(self, entry: Entry) -> _Placed | FastobjError:
        try:
            return await self._place(entry)
        except FastobjError as error:
            return error

    async def _place(self, entry: Entry) -> _Placed:
        """Stores the bodies: the transaction with finished rows, and their bytes counted."""
        txn = entry.txn
        rows, adds = list(txn.rows), list(txn.adds)
        writers: list[Writer] = []
        for ref, body in zip(txn.bodies, entry.bodies, strict=True):
            writer, location = await self._write(body)
            rows[ref.row] = with_location(rows[ref.row], ref.offset, location)
            rows += sealing_rows(writer)
            adds.append(usage_add(self._volume.accounts(location, +1)))
            writers.append(writer)
        return _Placed(Txn(txn.id, rows, adds), writers)

    async def _write(self, body: SmallBody) -> tuple[Writer, Location]:
        writer = await self._volume.writer(len(body.payload), body.data_id)
        try:
            await fill(writer, body.payload)
            return writer, await writer.finish()
        except BaseException:
            await writer.abort()
            raise


def _in_order(txn: Txn, block: int, place: int) -> Txn:
    """The transaction with its events in the order of commits."""
    if not any(row.space == keys.OUTBOX and row.expect is ABSENT for row in txn.rows):
        return txn
    rows = [
        msgspec.structs.replace(row, key=keys.in_order(row.key, block, place))
        if row.space == keys.OUTBOX and row.expect is ABSENT
        else row
        for row in txn.rows
    ]
    return msgspec.structs.replace(txn, rows=rows)


def _settle(writers: Sequence[Writer]) -> None:
    for writer in writers:
        writer.settled()
