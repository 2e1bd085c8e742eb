"""Faults put into the store on purpose: what random operations must find, or they prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
import pytest

from fastobj.background.garbage import Garbage
from fastobj.core.limits import PIECE_BYTES
from fastobj.meta import keys
from fastobj.meta.base import ANY, KEEP, Row, Txn
from fastobj.meta.records import Lock
from fastobj.objects import (
    append,
    bodies,
    complete,
    lifecycle_hints,
    lifecycle_moments,
    listing,
    manifest,
    moves,
    object_lock,
    rename,
    upload_rows,
    version_listing,
    versions,
)
from fastobj.objects.change import OBJECT_ROW, Change
from fastobj.objects.conditions import WriteConditions
from fastobj.s3 import ranges, tagging
from fastobj.s3.handlers import attributes, copy
from fastobj.storage import local_volume
from fastobj.storage.log_format import RECORD_HEAD_BYTES
from fastobj.testing.store import LocalEpochs
from tests.crash import mutations

Patch = pytest.MonkeyPatch
Fault = Callable[[], AbstractContextManager[Any]]


def _fault(put_in: Callable[[Patch], None]) -> Fault:
    """As a context, in which the store has the fault."""

    @contextmanager
    def fault() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            put_in(patch)
            yield

    fault.__name__ = put_in.__name__
    return fault


@_fault
def listing_drops_a_key(patch: Patch) -> None:
    """A page with a common prefix lacks its last key."""
    whole = listing._Fold.page

    def page(self: Any, entries_max: int) -> listing.Page:
        found = whole(self, entries_max)
        return found._replace(objects=found.objects[:-1]) if found.prefixes else found

    patch.setattr(listing._Fold, "page", page)


@_fault
def range_stops_short(patch: Patch) -> None:
    """A range over the edge of a piece lacks its last byte."""
    whole = ranges.resolve

    def resolve(value: bytes | None, size: int) -> ranges.ByteRange | None:
        found = whole(value, size)
        if (
            found is None
            or found.offset // PIECE_BYTES == (found.offset + found.length - 1) // PIECE_BYTES
        ):
            return found
        return found._replace(length=found.length - 1)

    patch.setattr(ranges, "resolve", resolve)


@_fault
def last_writer_wins(patch: Patch) -> None:
    """A put does not check that the object is still the one that its conditions were judged by."""
    whole = Change.txn

    def txn(self: Change) -> Txn:
        made = whole(self)
        made.rows[OBJECT_ROW] = msgspec.structs.replace(made.rows[OBJECT_ROW], expect=ANY)
        return made

    patch.setattr(Change, "txn", txn)


@_fault
def if_match_is_not_checked(patch: Patch) -> None:
    """A write goes on whatever etag it names."""
    whole = WriteConditions.check

    def check(self: WriteConditions, present: Any) -> None:
        whole(self if present is None else self._replace(if_match=None), present)

    patch.setattr(WriteConditions, "check", check)


@_fault
def epochs_stand_still(patch: Patch) -> None:
    """A worker does not hear of changes of buckets."""
    patch.setattr(LocalEpochs, "bump", lambda self, key: None)


@_fault
def copies_are_not_counted(patch: Patch) -> None:
    """The third name of a body does not count."""
    patch.setattr(bodies, "_counted", _uncounted)


def _uncounted(key: bytes, token: bytes, shared: Any, change: int) -> Row:
    counted = msgspec.structs.replace(shared, count=shared.count + min(change, 0))
    return Row(keys.SHARED, key, token, msgspec.msgpack.encode(counted))


@_fault
def replaced_metadata_is_kept(patch: Patch) -> None:
    """A copy has the metadata of its source, whatever was asked for."""
    whole = copy._Wish.describe

    async def describe(self: Any, source: Any) -> Any:
        described = await whole(self, source)
        return msgspec.structs.replace(described, metadata=source.metadata)

    patch.setattr(copy._Wish, "describe", describe)


@_fault
def chosen_parts_go(patch: Patch) -> None:
    """Complete has all parts let go of, those of its object too."""
    whole = upload_rows.parts_due

    def parts_due(upload_id: bytes, kept: bytes = b"", since_ns: int = 0) -> Row:
        return whole(upload_id, b"", since_ns)

    patch.setattr(upload_rows, "parts_due", parts_due)


@_fault
def small_parts_are_taken(patch: Patch) -> None:
    """Complete does not look at the sizes of parts."""
    patch.setattr(complete, "_check_sizes", lambda *arguments: None)


@_fault
def uploads_do_not_expire(patch: Patch) -> None:
    """Nobody aborts an upload that was left open."""

    async def expire(self: Garbage, row: Any) -> int:
        return 0

    patch.setattr(Garbage, "_expire", expire)


@_fault
def moved_parts_are_not_found(patch: Patch) -> None:
    """A manifest is believed: where compaction has moved a part, nobody looks."""

    async def find_again(self: Any, store: Any, piece: Any, stale: Exception) -> Any:
        raise stale

    patch.setattr(manifest.Parts, "find_again", find_again)


@_fault
def rows_stay_behind(patch: Patch) -> None:
    """Compaction stores bodies again, and leaves the rows as they were."""
    whole = moves._entry

    async def entry(store: Any, row: Any) -> Any:
        moved = await whole(store, row)
        return moved._replace(txn=msgspec.structs.replace(moved.txn, bodies=[]), bodies=())

    patch.setattr(moves, "_entry", entry)
    patch.setattr(moves, "_outcome", lambda moved, result: moves.Moved(bodies=1))


@_fault
def records_are_not_verified(patch: Patch) -> None:
    """Small bodies are answered as they are found."""

    async def read_record(self: local_volume.LocalVolume, location: Any, data_id: bytes) -> bytes:
        with open(self.files.lend(location.segment).path, "rb") as file:
            file.seek(location.offset + RECORD_HEAD_BYTES)
            return file.read(location.length)

    patch.setattr(local_volume.LocalVolume, "_read_record", read_record)


@_fault
def null_versions_pile_up(patch: Patch) -> None:
    """Where versions are no longer kept, the null version stays that is not the current one."""
    whole = Change.replaced

    async def replaced(self: Change) -> Any:
        found = await whole(self)
        return found if found is None or found.space == keys.CURRENT else None

    patch.setattr(Change, "replaced", replaced)


@_fault
def markers_are_passed_over(patch: Patch) -> None:
    """Where the latest version goes, an object is taken for the next one that is older."""
    whole = versions.newest_in_history

    async def newest_in_history(*place: Any) -> Any:
        found = await whole(*place[:3], 100)
        return [version for version in found if not version.record.is_delete_marker]

    patch.setattr(versions, "newest_in_history", newest_in_history)


@_fault
def version_markers_are_not_read(patch: Patch) -> None:
    """A page of versions begins behind all of the key, wherever the one before it ended."""
    whole = version_listing._Merge.start

    async def start(self: Any, after: bytes, after_version: bytes | None) -> None:
        await whole(self, after, None)

    patch.setattr(version_listing._Merge, "start", start)


@_fault
def old_tags_are_not_changed(patch: Patch) -> None:
    """Tags are put on the latest version, whichever was named."""
    whole = attributes.rewrite_object

    async def rewrite_object(store: Any, bucket: Any, key: bytes, _: Any, edit: Any) -> Any:
        return await whole(store, bucket, key, None, edit)

    patch.setattr(attributes, "rewrite_object", rewrite_object)


@_fault
def tags_are_not_copied(patch: Patch) -> None:
    """A copy has no tags but those that are named."""
    whole = tagging.of_copy
    patch.setattr(tagging, "of_copy", lambda request: whole(request) or {})


@_fault
def renamed_objects_stay(patch: Patch) -> None:
    """A rename leaves the object under its old key as well."""
    patch.setattr(rename, "DELETE", KEEP)


@_fault
def offsets_are_not_checked(patch: Patch) -> None:
    """Bytes are appended wherever the object ends by now."""
    whole = append._check

    def check(store: Any, present: Any, offset: int, conditions: WriteConditions) -> None:
        whole(store, present, present.size if present is not None else offset, conditions)

    patch.setattr(append, "_check", check)


@_fault
def legal_holds_do_not_hold(patch: Patch) -> None:
    """A version goes that only a legal hold keeps."""
    whole = object_lock.check_removal

    def check_removal(lock: Lock, now: Any, *, bypass: bool) -> None:
        whole(msgspec.structs.replace(lock, legal_hold=None), now, bypass=bypass)

    patch.setattr(object_lock, "check_removal", check_removal)


@_fault
def compliance_is_bypassed(patch: Patch) -> None:
    """Who may bypass governance ends the other mode too."""
    patch.setattr(object_lock, "GOVERNANCE", object_lock.COMPLIANCE)


@_fault
def locks_stay_behind(patch: Patch) -> None:
    """An object that becomes a version loses its lock when its tags change."""
    whole = Change.rewrite

    def rewrite(self: Change, version: Any, record: Any) -> None:
        lost = version.space != keys.CURRENT
        whole(self, version, msgspec.structs.replace(record, lock=None) if lost else record)

    patch.setattr(Change, "rewrite", rewrite)


@_fault
def newest_versions_are_not_kept(patch: Patch) -> None:
    """A lifecycle rule takes versions whatever number it keeps."""
    whole = lifecycle_moments.of_version

    def of_version(*judged: Any) -> Any:
        return whole(*judged[:5])

    patch.setattr(lifecycle_moments, "of_version", of_version)


@_fault
def hints_are_lost(patch: Patch) -> None:
    """Only what was there when lifecycle rules came is ever judged by them."""

    async def following(*arguments: Any) -> list[Row]:
        return []

    patch.setattr(lifecycle_hints, "following", following)


@_fault
def lone_markers_stay(patch: Patch) -> None:
    """Delete markers with nothing behind them stay for ever."""
    patch.setattr(lifecycle_moments, "of_marker", lambda *judged: None)


FAULTS: tuple[Fault, ...] = (
    listing_drops_a_key,
    range_stops_short,
    last_writer_wins,
    if_match_is_not_checked,
    epochs_stand_still,
    copies_are_not_counted,
    replaced_metadata_is_kept,
    chosen_parts_go,
    small_parts_are_taken,
    uploads_do_not_expire,
    moved_parts_are_not_found,
    rows_stay_behind,
    records_are_not_verified,
    null_versions_pile_up,
    markers_are_passed_over,
    version_markers_are_not_read,
    old_tags_are_not_changed,
    tags_are_not_copied,
    renamed_objects_stay,
    offsets_are_not_checked,
    legal_holds_do_not_hold,
    compliance_is_bypassed,
    locks_stay_behind,
    newest_versions_are_not_kept,
    hints_are_lost,
    lone_markers_stay,
    # of power cuts:
    mutations.answer_before_write,
    mutations.covered_too_early,
    mutations.position_behind,
)
