"""The bytes of keys: the only place that makes or reads them.

Byte order of keys is the order in which S3 lists. A bucket's rows start with its random 64-bit
id, so that a bucket made again under the same name never meets the rows of the one before it.
"""

from __future__ import annotations

from typing import Final

# Spaces: which ordered map. The numbers are part of the format (docs/format.md).
BUCKETS: Final = 1  # bucket name -> BucketRecord
CURRENT: Final = 2  # bucket id + object key -> ObjectRecord, exactly what an unversioned GET finds
SEGMENTS: Final = 3  # segment id, big-endian -> SegmentRecord; its counter: live bytes, bodies
SHARED: Final = 4  # data id -> SharedRecord: bodies that more than one row names, or once did

BUCKET_ID_BYTES: Final = 8
FIRST: Final = b""
LAST: Final = b"\xff" * 2048  # above every key


def current(bucket_id: bytes, key: bytes) -> bytes:
    """The row of an object."""
    return bucket_id + key


def object_key(row_key: bytes) -> bytes:
    """The object key in a row key of `CURRENT`."""
    return row_key[BUCKET_ID_BYTES:]


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
    """The counter of a bucket in space `CURRENT`: objects, bytes."""
    return bucket_id
