"""A process slot as the supervisor sees it: who runs in it, and when it may run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastobj.node.child import ChildContext
from fastobj.node.links import Control

_BACKOFF_NS_MIN: Final = 50_000_000
_BACKOFF_NS_MAX: Final = 5_000_000_000
_STEADY_NS: Final = 10_000_000_000  # a child that lived this long starts over without back-off


@dataclass(slots=True)
class Child:
    """One process slot."""

    role: str
    slot: int
    run: Callable[[ChildContext], int]
    pid: int = 0
    owner: int = 0
    control: Control | None = None
    started_ns: int = 0
    backoff_ns: int = 0
    due_ns: int = 0
    handed: int = 0  # connections, in this life of the child
    is_ready: bool = False  # it has said so, in this life
    is_retiring: bool = False  # it was told to end: another takes its place

    def set_back(self, now_ns: int) -> None:
        """It failed: the next try is at once where it had been steady, else later each time."""
        steady = now_ns - self.started_ns > _STEADY_NS
        if steady or not self.backoff_ns:
            self.due_ns, self.backoff_ns = now_ns, _BACKOFF_NS_MIN
        else:
            self.due_ns = now_ns + self.backoff_ns
            self.backoff_ns = min(self.backoff_ns * 2, _BACKOFF_NS_MAX)
