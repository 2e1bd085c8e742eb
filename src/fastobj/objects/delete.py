"""Deletes objects: each key is a transaction of its own, many keys are one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from fastobj.core.errors import Conflict, FastobjError, S3Error
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, Add, Row, Token, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord
from fastobj.objects import bodies
from fastobj.objects.bodies import Ahead
from fastobj.objects.buckets import Bucket
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store

_Present = tuple[bytes, Token] | None


class Deletion(NamedTuple):
    """A key to delete, and what must hold of the object under it."""

    key: bytes
    conditions: WriteConditions = UNCONDITIONAL


async def delete_object(store: Store, bucket: Bucket, deletion: Deletion) -> None:
    """Deletes the object if there is one.

    Raises S3Error (PreconditionFailed, NoSuchKey where a condition needs an object), Unknown,
    Unavailable.
    """
    row_key = keys.current(bucket.record.id, deletion.key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        present = await store.meta.get(keys.CURRENT, row_key)
        retry = Retry(turn=turn)
        while (txn := await _txn(store, bucket, deletion, present)) is not None:
            try:
                await store.ledger.commit(Entry(txn, arrival=retry.arrival))
                return
            except Conflict as conflict:
                lost = conflict
            present = lost.present[0]
            if await retry.after(lost):
                present = await store.meta.get(keys.CURRENT, row_key)


async def delete_objects(
    store: Store, bucket: Bucket, deletions: Sequence[Deletion]
) -> list[FastobjError | None]:
    """Deletes many objects in one commit; one result each. Only keys that lost a race go again.

    A key that is named again goes in a round of its own, as if it had come in another request.
    """
    results: list[FastobjError | None] = [None] * len(deletions)
    for indexes in _rounds(deletions):
        await _delete_distinct(store, bucket, deletions, indexes, results)
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


async def _delete_distinct(
    store: Store,
    bucket: Bucket,
    deletions: Sequence[Deletion],
    indexes: list[int],
    results: list[FastobjError | None],
) -> None:
    present = await _read(store, bucket, deletions, indexes)
    retry = Retry()
    while indexes:
        txns: dict[int, Txn] = {}
        ahead: Ahead = {}
        for index in indexes:
            try:
                txn = await _txn(store, bucket, deletions[index], present[index], ahead)
            except S3Error as error:
                results[index] = error
                continue
            if txn is not None:
                bodies.foresee(ahead, txn)
                txns[index] = txn
        indexes = await _commit(store, txns, present, results, retry)


async def _commit(
    store: Store,
    txns: dict[int, Txn],
    present: dict[int, _Present],
    results: list[FastobjError | None],
    retry: Retry,
) -> list[int]:
    """Commits, notes results and present rows; the indexes that lost a race and go again."""
    if not txns:
        return []
    entries = [Entry(txn, arrival=retry.arrival) for txn in txns.values()]
    lost: dict[int, Conflict] = {}
    for index, result in zip(txns, await store.ledger.commit_many(entries), strict=True):
        if isinstance(result, Conflict):
            lost[index] = result
            present[index] = result.present[0]
        else:
            results[index] = result
    if not lost:
        return []
    try:
        await retry.after(next(iter(lost.values())))
    except S3Error as error:
        results[:] = [error if at in lost else result for at, result in enumerate(results)]
        return []
    return list(lost)


async def _read(
    store: Store, bucket: Bucket, deletions: Sequence[Deletion], indexes: Sequence[int]
) -> dict[int, _Present]:
    """The present rows, read in portions between which others get their turn."""
    rows: list[_Present] = []
    for start in range(0, len(indexes), LOOP_SCAN_ROWS_MAX):
        portion = [deletions[index].key for index in indexes[start : start + LOOP_SCAN_ROWS_MAX]]
        pairs = [(keys.CURRENT, keys.current(bucket.record.id, key)) for key in portion]
        rows += await store.meta.get_many(pairs)
        await asyncio.sleep(0)
    return dict(zip(indexes, rows, strict=True))


async def _txn(
    store: Store,
    bucket: Bucket,
    deletion: Deletion,
    present: _Present,
    ahead: Ahead | None = None,
) -> Txn | None:
    """The transaction that deletes, None where nothing is there. Raises S3Error."""
    old = None if present is None else records.decode(ObjectRecord, present[0])
    deletion.conditions.check(old)
    if old is None or present is None:
        return None
    row_key = keys.current(bucket.record.id, deletion.key)
    counter = keys.bucket_counter(bucket.record.id)
    release = await bodies.release(store, old, ahead)
    return Txn(
        new_txn_id(),
        [Row(keys.CURRENT, row_key, present[1], DELETE), *release.rows],
        [Add(keys.CURRENT, counter, (-1, -old.size)), *release.adds],
    )
