"""Time, swappable in tests. The only module that asks the system for it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of wall-clock and monotonic time, both in nanoseconds."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed point; never goes back."""
        ...


class SystemClock:
    """The system's clocks."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed point; never goes back."""
        return time.monotonic_ns()


class FixedClock:
    """A clock that a test sets and moves by hand."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The time set last, in nanoseconds since the Unix epoch."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The same figure: this clock moves only by `advance`."""
        return self._now_ns

    def advance(self, delta_ns: int) -> None:
        """Moves both readings by `delta_ns` nanoseconds; negative goes back."""
        self._now_ns += delta_ns
