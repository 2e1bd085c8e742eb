"""Random bytes for ids, taken from the system in portions: a call for each id would cost more
than making the id does.

What a portion still holds never crosses a fork, so two processes never give out the same bytes.
"""

from __future__ import annotations

import os
from typing import Final

_PORTION_BYTES: Final = 4096


class _Portion:
    """Bytes of os.urandom not yet given out."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drops what is left."""
        self._bytes = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, each given out once."""
        assert 0 <= count <= _PORTION_BYTES, "a portion is the most that can be had at once"
        at = self._at
        end = at + count
        if end > len(self._bytes):
            self._bytes = os.urandom(_PORTION_BYTES)
            at, end = 0, count
        self._at = end
        return self._bytes[at:end]


_portion = _Portion()
os.register_at_fork(after_in_child=_portion.forget)


def random_id(count: int = 16) -> bytes:
    """`count` random bytes, at most a portion of 4096. For the use of one thread at a time."""
    return _portion.take(count)
