"""Lists the objects of a bucket, page by page.

Keys that have the delimiter behind the prefix are folded into one common prefix, and the scan
seeks behind it instead of reading through. So a page costs rows in proportion to its entries,
whatever stands under its common prefixes.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, NamedTuple

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ScanRow
from fastobj.meta.records import ObjectRecord
from fastobj.objects.buckets import Bucket
from fastobj.objects.store import Store

_ROWS_PER_ENTRY_MAX: Final = 3
_ROWS_AFTER_SEEK: Final = _ROWS_PER_ENTRY_MAX  # the first of them always makes an entry
_SEEK_ROWS: Final = 10  # what a scan costs beside its rows, as a number of rows
# Others get a turn after so many rows, some 2 ms, which is a flat page: pages that grow side by
# side would all be in memory at once, and none of them would be ready sooner.
_TURN_ROWS: Final = 1200


class ListedObject(NamedTuple):
    """An entry of a page that is an object; `value` is its record as it is stored."""

    key: bytes
    value: bytes

    @property
    def record(self) -> ObjectRecord:
        """The record. Raises UnknownFormat, StoreDamaged."""
        return records.decode(ObjectRecord, self.value)


# A ListedObject from a tuple without a Python frame.
_listed = partial(tuple.__new__, ListedObject)


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
    wanted = entries_max + 1  # one more tells whether there are more
    fold = _Fold(prefix, delimiter)
    bucket_id = bucket.record.id
    end = keys.after(bucket_id + prefix)
    cursor = max(bucket_id + prefix, bucket_id + fold.behind(after) if after else b"")
    rows_max = _ROWS_AFTER_SEEK if delimiter else LOOP_SCAN_ROWS_MAX
    entries = rows_read = work = 0
    while cursor < end and entries < wanted:
        rows_max = min(rows_max, wanted - entries)
        rows = await store.meta.scan(keys.CURRENT, cursor, end, rows_max)
        seek = fold.take(rows)
        if len(rows) < rows_max:
            break
        cursor = bucket_id + seek if seek else keys.next_key(rows[-1].key)
        found = fold.entries - entries
        entries += found
        rows_read += len(rows)
        rows_max = _rows_next(len(rows), found, _ROWS_PER_ENTRY_MAX * entries - rows_read)
        work += len(rows) + _SEEK_ROWS
        if work >= _TURN_ROWS:
            work = 0
            await asyncio.sleep(0)
    return fold.page(entries_max)


def _rows_next(rows: int, found: int, unspent: int) -> int:
    """How many rows to read at once, after `rows` made `found` entries.

    Where most rows make entries, reading on is cheaper than seeking, as far as the rows that the
    entries so far may cost are not `unspent`; elsewhere a seek is worth it after each entry.
    """
    if 2 * found < rows:
        return _ROWS_AFTER_SEEK
    return max(_ROWS_AFTER_SEEK, min(unspent, LOOP_SCAN_ROWS_MAX))


class _Fold:
    """Takes rows in key order and makes entries of them, at most one of each."""

    def __init__(self, prefix: bytes, delimiter: bytes) -> None:
        self._prefix = prefix
        self._delimiter = delimiter
        self._objects: list[ListedObject] = []
        self._prefixes: list[bytes] = []
        self._seek = b""  # the first key behind the common prefix found last

    @property
    def entries(self) -> int:
        """How many entries it has made."""
        return len(self._objects) + len(self._prefixes)

    def behind(self, name: bytes) -> bytes:
        """The first key whose entry is greater than `name`."""
        common = self._common_prefix(name) if name.startswith(self._prefix) else b""
        return keys.after(common) if common else keys.next_key(name)

    def take(self, rows: list[ScanRow]) -> bytes:
        """Takes rows. Where the last one lies in a common prefix: the first key behind that."""
        if not self._delimiter:  # each is an entry of its own
            entries = [(key[keys.OBJECT_KEY], value) for key, value, _ in rows]
            self._objects += map(_listed, entries)
            return b""
        key = b""
        for row in rows:
            key = keys.object_key(row.key)
            if key < self._seek:
                continue
            common = self._common_prefix(key)
            if common:
                self._prefixes.append(common)
                self._seek = keys.after(common)
            else:
                self._objects.append(_listed((key, row.value)))
        return self._seek if key < self._seek else b""

    def _common_prefix(self, key: bytes) -> bytes:
        """What a key under the prefix is folded into; b"" where it is an entry of its own."""
        at = key.find(self._delimiter, len(self._prefix)) if self._delimiter else -1
        return key[: at + len(self._delimiter)] if at >= 0 else b""

    def page(self, entries_max: int) -> Page:
        """What was taken; an entry above `entries_max` only tells that there is more."""
        is_truncated = self.entries > entries_max
        if is_truncated:
            del (self._objects if self._last_object() > self._last_prefix() else self._prefixes)[-1]
        last = max(self._last_object(), self._last_prefix())
        return Page(self._objects, self._prefixes, is_truncated, last)

    def _last_object(self) -> bytes:
        return self._objects[-1].key if self._objects else b""

    def _last_prefix(self) -> bytes:
        return self._prefixes[-1] if self._prefixes else b""
