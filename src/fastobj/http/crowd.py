"""The connections of a process, as many as may be. Must not know what a connection does."""

from __future__ import annotations

from typing import Final, Protocol

from fastobj.core import limits
from fastobj.http import cut
from fastobj.http.cut import Cut, OnCut

_REFUSALS_MAX: Final = limits.HTTP_REFUSALS_MAX


class Member(Protocol):
    """What a crowd needs of a connection."""

    def abort(self) -> None:
        """Cuts the connection."""
        ...


class Crowd:
    """All connections of a process, whichever server has them, and those at rest, longest first.

    `most` of them are served. Beyond, the one that has rested longest is cut; where none rests
    the new one is refused. All that happens here takes the same time however many there are.
    """

    __slots__ = ("_cut", "_most", "_present", "_resting")

    def __init__(self, most: int = limits.CONNECTIONS_MAX, on_cut: OnCut = cut.ignore) -> None:
        self._most = most
        self._cut = on_cut
        self._present: set[Member] = set()
        self._resting: dict[Member, None] = {}

    @property
    def is_overrun(self) -> bool:
        """Whether so many are being refused that another is not worth an answer."""
        return len(self._present) > self._most + _REFUSALS_MAX

    def enter(self, member: Member) -> bool:
        """Counts a connection; False where it is one too many. It has to leave either way."""
        self._present.add(member)
        if len(self._present) <= self._most:
            return True
        self._cut(Cut.CONNECTIONS)
        oldest = next(iter(self._resting), None)
        if oldest is None:
            return False
        self.leave(oldest)
        oldest.abort()
        return True

    def leave(self, member: Member) -> None:
        """The connection is gone, or will be in a moment; may be repeated."""
        self._present.discard(member)
        self._resting.pop(member, None)

    def rest(self, member: Member) -> None:
        """The connection waits for its next request from now on."""
        self._resting[member] = None

    def wake(self, member: Member) -> None:
        """The connection has begun to send a request."""
        self._resting.pop(member, None)
