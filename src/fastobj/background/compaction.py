"""Compaction: what lives in sparse segments is stored again elsewhere, so that reclaim gets them.

A round chooses sparse segments, finds the rows that name bodies in them by one pass over all rows
that name bodies (no index says which row a body belongs to: a round is begun only where it gains
enough to pay for that pass), and moves those bodies in the order in which they stand. The files
are left to reclaim.

**What a segment gains** is its size without what lives in it, and without what it takes to store
that again: a small body brings its transaction along, so a log segment of tiny objects is never
all bodies. That share is measured as bodies are moved; were it guessed too low, rounds would chase
what cannot be gained.

The measure of sparseness is this: a segment that gains half of its size is worth a round when
there is enough of it, and on a short disk one that gains a fifth. Uniformly random overwrites
keep a store cleaned at one half at 1.39 times what lives (Rosenblum and Ousterhout, The Design and
Implementation of a Log-Structured File System, 1992); the worst case, every segment just above
one half, is 2.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from fastobj.background.segments import Segment, Survey
from fastobj.core import limits
from fastobj.core.clock import Clock
from fastobj.core.crash_points import reach
from fastobj.core.errors import NoSpace, StoreDamaged
from fastobj.core.limits import KIB, MIB
from fastobj.core.segments import SEGMENT_BODY, SEGMENT_LOG
from fastobj.meta import keys, records
from fastobj.meta.base import ScanRow
from fastobj.objects.moves import NAMING, Moved, NamingRow, move_large, move_small
from fastobj.objects.store import Store
from fastobj.storage.base import Location

GAIN_MIN: Final = 0.5  # of its size, for a segment to be sparse
GAIN_MIN_SHORT: Final = 0.2  # on a short disk
ROUND_PART_MIN: Final = 0.05  # of all segments' bytes is what a round must gain
ROUND_BODIES_MAX: Final = 100_000  # whose rows a round keeps in memory, some 20 MiB

_STEP_NS: Final = 200_000_000
_PAGE_ROWS: Final = 1000
_GROUP_BODIES: Final = 64
_GROUP_BYTES: Final = MIB
_OVERHEAD_BYTES: Final = 512  # of a small body, before any was moved
_OVERHEAD_FIXED_BYTES: Final = 224  # of a transaction but for key and value; heads and padding
_SMOOTH: Final = 256  # bodies over which the overhead is averaged
_SEGMENT: Final = slice(4, 12)  # in a location


class _Found(NamedTuple):
    """A row that named a body of a chosen segment when it was scanned; sorts by place."""

    segment: int
    offset: int
    space: int
    key: bytes


class Compaction:
    """Rounds over the segments of one store, step by step."""

    def __init__(self, store: Store, clock: Clock, *, bytes_min: int | None = None) -> None:
        self.total = Moved()  # since the start
        self._store = store
        self._clock = clock
        self._bytes_min = limits.COMPACTION_BYTES_MIN if bytes_min is None else bytes_min
        self._log = logging.getLogger("fastobj.compaction")
        self._round: AsyncGenerator[None, None] | None = None
        self._overhead = float(_OVERHEAD_BYTES)
        self._left: dict[int, int] = {}  # segment: what lived in it when a round left it
        self._stuck: dict[int, int] = {}  # the same, where one round more could not move it

    async def step(self, found: Survey, room: int | None = None) -> bool:
        """Works for a fifth of a second, if there is anything worth it; whether it did.

        `room` says that the disk is short, and how many bytes a round may take of it. Raises what
        commits raise; the round is over then.
        """
        if self._round is None:
            chosen = self._choose(found, room)
            if not chosen:
                return False
            self._round = self._compact(chosen)
        until_ns = self._clock.monotonic_ns() + _STEP_NS
        try:
            while self._clock.monotonic_ns() < until_ns:
                await anext(self._round)
        except StopAsyncIteration:
            self._round = None
        except BaseException:
            self._round = None
            raise
        return True

    # --- what is worth it

    def gain(self, found: Survey, segment: Segment) -> int:
        """The bytes that moving everything out of the segment would give back."""
        lives = found.lives(segment)
        again = lives.size_bytes
        if segment.record.kind == SEGMENT_LOG:
            again += int(lives.bodies * self._overhead)
        return segment.record.size - again

    def _choose(self, found: Survey, room: int | None) -> list[Segment]:
        """The sparsest segments, if all that are sparse gain enough together."""
        is_short = room is not None
        least = GAIN_MIN_SHORT if is_short else GAIN_MIN
        sparse = [
            (self.gain(found, segment) / segment.record.size, segment)
            for segment in found.segments
            if self._may_be_moved(found, segment)
        ]
        sparse = [one for one in sparse if one[0] >= least]
        gained = sum(share * segment.record.size for share, segment in sparse)
        held = sum(segment.record.size for segment in found.segments)
        if not sparse or (not is_short and gained < max(self._bytes_min, ROUND_PART_MIN * held)):
            return []
        sparse.sort(key=lambda one: (-one[0], one[1].id))
        return self._fitting(found, [segment for _, segment in sparse], room)

    def _may_be_moved(self, found: Survey, segment: Segment) -> bool:
        lives = found.lives(segment)
        return (
            segment.record.kind != SEGMENT_BODY
            and lives.bodies > 0
            and found.is_settled(segment)
            and self._stuck.get(segment.id) != lives.size_bytes
        )

    def _fitting(
        self, found: Survey, segments: Sequence[Segment], room: int | None
    ) -> list[Segment]:
        """Those of which memory takes the rows, and a short disk what lives in them."""
        chosen: list[Segment] = []
        bodies = 0
        for segment in segments:
            taken = segment.record.size - self.gain(found, segment)
            if room is not None and taken > room:
                continue
            bodies += found.lives(segment).bodies
            if chosen and bodies > ROUND_BODIES_MAX:
                break
            chosen.append(segment)
            room = None if room is None else room - taken
        return chosen

    # --- a round

    async def _compact(self, chosen: Sequence[Segment]) -> AsyncGenerator[None, None]:
        """Yields after each bounded piece of work."""
        before = self.total
        naming: list[_Found] = []
        async for _ in self._scan({segment.id for segment in chosen}, naming):
            yield
        reach("compaction.scanned")
        naming.sort()
        left = deque(naming)
        while left:
            await self._move_next(left)
            reach("compaction.moved")
            yield
        await self._leave(chosen)
        self._report(len(chosen), before)

    async def _scan(self, chosen: set[int], naming: list[_Found]) -> AsyncGenerator[None, None]:
        wanted = {segment.to_bytes(8, "little") for segment in chosen}
        for space in NAMING:
            cursor = keys.FIRST
            while True:
                rows = await self._store.meta.scan(space, cursor, keys.LAST, _PAGE_ROWS)
                naming += _naming(space, rows, wanted)
                if len(rows) < _PAGE_ROWS:
                    break
                cursor = keys.next_key(rows[-1].key)
                yield

    async def _move_next(self, left: deque[_Found]) -> None:
        """A group of small bodies, or one large one. What does not fit the disk stays."""
        group: list[NamingRow] = []
        size = 0
        while left and len(group) < _GROUP_BODIES and size < _GROUP_BYTES:
            row = await self._read(left[0])
            if row is None:
                left.popleft()
                self.total += Moved(raced=1)
                continue
            length = row.place.length
            if length > self._store.small_body_bytes_max:
                if not group:
                    left.popleft()
                    await self._move_large(row)
                break
            left.popleft()
            group.append(row)
            size += length
            self._learn(len(row.key) + len(row.value))
        if group:
            self.total += await move_small(self._store, group)

    async def _move_large(self, row: NamingRow) -> None:
        try:
            self.total += await move_large(self._store, row)
        except NoSpace as full:
            self._log.info("a body of %d bytes is not moved now: %s", row.place.length, full)

    async def _read(self, found: _Found) -> NamingRow | None:
        """The row as it is now; None where the body is no longer there."""
        present = await self._store.meta.get(found.space, found.key)
        if present is None:
            return None
        row = NamingRow(found.space, found.key, *present)
        if not records.location_of(row.value):
            return None
        place = row.place
        return row if (place.segment, place.offset) == (found.segment, found.offset) else None

    def _learn(self, row_bytes: int) -> None:
        overhead = row_bytes + _OVERHEAD_FIXED_BYTES
        self._overhead += (overhead - self._overhead) / _SMOOTH

    async def _leave(self, chosen: Sequence[Segment]) -> None:
        """Notes what still lives in the chosen segments.

        Rows that moved meanwhile are found by the next round. What two rounds could not move is
        damaged, or too large for the disk: while it lives, no other round comes for it.
        """
        for segment in chosen:
            key = keys.segment(segment.id)
            live = await self._store.meta.counters(keys.SEGMENTS, key, keys.next_key(key))
            left = live[0][1][0] if live else 0
            before = self._left.pop(segment.id, 0)
            if left:
                (self._stuck if left == before else self._left)[segment.id] = left

    def _report(self, segments: int, before: Moved) -> None:
        done = self.total - before
        self._log.info(
            "%d segments compacted: %d bodies moved, %d KiB; %d had changed",
            segments,
            done.bodies,
            done.size_bytes // KIB,
            done.raced,
        )
        if done.damaged:
            self._log.error(
                "%d bodies could not be moved: they do not verify (fastobj check names them);"
                " their segments stay as they are",
                done.damaged,
            )


def _naming(space: int, rows: Sequence[ScanRow], wanted: Collection[bytes]) -> Iterator[_Found]:
    """The rows that name bodies of the wanted segments; damaged ones name none."""
    for key, value, _ in rows:
        try:
            location = records.location_of(value)
        except StoreDamaged:
            continue  # scrub and `fastobj check` tell of it
        if location[_SEGMENT] in wanted:
            place = Location.decode(location)
            yield _Found(place.segment, place.offset, space, key)
