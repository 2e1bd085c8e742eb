"""The metrics: one row each, counted in cells that processes share, shown as Prometheus text.

Knows nothing of what it counts. A metric is never labelled by bucket or key.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum, unique
from typing import Final, NamedTuple

_NANO: Final = 1e-9


@unique
class Metric(IntEnum):
    """The index of each metric's cell in the row of a process."""

    HTTP_REQUESTS_2XX = 0
    HTTP_REQUESTS_3XX = 1
    HTTP_REQUESTS_4XX = 2
    HTTP_REQUESTS_5XX = 3
    HTTP_BYTES_IN = 4
    HTTP_BYTES_OUT = 5
    HTTP_CONNECTIONS = 6
    COMMIT_BATCHES = 7
    COMMIT_TRANSACTIONS = 8
    COMMIT_CONFLICTS = 9
    LOG_SYNCS = 10
    LOG_SYNC_NS = 11
    LAST_SEQUENCE = 12
    COVERED_SEQUENCE = 13
    CHECKPOINTS = 14
    CHECKPOINT_STALL_NS = 15
    CHECKSUM_MISMATCHES = 16
    PROCESS_RESTARTS = 17


class Row(NamedTuple):
    """How a metric is shown. `scale` turns cells into base units (seconds, bytes)."""

    metric: Metric
    name: str
    help: str
    labels: str = ""
    counter: bool = True
    scale: float = 1


_REQUESTS: Final = ("fastobj_http_requests_total", "Requests answered, by class of status.")

# One row for each cell; rows of one name stand together.
METRICS: Final = (
    Row(Metric.HTTP_REQUESTS_2XX, *_REQUESTS, '{class="2xx"}'),
    Row(Metric.HTTP_REQUESTS_3XX, *_REQUESTS, '{class="3xx"}'),
    Row(Metric.HTTP_REQUESTS_4XX, *_REQUESTS, '{class="4xx"}'),
    Row(Metric.HTTP_REQUESTS_5XX, *_REQUESTS, '{class="5xx"}'),
    Row(
        Metric.HTTP_BYTES_IN,
        "fastobj_http_received_bytes_total",
        "Bytes of the bodies of requests that succeeded.",
    ),
    Row(Metric.HTTP_BYTES_OUT, "fastobj_http_sent_bytes_total", "Bytes of response bodies."),
    Row(
        Metric.HTTP_CONNECTIONS,
        "fastobj_http_connections",
        "Connections that are open now.",
        counter=False,
    ),
    Row(Metric.COMMIT_BATCHES, "fastobj_commit_batches_total", "Batches made durable."),
    Row(Metric.COMMIT_TRANSACTIONS, "fastobj_commit_transactions_total", "Transactions committed."),
    Row(
        Metric.COMMIT_CONFLICTS,
        "fastobj_commit_conflicts_total",
        "Transactions refused, because a row had changed since it was read.",
    ),
    Row(Metric.LOG_SYNCS, "fastobj_log_syncs_total", "Blocks of the log written and synced."),
    Row(
        Metric.LOG_SYNC_NS,
        "fastobj_log_sync_seconds_total",
        "Time spent in writing and syncing blocks of the log.",
        scale=_NANO,
    ),
    Row(
        Metric.LAST_SEQUENCE,
        "fastobj_log_last_sequence",
        "Sequence of the last block in the log.",
        counter=False,
    ),
    Row(
        Metric.COVERED_SEQUENCE,
        "fastobj_log_covered_sequence",
        "Sequence up to which a checkpoint covers the log.",
        counter=False,
    ),
    Row(
        Metric.CHECKPOINTS,
        "fastobj_checkpoints_total",
        "Checkpoints of the database that were complete.",
    ),
    Row(
        Metric.CHECKPOINT_STALL_NS,
        "fastobj_checkpoint_stall_seconds_total",
        "Time for which commits waited on a checkpoint.",
        scale=_NANO,
    ),
    Row(
        Metric.CHECKSUM_MISMATCHES,
        "fastobj_checksum_mismatches_total",
        "Reads of stored bytes that did not verify.",
    ),
    Row(Metric.PROCESS_RESTARTS, "fastobj_process_restarts_total", "Child processes started anew."),
)


class MetricsPage:
    """One row of 64-bit cells for each process slot; a cell has one writer, so nothing is locked.

    `cells` is a memoryview of format "Q", best of shared memory, with at least `len(METRICS)`
    cells for each of `rows` slots.
    """

    __slots__ = ("_cells", "_stride")

    def __init__(self, cells: memoryview, rows: int) -> None:
        self._stride = len(cells) // rows
        if self._stride < len(METRICS):
            raise ValueError(f"{len(cells)} cells are too few for {rows} rows")
        self._cells = cells

    def add(self, slot: int, metric: Metric, amount: int) -> None:
        """Adds to the cell of the process in that slot, which alone may call this."""
        self._cells[slot * self._stride + metric] += amount

    def set(self, slot: int, metric: Metric, value: int) -> None:
        """Sets the cell of the process in that slot, which alone may call this."""
        self._cells[slot * self._stride + metric] = value

    def forget(self, slot: int) -> None:
        """Zeroes the gauges of a slot whose process has ended; its counters stay."""
        for row in METRICS:
            if not row.counter:
                self.set(slot, row.metric, 0)

    def total(self, metric: Metric) -> int:
        """The sum over all processes."""
        return sum(self._cells[metric :: self._stride])

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return "".join(self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        shown = ""
        for row in METRICS:
            if row.name != shown:
                shown = row.name
                kind = "counter" if row.counter else "gauge"
                yield f"# HELP {row.name} {row.help}\n# TYPE {row.name} {kind}\n"
            total = self.total(row.metric)
            value = str(total) if row.scale == 1 else f"{total * row.scale:.9f}"
            yield f"{row.name}{row.labels} {value}\n"
