"""Spare log segments: zero-filled or recycled files, made ahead so that commits never allocate.

A spare is `log/<16 hex>-<generation>.spare`; taking one is a rename. Recycled files keep stale
blocks: replay takes none of them, because each block names its segment, which is never used twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.errors import NoSpace
from fastobj.storage import io

SUFFIX: Final = ".spare"
MAKING_SUFFIX: Final = ".making"
LOG_SUFFIX: Final = ".log"
_ZEROS: Final = bytes(1 << 20)


class Spare(NamedTuple):
    """A file ready to become a log segment. `size` is in bytes."""

    path: Path
    generation: int
    size: int


def log_path(directory: Path, segment: int) -> Path:
    """The file of a log segment."""
    return directory / f"{segment:016x}{LOG_SUFFIX}"


def wanted_bytes(held: int, bounds: tuple[int, int]) -> int:
    """The size of the next segment: as large as the log so far, within bounds.

    So a small disk is not eaten, and a large store rolls seldom.
    """
    smallest, largest = bounds
    return max(smallest, min(largest, held & ~0xFFFF))


def log_segment(path: Path) -> int | None:
    """The segment id in a log file's name, None for any other file."""
    if path.suffix != LOG_SUFFIX or len(path.stem) != 16:
        return None
    try:
        return int(path.stem, 16)
    except ValueError:
        return None


class Spares:
    """The spare segments of one log directory, shared by name between processes.

    `size_bytes` is asked for the size of the next file, so that a small store stays small.
    """

    def __init__(self, directory: Path, size_bytes: int) -> None:
        self._directory = directory
        self.size_bytes = size_bytes

    def list(self) -> list[Spare]:
        """The spares that are there, largest first."""
        spares = [
            Spare(path, int(path.stem.partition("-")[2]), path.stat().st_size)
            for path in self._directory.glob(f"*{SUFFIX}")
        ]
        return sorted(spares, key=lambda spare: -spare.size)

    def take(self) -> Spare:
        """A spare of the wanted size, made on the spot where none is there. Raises NoSpace.

        On a full disk a smaller spare will do: better a small segment than no commits.
        """
        spares = self.list()
        for spare in spares:
            if spare.size >= self.size_bytes:
                return spare
        try:
            return self.make()
        except NoSpace:
            if spares:
                return spares[0]
            raise

    def make(self) -> Spare:
        """Makes one zero-filled, synced file. Raises NoSpace and leaves nothing behind then."""
        name = os.urandom(8).hex()
        making = self._directory / f"{name}-1{MAKING_SUFFIX}"
        path = making.with_suffix(SUFFIX)
        try:
            file = io.create(making)
            try:
                _fill(file, self.size_bytes)
                file.fsync()
            finally:
                file.close()
            io.rename(making, path)
            io.sync_directory(self._directory)
        except BaseException:
            making.unlink(missing_ok=True)
            raise
        return Spare(path, 1, self.size_bytes)

    def recycle(self, segment: int, generation: int) -> Spare:
        """Turns the file of a released log segment into a spare of the next generation."""
        path = log_path(self._directory, segment)
        spare = self._directory / f"{os.urandom(8).hex()}-{generation + 1}{SUFFIX}"
        size = path.stat().st_size
        io.rename(path, spare)
        io.sync_directory(self._directory)
        return Spare(spare, generation + 1, size)

    def free(self, spare: Spare) -> None:
        """Unlinks a spare: room for others."""
        io.unlink(spare.path)

    def remove_unfinished(self) -> None:
        """Unlinks what a crash left half made. Only while nobody else makes spares."""
        for path in self._directory.glob(f"*{MAKING_SUFFIX}"):
            io.unlink(path)


def _fill(file: io.File, size: int) -> None:
    """Writes zeros, so that a later overwrite changes no block map and costs one flush."""
    file.allocate(size)
    for offset in range(0, size, len(_ZEROS)):
        file.pwritev([_ZEROS[: min(len(_ZEROS), size - offset)]], offset)
