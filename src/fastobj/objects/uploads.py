"""Multipart uploads: begin, find, abort, list."""

from __future__ import annotations

import asyncio
import re
from typing import Final, NamedTuple

import msgspec

from fastobj.core import codes
from fastobj.core.errors import Conflict, S3Error
from fastobj.core.ids import random_id
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, KEEP, Row, Token, Txn, new_txn_id
from fastobj.meta.records import UploadRecord
from fastobj.objects import buckets, lifecycle_hints, upload_rows
from fastobj.objects.buckets import Bucket
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store

_TEXT: Final = re.compile(r"[0-9a-f]{32}")
_NS_PER_HOUR: Final = 3_600_000_000_000
_HOURS_PER_DAY: Final = 24


class Description(msgspec.Struct, frozen=True):
    """What an upload says of its object: see UploadRecord for each field."""

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    algorithm: str = ""
    is_composite: bool = False
    acl: records.Acl = None
    tags: dict[str, str] = {}
    encryption: records.Encryption | None = None
    lock: records.Lock | None = None


class Upload(NamedTuple):
    """An open upload as it was read: its record, and the token that a transaction checks."""

    key: bytes
    id: bytes
    row_key: bytes
    record: UploadRecord
    token: Token


# Stands for an id that no upload can have.
NO_ID: Final = b""


def id_text(upload_id: bytes) -> str:
    """An upload id as clients see it; texts sort as the uploads of a key do, by their beginning."""
    return upload_id.hex()


def parse_id(text: str) -> bytes:
    """The upload id, NO_ID where it is none."""
    return bytes.fromhex(text) if _TEXT.fullmatch(text) else NO_ID


def missing(text: str) -> S3Error:
    """NoSuchUpload, naming the id."""
    return S3Error(codes.NO_SUCH_UPLOAD, extra=[("UploadId", text)])


async def create(
    store: Store, bucket: Bucket, key: bytes, owner: str, described: Description
) -> Upload:
    """Begins an upload. Raises NoSuchBucket, OperationAborted, Unknown, Unavailable, NoSpace."""
    now_ns = store.clock.now_ns()
    upload_id = now_ns.to_bytes(8, "big") + random_id(keys.UPLOAD_ID_BYTES - 8)
    hours = store.upload_expiry_days * _HOURS_PER_DAY
    hour = -(-now_ns // _NS_PER_HOUR) + hours if hours else 0
    record = UploadRecord(
        records.FORMAT,
        owner,
        now_ns,
        hour,
        described.headers,
        described.metadata,
        described.algorithm,
        described.is_composite,
        described.acl,
        described.tags,
        described.encryption,
        described.lock,
    )
    row_key = keys.upload(bucket.record.id, key, upload_id)
    row = Row(keys.UPLOADS, row_key, ABSENT, records.encode(record))
    due = [upload_rows.expiry_row(bucket.record.id, key, upload_id, hour)] if hour else []
    retry = Retry(codes.OPERATION_ABORTED)
    while True:
        bucket = await buckets.writable(store, bucket)
        held = Row(keys.BUCKETS, bucket.name.encode(), bucket.token, KEEP)
        hints: list[Row] = []
        if bucket.record.configs & lifecycle_hints.BIT:
            hints = await lifecycle_hints.of_upload(store, bucket, key, upload_id, record)
        txn = Txn(new_txn_id(), [held, row, *due, *hints])
        try:
            await store.ledger.commit(Entry(txn, arrival=retry.arrival))
            return Upload(key, upload_id, row_key, record, txn.id)
        except Conflict as conflict:
            lost = conflict
        await retry.after(lost)
        present = buckets.decode(bucket.name, lost.present[0])
        if present is None or present.record.id != bucket.record.id:
            raise buckets.missing(bucket.name)
        bucket = present


async def find(store: Store, bucket: Bucket, key: bytes, upload_id: bytes) -> Upload | None:
    """The open upload of that key, or None."""
    if upload_id == NO_ID:
        return None
    row_key = keys.upload(bucket.record.id, key, upload_id)
    row = await store.meta.get(keys.UPLOADS, row_key)
    if row is None:
        return None
    return Upload(key, upload_id, row_key, records.decode(UploadRecord, row[0]), row[1])


async def get(store: Store, bucket: Bucket, key: bytes, upload_id: str) -> Upload:
    """The open upload of that key. Raises NoSuchUpload."""
    upload = await find(store, bucket, key, parse_id(upload_id))
    if upload is None:
        raise missing(upload_id)
    return upload


def again(upload: Upload, present: tuple[bytes, Token] | None) -> Upload:
    """The upload as a Conflict shows it: a part of it was replaced. Raises NoSuchUpload."""
    if present is None:
        raise missing(id_text(upload.id))
    return upload._replace(token=present[1])


async def abort(store: Store, upload: Upload) -> None:
    """Ends the upload; its parts are let go of.

    Raises NoSuchUpload, OperationAborted, Unknown, Unavailable.
    """
    retry = Retry(codes.OPERATION_ABORTED)
    while True:
        rows = upload_rows.aborting(upload.row_key, upload.token, upload.record)
        try:
            await store.ledger.commit(Entry(Txn(new_txn_id(), rows), arrival=retry.arrival))
            return
        except Conflict as conflict:
            lost = conflict
        upload = again(upload, lost.present[0])
        await retry.after(lost)


# --- list


class Page(NamedTuple):
    """A page of a listing. `last` names its last entry, `last_id` its upload if it is one."""

    uploads: list[Upload]
    prefixes: list[bytes]
    is_truncated: bool
    last: bytes
    last_id: bytes


async def list_page(
    store: Store,
    bucket: Bucket,
    *,
    prefix: bytes = b"",
    delimiter: bytes = b"",
    after: bytes = b"",
    after_id: bytes = NO_ID,
    entries_max: int,
) -> Page:
    """Uploads by key and beginning, those of one key behind `after_id` or, without it, none of
    `after`. Keys that have the delimiter behind the prefix make one entry; at most `entries_max`.
    """
    bucket_id = bucket.record.id
    found: list[Upload | bytes] = []
    end = keys.after(keys.uploads(bucket_id, prefix))
    cursor = max(
        keys.uploads(bucket_id, prefix),
        _behind(bucket_id, prefix, delimiter, after, after_id) if after else b"",
    )
    while len(found) <= entries_max:
        limit = min(LOOP_SCAN_ROWS_MAX, entries_max + 1 - len(found))
        rows = await store.meta.scan(keys.UPLOADS, cursor, end, limit)
        for row in rows:
            if row.key < cursor:  # in a common prefix that has its entry
                continue
            key, upload_id = keys.upload_of(row.key)
            common = _common_prefix(key, prefix, delimiter)
            if common:
                found.append(common)
                cursor = keys.after(keys.uploads(bucket_id, common))
            else:
                record = records.decode(UploadRecord, row.value)
                found.append(Upload(key, upload_id, row.key, record, row.token))
                cursor = keys.next_key(row.key)
        if len(rows) < limit:
            break
        await asyncio.sleep(0)
    return _page(found, entries_max)


def _behind(bucket_id: bytes, prefix: bytes, delimiter: bytes, after: bytes, last: bytes) -> bytes:
    """Where the uploads begin that stand behind a marker."""
    common = _common_prefix(after, prefix, delimiter) if after.startswith(prefix) else b""
    if common:
        return keys.after(keys.uploads(bucket_id, common))
    if last != NO_ID:
        return keys.next_key(keys.upload(bucket_id, after, last))
    return keys.after(keys.upload(bucket_id, after, NO_ID))


def _common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes:
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: at + len(delimiter)] if at >= 0 else b""


def _page(found: list[Upload | bytes], entries_max: int) -> Page:
    is_truncated = len(found) > entries_max > 0
    found = found[:entries_max]
    last = found[-1] if found else b""
    return Page(
        [entry for entry in found if isinstance(entry, Upload)],
        [entry for entry in found if isinstance(entry, bytes)],
        is_truncated,
        last.key if isinstance(last, Upload) else last,
        last.id if isinstance(last, Upload) else NO_ID,
    )
