"""A VFS that records what SQLite writes and syncs, and lets its calls fail on purpose: for tests.

It forwards everything to the default VFS, after the rules of faults were asked. The shared-memory
file is out of reach: it does not outlive a power cut. Used only where `_ext.segio` records or has
rules.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import apsw

from fastobj._ext import segio

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAME: Final = "fastobj-instrumented"

_WRITE, _SYNC, _TRUNCATE, _CREATE, _UNLINK, _SYNC_DIRECTORY = 1, 2, 3, 4, 6, 7
_JOURNALS: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_INSTRUMENTED: Final = apsw.SQLITE_OPEN_MAIN_DB | _JOURNALS

_registered: list[InstrumentedVFS] = []  # SQLite keeps no reference


class _LastError(threading.local):
    """What the last call on purpose failed with in this thread."""

    number = 0


_last_error = _LastError()


def _meet(call: int, path: str, code: int, size: int = 0) -> int:
    """As segio.fault_meet; what it fails with is told as SQLite's own VFS tells it."""
    return _told(code, lambda: segio.fault_meet(call, path, -1, size))


def _told(code: int, ask: Callable[[], int]) -> int:
    try:
        return ask()
    except OSError as fault:
        _last_error.number = fault.errno or errno.EIO
        if fault.errno == errno.ENOSPC and code == apsw.SQLITE_IOERR_WRITE:
            code = apsw.SQLITE_FULL
        error = apsw.exception_for(code)
        error.args = (str(fault),)
        raise error from None


class InstrumentedFile(apsw.VFSFile):
    """A database, journal or WAL whose changes are recorded, and whose calls meet faults."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._path = "" if name is None else _path_of(name)
        # SQLite syncs the directory with the first sync of a journal or WAL.
        self._syncs_directory = bool(flags[0] & _JOURNALS)

    def xRead(self, amount: int, offset: int) -> bytes:
        """Reads; a short read is continued by SQLite's own VFS."""
        bits: list[int] = []

        def ask() -> int:
            wanted, bit = segio.fault_meet_read(self._path, -1, amount)
            bits.append(bit)
            return wanted

        _told(apsw.SQLITE_IOERR_READ, ask)
        return segio.fault_flip(super().xRead(amount, offset), bits[0])

    def xWrite(self, data: Buffer, offset: int) -> None:
        """Writes and records, as far as it comes."""
        rest = memoryview(data).cast("B")
        while len(rest):
            begin = segio.record_begin()
            size = _meet(segio.CALL_WRITE, self._path, apsw.SQLITE_IOERR_WRITE, len(rest))
            if size < 0:
                segio.record_end(begin, _WRITE, self._path, offset)  # left out
                return
            super().xWrite(rest[:size], offset)
            segio.record_end(begin, _WRITE, self._path, offset, rest[:size])
            rest, offset = rest[size:], offset + size

    def xSync(self, flags: int) -> None:
        """Syncs and records."""
        begin = segio.record_begin()
        is_done = _meet(segio.CALL_SYNC, self._path, apsw.SQLITE_IOERR_FSYNC) >= 0
        if is_done:
            super().xSync(flags)
        segio.record_end(begin, _SYNC, self._path)
        if self._syncs_directory and is_done:
            self._syncs_directory = False
            segio.record_end(begin, _SYNC_DIRECTORY, os.path.dirname(self._path))

    def xTruncate(self, newsize: int) -> None:
        """Truncates and records."""
        begin = segio.record_begin()
        if _meet(segio.CALL_TRUNCATE, self._path, apsw.SQLITE_IOERR_TRUNCATE) >= 0:
            super().xTruncate(newsize)
        segio.record_end(begin, _TRUNCATE, self._path, newsize)

    def xFileControl(self, op: int, ptr: int) -> bool:
        """Forwards; to hold room for what is to come is an allocation."""
        if op == apsw.SQLITE_FCNTL_SIZE_HINT:
            _meet(segio.CALL_ALLOCATE, self._path, apsw.SQLITE_IOERR_WRITE)
        return super().xFileControl(op, ptr)


class InstrumentedVFS(apsw.VFS):
    """The default VFS with a record of every change, and with faults on purpose."""

    def __init__(self) -> None:
        super().__init__(NAME, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Opens; records where that makes the file."""
        if name is None or not flags[0] & _INSTRUMENTED:
            return super().xOpen(name, flags)
        path = _path_of(name)
        is_new = not os.path.exists(path)
        begin = segio.record_begin()
        call = segio.CALL_CREATE if is_new else segio.CALL_OPEN
        _meet(call, path, apsw.SQLITE_CANTOPEN)
        file = InstrumentedFile(name, flags)
        if is_new:
            segio.record_end(begin, _CREATE, path)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Removes and records."""
        begin = segio.record_begin()
        if _meet(segio.CALL_UNLINK, filename, apsw.SQLITE_IOERR_DELETE) >= 0:
            super().xDelete(filename, syncdir)
        segio.record_end(begin, _UNLINK, filename)
        if syncdir:
            # Numbers of its own: a sync covers only what ended before it began.
            directory = os.path.dirname(filename)
            segio.record_end(segio.record_begin(), _SYNC_DIRECTORY, directory)

    def xGetLastError(self) -> tuple[int, str | None]:
        """The errno of a fault on purpose, else the system's."""
        number, _last_error.number = _last_error.number, 0
        return (number, os.strerror(number)) if number else super().xGetLastError()


def register() -> str:
    """Registers the VFS once in this process; returns its name."""
    if not _registered:
        _registered.append(InstrumentedVFS())
    return NAME


def _path_of(name: str | apsw.URIFilename) -> str:
    return name if isinstance(name, str) else name.filename()
