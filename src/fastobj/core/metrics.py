"""THE TABLE of metrics: one row each. Where the figures are kept is `core.metric_page`.

Knows nothing of what it counts. A label's values come from a fixed set: never a path, a bucket or
a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"
_NANO: Final = 1e-9


class Label(NamedTuple):
    """A label, and the name of the set that its values are from."""

    name: str
    values: str


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One row: all series of one name.

    Cells hold integers; `scale` turns them into base units (seconds, bytes). `bounds` are the
    upper bounds of a histogram's buckets, in the unit of the cells. What is `scraped` has no
    cells: it is looked up when somebody asks.
    """

    name: str
    kind: str
    help: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[int, ...] = ()
    scale: float = 1
    scraped: bool = False


_OPERATION: Final = Label("operation", "operation")
_CLASS: Final = Label("class", "class")
_PROCESS: Final = (Label("role", ""), Label("slot", ""))
_SEGMENT: Final = (Label("kind", ""), Label("state", ""))

_US: Final = 1_000
_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_REQUEST_BOUNDS: Final = (
    *(100 * _US, 300 * _US, _MS, 3 * _MS, 10 * _MS, 30 * _MS),
    *(100 * _MS, 300 * _MS, _S, 3 * _S, 10 * _S, 60 * _S),
)
_SYNC_BOUNDS: Final = (
    *(50 * _US, 100 * _US, 250 * _US, 500 * _US, _MS, 2_500 * _US, 5 * _MS),
    *(10 * _MS, 25 * _MS, 100 * _MS, 500 * _MS, 2 * _S),
)
_SIZE_BOUNDS: Final = (0, *(1 << bits for bits in (10, 12, 14, 16, 18, 20, 22, 24, 26, 30, 32)))
_BATCH_BOUNDS: Final = tuple(1 << bits for bits in range(11))


def _scraped(
    name: str, help: str, labels: tuple[Label, ...] = (), *, kind: str = GAUGE, scale: float = 1
) -> Family:
    return Family(name, kind, help, labels, scale=scale, scraped=True)


class Metric:
    """The rows, by the names that code uses; rows of one subject stand together."""

    # --- requests of S3; pages of our own (health, metrics, documents) are not counted
    S3_REQUESTS: Final = Family(
        "fastobj_s3_requests_total",
        COUNTER,
        'Requests answered; operation is "none" where no operation of S3 matched.',
        (_OPERATION, Label("status", "status")),
    )
    S3_DURATION: Final = Family(
        "fastobj_s3_request_duration_seconds",
        HISTOGRAM,
        "Time from the head of a request to the last byte of its answer.",
        (_OPERATION,),
        _REQUEST_BOUNDS,
        _NANO,
    )
    S3_REQUEST_SIZE: Final = Family(
        "fastobj_s3_request_size_bytes",
        HISTOGRAM,
        "Bytes of a request's body that arrived.",
        (_CLASS,),
        _SIZE_BOUNDS,
    )
    S3_RESPONSE_SIZE: Final = Family(
        "fastobj_s3_response_size_bytes",
        HISTOGRAM,
        "Bytes of an answer's body that were sent.",
        (_CLASS,),
        _SIZE_BOUNDS,
    )
    S3_CUT_SHORT: Final = Family(
        "fastobj_s3_requests_cut_short_total",
        COUNTER,
        "Requests whose client left before the last byte of the answer.",
        (_OPERATION,),
    )
    S3_IN_FLIGHT: Final = Family(
        "fastobj_s3_requests_in_flight", GAUGE, "Requests that are being answered now."
    )
    S3_REFUSED: Final = Family(
        "fastobj_s3_refused_total",
        COUNTER,
        "Requests turned away because too much was under way, by the limit that was met.",
        (Label("limit", "refused"),),
    )
    S3_BYTES_IN: Final = Family(
        "fastobj_s3_received_bytes_total", COUNTER, "Bytes of request bodies that arrived."
    )
    S3_BYTES_OUT: Final = Family(
        "fastobj_s3_sent_bytes_total", COUNTER, "Bytes of response bodies that were sent."
    )

    # --- what is stored
    BUCKETS: Final = _scraped("fastobj_buckets", "Buckets.")
    OBJECTS: Final = _scraped("fastobj_objects", "Objects in all buckets.")
    OBJECT_BYTES: Final = _scraped("fastobj_object_bytes", "Bytes of all objects.")

    # --- connections
    HTTP_CONNECTIONS: Final = Family(
        "fastobj_http_connections", GAUGE, "Connections that are open now."
    )
    HTTP_CUT: Final = Family(
        "fastobj_http_cut_total",
        COUNTER,
        "Connections cut off or turned away, by the limit that was met.",
        (Label("limit", "cut"),),
    )
    LOOP_STALLS: Final = Family(
        "fastobj_loop_stalls_total",
        COUNTER,
        "Times that the event loop of a worker kept a timer waiting for more than 5 ms.",
    )
    LOOP_STALL_NS: Final = Family(
        "fastobj_loop_stall_seconds_total",
        COUNTER,
        "Time for which such timers waited.",
        scale=_NANO,
    )
    ACCESS_LOG_LOST: Final = Family(
        "fastobj_access_log_lost_total",
        COUNTER,
        "Lines of the access log that could not be written.",
    )

    # --- commits
    COMMIT_BATCHES: Final = Family("fastobj_commit_batches_total", COUNTER, "Batches made durable.")
    COMMIT_TRANSACTIONS: Final = Family(
        "fastobj_commit_transactions_total", COUNTER, "Transactions committed."
    )
    COMMIT_CONFLICTS: Final = Family(
        "fastobj_commit_conflicts_total",
        COUNTER,
        "Transactions refused, because a row had changed since it was read.",
    )
    COMMIT_BATCH_SIZE: Final = Family(
        "fastobj_commit_batch_transactions",
        HISTOGRAM,
        "Transactions in a batch.",
        bounds=_BATCH_BOUNDS,
    )
    LOG_SYNCS: Final = Family(
        "fastobj_log_sync_seconds",
        HISTOGRAM,
        "Time to write and sync a block of the log.",
        bounds=_SYNC_BOUNDS,
        scale=_NANO,
    )
    LAST_SEQUENCE: Final = Family(
        "fastobj_log_last_sequence", GAUGE, "Sequence of the last block in the log."
    )
    COVERED_SEQUENCE: Final = Family(
        "fastobj_log_covered_sequence", GAUGE, "Sequence up to which a checkpoint covers the log."
    )
    CHECKPOINTS: Final = Family(
        "fastobj_checkpoints_total", COUNTER, "Checkpoints of the database that were complete."
    )
    CHECKPOINT_STALL_NS: Final = Family(
        "fastobj_checkpoint_stall_seconds_total",
        COUNTER,
        "Time for which commits waited on a checkpoint.",
        scale=_NANO,
    )

    # --- files
    CHECKSUM_MISMATCHES: Final = Family(
        "fastobj_checksum_mismatches_total",
        COUNTER,
        "Reads of stored bytes that did not verify.",
    )
    SEGMENTS: Final = _scraped("fastobj_segments", "Files that hold bodies.", _SEGMENT)
    SEGMENT_BYTES: Final = _scraped("fastobj_segment_bytes", "Sizes of these files.", _SEGMENT)
    SEGMENT_LIVE_BYTES: Final = _scraped(
        "fastobj_segment_live_bytes", "Bytes of bodies in them that an object refers to.", _SEGMENT
    )
    SEGMENT_DEAD_BYTES: Final = _scraped(
        "fastobj_segment_dead_bytes", "Bytes of sealed ones that nothing refers to.", _SEGMENT[:1]
    )
    COMPACTED_BODIES: Final = Family(
        "fastobj_compaction_moved_bodies_total",
        COUNTER,
        "Bodies moved out of sparse segments.",
    )
    COMPACTED_BYTES: Final = Family(
        "fastobj_compaction_moved_bytes_total", COUNTER, "Bytes of these bodies."
    )
    LOG_SPARES: Final = _scraped("fastobj_log_spares", "Spare segments of the log.")
    LOG_SPARE_BYTES: Final = _scraped("fastobj_log_spare_bytes", "Bytes of the spare segments.")
    FREE_BYTES: Final = _scraped(
        "fastobj_filesystem_free_bytes", "Bytes that the file system has left for this store."
    )
    SIZE_BYTES: Final = _scraped("fastobj_filesystem_size_bytes", "Size of the file system.")

    # --- scrub
    SCRUB_ROUNDS: Final = Family(
        "fastobj_scrub_rounds_total", COUNTER, "Rounds of the scrub that came to their end."
    )
    SCRUB_BODIES: Final = Family(
        "fastobj_scrub_bodies_total", COUNTER, "Stored bodies that the scrub has verified."
    )
    SCRUB_BYTES: Final = Family(
        "fastobj_scrub_bytes_total", COUNTER, "Bytes of bodies that the scrub has read."
    )
    SCRUB_DAMAGE: Final = Family(
        "fastobj_scrub_damage_total",
        COUNTER,
        "Damaged bodies and rows that the scrub has found, each counted once.",
    )
    DAMAGED: Final = _scraped(
        "fastobj_damaged",
        "Bodies and rows that are known to be damaged; the log and `fastobj check` name them.",
    )
    SCRUB_ENDED: Final = _scraped(
        "fastobj_scrub_ended_timestamp_seconds",
        "When the last whole round of the scrub ended, in seconds since the Unix epoch.",
    )

    # --- object lock
    TRUSTED_TIME_OFFSET: Final = _scraped(
        "fastobj_trusted_time_offset_seconds",
        "By how much the wall clock is ahead of the time that locked objects are kept by.",
    )
    RETENTION_FROZEN: Final = _scraped(
        "fastobj_retention_frozen",
        "1 while no retention ends, because the wall clock was set ahead: see docs/object-lock.md.",
    )

    # --- encryption
    KMS_CALLS: Final = Family(
        "fastobj_kms_calls_total", COUNTER, "Keys that the key service was asked to make or unwrap."
    )
    KMS_FAILURES: Final = Family(
        "fastobj_kms_failures_total", COUNTER, "Of these, the ones that it did not."
    )
    KMS_CALLS_NS: Final = Family(
        "fastobj_kms_call_seconds_total",
        COUNTER,
        "Time for which answers of the key service were waited for.",
        scale=_NANO,
    )
    REWRAPPED: Final = Family(
        "fastobj_kms_rewrapped_total",
        COUNTER,
        "Keys of objects that were wrapped anew, by the newest version of the key service's key.",
    )
    REWRAP_FAILURES: Final = Family(
        "fastobj_kms_rewrap_failures_total",
        COUNTER,
        "Keys of objects that could not be; `fastobj kms status` says more.",
    )
    REWRAP_LEFT: Final = _scraped(
        "fastobj_kms_keys_to_rewrap",
        "Keys of the key service with an older version that may still be needed.",
    )

    # --- lifecycle
    LIFECYCLE_RUNS: Final = Family(
        "fastobj_lifecycle_runs_total",
        COUNTER,
        "Times that the maintenance process found something due by lifecycle rules.",
    )
    LIFECYCLE_JUDGED: Final = Family(
        "fastobj_lifecycle_judged_total",
        COUNTER,
        "Objects, versions and uploads that were judged, because a rule might act on them.",
    )
    LIFECYCLE_OBJECTS: Final = Family(
        "fastobj_lifecycle_expired_objects_total", COUNTER, "Current objects that have expired."
    )
    LIFECYCLE_VERSIONS: Final = Family(
        "fastobj_lifecycle_expired_versions_total", COUNTER, "Noncurrent versions that have."
    )
    LIFECYCLE_MARKERS: Final = Family(
        "fastobj_lifecycle_expired_markers_total",
        COUNTER,
        "Delete markers that were taken away because nothing else was left of their keys.",
    )
    LIFECYCLE_UPLOADS: Final = Family(
        "fastobj_lifecycle_aborted_uploads_total", COUNTER, "Uploads that a rule has aborted."
    )
    LIFECYCLE_ERRORS: Final = Family(
        "fastobj_lifecycle_errors_total",
        COUNTER,
        "Judgements that failed, and are made again later; the log tells why.",
    )

    # --- events
    EVENTS_WRITTEN: Final = Family(
        "fastobj_events_written_total",
        COUNTER,
        "Events that were committed to the outbox with the changes that they tell of.",
    )
    EVENTS_DELIVERED: Final = Family(
        "fastobj_events_delivered_total",
        COUNTER,
        "Events that a target has taken; one that is told again counts again.",
    )
    EVENT_FAILURES: Final = Family(
        "fastobj_event_failures_total", COUNTER, "Tries of which the target did not take the event."
    )
    EVENTS_DROPPED: Final = Family(
        "fastobj_events_dropped_total",
        COUNTER,
        "Events that were dropped undelivered, because there were more than events-max.",
    )
    EVENTS_WAITING: Final = _scraped(
        "fastobj_events_waiting", "Events in the outbox: not delivered yet, or retained."
    )
    EVENTS_OLDEST: Final = _scraped(
        "fastobj_events_oldest_timestamp_seconds",
        "When the oldest of these happened, in seconds since the Unix epoch.",
    )

    # --- processes
    PROCESS_CPU: Final = _scraped(
        "fastobj_process_cpu_seconds_total",
        "Processor time of the process.",
        _PROCESS,
        kind=COUNTER,
    )
    PROCESS_MEMORY: Final = _scraped(
        "fastobj_process_resident_memory_bytes", "Resident memory, shared pages included.", _PROCESS
    )
    PROCESS_FDS: Final = _scraped(
        "fastobj_process_open_fds", "Open file descriptors of the process.", _PROCESS
    )
    PROCESS_START: Final = _scraped(
        "fastobj_process_start_time_seconds",
        "When the process started, in seconds since the Unix epoch.",
        _PROCESS,
    )
    PROCESS_RESTARTS: Final = Family(
        "fastobj_process_restarts_total", COUNTER, "Child processes started anew."
    )
    BUILD: Final = _scraped(
        "fastobj_build_info",
        "1, with the version as a label.",
        (Label("version", ""),),
    )


METRICS: Final = tuple(row for row in vars(Metric).values() if isinstance(row, Family))

_HEAD: Final = """# Metrics

`GET /metrics` answers in Prometheus' text format, on the S3 address and on the console address: to
this machine, and to others that send the `metrics-token` as a bearer token. All figures are sums
over the processes of a server. A series with labels appears once it is above zero. No label ever
holds a path, a bucket or a key.

This page is generated from the table in `src/fastobj/core/metrics.py`.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def metrics_document() -> str:
    """The text of docs/metrics.md."""
    return _HEAD + "".join(map(_document_row, METRICS))


def _document_row(family: Family) -> str:
    labels = ", ".join(f"`{label.name}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help} |\n"
