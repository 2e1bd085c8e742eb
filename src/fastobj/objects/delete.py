"""Deletes objects: each key is a transaction of its own, many keys are one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from fastobj.core.errors import Conflict, FastobjError, S3Error
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys
from fastobj.meta.records import BUCKET_ACTIVE, NEVER_VERSIONED
from fastobj.objects import bodies, buckets, versions
from fastobj.objects.bodies import Ahead
from fastobj.objects.buckets import Bucket
from fastobj.objects.change import FOLLOWED, Change, Stale, change_key
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store
from fastobj.objects.versions import KeyRows, Wanted


class Deletion(NamedTuple):
    """A key to delete, or a version of it, and what must hold of the object there.

    `bypass`: a version goes even where governance keeps it.
    """

    key: bytes
    conditions: WriteConditions = UNCONDITIONAL
    version: Wanted = None
    bypass: bool = False


class Deleted(NamedTuple):
    """What a deletion has to tell: the delete marker that it left, or the version that it was of.

    `is_marker`: it left one, or took one away.
    """

    version: bytes
    is_marker: bool


Result = Deleted | FastobjError | None


async def delete_object(store: Store, bucket: Bucket, deletion: Deletion) -> Deleted | None:
    """Deletes the object if there is one, or the version that is named.

    Where versions are kept an object is not deleted but becomes one, under a delete marker. None:
    there is nothing to tell. Raises S3Error (PreconditionFailed, NoSuchKey where a condition needs
    an object, AccessDenied for a version that a lock keeps), Unknown, Unavailable.
    """

    async def plan(change: Change) -> Deleted | None:
        return await _plan(change, deletion)

    return await change_key(store, bucket, deletion.key, plan)


async def _plan(change: Change, deletion: Deletion) -> Deleted | None:
    if deletion.version is None:
        deletion.conditions.check(change.object)
        marker = await change.delete()
        return None if marker is None else Deleted(marker.version, True)
    found = await change.version(deletion.version)
    is_versioned = change.bucket.record.versioning != NEVER_VERSIONED
    if found is None:  # a version that is not there is deleted, whatever was asked of it
        return Deleted(deletion.version, False) if is_versioned else None
    deletion.conditions.check(found.record)
    await change.remove(found, bypass=deletion.bypass)
    is_marker = found.record.is_delete_marker
    return Deleted(deletion.version, is_marker) if is_versioned else None


# --- many


async def delete_objects(
    store: Store, bucket: Bucket, deletions: Sequence[Deletion]
) -> list[Result]:
    """Deletes many objects in one commit; one result each. Only keys that lost a race go again.

    A key that is named again goes in a round of its own, as if it had come in another request.
    """
    results: list[Result] = [None] * len(deletions)
    for indexes in _rounds(deletions):
        bucket = await _Round(store, bucket, deletions, results).run(indexes)
    return results


def _rounds(deletions: Sequence[Deletion]) -> list[list[int]]:
    """Indexes of deletions in order, so that no round has a key twice."""
    rounds: list[list[int]] = []
    seen: dict[bytes, int] = {}
    for index, deletion in enumerate(deletions):
        number = seen.get(deletion.key, 0)
        seen[deletion.key] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(index)
    return rounds


class _Round:
    """Deletions of keys that differ, by their indexes: one commit, and one more for the losers."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        deletions: Sequence[Deletion],
        results: list[Result],
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._deletions = deletions
        self._results = results
        self._rows: dict[int, KeyRows] = {}
        self._retry = Retry()

    async def run(self, indexes: list[int]) -> Bucket:
        """Notes a result for each of them; returns the bucket as it is then."""
        while indexes:
            if self._bucket.record.state != BUCKET_ACTIVE:
                self._bucket = await buckets.writable(self._store, self._bucket)
                self._rows.clear()
            await self._read([index for index in indexes if index not in self._rows])
            planned, stale = await self._plan(indexes)
            indexes = stale + await self._commit(planned)
        return self._bucket

    async def _read(self, indexes: list[int]) -> None:
        """The present rows, read in portions between which others get their turn."""
        bucket_id = self._bucket.record.id
        is_versioned = self._bucket.record.versioning != NEVER_VERSIONED
        for start in range(0, len(indexes), LOOP_SCAN_ROWS_MAX):
            portion = indexes[start : start + LOOP_SCAN_ROWS_MAX]
            names = [self._deletions[index].key for index in portion]
            stamps: list[versions.RawRow] = [None] * len(portion)
            if is_versioned:  # before the other row, as in `versions.read`
                pairs = [(keys.STAMPS, keys.stamp(bucket_id, name)) for name in names]
                stamps = await self._store.meta.get_many(pairs)
            pairs = [(keys.CURRENT, keys.current(bucket_id, name)) for name in names]
            found = await self._store.meta.get_many(pairs)
            for index, current, stamp in zip(portion, found, stamps, strict=True):
                self._rows[index] = KeyRows(current, stamp)
            await asyncio.sleep(0)

    async def _plan(self, indexes: list[int]) -> tuple[dict[int, tuple[Change, Entry]], list[int]]:
        """The changes to commit, in one commit of many, and the indexes whose rows are stale."""
        planned: dict[int, tuple[Change, Entry]] = {}
        stale: list[int] = []
        ahead: Ahead = {}
        for index in indexes:
            deletion = self._deletions[index]
            rows = self._rows.pop(index)
            change = Change(self._store, self._bucket, deletion.key, rows, ahead=ahead)
            try:
                self._results[index] = await _plan(change, deletion)
                if change.happenings:
                    await change.tell()
                if self._bucket.record.configs & FOLLOWED and not change.is_empty:
                    await change.follow()
            except S3Error as error:
                self._results[index] = error
                continue
            except Stale:
                stale.append(index)
                continue
            if not change.is_empty:
                entry = change.entry(self._retry.arrival)
                bodies.foresee(ahead, entry.txn)
                planned[index] = change, entry
        return planned, stale

    async def _commit(self, planned: dict[int, tuple[Change, Entry]]) -> list[int]:
        """Commits, and notes what failed; the indexes that lost a race and go again."""
        if not planned:
            return []
        entries = [entry for _, entry in planned.values()]
        lost: dict[int, Conflict] = {}
        for index, result in zip(
            planned, await self._store.ledger.commit_many(entries), strict=True
        ):
            if isinstance(result, Conflict):
                lost[index] = result
            elif result is not None:
                self._results[index] = result
        if not lost:
            return []
        try:
            for index, conflict in lost.items():
                self._look_again(index, planned[index][0], conflict)
            await self._retry.after(next(iter(lost.values())))
        except S3Error as error:
            for index in lost:
                self._results[index] = error
            return []
        return list(lost)

    def _look_again(self, index: int, change: Change, conflict: Conflict) -> None:
        """The rows of the next try, where the Conflict shows them. Raises NoSuchBucket."""
        self._bucket = change.same_bucket(conflict)
        rows = change.present_rows(conflict, self._bucket)
        if rows is not None:
            self._rows[index] = rows
