"""Extent files without a row: what a crash between a file's creation and its row's commit leaves.

Who makes a file claims it until its row is committed, and longer, so a file without a row that
can be claimed is nobody's. A row commits before the first byte is written: what holds zeros goes,
anything else is kept in quarantine, because a database older than its files must not cost them.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fastobj.core.errors import StoreError
from fastobj.core.limits import MIB
from fastobj.storage import io

_log = logging.getLogger("fastobj.orphans")


def settle(extents: Path, quarantine: Path, has_row: Callable[[int], bool]) -> int:
    """Removes or quarantines extent files without a row; returns how many there were."""
    found = 0
    for path in sorted(extents.iterdir()):
        segment = _segment(path)
        if segment is not None and not has_row(segment):
            found += _settle_one(path, quarantine, partial(has_row, segment))
    if found:
        io.sync_directory(str(extents))
    return found


def _settle_one(path: Path, quarantine: Path, has_row: Callable[[], bool]) -> bool:
    """False where the file is somebody's: being made, or with a row since it was looked at."""
    try:
        file = io.open_existing(str(path))
    except StoreError:
        return False  # its maker has given it up and taken it away
    try:
        if not file.claim() or has_row():
            return False
        if _is_unwritten(file):
            io.unlink(str(path))
            _log.info("%s was never written to and is removed", path)
        else:
            quarantine.mkdir(mode=0o700, exist_ok=True)
            io.rename(str(path), str(quarantine / path.name))
            _log.warning("%s has no row in the database: kept in %s", path, quarantine)
        return True
    finally:
        file.close()


def _segment(path: Path) -> int | None:
    try:
        return int(path.stem, 16)
    except ValueError:
        return None


def _is_unwritten(file: io.File) -> bool:
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
