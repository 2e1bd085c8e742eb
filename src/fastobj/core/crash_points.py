"""Named points at which a test can end a process.

`FASTOBJ_CRASH_AT=point[:n]` ends the process by SIGKILL, without any clean-up, when it reaches
that point for the n-th time (the first by default). Off, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

_left: dict[str, int] = {}


def configure(setting: str | None) -> None:
    """Arms the points of a setting such as `log.after_sync:3,commit.after:1`; None disarms all."""
    _left.clear()
    for item in (setting or "").split(","):
        if item:
            name, _, count = item.partition(":")
            _left[name] = int(count or 1)


def reach(point: str) -> None:
    """Says that the process is at `point`."""
    if _left:
        _count_down(point)


def _count_down(point: str) -> None:
    left = _left.get(point)
    if left is None:
        return
    _left[point] = left - 1
    if left <= 1:
        os.kill(os.getpid(), signal.SIGKILL)
