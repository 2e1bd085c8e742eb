"""The rows by which multipart uploads end, and by which their parts are let go of.

Who ends an upload deletes its row, which every transaction that stores a part checks: so what
parts there are is settled from then on. They are let go of behind it, in bounded transactions,
by background.garbage: here only a row of the time index says so.
"""

from __future__ import annotations

from fastobj.core.errors import Conflict
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, DELETE, Row, Token, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord, PartsDue, UploadDue, UploadRecord
from fastobj.objects.ledger import Entry
from fastobj.objects.store import Store


def expiry_row(bucket_id: bytes, key: bytes, upload_id: bytes, hour: int) -> Row:
    """Has the upload aborted from that hour on, if it is still open then."""
    value = records.encode(UploadDue(records.FORMAT, bucket_id, key))
    return Row(keys.DUE, keys.due(hour, keys.DUE_UPLOAD, upload_id), ANY, value)


def parts_due(upload_id: bytes, kept: bytes = b"", since_ns: int = 0) -> Row:
    """Has all parts of an ended upload let go of but the `kept` ones (suffixes, joined).

    At once, or a while after `since_ns`. One row for each upload: who lets go of all takes the
    place of who kept some.
    """
    value = records.encode(PartsDue(records.FORMAT, kept, since_ns))
    return Row(keys.DUE, keys.due(keys.AT_ONCE, keys.DUE_PARTS, upload_id), ANY, value)


def closing(row_key: bytes, token: Token, record: UploadRecord) -> list[Row]:
    """Ends an upload: its own row first, then the one by which it would have expired."""
    rows = [Row(keys.UPLOADS, row_key, token, DELETE)]
    if record.expires_hour:
        _, upload_id = keys.upload_of(row_key)
        due = keys.due(record.expires_hour, keys.DUE_UPLOAD, upload_id)
        rows.append(Row(keys.DUE, due, ANY, DELETE))
    return rows


def aborting(row_key: bytes, token: Token, record: UploadRecord) -> list[Row]:
    """Ends an upload of which nothing stays; its own row first."""
    _, upload_id = keys.upload_of(row_key)
    return [*closing(row_key, token, record), parts_due(upload_id)]


def releasing(record: ObjectRecord, now_ns: int) -> list[Row]:
    """What it takes, beside the body's own account, to let go of an object made of parts."""
    return [parts_due(record.upload_id, since_ns=now_ns)] if record.upload_id else []


async def abort_all(store: Store, bucket_id: bytes) -> None:
    """Aborts the uploads of a bucket in which none can begin. Raises what `commit` raises."""
    end = keys.after(bucket_id)
    while rows := await store.meta.scan(keys.UPLOADS, bucket_id, end, LOOP_SCAN_ROWS_MAX):
        entries = [
            Entry(
                Txn(
                    new_txn_id(),
                    aborting(row.key, row.token, records.decode(UploadRecord, row.value)),
                )
            )
            for row in rows
        ]
        for result in await store.ledger.commit_many(entries):
            if result is not None and not isinstance(
                result, Conflict
            ):  # that one is looked at again
                raise result
