"""The segments of a store as one pass sees them: rows, who lives, and what lives in them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_OPEN
from fastobj.meta import keys, records
from fastobj.meta.base import MetaReader, ScanRow


class Known(NamedTuple):
    """What a pass must know of the other processes.

    `alive` are the incarnations that run, `draining` those that do not, but whose last commits may
    be on their way; `covered` is the highest log sequence that a completed checkpoint covers.
    """

    alive: Collection[int]
    draining: Collection[int]
    covered: int


class Live(NamedTuple):
    """What lives in a segment: bytes that its bodies take, and how many bodies."""

    size_bytes: int = 0
    bodies: int = 0


NOTHING: Final = Live()


class Segment(NamedTuple):
    """A segment's row, decoded."""

    id: int
    record: records.SegmentRecord
    row: ScanRow


class Survey(NamedTuple):
    """What a pass goes by."""

    segments: list[Segment]
    known: Known
    live: dict[int, Live]

    def lives(self, segment: Segment) -> Live:
        """What lives in the segment."""
        return self.live.get(segment.id, NOTHING)

    def is_settled(self, segment: Segment) -> bool:
        """Whether nobody will write into the segment, nor commit anything in it.

        Nor may a block of the log be missed by a replay.
        """
        record = segment.record
        if record.state == SEGMENT_OPEN:
            return False
        if record.kind == SEGMENT_LOG:
            return record.last_sequence <= self.known.covered
        return record.owner not in self.known.draining


async def survey(meta: MetaReader, look: Callable[[], Known]) -> Survey:
    """Reads rows and counters.

    `look` is called behind the reading of the rows: an owner that stands in one has been alive
    by then, so one that is not there is dead, and no newcomer is taken for dead.
    """
    segments = await _segments(meta)
    known = look()
    live = await _live(meta)  # read after the rows: what is sealed there only loses
    return Survey(segments, known, live)


async def _segments(meta: MetaReader) -> list[Segment]:
    found: list[Segment] = []
    start = keys.FIRST
    while True:
        rows = await meta.scan(keys.SEGMENTS, start, keys.LAST, LOOP_SCAN_ROWS_MAX)
        found += [
            Segment(keys.segment_id(row.key), records.decode(records.SegmentRecord, row.value), row)
            for row in rows
        ]
        if len(rows) < LOOP_SCAN_ROWS_MAX:
            return found
        start = keys.next_key(rows[-1].key)


async def _live(meta: MetaReader) -> dict[int, Live]:
    counters = await meta.counters(keys.SEGMENTS, keys.FIRST, keys.LAST)
    return {keys.segment_id(key): Live(*amounts[:2]) for key, amounts in counters}
