"""The names of segment files, and a few of them kept open for reading.

The name of a file follows from the segment id alone: ids below 2**63 are segments of the log,
those above are extent files, of which the upper half (bit 62) hold one body each.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Final

from fastobj.core.errors import StaleLocation
from fastobj.core.limits import MIB
from fastobj.storage import io
from fastobj.storage.log_format import EXTENT_ID_MIN

LOG_FOLDER: Final = "log"
EXTENTS_FOLDER: Final = "extents"
OWN_FILE_BIT: Final = 1 << 62
OPEN_FILES_MAX: Final = 128
TICK_S: Final = 2.0  # how long a descriptor keeps the room of a file that was removed, at most
IDLE_TICKS: Final = 15  # what no read used for one to two times as many ticks is closed


def new_extent_id(own_file: bool) -> int:
    """A random segment id for an extent file, or for the file of one body."""
    low = int.from_bytes(os.urandom(8), "big") & (OWN_FILE_BIT - 1)
    return EXTENT_ID_MIN | (OWN_FILE_BIT if own_file else 0) | low


def is_log(segment: int) -> bool:
    """Whether the segment is one of the log."""
    return segment < EXTENT_ID_MIN


def segment_path(root: str, segment: int) -> str:
    """The path of a segment's file below the store's directory."""
    if is_log(segment):
        return f"{root}/{LOG_FOLDER}/{segment:016x}.log"
    suffix = "body" if segment & OWN_FILE_BIT else "ext"
    return f"{root}/{EXTENTS_FOLDER}/{segment:016x}.{suffix}"


def segment_of(name: str) -> int | None:
    """The segment id in the name of a file, None for what is no segment's."""
    stem, _, suffix = name.partition(".")
    if suffix not in ("log", "ext", "body"):
        return None
    try:
        return int(stem, 16)
    except ValueError:
        return None


def make_folders(root: str) -> None:
    """Makes the folders of a new store, durably; harmless where they exist."""
    missing = [name for name in (LOG_FOLDER, EXTENTS_FOLDER) if not os.path.isdir(f"{root}/{name}")]
    try:
        for name in missing:
            os.makedirs(f"{root}/{name}", 0o700)
    except OSError as error:
        raise io.store_error(error, root, "make folders in") from error
    if missing:
        io.sync_directory(root)


class _Open:
    """A descriptor and whether it was used since the idle ones were closed last."""

    __slots__ = ("file", "used")

    def __init__(self, file: io.File) -> None:
        self.file = file
        self.used = True


class SegmentFiles:
    """Read descriptors: at most OPEN_FILES_MAX, closed when idle for about a minute.

    Those of removed files are closed soon, for until then the disk does not get its room back.
    A descriptor that it lends is good until the next await; `duplicate` gives one to keep.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._open: dict[int, _Open] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0

    def lend(self, segment: int) -> io.File:
        """The segment's file, to be used before the next await. Raises StaleLocation."""
        entry = self._open.get(segment)
        if entry is None:
            entry = self._open_file(segment)
        entry.used = True
        return entry.file

    def duplicate(self, segment: int) -> io.File:
        """A descriptor of its own: it outlives the file's name. The caller closes it."""
        file = self.lend(segment)
        try:
            return io.File(file.path, os.dup(file.fd))
        except OSError as error:
            raise io.store_error(error, file.path, "open") from error

    def drop(self, segment: int) -> None:
        """Closes the descriptor of a segment that is gone or recycled."""
        entry = self._open.pop(segment, None)
        if entry is not None:
            entry.file.close()

    def drop_removed(self) -> None:
        """Closes the descriptors of files that have no name any more."""
        for segment, entry in list(self._open.items()):
            if not os.fstat(entry.file.fd).st_nlink:
                self.drop(segment)

    def close(self) -> None:
        """Closes all descriptors and stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for segment in list(self._open):
            self.drop(segment)

    def _open_file(self, segment: int) -> _Open:
        path = segment_path(self._root, segment)
        try:
            file = io.open_readable(path)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise StaleLocation(f"{path} is gone: the body was released") from error
            raise io.store_error(error, path, "open") from error
        if len(self._open) >= OPEN_FILES_MAX:
            self.drop(self._least_used())
        entry = self._open[segment] = _Open(file)
        self._arm()
        return entry

    def _least_used(self) -> int:
        """The oldest one that was not used lately, else the oldest."""
        idle = (segment for segment, entry in self._open.items() if not entry.used)
        return next(idle, next(iter(self._open)))

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._ticks += 1
        self.drop_removed()
        if self._ticks % IDLE_TICKS == 0:
            self._drop_idle()
        if self._open:
            self._arm()

    def _drop_idle(self) -> None:
        for segment, entry in list(self._open.items()):
            if not entry.used:
                self.drop(segment)
            entry.used = False


def is_unwritten(file: io.File) -> bool:
    """Whether the file holds nothing but zeros; what was only allocated is not read."""
    at, size = 0, file.size()
    while (at := _next_content(file, at, size)) < size:
        part = file.pread(MIB, at)
        if part.count(0) < len(part):
            return False
        at += len(part)
    return True


def _next_content(file: io.File, offset: int, size: int) -> int:
    """Where the file has bytes at or behind `offset`; its size where there are none."""
    if offset >= size:
        return size
    try:
        return os.lseek(file.fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        return offset  # a file system that cannot tell: all of it is read
