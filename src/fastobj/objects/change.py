"""Changes what stands under one key: the one mechanism by which objects come, change and go.

A change is one transaction. It checks the bucket's row, so that it knows whether versions are
kept, and the row of the current version; where there is or was versioning also the key's stamp,
which it rewrites when it adds or takes away a version: so all such changes of a key conflict on one
row. What it carries besides is put together anew for each try, from the rows as they are then.

Who adds rows to each change of its kind (due rows) does so by `carry`; each version that goes for
good passes `let_go`, where that may be refused. What happens to an object is noted by `happen`, and
`tell` brings the events that somebody is told of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeVar

import msgspec

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import Conflict
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, KEEP, Add, BodyRef, Row, Txn, new_txn_id
from fastobj.meta.records import (
    BUCKET_ACTIVE,
    NEVER_VERSIONED,
    VERSIONING_ENABLED,
    ObjectRecord,
    StampRecord,
)
from fastobj.objects import (
    bodies,
    buckets,
    events,
    lifecycle_hints,
    locking,
    object_lock,
    versions,
)
from fastobj.objects.bodies import Ahead
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried
from fastobj.objects.events import Happening, Kind
from fastobj.objects.ledger import Entry
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store
from fastobj.objects.turns import Turn
from fastobj.objects.versions import NULL, KeyRows, RawRow, Version, Wanted
from fastobj.storage.base import NO_LOCATION

# Where these rows stand in every transaction that changes a key; no stamp where there is none.
BUCKET_ROW: Final = 0
OBJECT_ROW: Final = 1
STAMP_ROW: Final = 2

# Bits of configurations from which rows follow in each change of a key.
FOLLOWED: Final = lifecycle_hints.BIT

_NO_BODY: Final = Carried(b"", NO_LOCATION)
_NOTHING_LOST: Final[Mapping[tuple[int, bytes], RawRow]] = MappingProxyType({})
_New = bytes | Literal[0] | None  # a value, KEEP or DELETE
T = TypeVar("T")


class Stale(Exception):
    """Others have changed the key, or had their turn, meanwhile: its rows are to be read again."""


class Change:
    """One try of one change of a key. It says what is there, and takes what is to become of it.

    `lost` are the rows of the try before as they were when it failed, by space and key. `ahead`
    is for a change that is one of many in a commit.
    """

    is_empty = True  # nothing changes, so that there is nothing to commit
    happenings: Sequence[Happening] = ()  # that may have to be told
    _has_events = False
    _has_versions = False
    _stamp_row: RawRow = None
    _stamp: StampRecord | None = None  # as it was
    _stamp_now: StampRecord | None = None  # as it is to be
    _next: _New = KEEP  # what is to become of the current object's row
    _carried = _NO_BODY
    _hints: dict[bytes, Row] | None = None
    _objects = _bytes = _versions = _version_bytes = 0  # what comes to the bucket's counter

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        key: bytes,
        rows: KeyRows,
        turn: Turn | None = None,
        ahead: Ahead | None = None,
        lost: Mapping[tuple[int, bytes], RawRow] = _NOTHING_LOST,
    ) -> None:
        self.bucket = bucket
        self.key = key
        self.current = versions.current_version(bucket, key, rows.current)
        self.lost = lost
        self._store = store
        self._turn = turn
        self._ahead = ahead
        self._rows: list[Row] = []
        self._adds: list[Add] = []
        self._others: list[tuple[int, Carried]] = []  # by the place of the row among `_rows`
        if bucket.record.versioning != NEVER_VERSIONED:
            self._has_versions = True
            self._stamp_row = rows.stamp
            self._stamp = self._stamp_now = self._read_stamp()

    def _read_stamp(self) -> StampRecord:
        """The key's stamp, or what that of an object from before versioning would be."""
        stamp = versions.stamp_of(self._stamp_row)
        if stamp is not None:
            return stamp
        order = max(1, self.current.record.modified_ns) if self.current is not None else 0
        return StampRecord(records.FORMAT, order, order)

    # --- what is there

    @property
    def object(self) -> ObjectRecord | None:
        """The current object: a delete marker is none."""
        return None if self.current is None else self.current.record

    async def version(self, wanted: Wanted) -> Version | None:
        """The version, or delete marker, that is wanted; None for the latest: the current one.

        None is answered only where it is sure that there is none. Raises Stale.
        """
        if wanted is None:
            return self.current
        place = (self._store, self.bucket, self.key)
        stamp = self._stamp if self._stamp_row is not None else None
        found = await versions.among(*place, wanted, self.current, stamp)
        if found is None and not await versions.is_settled(*place, self._stamp_row):
            raise Stale
        return found

    async def existing(self, wanted: Wanted) -> Version:
        """The version that is wanted; never a delete marker.

        Raises NoSuchKey, NoSuchVersion, DeleteMarkerFound, Stale.
        """
        found = await self.version(wanted)
        if found is None:
            raise await versions.not_found(self._store, self.bucket, self.key, wanted)
        if found.record.is_delete_marker:
            raise versions.DeleteMarkerFound(self.key, found.record, is_latest=False)
        return found

    async def replaced(self) -> Version | None:
        """What an object takes the place of that is put now: the null version unless versions are
        kept, and then nothing."""
        versioning = self.bucket.record.versioning
        if versioning == NEVER_VERSIONED:
            return self.current
        return None if versioning == VERSIONING_ENABLED else await self.version(NULL)

    async def join(self, record: ObjectRecord | None) -> None:
        """Waits where others take turns at the body of that object. Raises Stale."""
        if self._turn is not None and await bodies.join(self._turn, record):
            raise Stale

    # --- what is to become of it

    async def put(
        self,
        record: ObjectRecord,
        carried: Carried = _NO_BODY,
        *,
        left: bytes | None = None,
        keeps_body: bool = False,
    ) -> ObjectRecord:
        """Makes `record` the current object, and returns it as it will be.

        Its body comes with `carried`. What it takes the place of is let go of, unless it
        `keeps_body`: then its own is the same. An object that stays as a version has `left` in its
        row, or what it had. Raises Stale, AccessDenied, and what `locking.of_new` raises.
        """
        if self.bucket.record.configs & object_lock.BIT or record.lock is not None:
            record = await locking.of_new(self._store, self.bucket, record)
        gone = await self.replaced() if self._has_versions else self.current
        if gone is not None:
            await self.let_go(gone, keeps_body=keeps_body)
        if self._has_versions:
            order = self._new_order()
            self._step_aside(gone, left)
            is_kept = self.bucket.record.versioning == VERSIONING_ENABLED
            version = versions.new_id(order) if is_kept else NULL
            record = msgspec.structs.replace(record, version=version, is_delete_marker=False)
            self._stamp_latest(order)
        self._next = records.encode(record)
        self._carried = carried
        self._objects += 1
        self._bytes += record.size
        self.carry(carried.rows, carried.adds)
        self.happen(Kind.CREATED, record)
        return record

    async def delete(self) -> ObjectRecord | None:
        """Ends the current object; returns the delete marker that says so, where one does.

        Raises Stale, AccessDenied.
        """
        gone = await self.replaced()
        if gone is not None:
            await self.let_go(gone)
        if not self._has_versions:
            if gone is not None:
                self.happen(Kind.DELETED, gone.record)
            return None
        order = self._new_order()
        self._step_aside(gone, None)
        is_kept = self.bucket.record.versioning == VERSIONING_ENABLED
        marker = ObjectRecord(
            records.FORMAT,
            NO_LOCATION,
            b"",
            0,
            "",
            self._store.clock.now_ns(),
            version=versions.new_id(order) if is_kept else NULL,
            is_delete_marker=True,
        )
        self._into_history(order, records.encode(marker), 0)
        self._stamp_latest(order, is_marker=True)
        if not is_kept:
            self._stamp_null(order)
        self.happen(Kind.MARKED, marker)
        return marker

    async def remove(self, version: Version, *, bypass: bool = False) -> None:
        """Ends a version, or takes away a delete marker. Was it the latest, the one before it is
        that now, and the current one if it is an object. Raises what `let_go` raises."""
        await self.let_go(version, bypass=bypass)
        self.happen(Kind.DELETED, version.record)
        if self._stamp is None or not self._is_latest(version):
            return
        newest = await versions.newest_in_history(self._store, self.bucket, self.key, 2)
        others = [one for one in newest if one.row_key != version.row_key]
        if not others:
            self._stamp_now = None
            return
        heir = others[0]
        _, order = keys.history_of(heir.row_key)
        self._stamp_latest(order, is_marker=heir.record.is_delete_marker)
        if not heir.record.is_delete_marker:
            self._out_of_history(heir)
            self._next = heir.value
            self._objects += 1
            self._bytes += heir.record.size

    def rewrite(self, version: Version, record: ObjectRecord) -> None:
        """Leaves `record` in the row of that version, which has the same body and size."""
        value = records.encode(record)
        self.is_empty = False
        if version.space == keys.CURRENT:
            self._next = value
        else:
            self._rows.append(Row(version.space, version.row_key, version.token, value))

    async def let_go(
        self, version: Version, *, keeps_body: bool = False, bypass: bool = False
    ) -> None:
        """Takes a version away for good, with its body's name unless that stays. Raises Stale, and
        AccessDenied where a lock keeps the version and there is no `bypass`."""
        if version.record.lock is not None:
            await locking.check_removal(self._store, version.record.lock, bypass=bypass)
        self.is_empty = False
        if not keeps_body:
            if not version.record.location:
                await self.join(version.record)
            release = await bodies.release(self._store, version.record, self._ahead)
            self.carry(release.rows, release.adds)
        if version.space == keys.CURRENT:
            self._next = DELETE
            self._objects -= 1
            self._bytes -= version.record.size
        else:
            self._out_of_history(version)

    def carry(self, rows: Iterable[Row], adds: Iterable[Add] = ()) -> None:
        """Takes rows and counters that change with it."""
        self.is_empty = False
        self._rows += rows
        self._adds += adds

    def carry_body(self, row: Row, carried: Carried) -> None:
        """Takes a row that changes with it and names a body, with that body."""
        self._others.append((len(self._rows), carried))
        self.carry([row, *carried.rows], carried.adds)

    def carry_hints(self, hints: Iterable[Row]) -> None:
        """Takes rows of the time index; one that is written outweighs that the same one goes."""
        self.is_empty = False
        found = self._hints = self._hints or {}
        for row in hints:
            if row.value is not DELETE or row.key not in found:
                found[row.key] = row

    async def follow(self) -> None:
        """Takes what follows from it where there are `FOLLOWED`. Raises what reading them does."""
        changed = lifecycle_hints.Changed(self._next, self._rows, self._stamp, self._stamp_now)
        place = (self._store, self.bucket, self.key)
        self.carry_hints(await lifecycle_hints.following(*place, changed))

    # --- what is told of it

    def happen(self, kind: Kind, record: ObjectRecord, key: bytes | None = None) -> None:
        """Notes what happens to the key, or to another one, with the change."""
        if events.tells(self.bucket):
            self.happenings = [*self.happenings, Happening(kind, key or self.key, record)]

    async def tell(self) -> None:
        """Takes the events of all that happens. Raises StoreDamaged where it cannot be known who
        is told, NoSuchBucket."""
        rows = await events.rows_of(self._store, self.bucket, self.happenings)
        if rows:
            self._has_events = True
            self.carry(rows, events.counted(rows))

    # --- versions

    def _new_order(self) -> int:
        assert self._stamp is not None, "only where there are versions"
        self.is_empty = False
        return max(self._store.clock.now_ns(), self._stamp.highest + 1)

    def _is_latest(self, version: Version) -> bool:
        if version.space == keys.CURRENT:
            return True
        _, order = keys.history_of(version.row_key)
        return self._stamp is not None and order == self._stamp.latest

    def _step_aside(self, gone: Version | None, left: bytes | None) -> None:
        """The current object, unless it is what goes, stays as a version in `HISTORY`."""
        current = self.current
        if current is None or (gone is not None and gone.space == keys.CURRENT):
            return
        assert self._stamp is not None, "only where there are versions"
        order = versions.order_of(current.record.version) or self._stamp.latest
        self._into_history(order, left or current.value, current.record.size)
        if current.record.version == NULL:
            self._stamp_null(order)
        self._next = DELETE
        self._objects -= 1
        self._bytes -= current.record.size

    def _into_history(self, order: int, value: bytes, size: int) -> None:
        row_key = keys.history(self.bucket.record.id, self.key, order)
        self._rows.append(Row(keys.HISTORY, row_key, ABSENT, value))
        self._versions += 1
        self._version_bytes += size

    def _out_of_history(self, version: Version) -> None:
        self._rows.append(Row(keys.HISTORY, version.row_key, version.token, DELETE))
        self._versions -= 1
        self._version_bytes -= version.record.size
        if version.record.version == NULL:
            self._stamp_null(0)

    def _stamp_latest(self, order: int, is_marker: bool = False) -> None:
        stamp = self._stamp_now
        assert stamp is not None, "only where there are versions"
        highest = max(stamp.highest, order)
        self._stamp_now = msgspec.structs.replace(
            stamp, latest=order, highest=highest, is_marker=is_marker
        )

    def _stamp_null(self, order: int) -> None:
        assert self._stamp_now is not None, "only where there are versions"
        self._stamp_now = msgspec.structs.replace(self._stamp_now, null=order)

    # --- the transaction

    def entry(self, arrival: int | None = None) -> Entry:
        """The transaction, and the bodies that travel with it."""
        self._carried.send()
        small = self._carried.bodies
        for _, carried in self._others:
            carried.send()
            small += carried.bodies
        return Entry(self.txn(), small, arrival, self._has_events)

    def txn(self) -> Txn:
        """The transaction: the rows that each change checks stand first."""
        bucket, current = self.bucket, self.current
        row_key = keys.current(bucket.record.id, self.key)
        rows = [
            Row(keys.BUCKETS, bucket.name.encode(), bucket.token, KEEP),
            Row(keys.CURRENT, row_key, current.token if current else ABSENT, self._next),
        ]
        if self._has_versions:
            rows.append(self._stamped())
        first = len(rows)
        rows += self._rows
        if self._hints is not None:
            rows += self._hints.values()
        refs: list[BodyRef] = []
        if self._carried.bodies:
            assert isinstance(self._next, bytes), "a body comes with the row that names it"
            refs = self._carried.refs(OBJECT_ROW, self._next)
        for at, carried in self._others:
            value = rows[first + at].value
            assert isinstance(value, bytes), "a body comes with the row that names it"
            refs += carried.refs(first + at, value)
        return Txn(new_txn_id(), rows, self._counted() + self._adds, refs)

    def _stamped(self) -> Row:
        row, now = self._stamp_row, self._stamp_now
        value: _New = KEEP
        if now is None:
            value = KEEP if row is None else DELETE
        elif now != self._stamp:
            value = records.encode(now)
        row_key = keys.stamp(self.bucket.record.id, self.key)
        return Row(keys.STAMPS, row_key, row[1] if row is not None else ABSENT, value)

    def _counted(self) -> list[Add]:
        counted: tuple[int, ...] = (self._objects, self._bytes)
        if self._versions or self._version_bytes:
            counted += (self._versions, self._version_bytes)
        elif not self._objects and not self._bytes:
            return []
        return [Add(keys.CURRENT, keys.bucket_counter(self.bucket.record.id), counted)]

    # --- after a lost race

    def same_bucket(self, conflict: Conflict) -> Bucket:
        """The bucket's present row; one made again under the same name is another bucket.

        Raises NoSuchBucket.
        """
        present = buckets.decode(self.bucket.name, conflict.present[BUCKET_ROW])
        if present is None or present.record.id != self.bucket.record.id:
            raise buckets.missing(self.bucket.name)
        return present

    def present_rows(self, conflict: Conflict, bucket: Bucket) -> KeyRows | None:
        """The key's rows as the Conflict shows them; None where there are others to read now."""
        if (bucket.record.versioning != NEVER_VERSIONED) != self._has_versions:
            return None
        stamp = conflict.present[STAMP_ROW] if self._has_versions else None
        return KeyRows(conflict.present[OBJECT_ROW], stamp)


Plan = Callable[[Change], Awaitable[T]]


class Tries:
    """The tries of one change of a key; `turn` is held by the caller, and joined."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        key: bytes,
        turn: Turn,
        exhausted: ErrorCode = codes.SLOW_DOWN,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._turn = turn
        self._exhausted = exhausted
        self._retry: Retry | None = None  # until a race is lost

    async def run(self, plan: Plan[T]) -> T:
        """Has `plan` say what is to become of the key until that is committed.

        Returns what it returned last. Where it changes nothing, nothing is committed. Raises what
        it raises, NoSuchBucket, SlowDown, and what `commit` raises but Conflict.
        """
        store, key, retry = self._store, self._key, self._retry
        arrival = None if retry is None else retry.arrival
        rows: KeyRows | None = None
        lost: Mapping[tuple[int, bytes], RawRow] = _NOTHING_LOST
        while True:
            if self._bucket.record.state != BUCKET_ACTIVE:
                self._bucket = await buckets.writable(store, self._bucket)
                rows = None
            bucket = self._bucket
            if rows is None:
                rows = await versions.read(store, bucket, key)
            change = Change(store, bucket, key, rows, self._turn, lost=lost)
            try:
                result = await plan(change)
            except Stale:
                rows = None
                continue
            if change.happenings:
                await change.tell()
            if change.is_empty:
                return result
            if bucket.record.configs & FOLLOWED:
                await change.follow()
            entry = change.entry(arrival)
            try:
                await store.ledger.commit(entry)
                return result
            except Conflict as conflict:
                failed = conflict
            self._bucket = change.same_bucket(failed)
            rows = change.present_rows(failed, self._bucket)
            lost = _by_place(entry.txn.rows, failed.present)
            if retry is None:
                retry = self._retry = Retry(self._exhausted, self._turn)
            if await retry.after(failed):
                rows = None
            arrival = retry.arrival


def _by_place(rows: Sequence[Row], present: Sequence[RawRow]) -> dict[tuple[int, bytes], RawRow]:
    return {(row.space, row.key): found for row, found in zip(rows, present, strict=True)}


async def change_key(
    store: Store,
    bucket: Bucket,
    key: bytes,
    plan: Plan[T],
    exhausted: ErrorCode = codes.SLOW_DOWN,
) -> T:
    """Changes a key as `plan` says, which is asked anew for each try. Raises what `Tries.run` does.

    `exhausted` is raised after too many tries.
    """
    with store.turns.of(keys.current(bucket.record.id, key)) as turn:
        await turn.join()
        return await Tries(store, bucket, key, turn, exhausted).run(plan)


async def rewrite_object(
    store: Store,
    bucket: Bucket,
    key: bytes,
    wanted: Wanted,
    edit: Callable[[ObjectRecord], ObjectRecord],
) -> ObjectRecord:
    """Changes what is said of a version, which stays what it is, with its body, id and date.

    `edit` is asked anew for each try. Raises NoSuchKey, NoSuchVersion, DeleteMarkerFound, what
    `edit` raises, and what `change_key` raises.
    """

    async def plan(change: Change) -> ObjectRecord:
        version = await change.existing(wanted)
        edited = edit(version.record)
        if edited != version.record:
            change.rewrite(version, edited)
        change.happen(Kind.CHANGED, edited)
        return edited

    return await change_key(store, bucket, key, plan)
