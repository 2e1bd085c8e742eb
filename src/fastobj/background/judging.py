"""Judges what lifecycle rules may act on, by the rules and by what is there now, and acts.

A hint of the time index says what to look at. All is one change of the key, so it holds for the
very version that was judged: where another has come meanwhile, that is judged instead. With it the
hint goes, and another one comes where a rule will act later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastobj.core import codes
from fastobj.core.crash_points import reach
from fastobj.core.errors import Conflict, S3Error
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX, TXN_ROWS_MAX
from fastobj.core.metrics import Family, Metric
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, DELETE, KEEP, Row, ScanRow, Txn, new_txn_id
from fastobj.meta.records import NEVER_VERSIONED, ObjectRecord, VersionDue
from fastobj.objects import configs, events, lifecycle_hints, upload_rows, uploads, versions
from fastobj.objects import lifecycle_moments as moments
from fastobj.objects.buckets import Bucket
from fastobj.objects.change import Change, change_key
from fastobj.objects.ledger import Entry
from fastobj.objects.lifecycle_hints import hint
from fastobj.objects.lifecycle_moments import Calendar, Moment
from fastobj.objects.lifecycle_rules import Rule
from fastobj.objects.store import Store
from fastobj.objects.versions import Version

_CAUSE: Final = events.Cause("s3:LifecycleExpiration:Delete", "s3.amazonaws.com")
_PROTECTED_DAYS: Final = 1  # what may not go is looked at again after that


class Judge:
    """Judges the hints of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calendar = Calendar(store.lifecycle_day_s)

    async def judge(self, row: ScanRow) -> Family | None:
        """Works off a hint; returns the metric of what was done, None for nothing.

        Raises what reading rules and changing a key raise.
        """
        _, bucket_id, key, of = keys.due_version_of(row.key)
        due = records.decode(VersionDue, row.value)
        bucket = await lifecycle_hints.bucket_of(self._store, due.name, bucket_id)
        if bucket is None:
            await self._commit([_gone(row)])
            return None
        try:
            if len(of) == keys.UPLOAD_ID_BYTES:
                return await self._judge_upload(row, bucket, key, of)
            if keys.is_pushed(of):
                await self._pass_on(row, bucket, key, keys.order_in(of))
                return None
            return await self._judge_key(row, bucket, key, of)
        except S3Error as error:
            if error.code is codes.NO_SUCH_BUCKET:
                await self._commit([_gone(row)])
            elif error.code is codes.ACCESS_DENIED:  # the version is protected
                at_ns = self._calendar.after(self._store.clock.now_ns(), _PROTECTED_DAYS)
                await self.put_off(row, at_ns)
            else:
                raise
            return None

    async def put_off(self, row: ScanRow, at_ns: int) -> None:
        """Has the hint judged at that time instead. Raises what a commit raises but Conflict."""
        _, bucket_id, key, of = keys.due_version_of(row.key)
        later = Row(keys.DUE, keys.due_version(at_ns, bucket_id, key, of), ANY, row.value)
        await self._commit([_gone(row), later])

    async def _commit(self, rows: list[Row]) -> bool:
        try:
            await self._store.ledger.commit(Entry(Txn(new_txn_id(), rows)))
        except Conflict:
            return False  # judged again, for the hint has stayed
        return True

    # --- keys

    async def _judge_key(
        self, row: ScanRow, bucket: Bucket, key: bytes, of: bytes
    ) -> Family | None:
        async def plan(change: Change) -> Family | None:
            change.carry_hints([_gone(row)])
            found = await configs.find(self._store, change.bucket, configs.LIFECYCLE)
            if found is None:
                return None
            judged = _Judged(self._store, change, found.rules)
            if not of:
                return await judged.latest()
            return await judged.version(keys.order_in(of))

        with events.caused_by(_CAUSE):
            done = await change_key(self._store, bucket, key, plan)
        reach("lifecycle.judged")
        return done

    async def _pass_on(self, row: ScanRow, bucket: Bucket, key: bytes, order: int) -> None:
        """Has the versions judged that the one of that order has pushed out of the newest."""
        found = await configs.find(self._store, bucket, configs.LIFECYCLE)
        counts = sorted(moments.kept_counts(found.rules, key.decode())) if found else []
        bucket_id, now_ns = bucket.record.id, self._store.clock.now_ns()
        behind = keys.next_key(keys.history(bucket_id, key, order))
        end = keys.after(keys.histories(bucket_id, key))
        most = max(counts, default=0)
        older = await self._store.meta.scan(keys.HISTORY, behind, end, most) if most else []
        orders = [
            keys.history_of(older[count - 1].key)[1] for count in counts if count <= len(older)
        ]
        hints = [hint(bucket, key, keys.of_version(order), now_ns) for order in orders]
        for at in range(0, len(hints), TXN_ROWS_MAX):
            await self._commit(hints[at : at + TXN_ROWS_MAX])
        await self._commit([_gone(row)])

    # --- uploads

    async def _judge_upload(
        self, row: ScanRow, bucket: Bucket, key: bytes, upload_id: bytes
    ) -> Family | None:
        upload = await uploads.find(self._store, bucket, key, upload_id)
        moment = None
        if upload is not None:
            moment = await lifecycle_hints.abort_moment(self._store, bucket, key, upload.record)
        if upload is None or moment is None:
            await self._commit([_gone(row)])
            return None
        held = Row(keys.BUCKETS, bucket.name.encode(), bucket.token, KEEP)
        if moment.at_ns > self._store.clock.now_ns():
            later = hint(bucket, key, upload_id, moment.at_ns)
            await self._commit([held, _gone(row), later])
            return None
        ending = upload_rows.aborting(upload.row_key, upload.token, upload.record)
        is_done = await self._commit([*ending, held, _gone(row)])
        reach("lifecycle.judged")
        return Metric.LIFECYCLE_UPLOADS if is_done else None


class _Judged:
    """What one try of a change comes to by these rules."""

    def __init__(self, store: Store, change: Change, rules: Sequence[Rule]) -> None:
        self._store = store
        self._change = change
        self._rules = rules
        self._calendar = Calendar(store.lifecycle_day_s)
        self._now_ns = store.clock.now_ns()
        self._text = change.key.decode()

    async def latest(self) -> Family | None:
        """The current object, or a delete marker of which nothing else is left."""
        current = self._change.object
        if current is not None:
            moment = moments.of_object(self._rules, self._calendar, self._text, current)
            if not self._is_due(b"", moment):
                return None
            await self._change.delete()
            return Metric.LIFECYCLE_OBJECTS
        if self._change.bucket.record.versioning == NEVER_VERSIONED:
            return None
        return await self._lone_marker()

    async def _lone_marker(self) -> Family | None:
        change = self._change
        newest = await versions.newest_in_history(self._store, change.bucket, change.key, 2)
        if len(newest) != 1 or not newest[0].record.is_delete_marker:
            return None
        modified_ns = newest[0].record.modified_ns
        moment = moments.of_marker(self._rules, self._calendar, self._text, modified_ns)
        if not self._is_due(b"", moment):
            return None
        await change.remove(newest[0])
        return Metric.LIFECYCLE_MARKERS

    async def version(self, order: int) -> Family | None:
        """The noncurrent version, or delete marker, of that order."""
        change = self._change
        found = await versions.in_history(self._store, change.bucket, change.key, order)
        if found is None:
            return None
        newer, since_ns = await self._newer(found)
        if since_ns is None:
            return None
        moment = moments.of_version(
            self._rules, self._calendar, self._text, found.record, since_ns, newer
        )
        if not self._is_due(keys.of_version(order), moment):
            change.carry([Row(found.space, found.row_key, found.token, KEEP)])
            return None
        await change.remove(found)
        return Metric.LIFECYCLE_VERSIONS

    async def _newer(self, version: Version) -> tuple[int, int | None]:
        """How many newer noncurrent versions there are, up to what rules keep, and since when this
        one is noncurrent: since the next newer one came; None where it is the latest."""
        change = self._change
        histories = keys.histories(change.bucket.record.id, change.key)
        rows = await self._store.meta.scan(
            keys.HISTORY, histories, version.row_key, LOOP_SCAN_ROWS_MAX, reverse=True
        )
        successor = change.object
        if rows:
            successor = records.decode(ObjectRecord, rows[0].value)
        if successor is None:
            return 0, None
        has_latest = change.object is None and len(rows) < LOOP_SCAN_ROWS_MAX
        return len(rows) - has_latest, successor.modified_ns

    def _is_due(self, of: bytes, moment: Moment | None) -> bool:
        """Whether a rule acts now; a moment that is to come is hinted."""
        if moment is None:
            return False
        if moment.at_ns <= self._now_ns:
            return True
        change = self._change
        change.carry_hints([hint(change.bucket, change.key, of, moment.at_ns)])
        return False


def _gone(row: ScanRow) -> Row:
    """Lets go of the hint; a change that writes it again changes what is judged, too."""
    return Row(keys.DUE, row.key, ANY, DELETE)
