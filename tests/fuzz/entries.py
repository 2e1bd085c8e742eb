"""Entries of listings: the kernel writes what the table of shapes writes, or refuses a record."""

from __future__ import annotations

import random

from fastobj._ext import xmlout
from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.meta import records
from fastobj.meta.records import ObjectRecord
from tests.fuzz.mutations import mutate
from tests.fuzz.rows import WORDS
from tests.reference import xmlout as reference

NAME, TAIL = b"Contents", b"<StorageClass>STANDARD</StorageClass>"
KEYS = (b"a", b"a/b c", "ü€\U0001f600\uffff\uef00".encode(), b"<&>\"'\x00\x1f\x7f", b"%2e" * 300)
CHECKSUMS = ({}, {"crc32": "AAAAAA=="}, {"sha256": "x-3", "sha1": ""}, {"crc64nvme": "y"})


def one(rng: random.Random) -> None:
    """A record, whole or damaged."""
    record = ObjectRecord(
        records.FORMAT,
        rng.randbytes(32),
        rng.randbytes(16),
        rng.getrandbits(rng.randrange(1, 64)),
        rng.randbytes(16).hex() + rng.choice(("", "-12")),
        rng.getrandbits(rng.randrange(1, 62)),
        headers={"content-type": "text/plain"} if rng.random() < 0.5 else {},
        metadata={"a" * rng.randrange(40): "ü" * rng.randrange(200)},
        checksums=rng.choice(CHECKSUMS),
        parts=rng.choice((0, 1, 10_000)),
    )
    value = records.encode(record)
    if rng.random() < 0.8:
        value = mutate(rng, value, WORDS)
    rows, url = [(rng.choice(KEYS), value)], rng.random() < 0.5
    try:
        found = xmlout.entries(rows, NAME, TAIL, url)
    except ValueError:
        assert value != records.encode(record), "a whole record was refused"
        return
    try:
        decoded = records.decode(ObjectRecord, value)
    except (StoreDamaged, UnknownFormat):
        return  # what the kernel passes over is damaged
    if all(map(str.isascii, decoded.checksums)):  # the kernel knows no other capital letters
        assert found == reference.entries(rows, NAME, TAIL, url)
