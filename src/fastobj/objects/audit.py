"""Counts everything again from the rows and compares it with the counters, and compares the sums of
bodies that have one in their row. For a store at rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

from fastobj.core.errors import ChecksumMismatch, StaleLocation, StoreDamaged
from fastobj.meta import keys, records, walk
from fastobj.meta.base import Add
from fastobj.meta.records import ObjectRecord, PartRecord, SharedRecord
from fastobj.objects.bodies import kept, shared_location
from fastobj.objects.integrity import WholeSum
from fastobj.objects.parts import accounts
from fastobj.objects.store import Store
from fastobj.objects.verify import read_body

_Counts = dict[tuple[int, bytes], tuple[int, ...]]


class Difference(NamedTuple):
    """A counter, or the count of a shared body, that is not what the rows add up to."""

    space: int
    key: bytes
    counted: tuple[int, ...]
    stored: tuple[int, ...]


class WrongSum(NamedTuple):
    """A row whose body has another BLAKE3 than the row says; `found` is nothing where bytes of it
    do not even match the sums of their pieces."""

    space: int
    key: bytes
    stored: bytes
    found: bytes


async def wrong_sums(store: Store) -> list[WrongSum]:
    """Reads each body that has a sum in its row. Empty where all is well.

    Raises PackageMissing where there is such a body and BLAKE3 cannot be computed.
    """
    found: list[WrongSum] = []
    async for space, key, record in _bodies(store):
        if record.blake3 and (computed := await _sum_of(store, record)) != record.blake3:
            found.append(WrongSum(space, key, record.blake3, computed))
    return found


async def _bodies(store: Store) -> AsyncIterator[tuple[int, bytes, ObjectRecord | PartRecord]]:
    async for row in walk.rows(store.meta, keys.CURRENT):
        yield keys.CURRENT, row.key, records.decode(ObjectRecord, row.value)
    async for row in walk.rows(store.meta, keys.PARTS):
        yield keys.PARTS, row.key, records.decode(PartRecord, row.value)


async def _sum_of(store: Store, record: ObjectRecord | PartRecord) -> bytes:
    whole = WholeSum()
    if not record.data_id:  # an empty body is stored nowhere
        return whole.digest()
    place = record.location or await shared_location(store, record.data_id)
    try:
        await read_body(store, place, record.data_id, whole)
    except (ChecksumMismatch, StaleLocation, StoreDamaged):
        return b""
    return whole.digest()


async def differences(store: Store) -> list[Difference]:
    """What differs from the rows: counters of buckets and segments, and counts of shared bodies.

    Empty where all is well. A counter that is absent equals one of zeros.
    """
    counted, stored = await _count(store), await _stored(store)
    found: list[Difference] = []
    for place in sorted(counted.keys() | stored.keys()):
        rows, counter = _trim(counted.get(place, ())), _trim(stored.get(place, ()))
        if rows != counter:
            found.append(Difference(*place, rows, counter))
    return found


def _trim(amounts: tuple[int, ...]) -> tuple[int, ...]:
    """Without zeros at the end: engines differ in how many they keep."""
    while amounts and amounts[-1] == 0:
        amounts = amounts[:-1]
    return amounts


async def _stored(store: Store) -> _Counts:
    found: _Counts = {}
    for space in (keys.CURRENT, keys.SEGMENTS):
        for key, amounts in await store.meta.counters(space, keys.FIRST, keys.LAST):
            found[space, key] = amounts
    async for row in walk.rows(store.meta, keys.SHARED):
        found[keys.SHARED, row.key] = (records.decode(SharedRecord, row.value).count,)
    return found


async def _count(store: Store) -> _Counts:
    found: defaultdict[tuple[int, bytes], list[int]] = defaultdict(lambda: [0, 0])
    async for row in walk.rows(store.meta, keys.CURRENT):
        record = records.decode(ObjectRecord, row.value)
        counter = keys.bucket_counter(row.key[: keys.BUCKET_ID_BYTES])
        _fold(found, Add(keys.CURRENT, counter, (1, record.size)))
        if not record.location:
            _fold(found, Add(keys.SHARED, record.data_id, (1,)))
        for add in kept(store, record):
            _fold(found, add)
    async for row in walk.rows(store.meta, keys.SHARED):
        for add in kept(store, records.decode(SharedRecord, row.value)):
            _fold(found, add)
    async for row in walk.rows(store.meta, keys.PARTS):
        for add in accounts(store.volume.accounts, records.decode(PartRecord, row.value), +1):
            _fold(found, add)
    return {place: tuple(amounts) for place, amounts in found.items()}


def _fold(counts: defaultdict[tuple[int, bytes], list[int]], add: Add) -> None:
    amounts = counts[add.space, add.key]
    for index, amount in enumerate(add.amounts):
        amounts[index] += amount
