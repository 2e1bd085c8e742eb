"""Lists the objects of a bucket, page by page.

Keys that have the delimiter behind the prefix are folded into one common prefix, and the scan
seeks behind it instead of reading through. So a page costs rows in proportion to its entries,
whatever stands under its common prefixes.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ScanRow
from fastobj.meta.records import ObjectRecord
from fastobj.objects.buckets import Bucket
from fastobj.objects.store import Store

_ROWS_AFTER_SEEK: Final = 3  # few, because the next row may again start a common prefix


class ListedObject(NamedTuple):
    """An entry of a page that is an object."""

    key: bytes
    record: ObjectRecord


class Page(NamedTuple):
    """A page of a listing. `last` names its last entry: the next page starts behind it."""

    objects: list[ListedObject]
    prefixes: list[bytes]
    is_truncated: bool
    last: bytes


async def list_page(
    store: Store,
    bucket: Bucket,
    *,
    prefix: bytes = b"",
    delimiter: bytes = b"",
    after: bytes = b"",
    entries_max: int,
) -> Page:
    """The entries under `prefix` whose names are greater than `after`, at most `entries_max`.

    A name is a key or a common prefix, so an `after` inside a common prefix skips all of it.
    """
    if entries_max == 0:
        return Page([], [], False, b"")
    fold = _Fold(prefix, delimiter, entries_max + 1)
    bucket_id = bucket.record.id
    end = keys.after(bucket_id + prefix)
    cursor = max(bucket_id + prefix, bucket_id + fold.behind(after) if after else b"")
    rows_max = min(entries_max + 1, _ROWS_AFTER_SEEK if delimiter else LOOP_SCAN_ROWS_MAX)
    while cursor < end and not fold.is_full():
        rows = await store.meta.scan(keys.CURRENT, cursor, end, rows_max)
        seek = fold.take(rows)
        if len(rows) < rows_max:
            break
        cursor = bucket_id + seek if seek else keys.next_key(rows[-1].key)
        rows_max = _ROWS_AFTER_SEEK if seek else min(2 * rows_max, LOOP_SCAN_ROWS_MAX)
        await asyncio.sleep(0)
    return fold.page(entries_max)


class _Fold:
    """Takes rows in key order and makes entries of them, until it has `wanted` of them."""

    def __init__(self, prefix: bytes, delimiter: bytes, wanted: int) -> None:
        self._prefix = prefix
        self._delimiter = delimiter
        self._wanted = wanted
        self._objects: list[ListedObject] = []
        self._prefixes: list[bytes] = []
        self._last = self._before_last = b""
        self._seek = b""  # the first key behind the common prefix found last

    def is_full(self) -> bool:
        """Whether it has all the entries that were wanted."""
        return len(self._objects) + len(self._prefixes) >= self._wanted

    def behind(self, name: bytes) -> bytes:
        """The first key whose entry is greater than `name`."""
        common = self._common_prefix(name)
        return keys.after(common) if common else keys.next_key(name)

    def take(self, rows: list[ScanRow]) -> bytes:
        """Takes rows. Where the last one lies in a common prefix: the first key behind that."""
        key = b""
        for row in rows:
            key = keys.object_key(row.key)
            if key < self._seek:
                continue
            if self.is_full():
                break
            self._add(key, row)
        return self._seek if key < self._seek else b""

    def _add(self, key: bytes, row: ScanRow) -> None:
        common = self._common_prefix(key)
        if common:
            self._prefixes.append(common)
            self._seek = keys.after(common)
        else:
            self._objects.append(ListedObject(key, records.decode(ObjectRecord, row.value)))
        self._before_last, self._last = self._last, common or key

    def _common_prefix(self, key: bytes) -> bytes:
        """The prefix that the key is folded into; b"" where it is an entry of its own."""
        if not self._delimiter or not key.startswith(self._prefix):
            return b""
        at = key.find(self._delimiter, len(self._prefix))
        return key[: at + len(self._delimiter)] if at >= 0 else b""

    def page(self, entries_max: int) -> Page:
        """What was taken; an entry above `entries_max` only tells that there is more."""
        if len(self._objects) + len(self._prefixes) <= entries_max:
            return Page(self._objects, self._prefixes, False, self._last)
        surplus: list[ListedObject] | list[bytes] = self._objects
        if self._prefixes and self._prefixes[-1] == self._last:
            surplus = self._prefixes
        del surplus[-1]
        return Page(self._objects, self._prefixes, True, self._before_last)
