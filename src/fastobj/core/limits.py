"""Every number that bounds something, with its unit in its name."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

# --- transactions (DESIGN.md section 5): small enough for every engine that is planned
TXN_ROWS_MAX: Final = 32
TXN_BYTES_MAX: Final = 256 * KIB
VALUE_BYTES_MAX: Final = 64 * KIB
COUNTER_AMOUNTS_MAX: Final = 4  # integers in one counter row

# --- the log and its blocks
BLOCK_ALIGN_BYTES: Final = 4 * KIB  # no write ever touches a page that holds acknowledged bytes
BLOCK_BYTES_MAX: Final = 4 * MIB
BLOCK_VECTORS_MAX: Final = 1024
LOG_SEGMENT_BYTES_MIN: Final = 4 * MIB + 64 * KIB  # one block of the largest size always fits
LOG_SEGMENT_BYTES_MAX: Final = 64 * MIB

# --- checkpoints of the metadata database
WAL_BYTES_MAX: Final = 64 * MIB
WAL_BYTES_PASSIVE: Final = WAL_BYTES_MAX // 4
WAL_BYTES_RETRY: Final = WAL_BYTES_MAX // 16  # growth before a RESTART that met readers is retried
WAL_RESTART_WAIT_MS_MAX: Final = 20  # how long a RESTART waits for readers

# --- the SQLite engine
SQLITE_READER_CACHE_BYTES: Final = 4 * MIB
SQLITE_WRITER_CACHE_BYTES: Final = 16 * MIB
SQLITE_CHUNK_BYTES: Final = MIB  # by which the database's file grows
SQLITE_BUSY_MS_MAX: Final = 5000  # wait for a lock that another connection holds
TOKENS_KEPT_MAX: Final = 4096  # rows of the bucket space whose tokens the writer keeps in memory

# --- bodies
SMALL_BODY_BYTES_MAX: Final = 64 * KIB  # up to here a body travels in the commit frame
PIECE_BYTES: Final = MIB  # payload of one piece of a large body
PIECE_HEAD_BYTES: Final = 4 * KIB
PIECE_CODING_BYTES: Final = 16 * KIB  # room for the framing among a piece's payload in aws-chunked
PIECE_FRAME_BYTES: Final = 64 * KIB  # unit of checksum inside a piece
FRAME_TAG_BYTES: Final = 16  # of each frame of an encrypted body
FRAMES_OPENED_AT_ONCE_MAX: Final = 4  # by one read: what it holds beside its piece
OWN_FILE_BYTES_MIN: Final = 64 * MIB  # from here a body has a file of its own
EXTENT_FILE_BYTES_MIN: Final = 8 * MIB
EXTENT_FILE_BYTES_MAX: Final = 64 * MIB  # each process holds one open
OBJECT_BYTES_MAX: Final = 5 * GIB  # one PUT
# The same, encrypted: a tag for each frame.
STORED_BYTES_MAX: Final = OBJECT_BYTES_MAX + FRAME_TAG_BYTES * (
    -(-OBJECT_BYTES_MAX // (PIECE_FRAME_BYTES - FRAME_TAG_BYTES))
)
PIECES_IN_FLIGHT_MAX: Final = 3
MAINTENANCE_BODY_BYTES_MAX: Final = 8 * MIB  # memory for bodies that maintenance reads or writes
BODY_MEMORY_WAIT_S_MAX: Final = 10.0  # for a buffer, while slower bodies hold all of them

# Of the disk, left by all that brings bodies: two of the smallest segments fit.
RESERVE_BYTES_MIN: Final = 2 * LOG_SEGMENT_BYTES_MIN
RESERVE_BYTES_MAX: Final = 128 * MIB
COMPACTION_BYTES_MIN: Final = 16 * MIB  # what a round gives back, unless the disk is short

# --- S3 names and requests
KEY_BYTES_MAX: Final = 1024
USER_METADATA_BYTES_MAX: Final = 2 * KIB
LIST_KEYS_MAX: Final = 1000
DELETE_KEYS_MAX: Final = 1000
XML_BODY_BYTES_MAX: Final = 2 * MIB
XML_ELEMENTS_MAX: Final = 100_000
XML_DEPTH_MAX: Final = 16
CLOCK_SKEW_S_MAX: Final = 15 * 60
PRESIGN_EXPIRES_S_MAX: Final = 7 * 24 * 3600
UNSIGNED_BODY_BYTES_MAX: Final = 16 * MIB  # read to know its hash where no header says it
SIGNING_KEYS_CACHED_MAX: Final = 1024
PART_NUMBER_MAX: Final = 10_000
PART_BYTES_MIN: Final = 5 * MIB  # of all parts but the last
PART_COPIES_MAX: Final = 8  # under way at once in a process; each holds a piece of its source
UPLOADED_OBJECT_BYTES_MAX: Final = 5 * 1024 * GIB
LIST_PARTS_MAX: Final = 1000
LIST_UPLOADS_MAX: Final = 1000
UPLOAD_EXPIRY_DAYS: Final = 7
PARTS_GRACE_S: Final = 60  # parts outlive the last object that names them: for who reads it
ACL_GRANTS_MAX: Final = 100
CORS_RULES_MAX: Final = 100
LIFECYCLE_RULES_MAX: Final = 1000
LIFECYCLE_DAY_S: Final = 24 * 3600
NOTIFICATIONS_MAX: Final = 100
RULE_ID_CHARS_MAX: Final = 255
SHOWN_CHARS_MAX: Final = 100  # of a value that makes no sense, in an error
CONFIG_ROW_BYTES_MAX: Final = 60 * KIB  # of a configuration; larger ones have more rows
CONFIG_ROWS_MAX: Final = 3
CONFIGS_KEPT_BYTES_MAX: Final = 8 * MIB  # decoded, of each worker
BUCKET_TAGS_MAX: Final = 50
OBJECT_TAGS_MAX: Final = 10
TAG_KEY_UNITS_MAX: Final = 128  # units of UTF-16, as S3 counts
TAG_VALUE_UNITS_MAX: Final = 256
FORM_BYTES_MAX: Final = 20 * KIB  # of a form, before its file; as much again behind it

# --- HTTP
HEAD_BYTES_MAX: Final = 32 * KIB
HEADERS_MAX: Final = 128
TARGET_BYTES_MAX: Final = 16 * KIB
CONNECTIONS_MAX: Final = 16_000  # of each worker
DESCRIPTORS_RESERVED: Final = 320  # of each worker, for all but connections and their requests
REQUESTS_MAX: Final = 1024  # under way at once in each worker
DRAIN_BYTES_MAX: Final = 256 * KIB  # an unread body up to here is read away to keep the connection

# --- reads on the event loop
LOOP_SCAN_ROWS_MAX: Final = 101  # a page of 100, and the row that tells of more
BUCKETS_CACHED_MAX: Final = 1024
MANIFESTS_KEPT_BYTES_MAX: Final = 4 * MIB  # of each worker: six of the largest

# --- the committer
COMMIT_QUEUE_MAX: Final = 4096
IDLE_S: Final = 5.0  # after this long without work a process gives back what only work needs
COMMITTER_WAIT_S_MAX: Final = 10.0
EPOCH_SLOTS: Final = 4096
CONFLICT_RETRIES_MAX: Final = 200

# --- the scrub
SCRUB_INTERVAL_S: Final = 7 * 24 * 3600  # from the beginning of a round to that of the next
SCRUB_BYTES_S: Final = 8 * MIB

# --- events
EVENTS_MAX: Final = 1_000_000  # in the outbox: some 0.4 GiB of rows
EVENTS_AT_ONCE_MAX: Final = 8  # on their way to one target
EVENT_PAUSE_S_MIN: Final = 0.2  # after a first failure, about
EVENT_PAUSE_S_MAX: Final = 60.0
WEBHOOK_CONNECTIONS_MAX: Final = EVENTS_AT_ONCE_MAX
WEBHOOK_CONNECT_S_MAX: Final = 5.0
WEBHOOK_S_MAX: Final = 30.0  # for one message, answer included
WEBHOOK_ANSWER_BYTES_MAX: Final = 16 * KIB  # what is read of an answer

# --- slow operations: what their clients are sent meanwhile
SLOW_HEAD_S: Final = 5.0  # after this long without a result the head leaves, with status 200
SLOW_SPACE_S: Final = 5.0  # between two spaces behind it

# --- HTTP connections: buffers and time-outs
HTTP_RECEIVE_BYTES: Final = 128 * KIB  # one read, and what a connection keeps before it pauses
HTTP_JOIN_BYTES_MAX: Final = 16 * KIB  # head and body up to here are joined: cheaper than a vector
HTTP_HEAD_S_MAX: Final = 30.0  # from the first byte of a head to its last
HTTP_IDLE_S_MAX: Final = 60.0
HTTP_BODY_STALL_S_MAX: Final = 30.0
HTTP_BODY_BYTES_S_MIN: Final = KIB  # a body that trickles more slowly counts as stalled
HTTP_WRITE_STALL_S_MAX: Final = 60.0
HTTP_LINGER_S_MAX: Final = 5.0  # reading away after a last answer, so that the client sees it
HTTP_LINGER_BYTES_MAX: Final = 16 * MIB
HTTP_REFUSALS_MAX: Final = 64  # connections beyond the most that are told so, at once

# --- key services
KMS_KEEP_S: Final = 300
KMS_CHECK_S: Final = 300
REWRAP_ROWS_S: Final = 4096  # rows that are read; one that is rewritten counts for several
REWRAP_ROW_COST: Final = 8
REWRAP_BATCH_ROWS: Final = 100
