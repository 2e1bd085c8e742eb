"""A VFS that records what SQLite writes and syncs, for tests that cut the power.

It forwards everything to the default VFS. The shared-memory file is not recorded: it does not
outlive a power cut. Used only where `_ext.segio.recording()`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import apsw

from fastobj._ext import segio

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAME: Final = "fastobj-record"

_WRITE, _SYNC, _TRUNCATE, _CREATE, _UNLINK, _SYNC_DIRECTORY = 1, 2, 3, 4, 6, 7
_JOURNALS: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_RECORDED: Final = apsw.SQLITE_OPEN_MAIN_DB | _JOURNALS

_registered: list[RecordingVFS] = []  # SQLite keeps no reference


class RecordingFile(apsw.VFSFile):
    """A database, journal or WAL whose changes are recorded."""

    def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._path = "" if name is None else _path_of(name)
        # SQLite syncs the directory with the first sync of a journal or WAL.
        self._syncs_directory = bool(flags[0] & _JOURNALS)

    def xWrite(self, data: Buffer, offset: int) -> None:
        """Writes and records."""
        begin = segio.record_begin()
        super().xWrite(data, offset)
        segio.record_end(begin, _WRITE, self._path, offset, data)

    def xSync(self, flags: int) -> None:
        """Syncs and records."""
        begin = segio.record_begin()
        super().xSync(flags)
        segio.record_end(begin, _SYNC, self._path)
        if self._syncs_directory:
            self._syncs_directory = False
            segio.record_end(begin, _SYNC_DIRECTORY, os.path.dirname(self._path))

    def xTruncate(self, newsize: int) -> None:
        """Truncates and records."""
        begin = segio.record_begin()
        super().xTruncate(newsize)
        segio.record_end(begin, _TRUNCATE, self._path, newsize)


class RecordingVFS(apsw.VFS):
    """The default VFS with a record of every change."""

    def __init__(self) -> None:
        super().__init__(NAME, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Opens; records where that makes the file."""
        if name is None or not flags[0] & _RECORDED:
            return super().xOpen(name, flags)
        path = _path_of(name)
        is_new = not os.path.exists(path)
        begin = segio.record_begin()
        file = RecordingFile(name, flags)
        if is_new:
            segio.record_end(begin, _CREATE, path)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Removes and records."""
        begin = segio.record_begin()
        super().xDelete(filename, syncdir)
        segio.record_end(begin, _UNLINK, filename)
        if syncdir:
            # Numbers of its own: a sync covers only what ended before it began.
            directory = os.path.dirname(filename)
            segio.record_end(segio.record_begin(), _SYNC_DIRECTORY, directory)


def register() -> str:
    """Registers the VFS once in this process; returns its name."""
    if not _registered:
        _registered.append(RecordingVFS())
    return NAME


def _path_of(name: str | apsw.URIFilename) -> str:
    return name if isinstance(name, str) else name.filename()
