"""Time, swappable in tests. The only module that asks the system for it.

`FASTOBJ_CLOCK_SHIFT` names a file that holds a number of seconds: the wall clock of a process that
finds it at its start goes so much too fast, or too slow, from one reading to the next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """A source of wall-clock and monotonic time, both in nanoseconds."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed point; never goes back."""
        ...


_wall_ns: Callable[[], int] = time.time_ns


def configure() -> None:
    """Reads the environment; to be called once in each process, after the fork."""
    global _wall_ns
    path = os.environ.get("FASTOBJ_CLOCK_SHIFT")
    if path:
        _wall_ns = partial(_shifted_ns, Path(path))


def _shifted_ns(shift: Path) -> int:
    return time.time_ns() + int(shift.read_text()) * 10**9


class Uptime(NamedTuple):
    """Which start of the machine this is ("": unknown), and for how long it has been up.

    The nanoseconds count while it sleeps, too, and nobody can set them.
    """

    boot: str
    elapsed_ns: int


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def uptime() -> Uptime:
    """That of this machine."""
    return Uptime(_boot(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class SystemClock:
    """The system's clocks."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return _wall_ns()

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
