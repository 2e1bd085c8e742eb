"""Counts everything again from the rows and compares it with the counters, and compares the sums of
bodies that have one in their row. For a store at rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from fastobj.core.errors import ChecksumMismatch, StaleLocation, StoreDamaged
from fastobj.core.limits import COUNTER_AMOUNTS_MAX
from fastobj.meta import keys, records, spaces, walk
from fastobj.meta.base import Add
from fastobj.meta.records import EventRecord, ObjectRecord, PartRecord, SharedRecord
from fastobj.objects.bodies import kept, shared_location
from fastobj.objects.integrity import WholeSum
from fastobj.objects.parts import accounts
from fastobj.objects.store import Store
from fastobj.objects.verify import read_body

# The spaces whose rows counters and counts are made of.
COUNTED: Final = (keys.CURRENT, keys.SHARED, keys.PARTS, keys.HISTORY, keys.OUTBOX)
_Place = tuple[int, bytes]


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
    for space in (keys.CURRENT, keys.HISTORY):
        async for row in walk.rows(store.meta, space):
            yield space, row.key, records.decode(ObjectRecord, row.value)
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
    counts = Counts(store)
    for space in COUNTED:
        async for row in walk.rows(store.meta, space):
            counts.add(space, row.key, spaces.decode(space, row.key, row.value))
    return await counts.differences()


class Counts:
    """What rows add up to, as they come by, and how that differs from what is stored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: defaultdict[_Place, list[int]] = defaultdict(
            lambda: [0] * COUNTER_AMOUNTS_MAX
        )
        self._stored: dict[_Place, tuple[int, ...]] = {}

    def add(
        self, space: int, key: bytes, record: ObjectRecord | SharedRecord | PartRecord | EventRecord
    ) -> None:
        """Takes the row with that key of a space in `COUNTED`."""
        if isinstance(record, EventRecord):
            self._fold([Add(keys.OUTBOX, keys.OUTBOX_COUNTER, (1,))])
            return
        if isinstance(record, PartRecord):
            self._fold(accounts(self._store.volume.accounts, record, +1))
            return
        self._fold(kept(self._store, record))
        if isinstance(record, SharedRecord):
            self._stored[keys.SHARED, key] = (record.count,)
            return
        counter = keys.bucket_counter(key[: keys.BUCKET_ID_BYTES])
        counted = (1, record.size) if space == keys.CURRENT else (0, 0, 1, record.size)
        self._fold([Add(keys.CURRENT, counter, counted)])
        if not record.location:
            self._fold([Add(keys.SHARED, record.data_id, (1,))])

    async def differences(self) -> list[Difference]:
        """What differs, now that all rows have come by."""
        stored = dict(self._stored)
        for space in (keys.CURRENT, keys.SEGMENTS, keys.OUTBOX):
            for key, amounts in await self._store.meta.counters(space, keys.FIRST, keys.LAST):
                stored[space, key] = amounts
        found: list[Difference] = []
        for place in sorted(self._counted.keys() | stored.keys()):
            rows = _trim(tuple(self._counted.get(place, ())))
            counter = _trim(stored.get(place, ()))
            if rows != counter:
                found.append(Difference(*place, rows, counter))
        return found

    def _fold(self, adds: list[Add]) -> None:
        for add in adds:
            amounts = self._counted[add.space, add.key]
            for index, amount in enumerate(add.amounts):
                amounts[index] += amount


def _trim(amounts: tuple[int, ...]) -> tuple[int, ...]:
    """Without zeros at the end: engines differ in how many they keep."""
    while amounts and amounts[-1] == 0:
        amounts = amounts[:-1]
    return amounts
