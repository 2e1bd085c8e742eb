"""Turns: writers of one process that race for one row go one after the other.

Without them, each round of a race has one winner and costs all others a try, and late comers may
win before those who lost already. Who lost once takes a turn; who comes to a row where turns are
being taken joins the queue. So a round has at most one writer of each process, and between
processes the committer serves the one that arrived first.
"""

from __future__ import annotations

import asyncio
from collections import deque

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import COMMITTER_WAIT_S_MAX
from fastobj.core.waiting import within

_Waiter = asyncio.Future[None]


class Turns:
    """The rows of one process for which turns are being taken now; nothing is kept of others."""

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[_Waiter]] = {}

    def of(self, row: bytes) -> Turn:
        """A writer's place at a row."""
        return Turn(self, row)

    def is_contended(self, row: bytes) -> bool:
        """Whether somebody has the turn."""
        return row in self._queues

    async def take(self, row: bytes) -> bool:
        """Takes the turn at once (False) or waits for it (True). Raises SlowDown after a while."""
        queue = self._queues.get(row)
        if queue is None:
            self._queues[row] = deque()
            return False
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            await within(COMMITTER_WAIT_S_MAX, waiter)
        except BaseException as error:
            self._leave(row, waiter)
            if isinstance(error, TimeoutError):
                raise S3Error(codes.SLOW_DOWN) from None
            raise
        return True

    def give(self, row: bytes) -> None:
        """Gives the turn to who waits longest."""
        queue = self._queues[row]
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._queues[row]

    def _leave(self, row: bytes, waiter: _Waiter) -> None:
        """A writer gives up; a turn that it was just given goes on to the next."""
        if waiter.done() and not waiter.cancelled():
            self.give(row)
        else:
            waiter.cancel()


class Turn:
    """One writer's place at one row. As a context, it gives the turn back at the end.

    A writer may race for a second row besides. It takes that turn after the first one, so that
    no two writers wait for each other.
    """

    __slots__ = ("_held", "_rows", "_turns")

    def __init__(self, turns: Turns, row: bytes) -> None:
        self._turns = turns
        self._rows = [row]
        self._held = 0

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            self._held -= 1
            self._turns.give(self._rows[self._held])

    def races_for(self, row: bytes) -> None:
        """Names the second row; the first that is named stays."""
        if len(self._rows) == 1:
            self._rows.append(row)

    async def join(self) -> bool:
        """Before a try: waits where others take turns already. True as for `take`."""
        waited = False
        if any(map(self._turns.is_contended, self._rows[self._held :])):
            while self._held < len(self._rows):
                waited |= await self.take()
        return waited

    async def take(self) -> bool:
        """After a lost race. True where others had their turn meanwhile: read the rows again."""
        if self._held == len(self._rows):
            return False
        waited = await self._turns.take(self._rows[self._held])
        self._held += 1
        return waited
