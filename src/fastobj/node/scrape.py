"""The page of metrics: what the cells add up to, and what is looked up when somebody asks.

Looked up are what is stored, the segments and the processes: a page of rows at a time, so that
requests go on meanwhile. Nothing of it is kept up to date while nobody asks.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from fastobj import __version__
from fastobj.core.clock import SystemClock, uptime
from fastobj.core.errors import FastobjError
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.core.metric_page import Values
from fastobj.core.metrics import Family, Metric
from fastobj.core.segments import (
    SEGMENT_BODY,
    SEGMENT_EXTENTS,
    SEGMENT_LOG,
    SEGMENT_OPEN,
    SEGMENT_SEALED,
)
from fastobj.meta import keys, records
from fastobj.meta.base import MetaReader, ScanRow
from fastobj.node.layout import StoreLayout
from fastobj.node.shared_page import SharedPage
from fastobj.objects import kms_keys, trusted_time
from fastobj.objects.trusted_time import Reading, State
from fastobj.storage.spares import Spares

Figures = dict[Family, list[tuple[Values, float]]]

_KINDS: Final = {SEGMENT_LOG: "log", SEGMENT_EXTENTS: "extents", SEGMENT_BODY: "body"}
_STATES: Final = {SEGMENT_OPEN: "open", SEGMENT_SEALED: "sealed"}
_BUCKETS_PER_TURN: Final = LOOP_SCAN_ROWS_MAX // 2  # their ids are random: some turns have more
_ID_BITS: Final = 8 * keys.BUCKET_ID_BYTES
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Scrape:
    """Looks the figures up for one worker, and shows them."""

    def __init__(self, page: SharedPage, layout: StoreLayout, meta: MetaReader) -> None:
        self._page = page
        self._layout = layout
        self._meta = meta
        self._log = logging.getLogger("fastobj.metrics")

    async def text(self) -> bytes:
        """The page of metrics; what cannot be looked up now is left out."""
        figures: Figures = {Metric.BUILD: [((__version__,), 1)]}
        try:
            figures.update(_files(self._layout))
            for look_up in _LOOK_UPS:
                figures.update(await look_up(self._meta))
                await asyncio.sleep(0)  # others get their turn
        except (FastobjError, OSError) as error:
            self._log.warning("some metrics cannot be had now: %s", error)
        figures.update(_processes(self._page))
        return self._page.metrics.render(figures)


# --- what is stored


async def _stored(meta: MetaReader) -> Figures:
    buckets = objects = size = 0
    async for rows in _pages(meta, keys.BUCKETS):
        buckets += len(rows)
    async for counters in _bucket_counters(meta, buckets):
        objects += sum(amounts[0] for _, amounts in counters)
        size += sum(amounts[1] for _, amounts in counters)
    return {
        Metric.BUCKETS: [((), buckets)],
        Metric.OBJECTS: [((), objects)],
        Metric.OBJECT_BYTES: [((), size)],
    }


async def _pages(meta: MetaReader, space: int) -> AsyncIterator[list[ScanRow]]:
    """All rows of a space; after each page it is the turn of others."""
    start = keys.FIRST
    while rows := await meta.scan(space, start, keys.LAST, LOOP_SCAN_ROWS_MAX):
        yield rows
        start = keys.next_key(rows[-1].key)
        await asyncio.sleep(0)


async def _bucket_counters(
    meta: MetaReader, buckets: int
) -> AsyncIterator[list[tuple[bytes, tuple[int, ...]]]]:
    """The counters of all buckets, in as many parts of the ids' range as give short pages."""
    parts = 1 + buckets // _BUCKETS_PER_TURN
    starts = [((part << _ID_BITS) // parts).to_bytes(8, "big") for part in range(parts)]
    for start, end in zip(starts, [*starts[1:], keys.LAST], strict=True):
        yield await meta.counters(keys.CURRENT, start, end)
        await asyncio.sleep(0)


# --- files


class _Kind(NamedTuple):
    """Segments of one kind and state."""

    files: int = 0
    size: int = 0
    live: int = 0


async def _segments(meta: MetaReader) -> Figures:
    found: defaultdict[tuple[str, str], _Kind] = defaultdict(_Kind)
    async for rows in _pages(meta, keys.SEGMENTS):
        end = keys.next_key(rows[-1].key)
        live = dict(await meta.counters(keys.SEGMENTS, rows[0].key, end))
        for row in rows:
            record = records.decode(records.SegmentRecord, row.value)
            labels = _KINDS[record.kind], _STATES[record.state]
            files, size, used = found[labels]
            used += live.get(row.key, (0,))[0]
            found[labels] = _Kind(files + 1, size + record.size, used)
    dead: defaultdict[str, int] = defaultdict(int)
    for (kind, state), total in found.items():
        if state == _STATES[SEGMENT_SEALED]:
            dead[kind] += total.size - total.live
    return {
        Metric.SEGMENTS: [(labels, total.files) for labels, total in found.items()],
        Metric.SEGMENT_BYTES: [(labels, total.size) for labels, total in found.items()],
        Metric.SEGMENT_LIVE_BYTES: [(labels, total.live) for labels, total in found.items()],
        Metric.SEGMENT_DEAD_BYTES: [((kind,), size) for kind, size in dead.items()],
    }


def _files(layout: StoreLayout) -> Figures:
    spares = Spares(layout.log, 0).list()
    system = os.statvfs(layout.root)
    return {
        Metric.LOG_SPARES: [((), len(spares))],
        Metric.LOG_SPARE_BYTES: [((), sum(spare.size for spare in spares))],
        Metric.FREE_BYTES: [((), system.f_bavail * system.f_frsize)],
        Metric.SIZE_BYTES: [((), system.f_blocks * system.f_frsize)],
    }


# --- scrub


async def _damaged(meta: MetaReader) -> Figures:
    damaged = 0
    async for rows in _pages(meta, keys.DAMAGED):
        damaged += len(rows)
    return {Metric.DAMAGED: [((), damaged)]}


async def _scrub_ended(meta: MetaReader) -> Figures:
    row = await meta.get(keys.JOBS, keys.JOB_SCRUB)
    ended_ns = 0 if row is None else records.decode(records.ScrubRecord, row[0]).ended_ns
    return {Metric.SCRUB_ENDED: [((), ended_ns / 1e9)]} if ended_ns else {}


# --- object lock


async def _trusted_time(meta: MetaReader) -> Figures:
    """Nothing where no bucket ever had a lock."""
    if await meta.get(keys.JOBS, keys.JOB_TRUSTED_TIME) is None:
        return {}
    moment = await trusted_time.look(meta, Reading(SystemClock().now_ns(), uptime()))
    is_frozen = moment.state in (State.AHEAD, State.UNKNOWN)
    return {
        Metric.TRUSTED_TIME_OFFSET: [((), moment.ahead_s)],
        Metric.RETENTION_FROZEN: [((), int(is_frozen))],
    }


# --- events


async def _events(meta: MetaReader) -> Figures:
    counter = keys.OUTBOX_COUNTER
    counted = await meta.counters(keys.OUTBOX, counter, keys.next_key(counter))
    figures: Figures = {Metric.EVENTS_WAITING: [((), counted[0][1][0] if counted else 0)]}
    await asyncio.sleep(0)
    oldest = await meta.scan(keys.OUTBOX, keys.FIRST, keys.LAST, 1)
    if oldest:
        at_ns = records.decode(records.EventRecord, oldest[0].value).at_ns
        figures[Metric.EVENTS_OLDEST] = [((), at_ns / 1e9)]
    return figures


# --- encryption


async def _to_rewrap(meta: MetaReader) -> Figures:
    """Keys of which rewrapping has seen a newer version, and has not come to its end."""
    present = await kms_keys.known(meta)
    if not present:
        return {}
    await asyncio.sleep(0)
    record = await kms_keys.progress(meta)
    targets = {} if record is None else record.targets
    left = sum(targets.get(key.id, 0) > key.record.version for key in present)
    return {Metric.REWRAP_LEFT: [((), left)]}


_LOOK_UPS: Final = (
    _stored,
    _segments,
    _damaged,
    _scrub_ended,
    _trusted_time,
    _events,
    _to_rewrap,
)


# --- processes


def _processes(page: SharedPage) -> Figures:
    figures: Figures = {}
    booted_s = _booted_s()
    for role, number, pid in page.processes():
        try:
            found = _process(Path(f"/proc/{pid}"), booted_s)
        except OSError:  # it has ended meanwhile
            continue
        for family, figure in found.items():
            figures.setdefault(family, []).append(((role, str(number)), figure))
    return figures


def _process(place: Path, booted_s: float) -> dict[Family, float]:
    """What the system says of one process: fields 14, 15, 22 and 24 of its `stat`."""
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    descriptors = place / "fd"
    return {
        Metric.PROCESS_CPU: (int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        Metric.PROCESS_MEMORY: int(fields[21]) * _PAGE_BYTES,
        # Since Linux 6.2 the size tells, which thousands of connections do not make slow.
        Metric.PROCESS_FDS: descriptors.stat().st_size or len(os.listdir(descriptors)),
        Metric.PROCESS_START: booted_s + int(fields[19]) / _TICKS_PER_S,
    }


def _booted_s() -> float:
    """When the machine started, in seconds since the Unix epoch."""
    lines = Path("/proc/stat").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))
