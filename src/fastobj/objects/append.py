"""Appends bytes to an object: one transaction adds a part to it and a manifest that lists it.

The first append makes the present body part 1 of an upload id of the object's own; a body that
other objects name too is copied for that, for a part shares none. Each append adds the row of its
part, which accounts for the body, and rewrites the object's row under its token: of writers that
race for one offset one wins. A part that is small is placed by the ledger, so the manifest does not
say where it is: its row does (objects.manifest).

What is appended to an encrypted object is encrypted with its key, as the parts of an upload are. A
key that is wrapped anew meanwhile is the same key.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import msgspec

from fastobj.core import codes
from fastobj.core.crc_combine import CRCS, combine
from fastobj.core.errors import ChecksumMismatch, S3Error, StaleLocation
from fastobj.core.ids import random_id
from fastobj.core.limits import PART_NUMBER_MAX, UPLOADED_OBJECT_BYTES_MAX
from fastobj.core.secret import Secret
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, Row, Token
from fastobj.meta.records import ObjectRecord, PartRecord, PartsDue
from fastobj.objects import bodies, copy_part, encryption, manifest, parts, put, versions
from fastobj.objects.bodies import Release
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried, LargeBody, carry, carry_large, carry_small
from fastobj.objects.change import Change, Stale, change_key
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.encryption import Seal, Wish
from fastobj.objects.frames import OpenedVolume
from fastobj.objects.get import Span
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.objects.part_sums import PartSums, is_composite
from fastobj.objects.parts import Part
from fastobj.objects.put import Content
from fastobj.objects.store import Store
from fastobj.storage.base import NO_LOCATION

_UNIQUE_BYTES: Final = keys.PART_SUFFIX_BYTES - keys.PART_NUMBER_BYTES
_WHAT: Final = "Appending to an object"
_NO_BODY: Final = Carried(b"", NO_LOCATION)


async def find(
    store: Store, bucket: Bucket, key: bytes, offset: int, conditions: WriteConditions
) -> ObjectRecord | None:
    """The object to append to, None where one is to be made: before its body is asked for.

    Raises S3Error (InvalidWriteOffset, TooManyParts, PreconditionFailed, NoSuchKey,
    InvalidRequest).
    """
    versions.check_never(bucket, _WHAT)
    present = await versions.current_object(store, bucket, key)
    _check(store, present, offset, conditions)
    return present


async def seal(store: Store, present: ObjectRecord | None, wish: Wish | None) -> Seal | None:
    """What bytes are to be encrypted with that are appended; None where they are not.

    `wish` is what the request asks for of an object that is there, or of one that is to be made.
    Raises EncryptionTypeMismatch where the object is encrypted otherwise, and what
    `encryption.begin` and `encryption.unlock` raise.
    """
    if present is None:
        return None if wish is None else await encryption.begin(store, wish)
    found = present.encryption
    if wish is not None and not encryption.is_as_wished(found, wish):
        raise S3Error(codes.ENCRYPTION_TYPE_MISMATCH)
    if found is None:
        return None
    customer = None if wish is None else wish.customer
    return Seal(await encryption.unlock(store, found, customer), found)


async def append_small(
    store: Store,
    bucket: Bucket,
    key: bytes,
    offset: int,
    content: Content,
    body: bytes,
    conditions: WriteConditions = UNCONDITIONAL,
    encrypting: Secret | None = None,
) -> ObjectRecord:
    """Appends at most `store.small_body_bytes_max` bytes to an object of `offset` bytes.

    Where there is none, one is made as `content` says; else that tells of the bytes alone, and how
    they are encrypted, with the key `encrypting`: as `seal` has it. Raises S3Error
    (InvalidWriteOffset, TooManyParts, EntityTooLarge, PreconditionFailed, NoSuchKey, NoSuchBucket,
    ConditionalRequestConflict, InvalidRequest where there is or was versioning), Unknown,
    Unavailable, NoSpace.
    """
    carried = carry_small(body, bucket.name.encode() + b"/" + key, encrypting)
    return await _append(store, bucket, key, offset, content, carried, conditions, encrypting)


async def append_large(
    store: Store,
    bucket: Bucket,
    key: bytes,
    offset: int,
    content: Content,
    body: LargeBody,
    conditions: WriteConditions = UNCONDITIONAL,
    encrypting: Secret | None = None,
) -> ObjectRecord:
    """Appends a body that is in its volume, encrypted already; settles or aborts its writer.

    Raises what `append_small` raises.
    """
    async with carry_large(store, body) as carried:
        return await _append(store, bucket, key, offset, content, carried, conditions, encrypting)


async def _append(
    store: Store,
    bucket: Bucket,
    key: bytes,
    offset: int,
    content: Content,
    carried: Carried,
    conditions: WriteConditions,
    encrypting: Secret | None,
) -> ObjectRecord:
    async with AsyncExitStack() as held:
        appending = _Appending(store, bucket, key, content, carried, held, encrypting)

        async def plan(change: Change) -> _Appended:
            return await appending.plan(change, offset, conditions)

        exhausted = codes.CONDITIONAL_REQUEST_CONFLICT
        record, listed = await change_key(store, bucket, key, plan, exhausted)
    if listed is not None:
        store.manifests.keep(record.data_id, listed)
    return record


def _check(
    store: Store, present: ObjectRecord | None, offset: int, conditions: WriteConditions
) -> None:
    conditions.check(present)
    size = present.size if present is not None else 0
    if size != offset:
        extra = [("WriteOffset", str(offset)), ("ObjectSize", str(size))]
        raise S3Error(codes.INVALID_WRITE_OFFSET, extra=extra)
    # A body that others may name is copied into one part, so it begins anew.
    if present is not None and present.location and present.parts >= store.parts_max:
        raise _too_many(store)


def _too_many(store: Store) -> S3Error:
    return S3Error(codes.TOO_MANY_PARTS, extra=[("MaxPartsAllowed", str(store.parts_max))])


class _Kept(NamedTuple):
    """The parts that an object has before bytes are appended to it.

    `rows` come to those of its upload id with it: that of the body which becomes part 1, which
    `carried` is about where it is a copy. `release` is of what the object named.
    """

    upload_id: bytes
    listed: list[ManifestPart]
    release: Release
    rows: tuple[PartRecord, ...] = ()
    carried: Carried | None = None


class _Appended(NamedTuple):
    """The object, and its parts where it has such."""

    record: ObjectRecord
    parts: Parts | None


class _Appending:
    """The tries of one append. `held` closes what they have stored."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        key: bytes,
        content: Content,
        carried: Carried,
        held: AsyncExitStack,
        encrypting: Secret | None,
    ) -> None:
        self._store = store
        self._hint = bucket.name.encode() + b"/" + key
        self._content = content
        self._carried = carried
        self._held = held
        self._encrypting = encrypting
        self._copies: dict[bytes, Carried] = {}  # by the data id of the shared body
        self._found_stale: Token | None = None  # the object's row whose body was not found

    async def plan(self, change: Change, offset: int, conditions: WriteConditions) -> _Appended:
        """What one try comes to. Raises Stale, and ChecksumMismatch where a body is not found
        though the object's row did not change."""
        versions.check_never(change.bucket, _WHAT)
        _check(self._store, change.object, offset, conditions)
        if change.current is None:
            record = put.record_of(self._store, self._content, self._carried)
            return _Appended(await change.put(record, self._carried), None)
        await self._check_key(change.current.record)
        await change.join(change.object)
        try:
            return await self._lengthen(change, change.current.record)
        except StaleLocation as stale:
            if change.current.token == self._found_stale:
                raise ChecksumMismatch(f"a body is not where its row says: {stale}") from stale
            self._found_stale = change.current.token
            raise Stale from stale

    async def _check_key(self, present: ObjectRecord) -> None:
        """Whether the bytes are encrypted as the object is that is there now.

        It may be another one than when they were. Raises ConditionalRequestConflict.
        """
        found, given = present.encryption, self._content.encryption
        if found is None or given is None:
            is_same = found is given
        elif found.wrapped == given.wrapped:
            is_same = True
        else:  # another object, or only another version of a key that has wrapped the same
            is_service = encryption.has_service_key(found)
            is_same = is_service and (
                await encryption.unlock(self._store, found, None) == self._encrypting
            )
        if not is_same:
            raise S3Error(codes.CONDITIONAL_REQUEST_CONFLICT)

    async def _lengthen(self, change: Change, old: ObjectRecord) -> _Appended:
        """Raises StaleLocation where the object has changed."""
        kept = await self._keep(old)
        number = kept.listed[-1].number + 1 if kept.listed else 1
        if number > min(self._store.parts_max, PART_NUMBER_MAX):
            raise _too_many(self._store)
        added = ManifestPart(
            number, self._content.size, self._carried.data_id, self._carried.location
        )
        listed = [*kept.listed, added]
        part = self._part()
        checksums = await self._checksums(old, kept, Part(number, b"", part))
        named = await carry(self._store, manifest.encode(listed), self._hint)
        await self._held.enter_async_context(named)
        record = _longer(old, part, named, kept.upload_id, len(listed), checksums)
        await change.put(record, named, keeps_body=True)
        change.carry(kept.release.rows, kept.release.adds)
        row = _part_row(kept.upload_id, number, part)
        change.carry_body(row, self._carried)
        for first in kept.rows:
            change.carry_body(_part_row(kept.upload_id, 1, first), kept.carried or _NO_BODY)
        suffix = keys.part_suffix(row.key)
        change.carry(await _still_kept(self._store, kept.upload_id, suffix))
        return _Appended(record, Parts(listed, kept.upload_id))

    def _part(self) -> PartRecord:
        content, carried = self._content, self._carried
        return PartRecord(
            records.FORMAT,
            carried.location,
            carried.data_id,
            content.size,
            content.etag,
            self._store.clock.now_ns(),
            content.checksums,
            content.blake3,
            self._encrypting is not None,
        )

    # --- what the object has

    async def _keep(self, old: ObjectRecord) -> _Kept:
        store = self._store
        if not old.data_id:
            return _Kept(random_id(keys.UPLOAD_ID_BYTES), [], bodies.NOTHING)
        if not old.location:
            return await self._keep_copy(old)
        if not old.upload_id:
            upload_id = random_id(keys.UPLOAD_ID_BYTES)
            listed = [ManifestPart(1, old.size, old.data_id, old.location)]
            row = _first_part(old, old.location, old.data_id)
            return _Kept(upload_id, listed, bodies.NOTHING, (row,))
        found = await manifest.load(store, old, old.location)
        await found.place(store)
        listed = found.page(0, PART_NUMBER_MAX)
        return _Kept(old.upload_id, listed, bodies.release_manifest(store, old))

    async def _keep_copy(self, old: ObjectRecord) -> _Kept:
        """A body that others may name: its bytes become a part of their own."""
        copied = self._copies.get(old.data_id)
        if copied is None:
            location = await bodies.shared_location(self._store, old.data_id)
            if not location:
                raise StaleLocation("nothing shares the body any more")
            copied = await self._copy(old, location)
            self._copies[old.data_id] = copied
        listed = [ManifestPart(1, old.size, copied.data_id, copied.location)]
        row = _first_part(old, copied.location, copied.data_id)
        release = await bodies.release(self._store, old)
        return _Kept(random_id(keys.UPLOAD_ID_BYTES), listed, release, (row,), copied)

    async def _copy(self, old: ObjectRecord, location: bytes) -> Carried:
        store, length = self._store, old.size
        key = self._encrypting
        volume = store.volume if key is None else OpenedVolume(store.volume, key)
        reader = await copy_part.reader_of(store, old, location, Span(0, length), volume)
        if length <= store.small_body_bytes_max:
            return carry_small(await copy_part.read_small(reader, length, ()), self._hint, key)
        large = await copy_part.read_large(store, reader, length, (), key)
        return await self._held.enter_async_context(carry_large(store, large))

    async def _checksums(self, old: ObjectRecord, kept: _Kept, added: Part) -> dict[str, str]:
        """Those of the longer object: of the algorithms that it and the new part have one of."""
        if not old.size:
            return dict(added.record.checksums)
        found: dict[str, str] = {}
        for name, before in old.checksums.items():
            text = added.record.checksums.get(name)
            if text is None:
                continue
            if name in CRCS and not is_composite(before):
                found[name] = _combined(name, before, text, added.record.size)
            else:
                sums = PartSums(name, True, [*await self._parts(kept), added])
                found |= await sums.checked(None, {})
        return found

    async def _parts(self, kept: _Kept) -> Sequence[Part]:
        """The rows of the parts that the object has."""
        if kept.rows or not kept.listed:
            return [Part(1, b"", row) for row in kept.rows]
        rows: dict[tuple[int, bytes], Part] = {}
        async for portion in parts.scan(self._store.meta, kept.upload_id):
            rows |= {(part.number, part.record.data_id): part for part in portion}
        found = [rows.get((part.number, part.data_id)) for part in kept.listed]
        if None in found:
            raise StaleLocation("the row of a part has gone")
        return [part for part in found if part is not None]


def _combined(name: str, before: str, added: str, size: int) -> str:
    crc = CRCS[name]
    first, second = (int.from_bytes(b64decode(text), "big") for text in (before, added))
    return b64encode(combine(crc, first, second, size).to_bytes(crc.bits // 8, "big")).decode()


def _longer(
    old: ObjectRecord,
    part: PartRecord,
    named: Carried,
    upload_id: bytes,
    count: int,
    checksums: dict[str, str],
) -> ObjectRecord:
    """The object with the part behind it. Raises EntityTooLarge.

    Its etag follows from the one that it had and the part's: no MD5 of the bytes, as of any object
    of parts.
    """
    size = old.size + part.size
    if size > UPLOADED_OBJECT_BYTES_MAX:
        most = str(UPLOADED_OBJECT_BYTES_MAX)
        extra = [("ProposedSize", str(size)), ("MaxSizeAllowed", most)]
        raise S3Error(codes.ENTITY_TOO_LARGE, extra=extra)
    chain = hashlib.md5(f"{old.etag} {part.etag}".encode(), usedforsecurity=False).hexdigest()
    return msgspec.structs.replace(
        old,
        location=named.location,
        data_id=named.data_id,
        size=size,
        etag=f"{chain}-{count}",
        modified_ns=part.modified_ns,
        checksums=checksums,
        upload_id=upload_id,
        parts=count,
        blake3=b"",
    )


def _first_part(old: ObjectRecord, location: bytes, data_id: bytes) -> PartRecord:
    """The row of an object's body as that of its first part.

    A sum of checksums of parts is none of the bytes, and a copied body's may not be known.
    """
    sums = {name: text for name, text in old.checksums.items() if not is_composite(text)}
    return PartRecord(
        records.FORMAT,
        location,
        data_id,
        old.size,
        old.etag,
        old.modified_ns,
        sums,
        old.blake3,
        old.encryption is not None,
    )


def _part_row(upload_id: bytes, number: int, record: PartRecord) -> Row:
    row_key = keys.part(upload_id, number, random_id(_UNIQUE_BYTES))
    return Row(keys.PARTS, row_key, ABSENT, records.encode(record))


async def _still_kept(store: Store, upload_id: bytes, suffix: bytes) -> list[Row]:
    """Has the part kept where others of its upload are still to be let go of.

    What says so came with the object's row: where it is not there, it has been worked off.
    """
    row_key = keys.due(keys.AT_ONCE, keys.DUE_PARTS, upload_id)
    present = await store.meta.get(keys.DUE, row_key)
    if present is None:
        return []
    due = records.decode(PartsDue, present[0])
    value = records.encode(msgspec.structs.replace(due, kept=due.kept + suffix))
    return [Row(keys.DUE, row_key, present[1], value)]
