"""Hints: rows of the time index that say when lifecycle rules may act on something first.

Whoever changes a key in a bucket with rules writes those of what changes, in the same transaction.
A hint says when to look, never what to do: background.expiry judges by the rules, and by what is
there, as they are then. So one too many costs a look, and none may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, ANY, DELETE, Row
from fastobj.meta.records import ObjectRecord, RulesDue, StampRecord, UploadRecord, VersionDue
from fastobj.objects import buckets, configs
from fastobj.objects import lifecycle_moments as moments
from fastobj.objects.buckets import Bucket
from fastobj.objects.lifecycle_moments import Calendar, Moment
from fastobj.objects.lifecycle_rules import Lifecycle, Rule
from fastobj.objects.store import Store

BIT: Final = configs.LIFECYCLE.bit


class Changed(NamedTuple):
    """What a transaction makes of a key: its current row, the other rows, its stamp."""

    current: object  # bytes where one is written
    rows: Sequence[Row]
    before: StampRecord | None
    now: StampRecord | None


async def put_rules(store: Store, bucket: Bucket, rules: Lifecycle) -> None:
    """Replaces the rules of a bucket, and has all that it holds hinted anew.

    Raises what `configs.put` raises.
    """
    await configs.put(store, bucket, configs.LIFECYCLE, rules, beside=[rules_row(bucket)])


def rules_row(bucket: Bucket) -> Row:
    """Has all that a bucket holds hinted anew, from the beginning."""
    value = records.encode(RulesDue(records.FORMAT, bucket.name))
    return Row(keys.DUE, keys.due(keys.AT_ONCE, keys.DUE_RULES, bucket.record.id), ANY, value)


async def following(store: Store, bucket: Bucket, key: bytes, changed: Changed) -> list[Row]:
    """The hints that come with a change of a key. Raises what `configs.find` raises."""
    found = await configs.find(store, bucket, configs.LIFECYCLE)
    if found is None:
        return []
    return Hints(store, bucket, key, found.rules).of(changed)


async def of_upload(
    store: Store, bucket: Bucket, key: bytes, upload_id: bytes, record: UploadRecord
) -> list[Row]:
    """The hint that comes with a new upload, if one does. Raises what `configs.find` raises."""
    moment = await abort_moment(store, bucket, key, record)
    return [] if moment is None else [hint(bucket, key, upload_id, moment.at_ns)]


async def abort_moment(
    store: Store, bucket: Bucket, key: bytes, record: UploadRecord
) -> Moment | None:
    """When an upload is aborted. Raises what `configs.find` raises."""
    found = await configs.find(store, bucket, configs.LIFECYCLE)
    if found is None:
        return None
    calendar = Calendar(store.lifecycle_day_s)
    return moments.of_upload(found.rules, calendar, key.decode(), record.created_ns)


async def expiry_moment(
    store: Store, bucket: Bucket, key: bytes, record: ObjectRecord
) -> Moment | None:
    """When the current object expires. Raises what `configs.find` raises."""
    found = await configs.find(store, bucket, configs.LIFECYCLE)
    if found is None:
        return None
    calendar = Calendar(store.lifecycle_day_s)
    return moments.of_object(found.rules, calendar, key.decode(), record)


def hint(bucket: Bucket, key: bytes, of: bytes, at_ns: int) -> Row:
    """Has something of a key judged at that time; `of` as in `keys.due_version`."""
    value = records.encode(VersionDue(records.FORMAT, bucket.name))
    return Row(keys.DUE, keys.due_version(at_ns, bucket.record.id, key, of), ANY, value)


class Hints:
    """The hints about one key of a bucket with these rules."""

    def __init__(self, store: Store, bucket: Bucket, key: bytes, rules: Sequence[Rule]) -> None:
        self._bucket = bucket
        self._key = key
        self._text = key.decode()
        self._rules = rules
        self._calendar = Calendar(store.lifecycle_day_s)
        self._now_ns = store.clock.now_ns()

    def of(self, changed: Changed) -> list[Row]:
        """Those that come with a change."""
        found: list[Row] = []
        if isinstance(changed.current, bytes):
            found += self.of_object(records.decode(ObjectRecord, changed.current))
        if changed.now is not None or changed.before is not None:
            found += self._of_versions(changed)
        return list({row.key: row for row in found}.values())

    def of_object(self, record: ObjectRecord) -> list[Row]:
        """That of the current object."""
        moment = moments.of_object(self._rules, self._calendar, self._text, record)
        return self._at(b"", moment)

    def of_marker(self, modified_ns: int) -> list[Row]:
        """That of a delete marker which is the latest version, as if it were the only one."""
        moment = moments.of_marker(self._rules, self._calendar, self._text, modified_ns)
        return self._at(b"", moment)

    def of_version(self, order: int, record: ObjectRecord | None, since_ns: int) -> list[Row]:
        """That of a version, or marker (None), that is noncurrent since then, or later."""
        moment = moments.of_version(self._rules, self._calendar, self._text, record, since_ns)
        return self._at(keys.of_version(order), moment)

    def _of_versions(self, changed: Changed) -> Iterator[Row]:
        histories = keys.histories(self._bucket.record.id, self._key)
        written = {
            keys.history_of(row.key)[1]: row
            for row in changed.rows
            if row.space == keys.HISTORY and row.key.startswith(histories)
        }
        for order, row in written.items():
            yield from self._of_history(order, row, changed.now)
        before, now = changed.before, changed.now
        if before is None or now is None or not before.is_marker or before.latest in written:
            return
        if now.latest > before.latest:  # the marker has become noncurrent; its row stays as it is
            yield from self._of_aside(before.latest, None)

    def _of_history(self, order: int, row: Row, now: StampRecord | None) -> Iterator[Row]:
        if row.value is DELETE:
            if now is not None and now.is_marker:  # it may be the only one that is left
                yield from self._of_lone_marker()
        elif isinstance(row.value, bytes):
            record = records.decode(ObjectRecord, row.value)
            if now is not None and now.is_marker and order == now.latest:
                yield from self.of_marker(record.modified_ns)
            elif row.expect is ABSENT:
                yield from self._of_aside(order, record)
            else:  # its tags have changed, say: since when it is noncurrent is seen later
                yield from self.of_version(order, record, record.modified_ns)

    def _of_lone_marker(self) -> list[Row]:
        """Its age is seen later."""
        if moments.of_marker(self._rules, self._calendar, self._text, 0) is None:
            return []
        return [hint(self._bucket, self._key, b"", self._calendar.after(self._now_ns, 0))]

    def _of_aside(self, order: int, record: ObjectRecord | None) -> Iterator[Row]:
        """Of what becomes noncurrent now: it pushes another one out of the newest, too."""
        yield from self.of_version(order, record, self._now_ns)
        if moments.kept_counts(self._rules, self._text):
            at_ns = self._calendar.after(self._now_ns, 0)
            yield hint(self._bucket, self._key, keys.of_pushed(order), at_ns)

    def _at(self, of: bytes, moment: Moment | None) -> list[Row]:
        return [] if moment is None else [hint(self._bucket, self._key, of, moment.at_ns)]


async def bucket_of(store: Store, name: str, bucket_id: bytes) -> Bucket | None:
    """The bucket that a hint is about, None where it is gone or has no rules."""
    bucket = await buckets.find(store, name)
    if bucket is None or bucket.record.id != bucket_id or not bucket.record.configs & BIT:
        return None
    return bucket
