"""What a worker counts: requests, connections that were cut, bytes that do not verify, stalls.

All is counted where something happens anyway, into cells of the shared page that this process
alone writes. The one timer runs only while requests do.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable
from typing import Final, NamedTuple, Protocol

from fastobj.core import codes
from fastobj.core.clock import Clock
from fastobj.core.errors import ChecksumMismatch
from fastobj.core.metric_page import CellLayout, ProcessCells
from fastobj.core.metrics import Metric
from fastobj.core.op import Cost, Op
from fastobj.http.cut import Cut
from fastobj.s3 import admission
from fastobj.s3.context import Exchange
from fastobj.s3.operations import OPERATIONS
from fastobj.storage.base import BodyStream, Location
from fastobj.storage.local_volume import LocalVolume

STALL_NS_MIN: Final = 5_000_000
_TICK_NS: Final = 10_000_000

_NONE: Final = "none"
_OTHER: Final = "other"
_STATUSES: Final = sorted({code.status for code in codes.ALL} | {200, 204, 206})
_CLASSES: Final = tuple(cost.name.lower() for cost in Cost)
_COLUMNS: Final = {status: column for column, status in enumerate(_STATUSES)}
_OTHER_COLUMN: Final = len(_STATUSES)
_DURATIONS: Final = Metric.S3_DURATION.bounds
_SIZES: Final = Metric.S3_REQUEST_SIZE.bounds

# The values of each label, by the name of the set that the table of metrics gives.
LABEL_VALUES: Final = {
    "operation": (*(op.name for op in OPERATIONS), _NONE),
    "status": (*map(str, _STATUSES), _OTHER),
    "class": (*_CLASSES, _NONE),
    "cut": tuple(Cut),
    "refused": (admission.REQUESTS, admission.WHOLE_BODIES),
}


class AccessLog(Protocol):
    """Takes a line for each exchange that has ended."""

    def write(self, exchange: Exchange, elapsed_ns: int) -> None:
        """The exchange took that long."""
        ...


class _Places(NamedTuple):
    """The first cells of what an operation counts, looked up once."""

    statuses: int
    duration: int
    received: int
    sent: int

    @classmethod
    def of(cls, layout: CellLayout, op: Op | None) -> _Places:
        """Those of an operation, or of requests that are none."""
        name, kind = (op.name, op.cost.name.lower()) if op is not None else (_NONE, _NONE)
        return cls(
            layout.at(Metric.S3_REQUESTS, name, str(_STATUSES[0])),
            layout.at(Metric.S3_DURATION, name),
            layout.at(Metric.S3_REQUEST_SIZE, kind),
            layout.at(Metric.S3_RESPONSE_SIZE, kind),
        )


class RequestCounter:
    """Counts exchanges (an s3.context.Observer), and hands them on to the access log if any."""

    def __init__(
        self,
        process: ProcessCells,
        stalls: LoopStalls,
        clock: Clock,
        access_log: AccessLog | None = None,
    ) -> None:
        self._process = process
        self._cells = process.cells
        self._stalls = stalls
        self._clock = clock
        self._access_log = access_log
        self._in_flight = process.layout.at(Metric.S3_IN_FLIGHT)
        self._bytes_in = process.layout.at(Metric.S3_BYTES_IN)
        self._bytes_out = process.layout.at(Metric.S3_BYTES_OUT)
        self._places: dict[str, _Places] = {}

    def begun(self, exchange: Exchange) -> None:
        """One more is in flight."""
        self._cells[self._in_flight] += 1
        if not self._stalls.watching:
            self._stalls.watch()

    def refused(self, limit: str) -> None:
        """An admission limit of that name has turned a request away."""
        self._process.add(Metric.S3_REFUSED, 1, limit)

    def ended(self, exchange: Exchange) -> None:
        """Counts what became of it."""
        elapsed_ns = self._clock.monotonic_ns() - exchange.begun_ns
        op, cells = exchange.op, self._cells
        places = self._places.get(_NONE if op is None else op.name) or self._look_up(op)
        received, sent = exchange.request.body.received, exchange.sent_bytes
        cells[places.statuses + _COLUMNS.get(exchange.status, _OTHER_COLUMN)] += 1
        _observe(cells, places.duration, _DURATIONS, elapsed_ns)
        if received:
            _observe(cells, places.received, _SIZES, received)
            cells[self._bytes_in] += received
        else:  # as most are: the first bucket, and nothing for the sums
            cells[places.received] += 1
        if sent:
            _observe(cells, places.sent, _SIZES, sent)
            cells[self._bytes_out] += sent
        else:
            cells[places.sent] += 1
        if not exchange.complete:
            self._process.add(Metric.S3_CUT_SHORT, 1, _NONE if op is None else op.name)
        if self._access_log is not None:
            self._access_log.write(exchange, elapsed_ns)
        cells[self._in_flight] -= 1  # last: where none is in flight, all are counted

    def cut(self, limit: Cut) -> None:
        """A connection has been cut off or turned away."""
        self._process.add(Metric.HTTP_CUT, 1, limit)

    def mismatch(self) -> None:
        """Stored bytes did not verify."""
        self._process.add(Metric.CHECKSUM_MISMATCHES, 1)

    def _look_up(self, op: Op | None) -> _Places:
        places = _Places.of(self._process.layout, op)
        self._places[_NONE if op is None else op.name] = places
        return places


def _observe(cells: memoryview, at: int, bounds: tuple[int, ...], value: int) -> None:
    """ProcessCells.observe without its look-up."""
    cells[at + bisect_left(bounds, value)] += 1
    cells[at + len(bounds) + 1] += value


class LoopStalls:
    """Counts turns of the event loop that took long, for as long as requests are in flight.

    A timer of 10 ms tells: where it is served more than 5 ms late, a turn has kept it waiting. It
    ends with the last request, so an idle process has none.
    """

    def __init__(
        self, process: ProcessCells, loop: asyncio.AbstractEventLoop, clock: Clock
    ) -> None:
        self.watching = False
        self._process = process
        self._loop = loop
        self._clock = clock
        self._in_flight = process.layout.at(Metric.S3_IN_FLIGHT)
        self._due_ns = 0

    def watch(self) -> None:
        """Requests are in flight."""
        self.watching = True
        self._due_ns = self._clock.monotonic_ns() + _TICK_NS
        self._loop.call_later(_TICK_NS / 1e9, self._tick)

    def _tick(self) -> None:
        late_ns = self._clock.monotonic_ns() - self._due_ns
        if late_ns > STALL_NS_MIN:
            self._process.add(Metric.LOOP_STALLS, 1)
            self._process.add(Metric.LOOP_STALL_NS, late_ns)
        if self._process.cells[self._in_flight]:
            self.watch()
        else:
            self.watching = False


class CountingVolume(LocalVolume):
    """The local volume; `mismatch` is called when bytes do not verify."""

    mismatch: Callable[[], None]

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        try:
            return await super().read(location, data_id, offset, length)
        except ChecksumMismatch:
            self.mismatch()
            raise

    def stream(self, location: Location, data_id: bytes, offset: int, length: int) -> BodyStream:
        """Verified bytes in slices; see LocalVolume."""
        slices = super().stream(location, data_id, offset, length)
        return _CountingStream(slices, self.mismatch)


class _CountingStream:
    """Passes slices on, and tells of one that does not verify."""

    def __init__(self, slices: BodyStream, mismatch: Callable[[], None]) -> None:
        self._slices = slices
        self._mismatch = mismatch
        self.aclose = slices.aclose

    def __aiter__(self) -> AsyncIterator[memoryview]:
        return self

    async def __anext__(self) -> memoryview:
        try:
            return await self._slices.__anext__()
        except ChecksumMismatch:
            self._mismatch()
            raise
