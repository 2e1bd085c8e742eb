"""Hints what a bucket holds, after its lifecycle rules have changed: one resumable pass.

How far it is stands in the row of the time index that asked for it. Whoever changes the rules again
writes that row anew, and so begins the pass again; whoever changes a key meanwhile hints it by the
new rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict, FastobjError
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE, KEEP, Row, ScanRow, Txn, new_txn_id
from fastobj.meta.records import ObjectRecord, RulesDue, UploadRecord
from fastobj.objects import configs, lifecycle_hints
from fastobj.objects import lifecycle_moments as moments
from fastobj.objects.buckets import Bucket
from fastobj.objects.ledger import Entry
from fastobj.objects.lifecycle_hints import Hints
from fastobj.objects.lifecycle_moments import Calendar
from fastobj.objects.lifecycle_rules import Rule
from fastobj.objects.store import Store

# What rules apply to, in the order of the pass.
SPACES: Final = (keys.CURRENT, keys.HISTORY, keys.UPLOADS)


class Hinting:
    """The passes of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def step(self, row: ScanRow) -> None:
        """A page of the pass that this row of `DUE_RULES` asks for; the last page ends it.

        Raises what reading rules and committing raise.
        """
        due = records.decode(RulesDue, row.value)
        _, _, bucket_id = keys.due_of(row.key)
        bucket = await lifecycle_hints.bucket_of(self._store, due.name, bucket_id)
        found = None
        if bucket is not None:
            found = await configs.find(self._store, bucket, configs.LIFECYCLE)
        if bucket is None or found is None:
            await self._advance(row, None)
            return
        space = due.space or SPACES[0]
        start = max(due.key, bucket_id)
        page = await self._store.meta.scan(space, start, keys.after(bucket_id), LOOP_SCAN_ROWS_MAX)
        await self._hint(bucket, found.rules, space, page)
        reach("lifecycle.hinted")
        await self._advance(row, _behind(due, space, page))
        reach("lifecycle.advanced")

    async def _advance(self, row: ScanRow, due: RulesDue | None) -> None:
        """Notes how far the pass is, unless the rules have changed again."""
        value = DELETE if due is None else records.encode(due)
        txn = Txn(new_txn_id(), [Row(keys.DUE, row.key, row.token, value)])
        try:
            await self._store.ledger.commit(Entry(txn))
        except Conflict:
            return

    async def _hint(
        self, bucket: Bucket, rules: Sequence[Rule], space: int, page: Sequence[ScanRow]
    ) -> None:
        """One transaction for each row, which must be what was read.

        Who changed it has hinted it, but for those who only move bodies: so it is looked at again.
        """
        rows = list(page)
        while rows:
            found = {row: list(self._of(bucket, rules, space, row)) for row in rows}
            hinted = {row: hints for row, hints in found.items() if hints}
            entries = [_entry(space, row, hints) for row, hints in hinted.items()]
            results = await self._store.ledger.commit_many(entries) if entries else []
            rows = [
                again
                for row, result in zip(hinted, results, strict=True)
                if (again := _present(row, result)) is not None
            ]

    def _of(self, bucket: Bucket, rules: Sequence[Rule], space: int, row: ScanRow) -> Iterable[Row]:
        """Hints for what stands in a row, as if nothing was younger than it: judging sees more."""
        if space == keys.UPLOADS:
            return self._of_upload(bucket, rules, row)
        record = records.decode(ObjectRecord, row.value)
        if space == keys.CURRENT:
            hints = Hints(self._store, bucket, keys.object_key(row.key), rules)
            return hints.of_object(record)
        key, order = keys.history_of(row.key)
        hints = Hints(self._store, bucket, key, rules)
        found = hints.of_version(order, record, record.modified_ns)
        if record.is_delete_marker:  # of several only the latest can be alone
            found += hints.of_marker(record.modified_ns)
        return found

    def _of_upload(self, bucket: Bucket, rules: Sequence[Rule], row: ScanRow) -> list[Row]:
        key, upload_id = keys.upload_of(row.key)
        created_ns = records.decode(UploadRecord, row.value).created_ns
        calendar = Calendar(self._store.lifecycle_day_s)
        moment = moments.of_upload(rules, calendar, key.decode(), created_ns)
        if moment is None:
            return []
        return [lifecycle_hints.hint(bucket, key, upload_id, moment.at_ns)]


def _entry(space: int, row: ScanRow, hints: list[Row]) -> Entry:
    return Entry(Txn(new_txn_id(), [Row(space, row.key, row.token, KEEP), *hints]))


def _present(row: ScanRow, result: FastobjError | None) -> ScanRow | None:
    """The row as it is now where it has changed; None where it was hinted, or is gone."""
    if result is None:
        return None
    if not isinstance(result, Conflict):
        raise result
    present = result.present[0]
    return None if present is None else ScanRow(row.key, *present)


def _behind(due: RulesDue, space: int, page: Sequence[ScanRow]) -> RulesDue | None:
    """Where the pass goes on behind a page; None at its end."""
    if len(page) == LOOP_SCAN_ROWS_MAX:
        return RulesDue(records.FORMAT, due.name, space, keys.next_key(page[-1].key))
    at = SPACES.index(space) + 1
    return RulesDue(records.FORMAT, due.name, SPACES[at]) if at < len(SPACES) else None
