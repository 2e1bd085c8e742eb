"""Encoded entries: with the places filled in, they are what the log keeps."""

import msgspec
import pytest

from fastobj._ext.crc import crc32c
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, ANY, DELETE, KEEP, Add, BodyRef, Row, Txn
from fastobj.objects.encoded import BodyPlace, encode_entry
from fastobj.objects.ledger import Entry
from fastobj.storage.base import LOCATION_BYTES, SmallBody
from fastobj.storage.log_format import footprint

SEGMENT = keys.segment(77)


def _decoded(raw: bytes) -> Txn:
    return msgspec.msgpack.decode(raw, type=Txn)


def _filled(txn: bytes, places: list[BodyPlace]) -> Txn:
    """The transaction with a location of its own for each body."""
    raw = bytearray(txn)
    for number, place in enumerate(places):
        raw[place.location_at : place.location_at + LOCATION_BYTES] = _location(number)
        raw[place.counter_at : place.counter_at + len(SEGMENT)] = SEGMENT
    return _decoded(bytes(raw))


def _location(number: int) -> bytes:
    return bytes([number + 1]) * LOCATION_BYTES


def _body(payload: bytes, number: int) -> SmallBody:
    return SmallBody(bytes([number]) * 16, payload, crc32c(payload), b"hint")


def test_expectations_and_values_keep_their_meaning():
    rows = [
        Row(1, b"a", ABSENT, b""),
        Row(1, b"b", ANY, DELETE),
        Row(1, b"c", b"t" * 16, KEEP),
    ]
    adds = [Add(2, b"b", (1, -5), (9, None))]
    encoded = encode_entry(Entry(Txn(b"i" * 16, rows, adds), (), 7))
    assert _decoded(encoded.txn) == Txn(b"i" * 16, rows, adds)
    assert (encoded.places, encoded.arrival) == ([], 7)


@pytest.mark.parametrize("others", [0, 1, 13, 14, 15, 16, 30])
@pytest.mark.parametrize("offset", [0, 3, 70_000])
def test_places_stand_in_their_rows(others, offset):
    """Of equal rows too, and where arrays and values need longer heads."""
    value = b"\xc4" * offset + bytes(LOCATION_BYTES) + b"tail"
    rows = [Row(2, b"k", ABSENT, value), *[Row(1, b"o", ANY, KEEP)] * others]
    rows.append(Row(2, b"k", ABSENT, value))
    adds = [Add(keys.SEGMENTS, keys.segment(0), (-(2**40), 1))] * others
    refs = [BodyRef(bytes([0]) * 16, len(rows) - 1, offset), BodyRef(bytes([1]) * 16, 0, offset)]
    bodies = [_body(b"x" * 300, 0), _body(b"", 1)]
    encoded = encode_entry(Entry(Txn(b"i" * 16, rows, adds, refs), bodies))
    found = _filled(encoded.txn, encoded.places)
    for row, number in ((found.rows[-1], 0), (found.rows[0], 1)):
        assert row.value == b"\xc4" * offset + _location(number) + b"tail"
    assert found.rows[1:-1] == rows[1:-1]
    assert found.adds == adds + [
        Add(keys.SEGMENTS, SEGMENT, (footprint(len(body.payload)), 1)) for body in bodies
    ]
    assert (found.id, found.bodies) == (b"i" * 16, [])
    assert [
        (place.data_id, place.crc32c, place.hint, place.length) for place in encoded.places
    ] == [(body.data_id, body.crc32c, body.hint, len(body.payload)) for body in bodies]


@pytest.mark.parametrize("value", [KEEP, DELETE, b"", bytes(LOCATION_BYTES + 2)])
def test_a_location_needs_room_in_its_row(value):
    txn = Txn(b"i" * 16, [Row(2, b"k", ABSENT, value)], [], [BodyRef(b"d" * 16, 0, 3)])
    with pytest.raises(ValueError, match="no room for its location"):
        encode_entry(Entry(txn, [_body(b"x", 1)]))


def test_each_body_must_have_a_reference():
    txn = Txn(b"i" * 16, [Row(2, b"k", ABSENT, bytes(40))])
    with pytest.raises(ValueError, match="zip"):
        encode_entry(Entry(txn, [_body(b"x", 1)]))
    referring = Txn(txn.id, txn.rows, [], [BodyRef(b"d" * 16, 0, 3)])
    with pytest.raises(ValueError, match="zip"):
        encode_entry(Entry(referring))
