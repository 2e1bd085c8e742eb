"""Damage that tests do to a store on a disk, from outside of it."""

from __future__ import annotations

from pathlib import Path

from fastobj.core.limits import PIECE_HEAD_BYTES
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.objects.ledger import Entry
from fastobj.storage.base import Location
from fastobj.storage.log_format import RECORD_HEAD_BYTES
from fastobj.storage.segment_files import is_log, segment_path


def body_offset(place: Location) -> int:
    """Where the first byte of a body stands in its file."""
    return place.offset + (RECORD_HEAD_BYTES if is_log(place.segment) else PIECE_HEAD_BYTES)


def flip(root: Path, location: bytes, at: int = 0) -> None:
    """Flips a bit of the body's byte `at`, in its first piece; again, and it is whole again."""
    place = Location.decode(location)
    with open(segment_path(str(root), place.segment), "r+b") as file:
        file.seek(body_offset(place) + at)
        (byte,) = file.read(1)
        file.seek(body_offset(place) + at)
        file.write(bytes([byte ^ 1]))


async def write(store, space: int, key: bytes, value: bytes | None, adds=()) -> None:
    """Writes a row past all meaning; None deletes it."""
    txn = Txn(new_txn_id(), [Row(space, key, ANY, value)], list(adds))
    await store.ledger.commit(Entry(txn))


async def object_row(site, key: bytes) -> records.ObjectRecord:
    """The record of an object of the site's bucket."""
    row = await site.store.meta.get(keys.CURRENT, keys.current(site.bucket.record.id, key))
    assert row is not None
    return records.decode(records.ObjectRecord, row[0])
