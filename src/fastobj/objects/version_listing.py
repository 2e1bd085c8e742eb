"""Lists the versions and delete markers of a bucket, page by page: by key, then the newest first.

Two spaces are merged. Each step reads a window of both from the same place, the current objects
first: what becomes a version meanwhile is seen twice and passed over once, never missed. Keys that
have the delimiter behind the prefix are folded as in `listing`, by seeks: so a page costs rows in
proportion to its entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from operator import lt
from typing import Final, NamedTuple

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ScanRow
from fastobj.meta.records import NEVER_VERSIONED, ObjectRecord
from fastobj.objects import versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.store import Store
from fastobj.objects.versions import NULL

_ROWS_FIRST: Final = 3  # of a window where a seek may come; doubled while none does
_TURN_ROWS: Final = 600  # others get a turn after so many rows of both spaces


class ListedVersion(NamedTuple):
    """An entry of a page that is a version or a delete marker; `value` is its encoded record."""

    key: bytes
    value: bytes
    record: ObjectRecord
    is_latest: bool


class Page(NamedTuple):
    """A page of the listing, in order: a common prefix stands among the versions as bytes.

    `last` names the key of its last entry, or that common prefix; `last_version` is the version id
    of the last entry, None where that is a prefix.
    """

    versions: list[ListedVersion]
    prefixes: list[bytes]
    is_truncated: bool
    last: bytes
    last_version: bytes | None


class _Place(NamedTuple):
    """Where a window begins: a row key in each of the two spaces."""

    current: bytes
    history: bytes


async def list_versions(
    store: Store,
    bucket: Bucket,
    *,
    prefix: bytes = b"",
    delimiter: bytes = b"",
    after: bytes = b"",
    after_version: bytes | None = None,
    entries_max: int,
) -> Page:
    """The entries under `prefix` behind the key `after`, at most `entries_max`.

    With an `after_version`, behind that version of the key. A common prefix that `after` lies in
    is passed over.
    """
    merge = _Merge(store, bucket, prefix, delimiter, entries_max)
    if entries_max:
        await merge.start(after, after_version)
        await merge.run()
    return merge.page()


class _Merge:
    """The windows of one page."""

    def __init__(
        self, store: Store, bucket: Bucket, prefix: bytes, delimiter: bytes, entries_max: int
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._id = bucket.record.id
        self._prefix = prefix
        self._delimiter = delimiter
        self._entries_max = entries_max
        self._versions: list[ListedVersion] = []
        self._prefixes: list[bytes] = []
        self._last = b""
        self._last_version: bytes | None = None
        self._is_truncated = False
        self._skip = b""  # keys that begin with it are in a common prefix that is listed already
        self._newest: tuple[bytes, ObjectRecord | None] = (b"", None)  # key, its current version
        self._seen = b""  # the key of the last row of a version
        self._end = _Place(
            keys.after(self._id + prefix), keys.after(keys.history_under(self._id, prefix))
        )
        self._place = _Place(self._id + prefix, keys.history_under(self._id, prefix))
        if bucket.record.versioning == NEVER_VERSIONED:
            self._place = self._place._replace(history=self._end.history)

    # --- where it begins

    async def start(self, after: bytes, after_version: bytes | None) -> None:
        """Goes behind the markers."""
        if not after:
            return
        common = self._common_prefix(after) if after.startswith(self._prefix) else b""
        if common:
            self._seek(common)
            return
        if after_version is not None and await self._start_within(after, after_version):
            return
        self._advance(self._behind(after))

    async def _start_within(self, key: bytes, version: bytes) -> bool:
        """Goes behind a version of a key; False where nothing else of the key is behind it."""
        if not key.startswith(self._prefix):
            return False
        current, stamp_row = await versions.read(self._store, self._bucket, key)
        stamp = versions.stamp_of(stamp_row)
        if stamp is None:
            return False
        present = versions.current_version(self._bucket, key, current)
        order = versions.order_of(version)
        if version == NULL:
            is_current = present is not None and present.record.version == NULL
            order = stamp.latest if is_current else stamp.null
        if not order:  # it has gone: rather the others again than none of them
            self._advance(_Place(keys.current(self._id, key), keys.histories(self._id, key)))
            return True
        if present is not None:
            if stamp.latest < order:  # what came before it is the current one by now
                self._take(key, present.value, present.record, is_latest=True)
            self._newest = key, present.record
        self._seen = key
        row_key = keys.history(self._id, key, order)
        self._advance(_Place(keys.next_key(keys.current(self._id, key)), keys.next_key(row_key)))
        return True

    def _behind(self, key: bytes) -> _Place:
        """Behind all of a key."""
        history = keys.after(keys.histories(self._id, key))
        return _Place(keys.next_key(keys.current(self._id, key)), history)

    def _advance(self, place: _Place) -> None:
        self._place = _Place(*map(max, self._place, place))

    def _seek(self, common: bytes) -> None:
        self._skip = common
        self._advance(
            _Place(keys.after(self._id + common), keys.after(keys.history_under(self._id, common)))
        )

    # --- windows

    async def run(self) -> None:
        """Takes windows until the page is full or all is read."""
        rows_max = _ROWS_FIRST if self._delimiter else LOOP_SCAN_ROWS_MAX
        work = 0
        while any(map(lt, self._place, self._end)) and not self._is_truncated:
            before = len(self._prefixes)
            rows_max = min(rows_max, self._entries_max + 1)
            work += await self._window(rows_max)
            folded = len(self._prefixes) > before
            rows_max = _ROWS_FIRST if folded else min(2 * rows_max, LOOP_SCAN_ROWS_MAX)
            if work >= _TURN_ROWS:
                work = 0
                await asyncio.sleep(0)

    async def _window(self, rows_max: int) -> int:
        """Merges the next rows of both spaces, and goes behind them; returns how many they were."""
        meta, place, end = self._store.meta, self._place, self._end
        currents: list[ScanRow] = []
        if place.current < end.current:
            currents = await meta.scan(keys.CURRENT, place.current, end.current, rows_max)
        behind = end
        if len(currents) == rows_max:
            behind = self._behind(keys.object_key(currents[-1].key))
        histories: list[ScanRow] = []
        if place.history < behind.history:
            histories = await meta.scan(keys.HISTORY, place.history, behind.history, rows_max)
        if len(histories) == rows_max:
            key, _ = keys.history_of(histories[-1].key)
            row_key = keys.current(self._id, key)
            currents = [row for row in currents if row.key <= row_key]
            behind = _Place(keys.next_key(row_key), keys.next_key(histories[-1].key))
        self._advance(behind)
        for entry in self._merged(currents, histories):
            if not self._fold(*entry):
                break
        return len(currents) + len(histories)

    def _merged(
        self, currents: list[ScanRow], histories: list[ScanRow]
    ) -> Iterator[tuple[bytes, bytes, bool]]:
        """Key, value and whether it is current, of the rows of both spaces in order."""
        at = 0
        for row in histories:
            key, _ = keys.history_of(row.key)
            while at < len(currents) and keys.object_key(currents[at].key) <= key:
                yield keys.object_key(currents[at].key), currents[at].value, True
                at += 1
            yield key, row.value, False
        for row in currents[at:]:
            yield keys.object_key(row.key), row.value, True

    def _fold(self, key: bytes, value: bytes, is_current: bool) -> bool:
        """Makes an entry of a row, or of many; False where the page is full."""
        if self._skip and key.startswith(self._skip):
            return True
        common = self._common_prefix(key)
        if common:
            if self._is_full():
                return False
            self._prefixes.append(common)
            self._last, self._last_version = common, None
            self._seek(common)
            return True
        record = records.decode(ObjectRecord, value)
        if is_current:
            self._newest = key, record
            return self._take(key, value, record, is_latest=True)
        of, newest = self._newest
        if of != key:
            newest = None
        is_latest = newest is None and self._seen != key
        self._seen = key
        if newest is not None and _is_as_new(record, newest):
            return True
        return self._take(key, value, record, is_latest)

    def _take(self, key: bytes, value: bytes, record: ObjectRecord, is_latest: bool) -> bool:
        if self._is_full():
            return False
        self._versions.append(ListedVersion(key, value, record, is_latest))
        self._last, self._last_version = key, record.version
        return True

    def _is_full(self) -> bool:
        """Whether there is no room for an entry that is there; then the page is truncated."""
        self._is_truncated = len(self._versions) + len(self._prefixes) == self._entries_max
        return self._is_truncated

    def _common_prefix(self, key: bytes) -> bytes:
        """What a key under the prefix is folded into; b"" where it is no part of any."""
        at = key.find(self._delimiter, len(self._prefix)) if self._delimiter else -1
        return key[: at + len(self._delimiter)] if at >= 0 else b""

    def page(self) -> Page:
        """What was taken."""
        return Page(
            self._versions, self._prefixes, self._is_truncated, self._last, self._last_version
        )


def _is_as_new(record: ObjectRecord, current: ObjectRecord) -> bool:
    """Whether a row in `HISTORY` came there after the current version was read: it is that one, or
    newer."""
    if record.version == current.version:
        return True
    if NULL in (record.version, current.version):
        return False
    return versions.order_of(record.version) > versions.order_of(current.version)
