"""The writing half of the SQLite engine: one write transaction at a time, one statement per row.

Expectations are checked before anything is written. Where a transaction writes one row, the check
is part of the statement that writes it, so the common transaction is one walk down the tree.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

from fastobj.core import limits
from fastobj.core.errors import Conflict
from fastobj.meta import keys
from fastobj.meta.base import Add, LogPosition, Row, Token, Txn
from fastobj.meta.fold import NO_AMOUNTS, Amounts, CounterFold
from fastobj.meta.sqlite_connect import translated
from fastobj.meta.transact import Present, check_txn

_TOKEN: Final = "SELECT token FROM kv WHERE space = ? AND key = ?"
_ROW: Final = "SELECT value, token FROM kv WHERE space = ? AND key = ?"
_PUT: Final = "INSERT OR REPLACE INTO kv(token, value, space, key) VALUES (?, ?, ?, ?)"
_PUT_NEW: Final = (
    "INSERT INTO kv(token, value, space, key) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_PUT_OVER: Final = "UPDATE kv SET token = ?, value = ? WHERE space = ? AND key = ? AND token = ?"
_DELETE: Final = "DELETE FROM kv WHERE space = ? AND key = ?"
_DELETE_IF: Final = "DELETE FROM kv WHERE space = ? AND key = ? AND token = ?"
_COUNTER: Final = "SELECT n0, n1, n2, n3 FROM counters WHERE space = ? AND key = ?"
_COUNT: Final = (
    "INSERT INTO counters VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " n0 = n0 + excluded.n0, n1 = n1 + excluded.n1, n2 = n2 + excluded.n2, n3 = n3 + excluded.n3"
)
_DROP_IF_ZERO: Final = (
    "DELETE FROM counters WHERE space = ? AND key = ? AND (n0, n1, n2, n3) = (0, 0, 0, 0)"
)
_SET_POSITION: Final = "INSERT OR REPLACE INTO state VALUES ('log_position', ?)"

# segment u64, generation u32, offset u64, sequence u64, CRC u32; little-endian
_POSITION = struct.Struct("<QIQQI")


def decode_position(stored: object) -> LogPosition:
    """The log position in its row of `state`; sequence 0 where there is none yet."""
    return LogPosition(*_POSITION.unpack(stored)) if isinstance(stored, bytes) else LogPosition()


class SqliteWriter:
    """The connection that writes, and what it remembers between batches.

    Tokens of bucket rows stay in memory, since each transaction on an object checks its bucket.
    They are forgotten by a rollback, and whenever another connection has written.
    """

    __slots__ = ("_seen", "batch", "connection", "cursor", "path", "tokens")

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.path = path
        self.tokens: dict[bytes, Token | None] = {}
        self.batch: SqliteBatch | None = None
        self._seen = -1

    def begin(self) -> SqliteBatch:
        """Opens a batch. Raises StoreLocked where another process writes."""
        assert self.batch is None, "a batch is open"
        try:
            self.cursor.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise translated(error, self.path, self.connection) from error
        written_elsewhere = self.connection.data_version() != self._seen
        if written_elsewhere or len(self.tokens) > limits.TOKENS_KEPT_MAX:
            self.tokens.clear()
        self.batch = SqliteBatch(self)
        return self.batch

    def committed(self) -> None:
        """The open batch has been committed."""
        self._seen = self.connection.data_version()
        self.batch = None

    def rolled_back(self) -> None:
        """The open batch has been rolled back."""
        self.tokens.clear()
        self.batch = None


class SqliteBatch:
    """An open write transaction. After any error but a Conflict, roll it back."""

    __slots__ = ("_changes", "_fold", "_run", "_tokens", "_writer", "add")

    def __init__(self, writer: SqliteWriter) -> None:
        self._writer = writer
        self._run: Callable[..., Any] = writer.cursor.execute
        self._changes = writer.connection.changes
        self._tokens = writer.tokens
        self._fold = CounterFold(self._counter)
        # Folds all counter changes, or none: then returns those that would pass their ceiling.
        self.add: Callable[[Sequence[Add]], Sequence[Add]] = self._fold.add

    def present(self, txn: Txn) -> list[Present]:
        """The rows that `txn` names as they stand now, in its order."""
        found = [self._run(_ROW, (row.space, row.key)).fetchall() for row in txn.rows]
        return [rows[0] if rows else None for rows in found]

    def apply(self, txn: Txn) -> Conflict | None:
        """Checks and applies the rows of `txn`; a Conflict leaves nothing.

        Raises ValueError beyond the limits, NoSpace, StoreError.
        """
        check_txn(txn)
        try:
            return None if self._apply(txn) else Conflict(self.present(txn))
        except apsw.Error as error:
            raise self._translated(error) from error

    def apply_unchecked(self, txn: Txn) -> None:
        """Applies the rows of `txn` without checks. Raises NoSpace, StoreError."""
        try:
            for row in txn.rows:
                if not isinstance(row.value, int):  # KEEP leaves the row as it is
                    self._put(row, txn.id)
        except apsw.Error as error:
            raise self._translated(error) from error

    def commit(self, position: LogPosition | None) -> None:
        """Writes counters and log position (None: it stays) and ends the transaction.

        Raises NoSpace, SyncFailed, StoreError: the batch is then still to be rolled back.
        """
        writer = self._writer
        assert writer.batch is self, "the batch has ended"
        try:
            writer.cursor.executemany(_COUNT, self._fold.rows())
            writer.cursor.executemany(_DROP_IF_ZERO, self._fold.lessened())
            if position is not None:
                self._run(_SET_POSITION, (_POSITION.pack(*position),))
            self._run("COMMIT")
        except apsw.Error as error:
            raise self._translated(error) from error
        writer.committed()

    def rollback(self) -> None:
        """Ends the transaction without effect; after its end, does nothing."""
        if self._writer.batch is not self:
            return
        try:
            # Some errors make SQLite roll back by itself.
            if self._writer.connection.in_transaction:
                self._run("ROLLBACK")
        except apsw.Error as error:
            raise self._translated(error) from error
        finally:
            self._writer.rolled_back()

    def _apply(self, txn: Txn) -> bool:
        """Whether all rows held; applies them then, and nothing otherwise."""
        written = []
        for row in txn.rows:
            if not isinstance(row.value, int):
                written.append(row)
            elif not self._holds(row):  # KEEP: only checked
                return False
        if len(written) == 1:
            return self._put_if(written[0], txn.id)
        if not all(map(self._holds, written)):
            return False
        for row in written:
            self._put(row, txn.id)
        return True

    def _holds(self, row: Row) -> bool:
        expect = row.expect
        return isinstance(expect, int) or self._token(row.space, row.key) == expect

    def _token(self, space: int, key: bytes) -> Token | None:
        """The token of a row as it stands now; None where there is no row."""
        if space == keys.BUCKETS and key in self._tokens:
            return self._tokens[key]
        rows = self._run(_TOKEN, (space, key)).fetchall()
        token: Token | None = rows[0][0] if rows else None
        if space == keys.BUCKETS:
            self._tokens[key] = token
        return token

    def _put_if(self, row: Row, token: Token) -> bool:
        """Writes a row if its expectation holds; one statement for check and write."""
        expect, value = row.expect, row.value
        if isinstance(expect, int):
            self._put(row, token)
            return True
        if value is None:
            if expect is None:
                return self._holds(row)
            self._run(_DELETE_IF, (row.space, row.key, expect))
        elif expect is None:
            self._run(_PUT_NEW, (token, value, row.space, row.key))
        else:
            self._run(_PUT_OVER, (token, value, row.space, row.key, expect))
        if not self._changes():
            return False
        self._remember(row, token)
        return True

    def _put(self, row: Row, token: Token) -> None:
        """Writes or deletes a row, whatever is there."""
        if row.value is None:
            self._run(_DELETE, (row.space, row.key))
        else:
            self._run(_PUT, (token, row.value, row.space, row.key))
        self._remember(row, token)

    def _remember(self, row: Row, token: Token) -> None:
        if row.space == keys.BUCKETS:
            self._tokens[row.key] = None if row.value is None else token

    def _counter(self, space: int, key: bytes) -> Amounts:
        rows: list[Amounts] = self._run(_COUNTER, (space, key)).fetchall()
        return rows[0] if rows else NO_AMOUNTS

    def _translated(self, error: apsw.Error) -> Exception:
        return translated(error, self._writer.path, self._writer.connection)
