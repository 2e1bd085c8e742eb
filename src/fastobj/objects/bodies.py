"""How stored bodies are accounted for: the only place that knows what it takes to name one.

A body that one object names has its location in that object's row. The first copy moves the
location into a `shared` row under the body's data id, with a count of the rows that name it, and
leaves b"" in theirs; each transaction that names the body once more or once less checks and
rewrites that row. With the last name goes the row, and the body's bytes are released. A shared
row that is down to one name stays. With the bytes of a manifest go those of the parts that it
lists: a row says so, and they are let go of a while behind it, for they may be being read.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, KEEP, TXN_ID_BYTES, Add, Row, Token, Txn
from fastobj.meta.records import ObjectRecord, SharedRecord
from fastobj.objects import upload_rows
from fastobj.objects.segment_rows import usage_add
from fastobj.objects.store import Store
from fastobj.objects.turns import Turn
from fastobj.storage.base import Location

# Shared rows as the transactions before the next one will leave them, in one commit of many.
Ahead = dict[bytes, tuple[bytes, Token] | None]

_NEVER: Final = bytes(TXN_ID_BYTES)  # the token of no row: transaction ids are random


class Release(NamedTuple):
    """What a transaction that takes a name from a body must carry."""

    rows: tuple[Row, ...] = ()
    adds: tuple[Add, ...] = ()


NOTHING: Final = Release()


class Share(NamedTuple):
    """What a transaction that gives a body another name must carry.

    `source` is what it leaves in the row of the object whose body it is, and must check.
    """

    source: bytes | Literal[0]
    rows: tuple[Row, ...] = ()


async def join(turn: Turn, record: ObjectRecord | None) -> bool:
    """Where others take turns at the count of the object's body, waits for one.

    True where the object's row may be old by then.
    """
    if record is None or record.location:
        return False
    turn.races_for(record.data_id)
    return await turn.join()


async def release(store: Store, record: ObjectRecord | None, ahead: Ahead | None = None) -> Release:
    """What it takes to take the object's name from its body. To be asked again for each try.

    The transaction must check the row that the record was read from: where that has changed
    meanwhile, this may say anything.
    """
    if record is None or not record.data_id:
        return NOTHING
    parts = tuple(upload_rows.releasing(record, store.clock.now_ns()))
    if record.location:
        return Release(parts, (_account(store, record.location, -1),))
    present = await _shared_row(store, record.data_id, ahead)
    if present is None:  # so the object's row has changed, and the transaction fails
        return Release((Row(keys.SHARED, record.data_id, ABSENT, KEEP),))
    shared, token = present
    if shared.count > 1:
        return Release((_counted(record.data_id, token, shared, -1),))
    gone = Row(keys.SHARED, record.data_id, token, DELETE)
    return Release((gone, *parts), (_account(store, shared.location, -1),))


def release_manifest(store: Store, record: ObjectRecord) -> Release:
    """What it takes to let go of an object's own manifest, and of none of the parts it lists."""
    return Release((), (_account(store, record.location, -1),))


def foresee(ahead: Ahead, txn: Txn) -> None:
    """Notes what the transaction leaves of shared rows, for those behind it in one commit.

    Where it fails, so do they, and all go again.
    """
    for row in txn.rows:
        if row.space == keys.SHARED and not isinstance(row.value, int):
            ahead[row.key] = None if row.value is None else (row.value, txn.id)


async def share(store: Store, record: ObjectRecord) -> Share:
    """What it takes to give the object's body another name. To be asked again for each try."""
    if not record.data_id:
        return Share(KEEP)
    if record.location:
        first = SharedRecord(records.FORMAT, record.location, 2)
        row = Row(keys.SHARED, record.data_id, ABSENT, records.encode(first))
        return Share(records.encode(as_shared(record)), (row,))
    present = await _shared_row(store, record.data_id)
    if present is None:  # the object's row has changed; were it damage, nothing may name this
        return Share(KEEP, (Row(keys.SHARED, record.data_id, _NEVER, KEEP),))
    shared, token = present
    return Share(KEEP, (_counted(record.data_id, token, shared, +1),))


def as_shared(record: ObjectRecord) -> ObjectRecord:
    """The record as it says that its body is shared, if it has one."""
    return msgspec.structs.replace(record, location=b"") if record.data_id else record


async def shared_location(store: Store, data_id: bytes) -> bytes:
    """Where a shared body is; b"" where nothing names it any more."""
    present = await _shared_row(store, data_id)
    return b"" if present is None else present[0].location


def kept(store: Store, record: ObjectRecord | SharedRecord) -> list[Add]:
    """What the transactions have added that gave the body of this row its names.

    A shared body counts with its shared row, and not with those of its objects.
    """
    if not record.location or (isinstance(record, ObjectRecord) and not record.data_id):
        return []
    return [_account(store, record.location, +1)]


async def _shared_row(
    store: Store, data_id: bytes, ahead: Ahead | None = None
) -> tuple[SharedRecord, Token] | None:
    if ahead is not None and data_id in ahead:
        row = ahead[data_id]
    else:
        row = await store.meta.get(keys.SHARED, data_id)
    return None if row is None else (records.decode(SharedRecord, row[0]), row[1])


def _counted(data_id: bytes, token: Token, shared: SharedRecord, change: int) -> Row:
    counted = msgspec.structs.replace(shared, count=shared.count + change)
    return Row(keys.SHARED, data_id, token, records.encode(counted))


def _account(store: Store, location: bytes, sign: int) -> Add:
    return usage_add(store.volume.accounts(Location.decode(location), sign))
