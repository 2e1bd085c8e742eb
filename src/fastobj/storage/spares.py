"""Spare log segments: zero-filled or recycled files, made ahead so that commits never allocate.

A spare is `log/<16 hex>-<generation>.spare`; taking one is a rename. The digits are the id of the
segment that the file last was, so that the highest id is known even where a spare has it; fresh
files have random ones from the half of the ids that the log never uses. Recycled files keep stale
blocks: replay takes none of them, because each block names its segment, which is never used twice.

**Ballast and reserve.** The last BALLAST spares are kept from everything that brings bodies: on a
full disk deletes need log segments too. A segment of deletes has nothing live, so it is a spare
again once a checkpoint covers it, and two are enough for any number of deletes. What brings bodies
leaves a reserve on the disk as well: compaction stores again in it what it moves, to give back
more than that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.crash_points import reach
from fastobj.core.errors import NoSpace, StoreError
from fastobj.storage import io
from fastobj.storage.log_format import EXTENT_ID_MIN

SUFFIX: Final = ".spare"
MAKING_SUFFIX: Final = ".making"
LOG_SUFFIX: Final = ".log"
BALLAST: Final = 2
_AMPLE: Final = 4  # spares that the disk must have room for where the ballast is yet to be made
_DISK_PART: Final = 8  # a spare takes this part of what the disk has left, at most
_LOG_PART: Final = 8  # and of what the log holds, so that spares cost little beside it
_ZEROS: Final = bytes(1 << 20)


class Claim(NamedTuple):
    """What may be taken of a short disk: all but the last `kept` spares, and of what is free all
    but the reserve if it `leaves_reserve`. `is_small` asks for the smallest spare there is.
    """

    kept: int = 0
    leaves_reserve: bool = False
    is_small: bool = False


DELETES: Final = Claim()
BODIES: Final = Claim(BALLAST, leaves_reserve=True)
MOVES: Final = Claim(BALLAST)
IDLE: Final = Claim(is_small=True)


class Spare(NamedTuple):
    """A file ready to become a log segment. `size` is in bytes."""

    path: Path
    generation: int
    size: int


def log_path(directory: Path, segment: int) -> Path:
    """The file of a log segment."""
    return directory / f"{segment:016x}{LOG_SUFFIX}"


def wanted_bytes(held: int, free: int, bounds: tuple[int, int]) -> int:
    """The size of the next segment: in proportion to the log so far, within bounds.

    So a large store rolls seldom, and a disk that has `free` bytes left is not eaten.
    """
    smallest, largest = bounds
    return max(smallest, min(largest, held // _LOG_PART, free // _DISK_PART) & ~0xFFFF)


def log_segment(path: Path) -> int | None:
    """The segment id in the name of a log file, None for any other file."""
    return _log_id(path.stem) if path.suffix == LOG_SUFFIX else None


def former_segment(path: Path) -> int | None:
    """The segment id in the name of a spare that was one, None for any other file."""
    return _log_id(path.stem.partition("-")[0]) if path.suffix == SUFFIX else None


def spare_path(directory: Path, segment: int, generation: int) -> Path:
    """The file of a spare that was that segment."""
    return directory / f"{segment:016x}-{generation}{SUFFIX}"


def _log_id(digits: str) -> int | None:
    try:
        found = int(digits, 16) if len(digits) == 16 else 0
    except ValueError:
        return None
    return found if 0 < found < EXTENT_ID_MIN else None


class Spares:
    """The spare segments of one log directory, shared by name between processes.

    `size_bytes` is asked for the size of the next file, so that a small store stays small.
    """

    def __init__(self, directory: Path, size_bytes: int) -> None:
        self._directory = directory
        self.size_bytes = size_bytes

    def list(self) -> list[Spare]:
        """The spares that are there, largest first."""
        spares = []
        for path in self._directory.glob(f"*{SUFFIX}"):
            generation = path.stem.partition("-")[2]
            try:
                spares.append(Spare(path, int(generation), path.stat().st_size))
            except (FileNotFoundError, ValueError):
                continue  # taken meanwhile, or not one of ours
        return sorted(spares, key=lambda spare: -spare.size)

    def shrink(self) -> None:
        """Makes no larger files than those that are kept ahead: the log has become smaller."""
        kept = self.list()
        if kept:
            self.size_bytes = min(self.size_bytes, kept[0].size)

    def take(self, least_bytes: int = 0, claim: Claim = DELETES) -> Spare:
        """A spare of the wanted size, made on the spot where none is there. Raises NoSpace.

        On a full disk one of `least_bytes` will do: better than no commits.
        """
        if claim.leaves_reserve:  # where moves have taken of it, what they free goes there first
            io.check_reserve(self._directory, 0)
        fitting = [spare for spare in self.list() if spare.size >= least_bytes]
        free = fitting[: max(0, len(fitting) - claim.kept)]
        if claim.is_small and free:
            return free[-1]
        if free and free[0].size >= self.size_bytes:
            return free[0]
        for size in sorted({self.size_bytes, least_bytes or self.size_bytes}, reverse=True):
            try:
                if claim.leaves_reserve:
                    io.check_reserve(self._directory, size)
                return self.make(size)
            except NoSpace:
                continue
        if not free:
            raise NoSpace(f"no log segment is left in {self._directory}, and none can be made")
        return free[0] if claim.kept else free[-1]

    def missing_ballast(self, least_bytes: int) -> int:
        """How much of the ballast is missing: 0 to BALLAST spares of that size."""
        fitting = sum(spare.size >= least_bytes for spare in self.list())
        return max(0, BALLAST - fitting)

    def could_make(self, least_bytes: int) -> bool:
        """Whether the disk has ample room for spares of that size."""
        return io.free_bytes(self._directory) >= _AMPLE * least_bytes

    def make(self, size: int | None = None) -> Spare:
        """Makes one zero-filled, synced file. Raises NoSpace and leaves nothing behind then."""
        size = size or self.size_bytes
        number = EXTENT_ID_MIN | int.from_bytes(os.urandom(8), "big")
        path = spare_path(self._directory, number, 1)
        making = path.with_suffix(MAKING_SUFFIX)
        file = io.create(str(making))
        try:
            file.claim()  # `remove_unfinished` of another process lets it be
            _fill(file, size)
            file.fsync()
            io.rename(str(making), str(path))
        except StoreError:
            io.unlink(str(making))
            raise
        finally:
            file.close()
        io.sync_directory(str(self._directory))
        return Spare(path, 1, size)

    def recycle(self, segment: int, generation: int) -> Spare:
        """Turns the file of a released log segment into a spare of the next generation.

        Raises StoreError where another process has released it.
        """
        path = log_path(self._directory, segment)
        spare = spare_path(self._directory, segment, generation + 1)
        try:
            size = path.stat().st_size
        except OSError as error:
            raise io.store_error(error, path, "recycle") from error
        io.rename(str(path), str(spare))
        io.sync_directory(str(self._directory))
        reach("spare.recycled")
        return Spare(spare, generation + 1, size)

    def free(self, spare: Spare) -> None:
        """Unlinks a spare: room for others."""
        io.unlink(str(spare.path))

    def free_smallest(self) -> bool:
        """Unlinks the smallest spare where there is one: the ballast that makes room."""
        spares = self.list()
        if spares:
            self.free(spares[-1])
        return bool(spares)

    def give_room(self, least_bytes: int) -> bool:
        """Room for little: a spare is cut to `least_bytes`, or else the smallest unlinked.

        Whether there was one. What is cut off may be all that is needed, and the spare stays one.
        """
        for spare in reversed(self.list()):
            if spare.size > least_bytes:
                file = io.open_existing(str(spare.path))
                try:
                    file.truncate(least_bytes)
                finally:
                    file.close()
                return True
        return self.free_smallest()

    def remove_unfinished(self) -> None:
        """Unlinks what a crash left half made, but nothing that is being made now."""
        for path in self._directory.glob(f"*{MAKING_SUFFIX}"):
            file = io.open_existing(str(path))
            try:
                if file.claim():
                    io.unlink(str(path))
            finally:
                file.close()


def _fill(file: io.File, size: int) -> None:
    """Writes zeros, so that a later overwrite changes no block map and costs one flush."""
    file.allocate(size)
    for offset in range(0, size, len(_ZEROS)):
        file.pwritev([_ZEROS[: min(len(_ZEROS), size - offset)]], offset)
