"""Reclaim: segments with nothing live are recycled or unlinked, those of dead owners sealed.

Only sealed segments are reclaimed, and only their owner seals them, or this once the owner is
dead; what this sealed stays until the owner's link is drained: so bytes not yet committed are
never lost. A file goes before its row: what a crash leaves is a row without a file, which the
next pass removes. Copies nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.errors import Conflict, NoSpace, StoreError
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, Add, MetaReader, Row, ScanRow
from fastobj.storage import io
from fastobj.storage.segment_files import segment_path
from fastobj.storage.spares import Spares, log_path, wanted_bytes

CommitRows = Callable[[list[Row], list[Add]], Awaitable[bytes]]
SPARES_WANTED: Final = 2


class Known(NamedTuple):
    """What a pass must know of the other processes.

    `alive` are the incarnations that run, `draining` those that do not, but whose last commits may
    be on their way; `covered` is the highest log sequence that a completed checkpoint covers.
    """

    alive: Collection[int]
    draining: Collection[int]
    covered: int


class Report(NamedTuple):
    """What a pass did, in segments."""

    sealed: int = 0
    recycled: int = 0
    unlinked: int = 0


class Segment(NamedTuple):
    """A segment's row, decoded."""

    id: int
    record: records.SegmentRecord
    row: ScanRow


class Reclaim:
    """Passes over all segments of one store."""

    def __init__(
        self,
        root: Path,
        meta: MetaReader,
        commit_rows: CommitRows,
        log_directory: Path,
        log_segment_bytes: tuple[int, int],
    ) -> None:
        self._root = root
        self._meta = meta
        self._commit_rows = commit_rows
        self._log_directory = log_directory
        self._bounds = log_segment_bytes
        self._spares = Spares(log_directory, log_segment_bytes[0])
        self._log = logging.getLogger("fastobj.reclaim")

    async def run(self, look: Callable[[], Known]) -> Report:
        """One pass, then the spare segments are filled up.

        `look` is called behind the reading of the rows: an owner that stands in one has been
        alive by then, so one that is not there is dead, and no newcomer is taken for dead.
        """
        segments = await self._segments()
        known = look()
        live = await self._live()  # read after the rows: what is sealed there only loses
        done = [await self._visit(segment, live, known) for segment in segments]
        held = sum(s.record.size for s in segments if s.record.kind == SEGMENT_LOG)
        self._fill_spares(held)
        return Report(done.count("sealed"), done.count("recycled"), done.count("unlinked"))

    async def _segments(self) -> list[Segment]:
        found: list[Segment] = []
        start = keys.FIRST
        while True:
            rows = await self._meta.scan(keys.SEGMENTS, start, keys.LAST, LOOP_SCAN_ROWS_MAX)
            found += [
                Segment(
                    keys.segment_id(row.key), records.decode(records.SegmentRecord, row.value), row
                )
                for row in rows
            ]
            if len(rows) < LOOP_SCAN_ROWS_MAX:
                return found
            start = keys.next_key(rows[-1].key)

    async def _live(self) -> dict[int, bool]:
        counters = await self._meta.counters(keys.SEGMENTS, keys.FIRST, keys.LAST)
        return {keys.segment_id(key): any(amounts) for key, amounts in counters}

    async def _visit(self, segment: Segment, live: dict[int, bool], known: Known) -> str:
        try:
            if segment.record.state == SEGMENT_OPEN:
                return await self._visit_open(segment, known)
            if not live.get(segment.id, False):
                return await self._visit_dead(segment, known)
        except Conflict:
            pass  # its row changed since it was read: the next pass sees why
        except StoreError as error:
            self._log.warning("segment %016x is not reclaimed now: %s", segment.id, error)
        return "kept"

    async def _visit_open(self, segment: Segment, known: Known) -> str:
        record = segment.record
        if record.kind == SEGMENT_LOG or record.owner in known.alive:
            return "kept"
        await self._seal(segment)
        return "sealed"

    async def _visit_dead(self, segment: Segment, known: Known) -> str:
        record = segment.record
        if record.kind == SEGMENT_LOG:
            covered = record.last_sequence <= known.covered
            return await self._recycle(segment) if covered else "kept"
        return "kept" if record.owner in known.draining else await self._unlink(segment)

    async def _seal(self, segment: Segment) -> None:
        record = segment.record
        sealed = records.SegmentRecord(
            records.FORMAT,
            record.kind,
            SEGMENT_SEALED,
            record.generation,
            record.size,
            record.owner,
        )
        await self._commit_rows([self._row(segment, records.encode(sealed))], [])
        self._log.info("segment %016x of a dead process is sealed", segment.id)

    async def _unlink(self, segment: Segment) -> str:
        self._remove(Path(segment_path(str(self._root), segment.id)))
        await self._commit_rows([self._row(segment, DELETE)], [])
        return "unlinked"

    async def _recycle(self, segment: Segment) -> str:
        """The file becomes a spare, or goes where there are enough of its size."""
        path = log_path(self._log_directory, segment.id)
        spares = self._spares.list()
        enough = len(spares) >= SPARES_WANTED and spares[SPARES_WANTED - 1].size >= (
            segment.record.size
        )
        if enough or not path.exists():
            self._remove(path)
            done = "unlinked"
        else:
            self._spares.recycle(segment.id, segment.record.generation)
            done = "recycled"
        await self._commit_rows([self._row(segment, DELETE)], [])
        return done

    def _remove(self, path: Path) -> None:
        """Unlinks durably; a file that an earlier pass unlinked is no fault."""
        if path.exists():
            io.unlink(str(path))
            io.sync_directory(str(path.parent))

    def _row(self, segment: Segment, value: bytes | None) -> Row:
        return Row(keys.SEGMENTS, segment.row.key, segment.row.token, value)

    def _fill_spares(self, held: int) -> None:
        """Makes spares ahead, larger as the log grows."""
        wanted = self._spares.size_bytes = wanted_bytes(held, self._bounds)
        fitting = [spare for spare in self._spares.list() if spare.size >= wanted]
        try:
            for _ in range(SPARES_WANTED - len(fitting)):
                self._spares.make()
        except NoSpace as error:
            self._log.warning("no spare log segment could be made: %s", error)
