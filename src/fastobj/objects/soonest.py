"""Which rows of the time index maintenance has to be told of: what is due sooner than it knows.

It looks again by itself when the soonest is due of what it was told, so most hints of lifecycle
rules, each of which comes with a change of an object, are no news.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastobj.meta import keys
from fastobj.meta.base import Row


class Soonest:
    """What one committer has told, by the rows that it has committed."""

    def __init__(self) -> None:
        self._told: bytes | None = None  # none since it is not known what maintenance knows

    def has_news(self, rows: Iterable[Row]) -> bool:
        """Whether one of these rows of the time index, committed now, is to be told of."""
        news = [row for row in rows if self._is_news(row)]
        return bool(news)

    def _is_news(self, row: Row) -> bool:
        _, kind, _ = keys.due_of(row.key)
        if kind != keys.DUE_VERSION:
            return isinstance(row.value, bytes)
        time = keys.due_time(row.key)
        if not isinstance(row.value, bytes):  # who has worked that off looks again, by itself
            if self._told is not None and time <= self._told:
                self._told = None
            return False
        if self._told is not None and time >= self._told:
            return False
        self._told = time
        return True
