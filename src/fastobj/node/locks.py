"""The two locks of a store: one server for a directory, one writer for its log and database.

Both are locks of an open file description: they outlive a fork, do not drop when another
descriptor of the file is closed, and end with the last process that holds the description. The
lock files stay; unlinking one would let two processes lock two files of one name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from pathlib import Path
from typing import Final

from fastobj.core.clock import Clock, SystemClock
from fastobj.core.errors import StoreLocked
from fastobj.core.limits import COMMITTER_WAIT_S_MAX
from fastobj.node.layout import StoreLayout
from fastobj.storage import io

# struct flock of 64-bit Linux: type, whence, start, length (0: to the end), pid.
_WRITE_LOCK: Final = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_PID_BYTES_MAX: Final = 32
_PAUSE_S: Final = 0.02


class _FileLock:
    """A lock file, open and locked; the pid of the process that took it stands in it."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        # Not a store file: nothing reads it after a crash, so it is neither synced nor recorded.
        # Always as long as before, for a full disk has no room for more; without it the message
        # to a second server only lacks the pid.
        with contextlib.suppress(OSError):
            os.pwrite(fd, b"%-*d\n" % (_PID_BYTES_MAX - 1, os.getpid()), 0)

    def close(self) -> None:
        """Gives this process's descriptor up; the lock ends with the last one. May be repeated."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class ServerLock(_FileLock):
    """Held by the supervisor; each child closes it first, else it would outlive the supervisor."""


class StoreLock(_FileLock):
    """Held by the committer."""


def take_server_lock(
    layout: StoreLayout, cure: str = "stop that server, or give this one a directory of its own"
) -> ServerLock:
    """Locks the directory for this server, at once or not at all. Raises StoreLocked."""
    fd = _open(layout.server_lock)
    if not _try_lock(fd, layout.server_lock):
        holder = _holder(fd)
        os.close(fd)
        raise StoreLocked(f"{layout.root} is served by {holder} already: {cure}")
    return ServerLock(layout.server_lock, fd)


def take_store_lock(
    layout: StoreLayout, wait_s: float = COMMITTER_WAIT_S_MAX, clock: Clock | None = None
) -> StoreLock:
    """Locks the log and the database for this writer, after the fork.

    Waits up to `wait_s` seconds for the writer before it to end. Raises StoreLocked.
    """
    clock = clock or SystemClock()
    fd = _open(layout.store_lock)
    deadline_ns = clock.monotonic_ns() + int(wait_s * 1e9)
    while not _try_lock(fd, layout.store_lock):
        if clock.monotonic_ns() >= deadline_ns:
            holder = _holder(fd)
            os.close(fd)
            raise StoreLocked(
                f"the store in {layout.root} is still being written by {holder}"
                f" after {wait_s:g} s: wait until that process has ended, or end it"
            )
        time.sleep(_PAUSE_S)
    return StoreLock(layout.store_lock, fd)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, io.FILE_MODE)
    except OSError as error:
        raise io.store_error(error, str(path), "open") from error


def _try_lock(fd: int, path: Path) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WRITE_LOCK)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(fd)
        raise io.store_error(error, str(path), "lock") from error
    return True


def _holder(fd: int) -> str:
    """The process that wrote its pid last, as far as a running one can be told."""
    pid = os.pread(fd, _PID_BYTES_MAX, 0).strip()
    return f"process {int(pid)}" if pid.isdigit() else "another process"
