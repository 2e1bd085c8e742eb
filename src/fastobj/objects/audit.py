"""Counts everything again from the rows and compares it with the counters. For a store at rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import NamedTuple

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import Add, ScanRow
from fastobj.meta.records import ObjectRecord, SharedRecord
from fastobj.objects.bodies import kept
from fastobj.objects.store import Store

_Counts = dict[tuple[int, bytes], tuple[int, ...]]


class Difference(NamedTuple):
    """A counter, or the count of a shared body, that is not what the rows add up to."""

    space: int
    key: bytes
    counted: tuple[int, ...]
    stored: tuple[int, ...]


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
    async for row in _rows(store, keys.SHARED):
        found[keys.SHARED, row.key] = (records.decode(SharedRecord, row.value).count,)
    return found


async def _count(store: Store) -> _Counts:
    found: defaultdict[tuple[int, bytes], list[int]] = defaultdict(lambda: [0, 0])
    async for row in _rows(store, keys.CURRENT):
        record = records.decode(ObjectRecord, row.value)
        counter = keys.bucket_counter(row.key[: keys.BUCKET_ID_BYTES])
        _fold(found, Add(keys.CURRENT, counter, (1, record.size)))
        if not record.location:
            _fold(found, Add(keys.SHARED, record.data_id, (1,)))
        for add in kept(store, record):
            _fold(found, add)
    async for row in _rows(store, keys.SHARED):
        for add in kept(store, records.decode(SharedRecord, row.value)):
            _fold(found, add)
    return {place: tuple(amounts) for place, amounts in found.items()}


async def _rows(store: Store, space: int) -> AsyncIterator[ScanRow]:
    cursor = keys.FIRST
    while True:
        rows = await store.meta.scan(space, cursor, keys.LAST, LOOP_SCAN_ROWS_MAX)
        for row in rows:
            yield row
        if len(rows) < LOOP_SCAN_ROWS_MAX:
            return
        cursor = keys.next_key(rows[-1].key)


def _fold(counts: defaultdict[tuple[int, bytes], list[int]], add: Add) -> None:
    amounts = counts[add.space, add.key]
    for index, amount in enumerate(add.amounts):
        amounts[index] += amount
