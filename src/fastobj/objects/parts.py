"""Parts of multipart uploads: store, replace, list.

The transaction that stores a part checks the upload's row, so no part comes behind its end. A
part that is stored again lets go of what stood under its number before, and rewrites the upload's
row: whoever is completing the upload with the older part must look again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, Literal, NamedTuple

from fastobj.core import codes
from fastobj.core.errors import Conflict
from fastobj.core.ids import random_id
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.core.secret import Secret
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, KEEP, Add, MetaReader, Row, ScanRow, Txn, new_txn_id
from fastobj.meta.records import PartRecord
from fastobj.objects import uploads
from fastobj.objects.carried import Carried, LargeBody, carry_large, carry_small
from fastobj.objects.ledger import Entry
from fastobj.objects.put import Content
from fastobj.objects.retry import Retry
from fastobj.objects.segment_rows import usage_add
from fastobj.objects.store import Store
from fastobj.objects.uploads import Upload
from fastobj.storage.base import Location, Usage

_UNIQUE_BYTES: Final = keys.PART_SUFFIX_BYTES - keys.PART_NUMBER_BYTES
_PART_ROW: Final = 1  # behind the upload's
_REPLACED_MAX: Final = 16  # by one transaction; more than one takes a race of writers


class Part(NamedTuple):
    """A part as it was read."""

    number: int
    suffix: bytes
    record: PartRecord


async def put_small(
    store: Store,
    upload: Upload,
    number: int,
    content: Content,
    body: bytes,
    encrypting: Secret | None = None,
) -> PartRecord:
    """Stores a part of at most `store.small_body_bytes_max` bytes.

    Where the upload is encrypted, `encrypting` is its key; a large body is encrypted already.
    Raises S3Error (NoSuchUpload, SlowDown), Unknown, Unavailable, NoSpace.
    """
    carried = carry_small(body, upload.key, encrypting)
    return await _put(store, upload, number, content, carried)


async def put_large(
    store: Store, upload: Upload, number: int, content: Content, body: LargeBody
) -> PartRecord:
    """Stores a part whose body is in its volume. Raises what `put_small` raises."""
    async with carry_large(store, body) as carried:
        return await _put(store, upload, number, content, carried)


async def _put(
    store: Store, upload: Upload, number: int, content: Content, carried: Carried
) -> PartRecord:
    retry = Retry(codes.SLOW_DOWN)
    while True:
        old = await _rows_of(store, upload.id, number)
        newest_ns = max((record.modified_ns for _, record in old), default=0)
        record = PartRecord(
            records.FORMAT,
            carried.location,
            carried.data_id,
            content.size,
            content.etag,
            max(store.clock.now_ns(), newest_ns + 1),
            content.checksums,
            content.blake3,
            upload.record.encryption is not None,
        )
        txn = _txn(store, upload, number, record, old, carried)
        carried.send()
        try:
            await store.ledger.commit(Entry(txn, carried.bodies, retry.arrival))
            return record
        except Conflict as conflict:
            lost = conflict
        upload = uploads.again(upload, lost.present[0])
        await retry.after(lost)


def _txn(
    store: Store,
    upload: Upload,
    number: int,
    record: PartRecord,
    old: list[tuple[ScanRow, PartRecord]],
    carried: Carried,
) -> Txn:
    value = records.encode(record)
    row_key = keys.part(upload.id, number, random_id(_UNIQUE_BYTES))
    replaced: bytes | Literal[0] = records.encode(upload.record) if old else KEEP
    rows = [
        Row(keys.UPLOADS, upload.row_key, upload.token, replaced),
        Row(keys.PARTS, row_key, ABSENT, value),
        *(Row(keys.PARTS, row.key, row.token, DELETE) for row, _ in old),
        *carried.rows,
    ]
    adds = [
        *carried.adds,
        *(add for _, one in old for add in accounts(store.volume.accounts, one, -1)),
    ]
    return Txn(new_txn_id(), rows, adds, carried.refs(_PART_ROW, value))


async def _rows_of(store: Store, upload_id: bytes, number: int) -> list[tuple[ScanRow, PartRecord]]:
    start = keys.part(upload_id, number)
    rows = await store.meta.scan(keys.PARTS, start, keys.after(start), _REPLACED_MAX)
    return [(row, records.decode(PartRecord, row.value)) for row in rows]


def accounts(of: Callable[[Location, int], Usage], record: PartRecord, sign: int) -> list[Add]:
    """What a transaction adds that stores the part's body (+1) or lets go of it (-1).

    `of` is the volume's `accounts`.
    """
    if not record.data_id:
        return []
    return [usage_add(of(Location.decode(record.location), sign))]


# --- read


async def scan(meta: MetaReader, upload_id: bytes, after: int = 0) -> AsyncIterator[list[Part]]:
    """All rows of an upload's parts by number, in portions between which others get a turn.

    Several rows of one number are what writers left that raced.
    """
    cursor, end = keys.part(upload_id, after + 1), keys.after(upload_id)
    while True:
        rows = await meta.scan(keys.PARTS, cursor, end, LOOP_SCAN_ROWS_MAX)
        if rows:
            yield [_part(row) for row in rows]
        if len(rows) < LOOP_SCAN_ROWS_MAX:
            return
        cursor = keys.next_key(rows[-1].key)
        await asyncio.sleep(0)


def _part(row: ScanRow) -> Part:
    record = records.decode(PartRecord, row.value)
    return Part(keys.part_number(row.key), keys.part_suffix(row.key), record)


class Page(NamedTuple):
    """A page of a listing: of each number the newest part."""

    parts: list[Part]
    is_truncated: bool


async def list_page(store: Store, upload: Upload, *, after: int, entries_max: int) -> Page:
    """The parts whose numbers are above `after`, at most `entries_max`."""
    found: dict[int, Part] = {}
    if entries_max:
        async for portion in scan(store.meta, upload.id, after):
            for part in portion:
                present = found.get(part.number)
                if present is None or present.record.modified_ns < part.record.modified_ns:
                    found[part.number] = part
            if len(found) > entries_max:
                break
    return Page(list(found.values())[:entries_max], len(found) > entries_max)
