"""Rows of the metadata: values come back, damaged ones are refused, keys keep their order."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.core.limits import KEY_BYTES_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn
from fastobj.objects import log_rows
from fastobj.objects.ledger import with_location
from fastobj.storage.base import LOCATION_BYTES, Location
from tests.fuzz.mutations import mutate

U64 = 2**64 - 1
INTEGERS = (0, 1, 127, 128, 255, 256, 2**31, 2**32, 2**63 - 1, 2**63, U64)
TEXTS = ("", "a", "us-east-1", "ü€\U0001f600", "x" * 40, "text/plain; charset=utf-8")
# Heads of MessagePack values that claim much, or go deep.
WORDS = (
    b"\xc0",
    b"\xc1",
    b"\xc4\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\xd9\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdc\x00\x0c",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\x9f",
    b"\x8f",
    b"\x91" * 5000,
    b"\x81\xa0" * 5000,
    b"\xdc\x00\x10",
)


def _integer(rng: random.Random) -> int:
    return rng.choice((*INTEGERS, rng.getrandbits(64)))


def _texts(rng: random.Random) -> dict[str, str]:
    return {rng.choice(TEXTS): rng.choice(TEXTS) for _ in range(rng.randrange(4))}


def _bucket(rng: random.Random) -> records.BucketRecord:
    return records.BucketRecord(
        records.FORMAT,
        rng.randbytes(keys.BUCKET_ID_BYTES),
        rng.choice(TEXTS),
        _integer(rng),
        rng.choice(TEXTS),
        _integer(rng),
    )


def _object(rng: random.Random) -> records.ObjectRecord:
    return records.ObjectRecord(
        records.FORMAT,
        rng.randbytes(LOCATION_BYTES),
        rng.randbytes(rng.choice((0, 16))),
        _integer(rng),
        rng.choice(TEXTS),
        _integer(rng),
        _texts(rng),
        _texts(rng),
        _texts(rng),
        lock=rng.choice((None, _lock(rng))),
    )


def _lock(rng: random.Random) -> records.Lock:
    return records.Lock(rng.choice(TEXTS), _integer(rng), rng.choice((None, False, True)))


def _trusted_time(rng: random.Random) -> records.TrustedTimeRecord:
    time_ns, elapsed_ns, jumped = _integer(rng), _integer(rng), rng.random() < 0.5
    return records.TrustedTimeRecord(records.FORMAT, time_ns, rng.choice(TEXTS), elapsed_ns, jumped)


def _segment(rng: random.Random) -> records.SegmentRecord:
    return records.SegmentRecord(records.FORMAT, *(_integer(rng) for _ in range(6)))


def _part(rng: random.Random) -> records.PartRecord:
    return records.PartRecord(
        records.FORMAT,
        rng.randbytes(LOCATION_BYTES),
        rng.randbytes(16),
        _integer(rng),
        rng.choice(TEXTS),
        _integer(rng),
        _texts(rng),
    )


def _shared(rng: random.Random) -> records.SharedRecord:
    return records.SharedRecord(records.FORMAT, rng.randbytes(LOCATION_BYTES), _integer(rng))


def _upload(rng: random.Random) -> records.UploadRecord:
    algorithm, is_composite = rng.choice(TEXTS), rng.random() < 0.5
    return records.UploadRecord(
        records.FORMAT,
        rng.choice(TEXTS),
        _integer(rng),
        _integer(rng),
        _texts(rng),
        _texts(rng),
        algorithm,
        is_composite,
    )


def _parts_due(rng: random.Random) -> records.PartsDue:
    return records.PartsDue(records.FORMAT, rng.randbytes(rng.choice((0, 6, 60))), _integer(rng))


def _upload_due(rng: random.Random) -> records.UploadDue:
    return records.UploadDue(records.FORMAT, rng.randbytes(8), _key(rng))


def _scrub(rng: random.Random) -> records.ScrubRecord:
    numbers = [_integer(rng) for _ in range(8)]
    return records.ScrubRecord(records.FORMAT, *numbers[:3], rng.randbytes(9), *numbers[3:])


def _damage(rng: random.Random) -> records.DamageRecord:
    return records.DamageRecord(
        records.FORMAT,
        _integer(rng),
        rng.randbytes(rng.randrange(40)),
        rng.randbytes(rng.choice((0, LOCATION_BYTES))),
        _integer(rng),
        rng.choice(TEXTS),
    )


def _kms_key(rng: random.Random) -> records.KmsKeyRecord:
    return records.KmsKeyRecord(records.FORMAT, _integer(rng))


def _rewrap(rng: random.Random) -> records.RewrapRecord:
    counts = {rng.choice(TEXTS): _integer(rng) for _ in range(rng.randrange(3))}
    return records.RewrapRecord(records.FORMAT, _integer(rng), counts, 2, _key(rng), 3, counts)


RECORDS = (
    _bucket,
    _object,
    _segment,
    _part,
    _shared,
    _upload,
    _parts_due,
    _upload_due,
    _scrub,
    _damage,
    _trusted_time,
    _kms_key,
    _rewrap,
)
NAMING = (records.ObjectRecord, records.PartRecord, records.SharedRecord)


def values(rng: random.Random) -> None:
    """One value of a row, as it was written or damaged."""
    record: Any = rng.choice(RECORDS)(rng)
    kind = type(record)
    value = records.encode(record)
    assert records.decode(kind, value) == record
    damaged = mutate(rng, value, WORDS)
    if kind in NAMING:
        places(record, value, damaged, rng.randbytes(LOCATION_BYTES))
    try:
        found = records.decode(kind, damaged)
    except (StoreDamaged, UnknownFormat):
        return
    assert found.format <= records.FORMAT
    again = records.encode(found)
    assert records.decode(kind, again) == found


def places(record: Any, value: bytes, damaged: bytes, moved: bytes) -> None:
    """The location of a value that names a body, taken out and replaced without decoding it."""
    at = records.location_offset(value)
    assert value[at : at + LOCATION_BYTES] == records.location_of(value) == record.location
    row = with_location(Row(keys.CURRENT, b"", ANY, value), at, Location.decode(moved))
    again = records.decode(type(record), row.value)
    assert again == msgspec.structs.replace(record, location=moved)
    try:
        found = records.location_of(damaged)
    except StoreDamaged:
        return
    assert len(found) in (0, LOCATION_BYTES)


def log_values(rng: random.Random) -> None:
    """One row of a log segment, and one location."""
    sealed = (rng.getrandbits(63), rng.getrandbits(32), rng.getrandbits(40), rng.getrandbits(63))
    row = log_rows.sealed_row(sealed, _integer(rng))
    record = records.decode(records.SegmentRecord, row.value or b"")
    assert (row.space, row.expect) == (keys.SEGMENTS, ANY)
    assert keys.segment_id(row.key) == sealed[0]
    assert (record.generation, record.size, record.last_sequence) == sealed[1:]
    raw = rng.randbytes(LOCATION_BYTES)
    assert Location.decode(raw).encode() == raw


def row_keys(rng: random.Random) -> None:
    """Keys of rows: S3 order is byte order, and a prefix's range holds its keys and no others."""
    bucket = rng.choice((rng.randbytes(8), b"\xff" * 8, bytes(8)))
    prefix = _key(rng)
    start, end = keys.current(bucket, prefix), keys.after(keys.current(bucket, prefix))
    damaged = mutate(rng, prefix, ())[:KEY_BYTES_MAX]
    names = [prefix + _key(rng), _key(rng), damaged, prefix, prefix + b"\xff" * 20]
    for name in names:
        row = keys.current(bucket, name)
        assert keys.object_key(row) == name
        assert (start <= row < end) == name.startswith(prefix)
        assert row < keys.next_key(row) <= keys.current(bucket, name + _key(rng) + b"\0")
        assert keys.FIRST <= row < keys.LAST
    rows = sorted(keys.current(bucket, name) for name in names)
    assert [keys.object_key(row) for row in rows] == sorted(names)
    segment = _integer(rng)
    assert keys.segment_id(keys.segment(segment)) == segment


def _key(rng: random.Random) -> bytes:
    return bytes(rng.choices((0, 0x2F, 0x61, 0xFE, 0xFF), k=rng.randrange(6)))


def transactions(rng: random.Random) -> None:
    """One transaction of the log, damaged where no sum protects it: refused, or one again."""
    rows = [log_rows.segment_row(_integer(rng), _segment(rng)) for _ in range(rng.randrange(4))]
    txn = Txn(rng.randbytes(16), rows)
    encoded = msgspec.msgpack.encode(txn)
    decoder = msgspec.msgpack.Decoder(Txn)
    assert decoder.decode(encoded) == txn
    try:
        found = decoder.decode(mutate(rng, encoded, WORDS))
    except (msgspec.MsgspecError, RecursionError):
        return
    assert decoder.decode(msgspec.msgpack.encode(found)) == found


def one(rng: random.Random) -> None:
    """One of each."""
    for check in (values, log_values, row_keys, transactions):
        check(rng)
