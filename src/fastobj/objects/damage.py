"""Damage in words for operators, and the rows that remember it."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from fastobj.core.errors import StoreError
from fastobj.core.log import escaped_json
from fastobj.meta import keys, records, spaces, walk
from fastobj.meta.base import MetaReader, Row
from fastobj.meta.records import BucketRecord, DamageRecord
from fastobj.objects import uploads
from fastobj.objects.verify import Fault
from fastobj.storage.base import NO_LOCATION, Location
from fastobj.storage.segment_files import segment_path

REASON_CHARS_MAX: Final = 1000  # of what a row remembers
_CURES: Final = {
    keys.CURRENT: "restore the object from a backup, or delete it",
    keys.HISTORY: "restore the version from a backup, or delete it by its id",
    keys.PARTS: "upload the part again, or abort the upload; an object that has it is named too",
    keys.SHARED: "restore the objects that share it: each is named too",
}
_OF_BUCKETS: Final = (keys.BUCKETS, keys.CONFIGS)
_CURE_OF_A_ROW: Final = (
    "nothing touches the row: stop the server and restore the whole store from a backup"
)


class Words(NamedTuple):
    """Damage for people. `bucket` and `key` are texts, "" where nothing tells them.

    `place` is a path below the store's directory and an offset in bytes, or "".
    """

    subject: str
    bucket: str
    key: str
    place: str
    reason: str
    cure: str

    def line(self) -> str:
        """One line: what, where, why, and what to do."""
        where = f" at {self.place}" if self.place else ""
        return f"{self.subject}{where} is damaged: {self.reason}. Cure: {self.cure}"


def quoted(text: str) -> str:
    """A text in quotes, with all that could break a line or steer a terminal escaped."""
    return escaped_json(json.dumps(text, ensure_ascii=False).encode()).decode()


def key_text(key: bytes) -> str:
    """An object's key as text; bytes that are no UTF-8 are escaped."""
    return key.decode(errors="backslashreplace")


def place_text(location: bytes) -> str:
    """Where a body stands: file and offset; "" where that cannot be told."""
    try:
        place = Location.decode(location)
    except StoreError:
        return ""
    if location == NO_LOCATION:
        return ""
    return f"{segment_path('', place.segment)[1:]}, offset {place.offset}"


async def words(meta: MetaReader, fault: Fault) -> Words:
    """What is damaged, named as people know it. Raises StoreError."""
    bucket, key = await _names(meta, fault.space, fault.key)
    subject = _subject(fault, bucket, key)
    is_row = not fault.data_id and not fault.location
    cure = _CURE_OF_A_ROW if is_row else _CURES.get(fault.space, _CURE_OF_A_ROW)
    return Words(subject, bucket, key, place_text(fault.location), fault.reason, cure)


def _subject(fault: Fault, bucket: str, key: str) -> str:
    kind = spaces.SPACES[fault.space].name
    name = quoted(bucket if fault.space in _OF_BUCKETS else f"{bucket}/{key}") if bucket else ""
    if fault.space == keys.PARTS and _is_part(fault.key):
        upload = uploads.id_text(fault.key[: keys.UPLOAD_ID_BYTES])
        of = f" of {name}" if name else ""
        return f"part {keys.part_number(fault.key)} of upload {upload}{of}"
    if name:
        return f"{kind} {name}"
    return f"{kind} {fault.key.hex()}"


async def _names(meta: MetaReader, space: int, row_key: bytes) -> tuple[str, str]:
    """Bucket and key that a row belongs to, ("", "") where it does not tell."""
    if space == keys.BUCKETS:
        return key_text(row_key), ""
    if space == keys.CURRENT:
        bucket_id = row_key[: keys.BUCKET_ID_BYTES]
        return await bucket_name(meta, bucket_id), key_text(keys.object_key(row_key))
    if space == keys.CONFIGS:
        return await bucket_name(meta, row_key[: keys.BUCKET_ID_BYTES]), ""
    if space == keys.STAMPS:
        return await _names(meta, keys.CURRENT, row_key)
    if space == keys.HISTORY:
        bucket_id = row_key[: keys.BUCKET_ID_BYTES]
        return await bucket_name(meta, bucket_id), key_text(keys.history_of(row_key)[0])
    if space == keys.UPLOADS:
        bucket_id = row_key[: keys.BUCKET_ID_BYTES]
        return await bucket_name(meta, bucket_id), key_text(keys.upload_of(row_key)[0])
    if space == keys.PARTS and _is_part(row_key):
        upload_id = row_key[: keys.UPLOAD_ID_BYTES]
        async for row in walk.rows(meta, keys.UPLOADS):
            if row.key.endswith(upload_id):
                return await _names(meta, keys.UPLOADS, row.key)
    return "", ""


def _is_part(row_key: bytes) -> bool:
    return spaces.SPACES[keys.PARTS].has(row_key)


async def bucket_name(meta: MetaReader, bucket_id: bytes) -> str:
    """The name of the bucket with that id; its id in hex where there is none."""
    async for row in walk.rows(meta, keys.BUCKETS):
        try:
            if records.decode(BucketRecord, row.value).id == bucket_id:
                return key_text(row.key)
        except StoreError:
            continue  # reported as a row of its own
    return f"id {bucket_id.hex()}"


def row_key(fault: Fault) -> bytes:
    """The key of the row that remembers it."""
    if fault.data_id:
        return keys.damaged_body(fault.data_id)
    return keys.damaged_row(fault.space, fault.key)


def found_row(fault: Fault, now_ns: int) -> Row:
    """Remembers damage that no row remembers yet."""
    record = DamageRecord(
        records.FORMAT,
        fault.space,
        fault.key,
        fault.location if fault.data_id else b"",
        now_ns,
        fault.reason[:REASON_CHARS_MAX],
    )
    return Row(keys.DAMAGED, row_key(fault), None, records.encode(record))


async def is_gone(meta: MetaReader, remembered: bytes, record: DamageRecord) -> bool:
    """Whether no row names the body any more, or the damaged row is not there.

    `remembered` is the key of the row in `DAMAGED`.
    """
    row = await meta.get(record.space, record.key)
    if remembered[:1] == bytes([keys.DAMAGED_ROW]):
        return row is None
    data_id = remembered[1:]
    if await meta.get(keys.SHARED, data_id) is not None:
        return False
    return row is None or not _names_body(record.space, record.key, row[0], data_id)


def _names_body(space: int, row_key: bytes, value: bytes, data_id: bytes) -> bool:
    """Whether the row has that body; one that cannot be read may have."""
    if space not in (keys.CURRENT, keys.HISTORY, keys.PARTS):
        return False
    try:
        return bytes(spaces.decode(space, row_key, value).data_id) == data_id
    except StoreError:
        return True
