"""Which hints of lifecycle rules maintenance has to be told of: what is due sooner than it knows.

It looks again by itself when the soonest is due of what it was told, so most hints, each of which
comes with a change of an object, are no news.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastobj.meta import keys
from fastobj.meta.base import Row


def is_hint(row: Row) -> bool:
    """Whether a row of the time index is for lifecycle rules."""
    return keys.due_of(row.key)[1] in (keys.DUE_VERSION, keys.DUE_RULES)


class Soonest:
    """What one committer has told, by the hints that it has committed."""

    def __init__(self) -> None:
        self._told: bytes | None = None  # None: all is news

    def has_news(self, hints: Iterable[Row]) -> bool:
        """Whether one of these rows, committed now, is to be told of."""
        news = [row for row in hints if self._is_news(row)]
        return bool(news)

    def _is_news(self, row: Row) -> bool:
        is_written = isinstance(row.value, bytes)
        if keys.due_of(row.key)[1] == keys.DUE_RULES:
            return is_written
        time = keys.due_time(row.key)
        if not is_written:  # who has worked that off looks again, by itself
            if self._told is not None and time <= self._told:
                self._told = None
            return False
        if self._told is not None and time >= self._told:
            return False
        self._told = time
        return True
