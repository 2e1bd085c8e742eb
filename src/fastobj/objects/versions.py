"""Versions of objects: what names one, and how one is found by it.

The current version stands in `CURRENT`, and no delete marker does; all else of a key stands in
`HISTORY`, the newest first. A version id holds the order of its version, and the stamp of a key
that of the null version: so each is found at once.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final, NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.ids import random_id
from fastobj.core.limits import CONFLICT_RETRIES_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import Token
from fastobj.meta.records import NEVER_VERSIONED, ObjectRecord, StampRecord
from fastobj.objects.buckets import Bucket
from fastobj.objects.store import Store

NULL: Final = b""
_NULL_TEXT: Final = "null"
_UNIQUE_BYTES: Final = 4  # behind the order: two stores, or one set back, make no id twice
_TEXT_CHARS: Final = 16

# Which version of a key is wanted: by its id, NULL, or None for the latest.
Wanted = bytes | None
RawRow = tuple[bytes, Token] | None


class KeyRows(NamedTuple):
    """What every change of a key checks, as it was read."""

    current: RawRow
    stamp: RawRow = None


class Version(NamedTuple):
    """A version of a key, or a delete marker, as it was read: its row, and what is in it."""

    space: int
    row_key: bytes
    value: bytes
    token: Token
    record: ObjectRecord


class DeleteMarkerFound(S3Error):
    """What was asked for is a delete marker: as the latest version, or by its own id."""

    def __init__(self, key: bytes, marker: ObjectRecord, is_latest: bool) -> None:
        code = codes.NO_SUCH_KEY if is_latest else codes.METHOD_NOT_ALLOWED
        super().__init__(code, extra=(("Key", key.decode(errors="replace")),))
        self.marker = marker
        self.is_latest = is_latest


# --- names


def new_id(order: int) -> bytes:
    """The id of a new version of that order."""
    return order.to_bytes(keys.ORDER_BYTES, "big") + random_id(_UNIQUE_BYTES)


def order_of(version: bytes) -> int:
    """The order that a version id holds; 0 for NULL."""
    return int.from_bytes(version[: keys.ORDER_BYTES], "big")


def id_text(version: bytes) -> str:
    """A version id as clients see it."""
    return urlsafe_b64encode(version).decode() if version else _NULL_TEXT


def parse_id(text: str) -> bytes:
    """The version id in a text. Raises InvalidArgument."""
    if text == _NULL_TEXT:
        return NULL
    if not text:
        raise _invalid(text, "Version id cannot be the empty string")
    try:
        version = urlsafe_b64decode(text.encode("ascii"))
    except ValueError:
        version = NULL
    if len(text) != _TEXT_CHARS or id_text(version) != text:
        raise _invalid(text, "Invalid version id specified")
    return version


def _invalid(text: str, message: str) -> S3Error:
    extra = [("ArgumentName", "versionId"), ("ArgumentValue", text)]
    return S3Error(codes.INVALID_ARGUMENT, message, extra=extra)


def missing(key: bytes, wanted: Wanted = None) -> S3Error:
    """NoSuchKey, or NoSuchVersion where one was named; names the key."""
    extra = [("Key", key.decode(errors="replace"))]
    if wanted is None:
        return S3Error(codes.NO_SUCH_KEY, extra=extra)
    return S3Error(codes.NO_SUCH_VERSION, extra=[*extra, ("VersionId", id_text(wanted))])


def check_never(bucket: Bucket, what: str) -> None:
    """Refuses what cannot be done where there is or was versioning. Raises InvalidRequest."""
    if bucket.record.versioning != NEVER_VERSIONED:
        message = f"{what} is not possible in a bucket that has or had versioning"
        raise S3Error(codes.INVALID_REQUEST, f"{message}; use one that never had it.")


# --- rows


def current_version(bucket: Bucket, key: bytes, row: RawRow) -> Version | None:
    """The current version from its row, as read or as a Conflict shows it."""
    if row is None:
        return None
    record = records.decode(ObjectRecord, row[0])
    return Version(keys.CURRENT, keys.current(bucket.record.id, key), *row, record)


def stamp_of(row: RawRow) -> StampRecord | None:
    """The stamp of a key from its row."""
    return None if row is None else records.decode(StampRecord, row[0])


async def in_history(store: Store, bucket: Bucket, key: bytes, order: int) -> Version | None:
    """The version, or delete marker, of that order."""
    row_key = keys.history(bucket.record.id, key, order)
    row = await store.meta.get(keys.HISTORY, row_key)
    if row is None:
        return None
    return Version(keys.HISTORY, row_key, *row, records.decode(ObjectRecord, row[0]))


async def newest_in_history(
    store: Store, bucket: Bucket, key: bytes, limit: int = 1
) -> Sequence[Version]:
    """The newest versions and delete markers that are not current, at most `limit`."""
    prefix = keys.histories(bucket.record.id, key)
    rows = await store.meta.scan(keys.HISTORY, prefix, keys.after(prefix), limit)
    return [Version(keys.HISTORY, *row, records.decode(ObjectRecord, row.value)) for row in rows]


async def among(
    store: Store,
    bucket: Bucket,
    key: bytes,
    wanted: bytes,
    current: Version | None,
    stamp: StampRecord | None,
) -> Version | None:
    """The version, or delete marker, with that id: `current`, or one in `HISTORY`."""
    if current is not None and current.record.version == wanted:
        return current
    order = order_of(wanted) if wanted else 0 if stamp is None else stamp.null
    found = await in_history(store, bucket, key, order) if order and stamp is not None else None
    return found if found is not None and found.record.version == wanted else None


# --- finding


async def find(store: Store, bucket: Bucket, key: bytes, wanted: Wanted = None) -> Version:
    """The version that is wanted; never a delete marker.

    Raises NoSuchKey, NoSuchVersion, DeleteMarkerFound, SlowDown.
    """
    if wanted is None:
        row = await store.meta.get(keys.CURRENT, keys.current(bucket.record.id, key))
        found = current_version(bucket, key, row)
        if found is None:
            raise await absent(store, bucket, key)
        return found
    found = await _find_named(store, bucket, key, wanted)
    if found is None:
        raise await not_found(store, bucket, key, wanted)
    if found.record.is_delete_marker:
        raise DeleteMarkerFound(key, found.record, is_latest=False)
    return found


async def current_object(store: Store, bucket: Bucket, key: bytes) -> ObjectRecord | None:
    """The current object, None where there is none."""
    row = await store.meta.get(keys.CURRENT, keys.current(bucket.record.id, key))
    return None if row is None else records.decode(ObjectRecord, row[0])


async def absent(store: Store, bucket: Bucket, key: bytes) -> S3Error:
    """What is said of a key that has no current version."""
    if bucket.record.versioning == NEVER_VERSIONED:
        return missing(key)
    newest = await newest_in_history(store, bucket, key)
    if newest and newest[0].record.is_delete_marker:
        return DeleteMarkerFound(key, newest[0].record, is_latest=True)
    return missing(key)


async def not_found(store: Store, bucket: Bucket, key: bytes, wanted: Wanted) -> S3Error:
    """What is said where there is no such version."""
    if wanted is None:
        return await absent(store, bucket, key)
    is_known = wanted == NULL and bucket.record.versioning == NEVER_VERSIONED
    return missing(key, None if is_known else wanted)


async def _find_named(store: Store, bucket: Bucket, key: bytes, wanted: bytes) -> Version | None:
    """The version, or delete marker, with that id."""
    for _ in range(CONFLICT_RETRIES_MAX):
        current, stamp = await read(store, bucket, key)
        present = current_version(bucket, key, current)
        found = await among(store, bucket, key, wanted, present, stamp_of(stamp))
        if found is not None or await is_settled(store, bucket, key, stamp):
            return found
    raise S3Error(codes.SLOW_DOWN)


async def read(store: Store, bucket: Bucket, key: bytes) -> KeyRows:
    """The rows that each change of a key checks: of the current version, and the stamp.

    There is no stamp in a bucket that never had versioning, and none is read there. It is read
    first: see `is_settled`.
    """
    row_key = keys.current(bucket.record.id, key)
    if bucket.record.versioning == NEVER_VERSIONED:
        return KeyRows(await store.meta.get(keys.CURRENT, row_key))
    pairs = [(keys.STAMPS, keys.stamp(bucket.record.id, key)), (keys.CURRENT, row_key)]
    stamp, current = await store.meta.get_many(pairs)
    return KeyRows(current, stamp)


async def is_settled(store: Store, bucket: Bucket, key: bytes, stamp: RawRow) -> bool:
    """Whether no version of the key has come, gone or moved since its stamp was read.

    Only then a version is not there that was found in neither of the places where it can be: it
    may have moved from one to the other between the two looks.
    """
    if bucket.record.versioning == NEVER_VERSIONED:
        return True
    present = await store.meta.get(keys.STAMPS, keys.stamp(bucket.record.id, key))
    return (present and present[1]) == (stamp and stamp[1])
