"""Moves stored bodies to fresh places, so that the segments in which they stood can go.

One row names a body: its object's, its part's or, where several name it, its shared row. The
bytes are read, verified, and stored again under the same data id; then a transaction that checks
the row's token puts the new place into the row. Who read the row before finds the old place stale
at the latest when its segment is gone, and reads the row again. A row that changed meanwhile is
left to whoever changed it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from operator import add, sub
from typing import Final, NamedTuple

from fastobj._ext.crc import crc32c
from fastobj.core.crash_points import reach
from fastobj.core.errors import (
    ChecksumMismatch,
    Conflict,
    FastobjError,
    StaleLocation,
    StoreDamaged,
    UnknownFormat,
)
from fastobj.meta import keys, records
from fastobj.meta.base import BodyRef, Row, Token, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord, PartRecord
from fastobj.objects.carried import carry_large, write
from fastobj.objects.ledger import Entry, SmallBody, with_location
from fastobj.objects.segment_rows import usage_add
from fastobj.objects.store import Store
from fastobj.storage.base import Location, Writer, fill

# The spaces whose rows name bodies.
NAMING: Final = (keys.CURRENT, keys.SHARED, keys.PARTS, keys.HISTORY)


class NamingRow(NamedTuple):
    """A row that names a body, as it was read."""

    space: int
    key: bytes
    value: bytes
    token: Token

    @property
    def place(self) -> Location:
        """Where it says that the body is."""
        return Location.decode(records.location_of(self.value))

    @property
    def data_id(self) -> bytes:
        """The body's data id."""
        if self.space == keys.SHARED:
            return self.key
        if self.space == keys.PARTS:
            return records.decode(PartRecord, self.value).data_id
        return records.decode(ObjectRecord, self.value).data_id


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of bodies that were to be moved; `size_bytes` are those of the ones that were.

    `raced`: their rows have changed meanwhile. `damaged`: they do not verify, or their rows; they
    stay.
    """

    bodies: int = 0
    size_bytes: int = 0
    raced: int = 0
    damaged: int = 0

    def __add__(self, other: Moved) -> Moved:
        """Both together."""
        return Moved(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: Moved) -> Moved:
        """What has come to `other` since."""
        return Moved(*map(sub, astuple(self), astuple(other)))


_RACED: Final = Moved(raced=1)
_DAMAGED: Final = Moved(damaged=1)


async def move_small(store: Store, rows: Sequence[NamingRow]) -> Moved:
    """Moves bodies of at most `store.small_body_bytes_max` bytes: all in one commit of many.

    Raises what `commit` raises but Conflict, and NoSpace.
    """
    moved = Moved()
    entries: list[Entry] = []
    for row in rows:
        try:
            entries.append(await _entry(store, row))
        except StaleLocation:
            moved += _RACED
        except (ChecksumMismatch, StoreDamaged, UnknownFormat):
            moved += _DAMAGED
    results = await store.ledger.commit_many(entries) if entries else []
    for entry, result in zip(entries, results, strict=True):
        moved += _outcome(entry, result)
    return moved


def _outcome(entry: Entry, result: FastobjError | None) -> Moved:
    if isinstance(result, Conflict):
        return _RACED
    if result is not None:
        raise result
    return Moved(1, len(entry.bodies[0].payload))


async def _entry(store: Store, row: NamingRow) -> Entry:
    """The transaction that stores a small body again, in the log."""
    place, data_id = row.place, row.data_id
    payload = await store.volume.read(place, data_id, 0, place.length)
    body = SmallBody(data_id, payload, crc32c(payload), _hint(row))
    txn = Txn(
        new_txn_id(),
        [Row(row.space, row.key, row.token, row.value)],
        [usage_add(store.volume.accounts(place, -1))],
        [BodyRef(data_id, 0, records.location_offset(row.value))],
    )
    return Entry(txn, (body,))


def _hint(row: NamingRow) -> bytes:
    """For salvage: what a row key tells where it has the object's key in it."""
    if row.space == keys.CURRENT:
        key = keys.object_key(row.key)
    elif row.space == keys.HISTORY:
        key, _ = keys.history_of(row.key)
    else:
        return b""
    return row.key[: keys.BUCKET_ID_BYTES].hex().encode() + b"/" + key


async def move_large(store: Store, row: NamingRow) -> Moved:
    """Moves one larger body. Raises what `commit` raises but Conflict, and NoSpace."""
    try:
        return await _move_large(store, row)
    except (StaleLocation, Conflict):
        return _RACED
    except (ChecksumMismatch, StoreDamaged, UnknownFormat):
        return _DAMAGED


async def _move_large(store: Store, row: NamingRow) -> Moved:
    place, data_id = row.place, row.data_id
    slices = store.volume.stream(place, data_id, 0, place.length)
    try:
        body = await write(store, place.length, partial(_copy, slices), data_id=data_id)
    finally:
        await slices.aclose()
    async with carry_large(store, body) as carried:
        named = Row(row.space, row.key, row.token, row.value)
        moved = with_location(named, records.location_offset(row.value), body.location)
        rows = [moved, *carried.rows]
        adds = [*carried.adds, usage_add(store.volume.accounts(place, -1))]
        reach("compaction.stored")
        carried.send()
        await store.ledger.commit(Entry(Txn(new_txn_id(), rows, adds)))
    return Moved(1, place.length)


async def _copy(slices: AsyncIterable[memoryview], writer: Writer) -> None:
    """Slice by slice: a slice fills a piece, for both begin with the body."""
    async for piece in slices:
        await fill(writer, piece)
