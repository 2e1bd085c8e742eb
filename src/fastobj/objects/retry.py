"""Retries of transactions that lost a race. The present rows of a Conflict feed the next try."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import Conflict, S3Error
from fastobj.core.limits import CONFLICT_RETRIES_MAX
from fastobj.objects.turns import Turn

_PAUSE_S: Final = 0.0005  # grows by itself with each try, up to the longest
_PAUSE_S_MAX: Final = 0.02


class Retry:
    """The tries of one operation. `arrival` goes into the next Entry.

    With a `turn`, rivals of this process wait for each other instead of pausing at random.
    """

    __slots__ = ("_exhausted", "_turn", "arrival", "tries")

    def __init__(self, exhausted: ErrorCode = codes.SLOW_DOWN, turn: Turn | None = None) -> None:
        self._exhausted = exhausted
        self._turn = turn
        self.arrival: int | None = None
        self.tries = 0

    async def after(self, conflict: Conflict) -> bool:
        """Waits before the next try; True where the conflict's rows may be old by then.

        Raises S3Error after CONFLICT_RETRIES_MAX tries.
        """
        self.tries += 1
        if self.tries > CONFLICT_RETRIES_MAX:
            raise S3Error(self._exhausted)
        if self.arrival is None:
            self.arrival = conflict.arrival
        if self._turn is not None:
            return await self._turn.take()
        await asyncio.sleep(self._pause_s())
        return False

    def _pause_s(self) -> float:
        """Nothing before the first retry; then at random, so that rivals do not move in step."""
        if self.tries == 1:
            return 0
        return random.random() * min(_PAUSE_S * self.tries, _PAUSE_S_MAX)
