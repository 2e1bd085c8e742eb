"""Reads of committed rows on one connection.

Each call takes all rows of its statement before it returns: the statement is then finished, so
no read transaction outlives the call and none pins the WAL.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import apsw

from fastobj.meta.base import LogPosition, ScanRow, Token
from fastobj.meta.sqlite_batch import decode_position
from fastobj.meta.sqlite_connect import translated

_GET: Final = "SELECT value, token FROM kv WHERE space = ? AND key = ?"
_SCAN: Final = (
    "SELECT key, value, token FROM kv WHERE space = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
)
_SCAN_BACK: Final = _SCAN.replace("ORDER BY key", "ORDER BY key DESC")
_COUNTERS: Final = (
    "SELECT key, n0, n1, n2, n3 FROM counters WHERE space = ? AND key >= ? AND key < ?"
    " ORDER BY key LIMIT ?"
)
_POSITION: Final = "SELECT value FROM state WHERE name = 'log_position'"

# A ScanRow from a tuple without a Python frame: a third of the time of a scan.
_scan_row = partial(tuple.__new__, ScanRow)


class SqliteReader:
    """One connection that only reads, used by one thread at a time."""

    __slots__ = ("_connection", "_cursor", "_path")

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._path = path

    def get(self, space: int, key: bytes) -> tuple[bytes, Token] | None:
        """The value and token of a row, or None."""
        try:
            row: tuple[bytes, Token] | None = self._cursor.execute(_GET, (space, key)).get
        except apsw.Error as error:
            raise translated(error, self._path, self._connection) from error
        return row

    def scan(
        self, space: int, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[ScanRow]:
        """At most `limit` rows with start <= key < end, in key order (or the reverse)."""
        if limit <= 0:  # to SQLite a negative limit means none
            return []
        statement = _SCAN_BACK if reverse else _SCAN
        try:
            return list(map(_scan_row, self._cursor.execute(statement, (space, start, end, limit))))
        except apsw.Error as error:
            raise translated(error, self._path, self._connection) from error

    def counters(
        self, space: int, start: bytes, end: bytes, limit: int
    ) -> list[tuple[bytes, tuple[int, ...]]]:
        """At most `limit` counter rows with start <= key < end, all of them where it is -1."""
        try:
            rows: list[Any] = self._cursor.execute(_COUNTERS, (space, start, end, limit)).fetchall()
        except apsw.Error as error:
            raise translated(error, self._path, self._connection) from error
        return [(row[0], row[1:]) for row in rows]

    def position(self) -> LogPosition:
        """The log position stored with the last committed batch."""
        try:
            stored = self._cursor.execute(_POSITION).get
        except apsw.Error as error:
            raise translated(error, self._path, self._connection) from error
        return decode_position(stored)

    def release_memory(self) -> None:
        """Gives back the page cache."""
        self._connection.pragma("shrink_memory")

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()
