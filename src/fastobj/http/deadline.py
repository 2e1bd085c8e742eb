"""How long a connection waits, and the one timer with which it does. Must not know connections."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from fastobj.core import limits


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a connection waits, in seconds, and how slow a body may be, in bytes a second."""

    handshake_s: float = limits.HTTP_HEAD_S_MAX
    head_s: float = limits.HTTP_HEAD_S_MAX
    idle_s: float = limits.HTTP_IDLE_S_MAX
    body_s: float = limits.HTTP_BODY_STALL_S_MAX
    body_bytes_s: float = limits.HTTP_BODY_BYTES_S_MIN
    write_s: float = limits.HTTP_WRITE_STALL_S_MAX
    linger_s: float = limits.HTTP_LINGER_S_MAX


class Deadline:
    """The one timer of a connection. Moving it later, the usual case, does not touch the loop.

    `is_short` tells that the last extension did not reach the most that it could have been: what
    then expires has been slow, and not silent.
    """

    __slots__ = ("_at", "_expired", "_handle", "_loop", "_rings_at", "is_short")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired: Callable[[], None] | None = expired
        self._handle: asyncio.TimerHandle | None = None
        self._at = math.inf
        self._rings_at = math.inf
        self.is_short = False

    def set(self, seconds: float) -> None:
        """Expires that many seconds from now, whatever was set before."""
        self._at = self._loop.time() + seconds
        self.is_short = False
        if self._handle is not None:
            if self._rings_at <= self._at:
                return
            self._handle.cancel()
        self._arm()

    def extend(self, seconds: float, most: float) -> None:
        """Adds time, up to `most` seconds from now."""
        latest = self._loop.time() + most
        self._at += seconds
        self.is_short = self._at < latest
        if not self.is_short:
            self._at = latest

    def clear(self) -> None:
        """Does not expire until it is set again."""
        self._at = math.inf

    def close(self) -> None:
        """Ends the timer and lets go of the connection."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._expired = None

    def _arm(self) -> None:
        self._rings_at = self._at
        self._handle = self._loop.call_at(self._at, self._ring)

    def _ring(self) -> None:
        self._handle = None
        if self._at == math.inf or self._expired is None:
            return
        if self._loop.time() < self._at:
            self._arm()
        else:
            self._at = math.inf
            self._expired()
