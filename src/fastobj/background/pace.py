"""A budget of bytes per second: whoever spends more waits, a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastobj.core.clock import Clock

PAUSE_NS_MIN: Final = 10_000_000  # shorter ones cost more than they give to others
_NS_PER_S: Final = 1_000_000_000

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Spreads work over time. What was not spent is not saved up."""

    def __init__(self, bytes_s: int, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._bytes_s = bytes_s
        self._clock = clock
        self._sleep = sleep
        self._paid_ns = 0  # when what has been spent is paid for

    async def spend(self, size_bytes: int) -> None:
        """Takes that much of the budget; waits for as long as it is overdrawn, at least a turn."""
        now_ns = self._clock.monotonic_ns()
        self._paid_ns = max(self._paid_ns, now_ns) + size_bytes * _NS_PER_S // self._bytes_s
        wait_ns = self._paid_ns - now_ns
        await self._sleep(wait_ns / _NS_PER_S if wait_ns >= PAUSE_NS_MIN else 0)
