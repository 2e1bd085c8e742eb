"""Transactions as the log keeps them: encoded once, where they are made.

What only the committer knows is left open: where each small body will stand, and the order of
events. The bytes that it writes there are named by their offsets, so it neither takes a
transaction apart nor encodes it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fastobj.meta import keys
from fastobj.meta.base import TXN_ID_BYTES, Add, Row, Txn
from fastobj.objects.ledger import Entry
from fastobj.storage.base import LOCATION_BYTES
from fastobj.storage.log_format import footprint, record_bytes

_encode = msgspec.msgpack.Encoder().encode
# In MessagePack. Of a transaction: before the rows the array's head and the id with its own head;
# behind the adds an empty array. Of an add: before the key the heads of array and key, the space.
_ROWS_AT: Final = 1 + 2 + TXN_ID_BYTES
_NO_BODIES_BYTES: Final = 1
_COUNTER_KEY_AT: Final = 4
_ROW_KEY_AT: Final = 4  # the same of a row
_NO_SEGMENT: Final = keys.segment(0)
_SHORT_ARRAY_MAX: Final = 15


class BodyPlace(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A small body without its bytes, and where its place goes in the encoded transaction.

    `location_at` is the offset of its location in its row, `counter_at` that of the key of the
    counter that it adds to.
    """

    data_id: bytes
    crc32c: int
    hint: bytes
    length: int
    location_at: int
    counter_at: int


class EncodedEntry(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """An entry whose bodies' bytes travel beside it, in the order of `places`.

    `orders` are the offsets of the keys of its events.
    """

    txn: bytes
    places: list[BodyPlace]
    arrival: int | None
    orders: tuple[int, ...] = ()

    def in_order(self, block: int, place: int) -> bytes:
        """The transaction as that block of the log has it at that place: its events in order."""
        if not self.orders:
            return self.txn
        ordered = bytearray(self.txn)
        for at in self.orders:
            keys.COMMIT_ORDER.pack_into(ordered, at, block, place)
        return bytes(ordered)

    def records_bytes(self) -> int:
        """What the records of its bodies take in a block."""
        return sum(record_bytes(place.length, len(place.hint)) for place in self.places)


def encode_entry(entry: Entry) -> EncodedEntry:
    """The entry as it travels. Raises ValueError for a body without room for its location."""
    txn, bodies = entry.txn, entry.bodies
    rows = txn.rows
    orders = _orders(rows) if entry.has_events else ()
    if not txn.bodies and not bodies:
        return EncodedEntry(_encode(txn), [], entry.arrival, orders)
    counted = [
        Add(keys.SEGMENTS, _NO_SEGMENT, (footprint(len(body.payload)), 1)) for body in bodies
    ]
    encoded = _encode(Txn(txn.id, rows, [*txn.adds, *counted]))
    add_sizes = [len(_encode(add)) for add in counted]
    add_at = len(encoded) - _NO_BODIES_BYTES - sum(add_sizes)
    places = []
    for ref, body, size in zip(txn.bodies, bodies, add_sizes, strict=True):
        location_at = _row_end(rows, ref.row) - _value_tail(rows[ref.row], ref.offset)
        places.append(
            BodyPlace(
                ref.data_id,
                body.crc32c,
                body.hint,
                len(body.payload),
                location_at,
                add_at + _COUNTER_KEY_AT,
            )
        )
        add_at += size
    return EncodedEntry(encoded, places, entry.arrival, orders)


def _orders(rows: list[Row]) -> tuple[int, ...]:
    """Where the keys of events begin in the encoded transaction."""
    return tuple(
        _row_end(rows, index) - len(_encode(row)) + _ROW_KEY_AT
        for index, row in enumerate(rows)
        if row.space == keys.OUTBOX
    )


def _row_end(rows: list[Row], index: int) -> int:
    """Where row `index` ends in the encoded transaction: as in a list that ends with it."""
    until = rows[: index + 1]
    return (
        _ROWS_AT + _array_head_bytes(len(rows)) + len(_encode(until)) - _array_head_bytes(index + 1)
    )


def _value_tail(row: Row, offset: int) -> int:
    """The bytes of the row's value from the location at `offset` on; a value ends its row."""
    value = row.value
    if not isinstance(value, bytes) or offset + LOCATION_BYTES > len(value):
        raise ValueError("a body names a row that has no room for its location")
    return len(value) - offset


def _array_head_bytes(count: int) -> int:
    """The length of an array's head in MessagePack."""
    return 1 if count <= _SHORT_ARRAY_MAX else 3
