"""Reclaim: segments with nothing live are recycled or unlinked, those of dead owners sealed.

Only sealed segments are reclaimed, and only their owner seals them, or this once the owner is
dead; what this sealed stays until the owner's link is drained: so bytes not yet committed are
never lost. A file goes before its row: what a crash leaves is a row without a file, which the
next pass removes. Copies nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from fastobj.background.segments import Known, Segment, Survey
from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict, StoreError
from fastobj.core.limits import TXN_ROWS_MAX
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, Add, Row
from fastobj.storage import io
from fastobj.storage.segment_files import segment_path
from fastobj.storage.spares import BALLAST, Spares, wanted_bytes

CommitRows = Callable[[list[Row], list[Add]], Awaitable[bytes]]
SPARES_AHEAD: Final = 2  # of the wanted size, beside the ballast
_OVERSIZE: Final = 2  # a spare that is larger than wanted by this factor holds what others need


class Report(NamedTuple):
    """What a pass did, in segments."""

    sealed: int = 0
    recycled: int = 0
    unlinked: int = 0


class Reclaim:
    """Passes over all segments of one store."""

    def __init__(
        self,
        root: Path,
        commit_rows: CommitRows,
        log_directory: Path,
        log_segment_bytes: tuple[int, int],
    ) -> None:
        self._root = root
        self._commit_rows = commit_rows
        self._bounds = log_segment_bytes
        self._log_directory = log_directory
        self._spares = Spares(log_directory, log_segment_bytes[0])
        self._missed = False  # the last pass had not the room for its spares
        self._log = logging.getLogger("fastobj.reclaim")

    async def run(self, found: Survey) -> Report:
        """One pass over what a survey found, then the spare segments are filled up."""
        segments, known = found.segments, found.known
        sealed = [await self._seal(s) for s in segments if _is_abandoned(s, known)]
        free = [s for s in segments if found.is_settled(s) and not any(found.lives(s))]
        logs = [s.record.size for s in segments if s.record.kind == SEGMENT_LOG]
        held = sum(logs) - sum(s.record.size for s in free if s.record.kind == SEGMENT_LOG)
        self._want(held)
        recycled = unlinked = 0
        for at in range(0, len(free), TXN_ROWS_MAX):
            done = await self._release(free[at : at + TXN_ROWS_MAX])
            recycled += done.count(True)
            unlinked += done.count(False)
        self._fit_spares()
        return Report(sum(sealed), recycled, unlinked)

    async def _seal(self, segment: Segment) -> bool:
        """Seals a segment of a dead owner; False where its row has changed meanwhile."""
        sealed = msgspec.structs.replace(segment.record, state=SEGMENT_SEALED)
        try:
            await self._commit_rows([self._row(segment, records.encode(sealed))], [])
        except Conflict:
            return False
        self._log.info("segment %016x of a dead process is sealed", segment.id)
        return True

    async def _release(self, group: Sequence[Segment]) -> list[bool]:
        """Releases files, durably, and then their rows in one transaction.

        Returns for each one that is gone whether its file was recycled.
        """
        gone: list[Segment] = []
        recycled: list[bool] = []
        folders: set[Path] = set()
        for segment in group:
            try:
                recycled.append(self._release_file(segment, folders))
                gone.append(segment)
            except StoreError as error:
                self._log.warning("segment %016x is not reclaimed now: %s", segment.id, error)
        for folder in folders:
            io.sync_directory(str(folder))
            reach("reclaim.unlinked")
        await self._drop_rows(gone)
        return recycled

    def _release_file(self, segment: Segment, folders: set[Path]) -> bool:
        """Makes a spare of the file (True), or unlinks it where there are enough of its size.

        A file that an earlier pass released is no fault.
        """
        is_log = segment.record.kind == SEGMENT_LOG
        path = Path(segment_path(str(self._root), segment.id))
        if not path.exists():
            return False
        if is_log and self._is_wanted(segment.record.size):
            self._spares.recycle(segment.id, segment.record.generation)
            return True
        io.unlink(str(path))
        folders.add(path.parent)
        return False

    def _is_wanted(self, size: int) -> bool:
        """Whether a file of that size is a spare to keep."""
        spares = self._spares.list()
        larger = sum(spare.size >= size for spare in spares)
        is_ballast = size < _OVERSIZE * self._bounds[0] and len(spares) < BALLAST + SPARES_AHEAD
        is_ahead = size < _OVERSIZE * self._spares.size_bytes and larger < SPARES_AHEAD
        if io.is_reserve_taken(self._log_directory):
            return len(spares) < BALLAST
        return is_ballast or is_ahead

    async def _drop_rows(self, gone: list[Segment]) -> None:
        rows = [self._row(segment, DELETE) for segment in gone]
        try:
            if rows:
                await self._commit_rows(rows, [])
        except Conflict:
            if len(gone) > 1:  # one of them has changed, nobody knows why: the others go alone
                for segment in gone:
                    await self._drop_rows([segment])

    def _row(self, segment: Segment, value: bytes | None) -> Row:
        return Row(keys.SEGMENTS, segment.row.key, segment.row.token, value)

    def _want(self, held: int) -> None:
        """Spares are larger as the log grows, and as the disk allows."""
        spared = sum(spare.size for spare in self._spares.list())
        free = io.free_bytes(self._log_directory) + spared
        self._spares.size_bytes = wanted_bytes(held, free, self._bounds)

    def _fit_spares(self) -> None:
        """Makes the ballast, and spares ahead where there is ample room; too large ones go, and too
        many.
        """
        wanted = self._spares.size_bytes
        try:
            for spare in self._spares.list():
                if spare.size >= _OVERSIZE * wanted:
                    self._spares.free(spare)
            for spare in self._spares.list()[BALLAST + SPARES_AHEAD :]:
                self._spares.free(spare)
            for _ in range(self._spares.missing_ballast(self._bounds[0])):
                self._spares.make(self._bounds[0])
            spares = self._spares.list()
            fitting = sum(spare.size >= wanted for spare in spares)
            missing = SPARES_AHEAD - fitting
            if wanted > self._bounds[0]:  # a log of the first segments makes do with the ballast
                missing = max(missing, BALLAST + SPARES_AHEAD - len(spares))
            for _ in range(missing):
                if self._spares.could_make(wanted):
                    self._spares.make()
            self._missed = False
        except StoreError as error:
            level = logging.DEBUG if self._missed else logging.WARNING  # once, not with each pass
            self._missed = True
            self._log.log(level, "the spare log segments are not as they should be: %s", error)


def _is_abandoned(segment: Segment, known: Known) -> bool:
    """Whether its owner is dead and has left it open; those of the log seal one another."""
    record = segment.record
    return (
        record.state == SEGMENT_OPEN
        and record.kind != SEGMENT_LOG
        and record.owner not in known.alive
    )
