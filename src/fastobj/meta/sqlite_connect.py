"""Connections of the SQLite engine: how each is opened, and what its errors mean.

Every connection belongs to one thread of one process: none survives a fork. Only APSW's own copy
of SQLite is used, so its version is known: versions before 3.51.3 can lose committed pages when
one connection restarts the WAL while another checkpoints it, and 3.52.0 was withdrawn.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import apsw

from fastobj._ext import pagesum, segio
from fastobj.core import limits
from fastobj.core.errors import (
    NoSpace,
    StoreDamaged,
    StoreError,
    StoreLocked,
    SyncFailed,
    TooManyFiles,
    UnknownFormat,
)
from fastobj.meta.room import set_chunk

Synchronous = Literal["NORMAL", "FULL"]

PAGE_BYTES: Final = 4096
FORMAT: Final = 2
FORMAT_WITHOUT_SUMS: Final = 1  # of its pages: what versions before 2 made
APPLICATION_ID: Final = 0x666F626A  # "fobj", in the header of the file

_registered: set[str] = set()  # in this process, or in that which it was forked from

_KINDS: Final[dict[int, type[StoreError]]] = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EMFILE: TooManyFiles,
    errno.ENFILE: TooManyFiles,
}
_VERSION_MIN: Final = (3, 51, 3)
_VERSION_WITHDRAWN: Final = (3, 52, 0)

_CURE_OF_DAMAGE: Final = "look for drive errors in the system log and restore a backup"

_SCHEMA: Final = """
CREATE TABLE kv(space INTEGER NOT NULL, key BLOB NOT NULL, token BLOB NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY(space, key)) STRICT, WITHOUT ROWID;
CREATE TABLE counters(space INTEGER NOT NULL, key BLOB NOT NULL,
    n0 INTEGER NOT NULL DEFAULT 0, n1 INTEGER NOT NULL DEFAULT 0,
    n2 INTEGER NOT NULL DEFAULT 0, n3 INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(space, key)) STRICT, WITHOUT ROWID;
CREATE TABLE state(name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
"""


def check_version(version: str) -> None:
    """Raises StoreError for a version of SQLite that can lose committed pages."""
    number = tuple(int(part) for part in version.split(".")[:3])
    if number < _VERSION_MIN or number == _VERSION_WITHDRAWN:
        raise StoreError(
            f"SQLite {version} can lose committed pages (its WAL-reset fault):"
            " install apsw 3.51.3.0 or later, but not 3.52.0"
        )


def open_writer(path: str, synchronous: Synchronous, vfs: str | None = None) -> apsw.Connection:
    """A connection that writes; makes the database where it is missing.

    Raises NoSpace (call again once room was made), StoreError.
    """
    with _opening(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, vfs) as connection:
        _configure(connection, limits.SQLITE_WRITER_CACHE_BYTES)
        set_chunk(connection)
        connection.pragma("page_size", PAGE_BYTES)  # counts only where the file is empty
        if not connection.pragma("page_count"):
            _reserved_bytes(connection, pagesum.RESERVED_BYTES)
        if connection.pragma("journal_mode", "wal") != "wal":
            raise StoreError(f"{path}: this file system cannot hold a database in WAL mode")
        connection.pragma("synchronous", synchronous)
        if connection.pragma("application_id") != APPLICATION_ID:
            _create(connection, path)
        check_format(connection, path)
    return connection


def open_reader(path: str, vfs: str | None = None) -> apsw.Connection:
    """A connection that cannot write; the database must be there. Raises StoreError."""
    with _opening(path, apsw.SQLITE_OPEN_READONLY, vfs) as connection:
        _configure(connection, limits.SQLITE_READER_CACHE_BYTES)
        check_format(connection, path)
    return connection


def open_checkpointer(path: str, vfs: str | None = None) -> apsw.Connection:
    """A connection for checkpoints alone: it reads no rows, so it needs no cache."""
    with _opening(path, apsw.SQLITE_OPEN_READWRITE, vfs) as connection:
        _configure(connection, 0)
        set_chunk(connection)
        connection.pragma("synchronous", "NORMAL")  # syncs the WAL before, the database after
    return connection


@contextmanager
def _opening(path: str, flags: int, vfs: str | None) -> Iterator[apsw.Connection]:
    """A connection to be set up in the block; closed again where that fails."""
    check_version(apsw.sqlite_lib_version())
    connection: apsw.Connection | None = None
    try:
        connection = apsw.Connection(path, flags=flags, vfs=_with_sums(vfs))
        yield connection
    except BaseException as error:
        told = translated(error, path, connection) if isinstance(error, apsw.Error) else error
        if connection is not None:
            connection.close()
        if told is error:
            raise
        raise told from error


def _with_sums(vfs: str | None) -> str:
    """The VFS that sums pages over that one (None: the default one), registered where it is not."""
    name = "fastobj" if vfs is None else f"{vfs}-sums"
    if name not in _registered:
        loader = apsw.Connection(":memory:")
        loader.enable_load_extension(True)
        loader.load_extension(pagesum.__file__, pagesum.ENTRY_POINT)
        loader.close()
        pagesum.register(name, vfs)
        _registered.add(name)
    return name


def check_format(connection: apsw.Connection, path: str) -> None:
    """Raises UnknownFormat for a newer format, StoreDamaged where this is no such database."""
    try:
        stored = connection.execute("SELECT value FROM state WHERE name = 'format'").get
    except apsw.SQLError as error:
        raise StoreDamaged(f"{path} is not a metadata database of fastobj") from error
    except apsw.Error as error:
        raise translated(error, path) from error
    if not isinstance(stored, int):
        raise StoreDamaged(f"{path} does not say its format")
    if stored > FORMAT:
        raise UnknownFormat(f"{path} has format {stored}, this version reads up to {FORMAT}")
    if stored > FORMAT_WITHOUT_SUMS and not _has_sums(connection):
        raise StoreDamaged(f"{path} has lost the sums of its pages: {_CURE_OF_DAMAGE}")


def _has_sums(connection: apsw.Connection) -> bool:
    return _reserved_bytes(connection) == pagesum.RESERVED_BYTES


def _reserved_bytes(connection: apsw.Connection, wanted: int = -1) -> int:
    """How many bytes of each page are reserved; those of an empty database may be chosen."""
    count = ctypes.c_int(wanted)
    connection.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(count))
    return count.value


def translated(
    error: apsw.Error, path: str, connection: apsw.Connection | None = None
) -> Exception:
    """The error of the tree in `core.errors` that an error of SQLite stands for."""
    message = f"{path}: {error}"
    extended = getattr(error, "extendedresult", 0)
    number = connection.system_errno if connection is not None else 0
    if isinstance(error, apsw.FullError) or extended == apsw.SQLITE_IOERR_SHMSIZE:
        return NoSpace(message)  # SHMSIZE: the index of the WAL could not be made longer
    if extended == apsw.SQLITE_IOERR_DATA:
        return StoreDamaged(f"{path}: a page is not what was written: {_CURE_OF_DAMAGE}")
    if extended in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC):
        return SyncFailed(message)
    if isinstance(error, apsw.IOError | apsw.CantOpenError):
        return _KINDS.get(number, StoreError)(message)
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreLocked(message)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreDamaged(message)
    return StoreError(message)


def _configure(connection: apsw.Connection, cache_bytes: int) -> None:
    connection.set_busy_timeout(limits.SQLITE_BUSY_MS_MAX)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("mmap_size", 0)
    connection.pragma("temp_store", 2)  # in memory: no statement needs a file beside the store's
    connection.pragma("cache_size", -(cache_bytes // limits.KIB))


def _create(connection: apsw.Connection, path: str) -> None:
    """Makes the tables, durably: the first commit must not lie over a file that a crash takes."""
    if connection.execute("SELECT count(*) FROM sqlite_schema").get:
        raise StoreDamaged(f"{path} is a database, but not one of fastobj")
    with connection:
        connection.execute(_SCHEMA)
        format_ = FORMAT if _has_sums(connection) else FORMAT_WITHOUT_SUMS
        connection.execute("INSERT INTO state VALUES ('format', ?)", (format_,))
        connection.pragma("application_id", APPLICATION_ID)
    connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_RESTART)
    _sync_directory(os.path.dirname(path) or ".")


def _sync_directory(path: str) -> None:
    try:
        is_done = segio.fault_meet(segio.CALL_SYNC_DIRECTORY, path) >= 0
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if is_done:
                os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise SyncFailed(f"cannot sync {path}: {error.strerror}") from error
