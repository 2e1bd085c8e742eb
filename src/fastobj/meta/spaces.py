"""What stands in each space: the record of its rows, and which bytes can be a key of it.

For whoever looks at all rows, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fastobj.core.errors import StoreDamaged
from fastobj.core.limits import KEY_BYTES_MAX
from fastobj.meta import keys, records

_DATA_ID_BYTES: Final = 16
_SEGMENT_ID_BYTES: Final = 8
_DUE_HEAD_BYTES: Final = 5


class Space(NamedTuple):
    """A space: what its rows are called, the record of one, and whether bytes are a key of it."""

    name: str
    record: Callable[[bytes], type[Any]]
    has: Callable[[bytes], bool]


def _is_text(key: bytes) -> bool:
    try:
        return bool(key.decode())
    except UnicodeDecodeError:
        return False


def _is_current(key: bytes) -> bool:
    name = keys.object_key(key)
    return len(name) <= KEY_BYTES_MAX and _is_text(name)


def _is_history(key: bytes) -> bool:
    name, order = keys.history_of(key)
    bucket_id = key[: keys.BUCKET_ID_BYTES]
    is_name = len(name) <= KEY_BYTES_MAX and _is_text(name)
    return is_name and keys.history(bucket_id, name, order) == key


def _is_upload(key: bytes) -> bool:
    name, upload_id = keys.upload_of(key)
    return keys.upload(key[: keys.BUCKET_ID_BYTES], name, upload_id) == key and _is_text(name)


def _is_due(key: bytes) -> bool:
    if len(key) < _DUE_HEAD_BYTES:
        return False
    _, kind, of = keys.due_of(key)
    if kind == keys.DUE_VERSION:
        return _is_due_version(key)
    length = keys.BUCKET_ID_BYTES if kind == keys.DUE_RULES else keys.UPLOAD_ID_BYTES
    return kind in _DUE_RECORDS and len(of) == length


def _is_due_version(key: bytes) -> bool:
    at_ns, bucket_id, name, of = keys.due_version_of(key)
    is_name = len(name) <= KEY_BYTES_MAX and _is_text(name)
    is_whole = keys.due_version(at_ns, bucket_id, name, of) == key
    is_of = len(of) in (0, keys.ORDER_BYTES, keys.UPLOAD_ID_BYTES) or keys.is_pushed(of)
    return is_name and is_of and is_whole


def _is_damage(key: bytes) -> bool:
    if key[:1] == bytes([keys.DAMAGED_BODY]):
        return len(key) == 1 + _DATA_ID_BYTES
    return key[:1] == bytes([keys.DAMAGED_ROW]) and len(key) > 1


def _of_length(length: int) -> Callable[[bytes], bool]:
    return lambda key: len(key) == length


def _always(record: type[Any]) -> Callable[[bytes], type[Any]]:
    return lambda key: record


_DUE_RECORDS: Final[dict[int, type[Any]]] = {
    keys.DUE_PARTS: records.PartsDue,
    keys.DUE_UPLOAD: records.UploadDue,
    keys.DUE_VERSION: records.VersionDue,
    keys.DUE_RULES: records.RulesDue,
}
_JOB_RECORDS: Final[dict[bytes, type[Any]]] = {
    keys.JOB_SCRUB: records.ScrubRecord,
    keys.JOB_TRUSTED_TIME: records.TrustedTimeRecord,
    keys.JOB_REWRAP: records.RewrapRecord,
}
SPACES: Final = {
    keys.BUCKETS: Space("bucket", _always(records.BucketRecord), _is_text),
    keys.CURRENT: Space("object", _always(records.ObjectRecord), _is_current),
    keys.SEGMENTS: Space("segment", _always(records.SegmentRecord), _of_length(_SEGMENT_ID_BYTES)),
    keys.SHARED: Space("shared body", _always(records.SharedRecord), _of_length(_DATA_ID_BYTES)),
    keys.UPLOADS: Space("upload", _always(records.UploadRecord), _is_upload),
    keys.PARTS: Space(
        "part",
        _always(records.PartRecord),
        _of_length(keys.UPLOAD_ID_BYTES + keys.PART_SUFFIX_BYTES),
    ),
    keys.DUE: Space("due", lambda key: _DUE_RECORDS[keys.due_of(key)[1]], _is_due),
    keys.JOBS: Space("job", _JOB_RECORDS.__getitem__, _JOB_RECORDS.__contains__),
    keys.DAMAGED: Space("damage", _always(records.DamageRecord), _is_damage),
    keys.HISTORY: Space("version", _always(records.ObjectRecord), _is_history),
    keys.STAMPS: Space("stamp", _always(records.StampRecord), _is_current),
    keys.CONFIGS: Space(
        "configuration", _always(records.ConfigRecord), _of_length(keys.BUCKET_ID_BYTES + 2)
    ),
    keys.OUTBOX: Space("event", _always(records.EventRecord), _of_length(keys.OUTBOX_KEY_BYTES)),
    keys.CURSORS: Space("cursor", _always(records.CursorRecord), _is_text),
    keys.KMS_KEYS: Space("key of the key service", _always(records.KmsKeyRecord), _is_text),
}


def decode(space: int, key: bytes, value: bytes) -> Any:
    """The record of a row of any space. Raises StoreDamaged, UnknownFormat."""
    found = SPACES[space]
    if not found.has(key):
        raise StoreDamaged(f"{key.hex()} is no key that a row of this kind can have")
    return records.decode(found.record(key), value)
