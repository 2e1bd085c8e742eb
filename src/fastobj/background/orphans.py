"""Extent files without a row: what a crash between a file's creation and its row's commit leaves.

Who makes a file claims it until its row is committed, and longer, so a file without a row that
can be claimed is nobody's. A row commits before the first byte is written: what holds zeros goes,
anything else is kept in quarantine, because a database older than its files must not cost them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fastobj.core.errors import StoreError
from fastobj.storage import io
from fastobj.storage.segment_files import is_unwritten, segment_of

_log = logging.getLogger("fastobj.orphans")


def settle(extents: Path, quarantine: Path, has_row: Callable[[int], bool]) -> int:
    """Removes or quarantines extent files without a row; returns how many there were."""
    found = 0
    for path in sorted(extents.iterdir()):
        segment = segment_of(path.name)
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
        if is_unwritten(file):
            io.unlink(str(path))
            _log.info("%s was never written to and is removed", path)
        else:
            quarantine.mkdir(mode=0o700, exist_ok=True)
            io.rename(str(path), str(quarantine / path.name))
            _log.warning("%s has no row in the database: kept in %s", path, quarantine)
        return True
    finally:
        file.close()
