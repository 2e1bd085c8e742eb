"""The bytes of keys: the only place that makes or reads them.

Byte order of keys is the order in which S3 lists. A bucket's rows start with its random 64-bit
id, so that a bucket made again under the same name never meets the rows of the one before it.
"""

from __future__ import annotations

import struct
from typing import Final

# Spaces: which ordered map. The numbers are part of the format (docs/format.md).
BUCKETS: Final = 1  # bucket name -> BucketRecord
CURRENT: Final = 2  # bucket id + object key -> ObjectRecord, exactly what an unversioned GET finds
SEGMENTS: Final = 3  # segment id, big-endian -> SegmentRecord; its counter: live bytes, bodies
SHARED: Final = 4  # data id -> SharedRecord: bodies that more than one row names, or once did
UPLOADS: Final = 5  # bucket id + escaped object key + upload id -> UploadRecord
PARTS: Final = 6  # upload id + part number + four random bytes -> PartRecord
DUE: Final = 7  # the time index: due hour + what is due + its id -> a record of what that is
JOBS: Final = 8  # name of a job -> a record of how far it is
DAMAGED: Final = 9  # kind + data id, or kind + space + row key -> DamageRecord
# Bucket id + escaped object key + inverted order -> ObjectRecord: versions that are not current,
# and delete markers, the newest of a key first.
HISTORY: Final = 10
STAMPS: Final = 11  # bucket id + object key -> StampRecord, where there is or was versioning
CONFIGS: Final = 12  # bucket id + kind + chunk number -> ConfigRecord
# Order of commits + number within its transaction -> EventRecord; its counter: events.
OUTBOX: Final = 13
CURSORS: Final = 14  # id of a target of events -> CursorRecord
KMS_KEYS: Final = 15  # id of a key of the key service -> KmsKeyRecord

DUE_PARTS: Final = 1  # upload id -> PartsDue: bodies of parts to let go of
DUE_UPLOAD: Final = 2  # upload id -> UploadDue: an upload that expires
# Nanoseconds + bucket id + escaped object key + what of it -> VersionDue: rules may act on it then.
DUE_VERSION: Final = 3
DUE_RULES: Final = 4  # bucket id -> RulesDue: its rules have changed
AT_ONCE: Final = 0  # the due hour of what waits for nothing

JOB_SCRUB: Final = b"scrub"  # -> ScrubRecord
JOB_TRUSTED_TIME: Final = b"trusted-time"  # -> TrustedTimeRecord
JOB_REWRAP: Final = b"rewrap"  # -> RewrapRecord
DAMAGED_BODY: Final = 1  # data id
DAMAGED_ROW: Final = 2  # space (1 byte) + row key

BUCKET_ID_BYTES: Final = 8
OBJECT_KEY: Final = slice(BUCKET_ID_BYTES, None)  # of a row key, for who takes very many
UPLOAD_ID_BYTES: Final = 16
ORDER_BYTES: Final = 8
ORDER_MAX: Final = 2 ** (8 * ORDER_BYTES) - 1
PART_NUMBER_BYTES: Final = 2
PART_SUFFIX_BYTES: Final = PART_NUMBER_BYTES + 4  # what tells one part of an upload from another
_TIME_BYTES: Final = 8
_PUSHED: Final = b"\1"
_NS_PER_HOUR: Final = 3_600_000_000_000
COMMIT_ORDER: Final = struct.Struct(">QI")  # block of the log, place in it
OUTBOX_KEY_BYTES: Final = COMMIT_ORDER.size + 1
OUTBOX_COUNTER: Final = b"events"
FIRST: Final = b""
LAST: Final = b"\xff" * 2048  # above every key


def current(bucket_id: bytes, key: bytes) -> bytes:
    """The row of an object."""
    return bucket_id + key


def object_key(row_key: bytes) -> bytes:
    """The object key in a row key of `CURRENT`."""
    return row_key[OBJECT_KEY]


def stamp(bucket_id: bytes, key: bytes) -> bytes:
    """The row that orders the versions of an object key."""
    return bucket_id + key


def after(prefix: bytes) -> bytes:
    """The first key behind all keys that start with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return LAST
    return stripped[:-1] + bytes([stripped[-1] + 1])


def next_key(key: bytes) -> bytes:
    """The first key behind `key` itself."""
    return key + b"\0"


def segment(segment_id: int) -> bytes:
    """The row and the counter of a segment."""
    return segment_id.to_bytes(8, "big")


def segment_id(row_key: bytes) -> int:
    """The segment id in a row key of `SEGMENTS`."""
    return int.from_bytes(row_key, "big")


def bucket_counter(bucket_id: bytes) -> bytes:
    """The counter of a bucket in space `CURRENT`: objects, bytes; those in `HISTORY`."""
    return bucket_id


# --- what several rows of one object key have behind it: a key may be the beginning of another, so
# it ends in two zero bytes


def _escape(key: bytes) -> bytes:
    return key.replace(b"\0", b"\0\xff")


def history(bucket_id: bytes, key: bytes, order: int) -> bytes:
    """The row of a version that is not current: by object key, then the newest first."""
    return histories(bucket_id, key) + (ORDER_MAX - order).to_bytes(ORDER_BYTES, "big")


def histories(bucket_id: bytes, key: bytes) -> bytes:
    """What the rows in `HISTORY` of an object key begin with."""
    return bucket_id + _escape(key) + b"\0\0"


def history_under(bucket_id: bytes, prefix: bytes) -> bytes:
    """What the rows in `HISTORY` of all object keys begin with that begin with `prefix`."""
    return bucket_id + _escape(prefix)


def history_of(row_key: bytes) -> tuple[bytes, int]:
    """Object key and order in a row key of `HISTORY`."""
    escaped = row_key[BUCKET_ID_BYTES : -ORDER_BYTES - 2]
    inverted = int.from_bytes(row_key[-ORDER_BYTES:], "big")
    return escaped.replace(b"\0\xff", b"\0"), ORDER_MAX - inverted


def upload(bucket_id: bytes, key: bytes, upload_id: bytes) -> bytes:
    """The row of an upload: by object key, then by upload id."""
    return bucket_id + _escape(key) + b"\0\0" + upload_id


def uploads(bucket_id: bytes, prefix: bytes) -> bytes:
    """What the rows of all uploads begin with whose object keys begin with `prefix`."""
    return bucket_id + _escape(prefix)


def upload_of(row_key: bytes) -> tuple[bytes, bytes]:
    """Object key and upload id in a row key of `UPLOADS`."""
    escaped = row_key[BUCKET_ID_BYTES : -UPLOAD_ID_BYTES - 2]
    return escaped.replace(b"\0\xff", b"\0"), row_key[-UPLOAD_ID_BYTES:]


def part(upload_id: bytes, number: int, unique: bytes = b"") -> bytes:
    """The row of a part; without `unique` what all rows of that number begin with."""
    return upload_id + number.to_bytes(PART_NUMBER_BYTES, "big") + unique


def part_suffix(row_key: bytes) -> bytes:
    """What tells the part from others of its upload, in a row key of `PARTS`."""
    return row_key[UPLOAD_ID_BYTES:]


def part_number(row_key: bytes) -> int:
    """The part number in a row key of `PARTS`."""
    return int.from_bytes(row_key[UPLOAD_ID_BYTES:][:PART_NUMBER_BYTES], "big")


# --- the time index


def due(hour: int, kind: int = 0, of: bytes = b"") -> bytes:
    """The row of something that is due at that hour since the Unix epoch."""
    return hour.to_bytes(4, "big") + bytes([kind]) + of


def due_of(row_key: bytes) -> tuple[int, int, bytes]:
    """Hour, kind and id in a row key of `DUE`."""
    return int.from_bytes(row_key[:4], "big"), row_key[4], row_key[5:]


def due_version(at_ns: int, bucket_id: bytes, key: bytes, of: bytes = b"") -> bytes:
    """The row of what is due, at that time in nanoseconds, for an object key or something of it.

    `of` is nothing for whatever is the latest version then, what `of_version` or `of_pushed` makes,
    or an upload id.
    """
    named = at_ns.to_bytes(_TIME_BYTES, "big") + bucket_id + _escape(key) + b"\0\0" + of
    return due(at_ns // _NS_PER_HOUR, DUE_VERSION, named)


def due_version_end(at_ns: int) -> bytes:
    """The first key behind the rows of that hour which `due_version` makes up to that time."""
    return due(at_ns // _NS_PER_HOUR, DUE_VERSION, (at_ns + 1).to_bytes(_TIME_BYTES, "big"))


def due_time(row_key: bytes) -> bytes:
    """The time in a key that `due_version` made, in bytes that compare as times do."""
    return due_of(row_key)[2][:_TIME_BYTES]


def due_version_of(row_key: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Time, bucket id, object key and what of that, in a key that `due_version` made."""
    _, _, named = due_of(row_key)
    escaped, _, of = named[_TIME_BYTES + BUCKET_ID_BYTES :].partition(b"\0\0")
    bucket_id = named[_TIME_BYTES:][:BUCKET_ID_BYTES]
    key = escaped.replace(b"\0\xff", b"\0")
    return int.from_bytes(named[:_TIME_BYTES], "big"), bucket_id, key, of


def of_version(order: int) -> bytes:
    """The version of that order, as something of an object key."""
    return order.to_bytes(ORDER_BYTES, "big")


def of_pushed(order: int) -> bytes:
    """What the version of that order has pushed out of the newest, as something of a key."""
    return order.to_bytes(ORDER_BYTES, "big") + _PUSHED


def order_in(of: bytes) -> int:
    """The order in what `of_version` or `of_pushed` made."""
    return int.from_bytes(of[:ORDER_BYTES], "big")


def is_pushed(of: bytes) -> bool:
    """Whether `of_pushed` made it."""
    return len(of) == ORDER_BYTES + len(_PUSHED)


# --- configurations of buckets


def config(bucket_id: bytes, kind: int, chunk: int) -> bytes:
    """The row of a piece of a configuration; kind and chunk are one byte each."""
    return bucket_id + bytes([kind, chunk])


def config_of(row_key: bytes) -> tuple[bytes, int, int]:
    """Bucket id, kind and chunk number in a row key of `CONFIGS`."""
    return row_key[:BUCKET_ID_BYTES], row_key[BUCKET_ID_BYTES], row_key[BUCKET_ID_BYTES + 1]


# --- events


def outbox(number: int) -> bytes:
    """The row of the event of that number in its transaction, 0 to 255, before it has an order."""
    return bytes(COMMIT_ORDER.size) + bytes([number])


def in_order(row_key: bytes, block: int, place: int) -> bytes:
    """The row key of an event that is committed by that block of the log, at that place."""
    return COMMIT_ORDER.pack(block, place) + row_key[COMMIT_ORDER.size :]


# --- damage


def damaged_body(data_id: bytes) -> bytes:
    """The row that says that a body is damaged."""
    return bytes([DAMAGED_BODY]) + data_id


def damaged_row(space: int, row_key: bytes) -> bytes:
    """The row that says that a row is: what it names cannot be told."""
    return bytes([DAMAGED_ROW, space]) + row_key
