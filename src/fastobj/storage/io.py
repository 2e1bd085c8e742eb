"""The seam of I/O: every call on a store file goes through here or `_ext.segio`.

With the environment variable FASTOBJ_IO_RECORD=<directory> each change is recorded there, for
tests that cut the power; with FASTOBJ_FAULTS calls fail on purpose (`storage.faults`). Knows files
and bytes only.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from fastobj._ext import segio
from fastobj.core.errors import NoSpace, StoreError, SyncFailed, TooManyFiles
from fastobj.core.limits import BLOCK_VECTORS_MAX, RESERVE_BYTES_MAX, RESERVE_BYTES_MIN

RECORD_VARIABLE: Final = "FASTOBJ_IO_RECORD"
FAULTS_VARIABLE: Final = "FASTOBJ_FAULTS"
FILE_MODE: Final = 0o600

# Kinds of recorded entries; the layout of an entry is in _ext/segio_impl.h.
RECORD_WRITE: Final = 1
RECORD_SYNC: Final = 2
RECORD_TRUNCATE: Final = 3
RECORD_CREATE: Final = 4
RECORD_RENAME: Final = 5
RECORD_UNLINK: Final = 6
RECORD_SYNC_DIRECTORY: Final = 7
RECORD_ALLOCATE: Final = 8
RECORD_SYNC_LOST: Final = 9  # it failed, and what it was to sync is clean and not on the disk

StrPath = str | os.PathLike[str]
_RESERVE_PART: Final = 32  # of the file system is the reserve
_RESERVE_PART_MAX: Final = 8  # and of a very small one
_SHORT_PART: Final = 20  # a disk is short when less than this part is left beside the reserve

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_CURES = {
    errno.EACCES: "give the user of the server the right to it",
    errno.EPERM: "give the user of the server the right to it",
    errno.EROFS: "mount the file system for writing",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files (fs.file-max)",
    errno.ENOENT: "the store's directory was changed from outside: restore it",
    errno.EEXIST: "the store's directory was changed from outside: restore it",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f) or use another file system",
    errno.EIO: "look for drive errors in the system log and replace the drive",
}
_CURE_OTHERWISE = "look into the system log"


class System(Protocol):
    """The system calls that are made here."""

    def open(self, path: StrPath, flags: int, mode: int = ..., /) -> int: ...
    def pwritev(self, fd: int, buffers: Any, offset: int, /) -> int: ...
    def pread(self, fd: int, size: int, offset: int, /) -> bytes: ...
    def fdatasync(self, fd: int, /) -> None: ...
    def fsync(self, fd: int, /) -> None: ...
    def posix_fallocate(self, fd: int, offset: int, size: int, /) -> None: ...
    def ftruncate(self, fd: int, size: int, /) -> None: ...
    def rename(self, path: StrPath, new_path: StrPath, /) -> None: ...
    def unlink(self, path: StrPath, /) -> None: ...


_system: System = os


def configure(role: str = "") -> None:
    """Reads the environment; to be called once in each process, after the fork.

    Raises StoreError for rules of faults that cannot be understood.
    """
    _configure_faults(role)
    directory = os.environ.get(RECORD_VARIABLE)
    if not directory:
        segio.record_close()
        return
    folder = Path(directory).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    segio.record_open(folder / f"{os.getpid()}.record", folder / "counter")


def _configure_faults(role: str) -> None:
    global _system
    rules = os.environ.get(FAULTS_VARIABLE, "")
    if not rules and not segio.faulty():
        return
    from fastobj.storage import faults  # only fault tests pay for it

    faults.arm(rules, os.environ.get(faults.COUNTED_VARIABLE, ""), role)
    _system = faults.FaultySystem() if segio.faulty() else os


def check_environment() -> None:
    """Raises StoreError for rules of faults that cannot be understood; arms nothing."""
    rules = os.environ.get(FAULTS_VARIABLE)
    if rules:
        from fastobj.storage import faults

        faults.parse(rules)


def is_instrumented() -> bool:
    """Whether calls of this process are recorded, or fail on purpose."""
    return segio.recording() or segio.faulty()


def store_error(error: OSError, path: StrPath, action: str) -> StoreError:
    """What a failed system call means for the store, with the path and what to do about it."""
    number = error.errno or errno.EIO
    text = f"cannot {action} {path}: {os.strerror(number)}"
    if number in _NO_SPACE:
        return NoSpace(f"{text}; free some space or raise the quota")
    kind = TooManyFiles if number in _TOO_MANY_FILES else StoreError
    return kind(f"{text}; {_CURES.get(number, _CURE_OTHERWISE)}")


def sync_error(error: OSError, path: StrPath) -> SyncFailed:
    """A failed sync, whatever its reason: the kernel may have dropped what was written."""
    number = error.errno or errno.EIO
    cure = _CURES.get(number, _CURE_OTHERWISE)
    return SyncFailed(f"cannot sync {path}: {os.strerror(number)}; {cure}")


class File:
    """An open file of the store. Not for the event loop, but for what is known to be short."""

    __slots__ = ("fd", "path")

    def __init__(self, path: StrPath, fd: int) -> None:
        self.path = os.fspath(path)
        self.fd = fd

    def pwritev(self, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
        """Writes all buffers, one behind the other; returns their bytes. Raises NoSpace."""
        if len(buffers) > BLOCK_VECTORS_MAX:
            raise ValueError(f"{len(buffers)} buffers in one write, {BLOCK_VECTORS_MAX} at most")
        views = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
        begin = segio.record_begin()
        done = 0
        try:
            while views:
                count = _system.pwritev(self.fd, views, offset + done)
                done += count
                views = _behind(views, count)
        except OSError as error:
            raise store_error(error, self.path, "write") from error
        finally:
            if begin:
                written = b"".join(buffers)[:done]
                segio.record_end(begin, RECORD_WRITE, self.path, offset, written)
        return done

    def pread(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        parts = []
        try:
            while size:
                part = _system.pread(self.fd, size, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                size -= len(part)
        except OSError as error:
            raise store_error(error, self.path, "read") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def fdatasync(self) -> None:
        """Makes the bytes durable. Raises SyncFailed: never to be called again after that."""
        begin = segio.record_begin()
        try:
            _system.fdatasync(self.fd)
        except OSError as error:
            raise sync_error(error, self.path) from error
        segio.record_end(begin, RECORD_SYNC, self.path)

    def fsync(self) -> None:
        """Makes bytes and inode durable. Raises SyncFailed."""
        begin = segio.record_begin()
        try:
            _system.fsync(self.fd)
        except OSError as error:
            raise sync_error(error, self.path) from error
        segio.record_end(begin, RECORD_SYNC, self.path)

    def allocate(self, size: int) -> None:
        """Reserves the first `size` bytes; the file has at least that size. Raises NoSpace."""
        begin = segio.record_begin()
        try:
            _system.posix_fallocate(self.fd, 0, size)
        except OSError as error:
            raise store_error(error, self.path, "allocate") from error
        segio.record_end(begin, RECORD_ALLOCATE, self.path, 0, size.to_bytes(8, "little"))

    def truncate(self, size: int) -> None:
        """Sets the size."""
        begin = segio.record_begin()
        try:
            _system.ftruncate(self.fd, size)
        except OSError as error:
            raise store_error(error, self.path, "truncate") from error
        segio.record_end(begin, RECORD_TRUNCATE, self.path, size)

    def claim(self) -> bool:
        """Holds the file, while it is open here, against all others who claim it.

        False where somebody else holds it, or has taken it away meanwhile.
        """
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return os.fstat(self.fd).st_nlink > 0

    def size(self) -> int:
        """The present size in bytes."""
        return os.fstat(self.fd).st_size

    def drop_cache(self) -> None:
        """Asks the kernel to forget its clean cached pages, so that reads come from the drive."""
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Closes the descriptor; may be repeated."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _behind(views: list[memoryview], count: int) -> list[memoryview]:
    """What is left of `views` after their first `count` bytes."""
    for index, view in enumerate(views):
        if count < len(view):
            return [view[count:], *views[index + 1 :]]
        count -= len(view)
    return []


def create(path: StrPath) -> File:
    """Makes a new file, for reading and writing. Raises StoreError where there is one."""
    begin = segio.record_begin()
    try:
        fd = _system.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise store_error(error, path, "create") from error
    segio.record_end(begin, RECORD_CREATE, path)
    return File(path, fd)


def open_existing(path: StrPath) -> File:
    """Opens a file for reading and writing. Raises StoreError where there is none."""
    try:
        return File(path, _system.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise store_error(error, path, "open") from error


def open_readable(path: StrPath) -> File:
    """Opens a file for reading. Raises OSError: what is missing may have been released."""
    return File(path, _system.open(path, os.O_RDONLY | os.O_CLOEXEC))


def rename(path: StrPath, new_path: StrPath) -> None:
    """Renames a file, over the one that may be there; durable after `sync_directory`."""
    begin = segio.record_begin()
    try:
        _system.rename(path, new_path)
    except OSError as error:
        raise store_error(error, path, "rename") from error
    segio.record_end(begin, RECORD_RENAME, path, 0, os.fsencode(new_path))


def unlink(path: StrPath) -> None:
    """Removes a file; durable after `sync_directory`. Raises StoreError where there is none."""
    begin = segio.record_begin()
    try:
        _system.unlink(path)
    except OSError as error:
        raise store_error(error, path, "remove") from error
    segio.record_end(begin, RECORD_UNLINK, path)


def free_bytes(path: StrPath) -> int:
    """What the file system below that path has left for its ordinary users."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def reserve_bytes(path: StrPath) -> int:
    """What bodies leave of the file system below that path, so that deletes and moves go on."""
    found = os.statvfs(path)
    size = found.f_blocks * found.f_frsize
    least = min(RESERVE_BYTES_MIN, size // _RESERVE_PART_MAX)
    return max(least, min(RESERVE_BYTES_MAX, size // _RESERVE_PART))


def is_short(path: StrPath) -> bool:
    """Whether bodies will soon be refused there: all that can be given back is worth it."""
    found = os.statvfs(path)
    left = found.f_bavail * found.f_frsize - reserve_bytes(path)
    return left * _SHORT_PART < found.f_blocks * found.f_frsize


def is_reserve_taken(path: StrPath) -> bool:
    """Whether some of the reserve is in use."""
    return free_bytes(path) < reserve_bytes(path)


def check_reserve(path: StrPath, size: int) -> None:
    """Raises NoSpace where `size` bytes more would not leave the reserve."""
    reserve = reserve_bytes(path)
    if free_bytes(path) - size < reserve:
        raise NoSpace(
            f"{path}: the disk is full but for a reserve of {reserve >> 20} MiB, which deletes and"
            " compaction need; free some space or raise the quota"
        )


def sync_directory(path: StrPath) -> None:
    """Makes the names in a directory durable. Raises SyncFailed."""
    begin = segio.record_begin()
    try:
        fd = _system.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _system.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise sync_error(error, path) from error
    segio.record_end(begin, RECORD_SYNC_DIRECTORY, path)
