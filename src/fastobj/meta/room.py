"""Space that the database holds before it needs it, so that a full disk stops no commit.

A commit appends to the WAL, and a checkpoint lets the database's file grow: neither may find the
disk full once the log says that the batch took place. So both files are allocated ahead: the WAL
for the pages that the next commit writes, the database for the pages that it adds.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

import apsw

from fastobj._ext import segio
from fastobj.core.errors import NoSpace, StoreError
from fastobj.core.limits import KIB, MIB, SQLITE_CHUNK_BYTES

WAL_HELD_BYTES_MIN: Final = 4 * MIB
# Pages that puts leave to deletes: a delete may split a page before it gives others back.
SLACK_PAGES: Final = 64
_PAGES_PER_TXN: Final = 4  # leaves and their parents, counters, and now and then a split
_PAGES_PER_COMMIT: Final = 16
_RECORD_ALLOCATE: Final = 8  # the kind of a recorded entry: _ext/segio_impl.h
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def pages_added(txn_bytes: int) -> int:
    """How many pages rows of so many bytes may add: pages are half full, long rows have rests."""
    return 1 + txn_bytes // KIB


class DatabaseRoom:
    """What the files of one database hold. Belongs to the writer's thread."""

    def __init__(self, writer: apsw.Connection, path: str) -> None:
        self.wal_bytes = 0  # allocated, from the start of the WAL
        self._writer = writer
        self._path = path
        self._page_bytes = int(writer.pragma("page_size"))
        self._left = 0
        # Of the database when it was looked at last, and what was added since.
        self._pages = int(writer.pragma("page_count"))

    def pages_written(self, txns: int, txn_bytes: int) -> int:
        """How many pages a commit of so many transactions, encoded in so many bytes, may write."""
        added = _PAGES_PER_COMMIT + pages_added(txn_bytes)
        return added + min(_PAGES_PER_TXN * txns, self._pages)

    def is_ample(self, path: str) -> bool:
        """Whether the disk has room for the files over again: what is let go can be had again."""
        found = os.statvfs(path)
        held = os.path.getsize(path) + os.path.getsize(f"{path}-wal")
        return found.f_bavail * found.f_frsize > 2 * held

    def forget_growth(self) -> None:
        """A checkpoint cuts the file to what it needs: it is looked at again before it grows."""
        self._left = 0

    def hold_growth(self, pages: int) -> None:
        """Holds `pages` more pages in the database's file. Raises NoSpace."""
        if pages > self._left:
            self._left = self._look(pages)
            if pages > self._left:
                raise NoSpace(f"{self._path}: the disk has no room for more rows")
        self._left -= pages
        self._pages += pages

    def _look(self, pages: int) -> int:
        """How many pages may be added, the file made longer where it must be."""
        self._pages = int(self._writer.pragma("page_count"))
        used = self._pages - int(self._writer.pragma("freelist_count")) + SLACK_PAGES
        if (used + pages) * self._page_bytes > os.stat(self._path).st_size:
            self._lengthen((used + pages) * self._page_bytes)
        return os.stat(self._path).st_size // self._page_bytes - used

    def _lengthen(self, size: int) -> None:
        """SQLite does it itself: closing a descriptor of our own would drop its locks."""
        wanted = ctypes.c_int64(size)
        try:
            self._writer.file_control("main", apsw.SQLITE_FCNTL_SIZE_HINT, ctypes.addressof(wanted))
        except apsw.IOError:
            pass  # the file has what there was: the caller looks

    def hold_wal(self, size: int) -> bool:
        """Allocates the first `size` bytes of the WAL; whether the disk had them.

        SQLite ends its reading at the first frame that does not verify, so zeros do no harm, and
        it holds no lock on this file that closing it could drop.
        """
        size = max(WAL_HELD_BYTES_MIN, -(-size // MIB) * MIB)
        path = f"{self._path}-wal"
        begin = segio.record_begin()
        try:
            is_done = segio.fault_meet(segio.CALL_ALLOCATE, path) >= 0
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if is_done:
                    os.posix_fallocate(fd, 0, size)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno in _NO_SPACE:
                return False
            raise StoreError(f"cannot allocate {path}: {error.strerror}") from error
        segio.record_end(begin, _RECORD_ALLOCATE, path, 0, size.to_bytes(8, "little"))
        self.wal_bytes = size
        return True


def set_chunk(connection: apsw.Connection) -> None:
    """Lets the database's file grow, and shrink, by whole chunks, each allocated at once."""
    chunk = ctypes.c_int(SQLITE_CHUNK_BYTES)
    connection.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, ctypes.addressof(chunk))
