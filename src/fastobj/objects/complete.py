"""Makes one object of the parts of an upload; moves no bytes.

The transaction ends the upload, writes the object's row, which names a manifest of the parts that
were listed, and has all other parts let go of. It is as small for ten thousand parts as for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from fastobj.core import codes
from fastobj.core.crash_points import reach
from fastobj.core.errors import S3Error
from fastobj.core.limits import UPLOADED_OBJECT_BYTES_MAX
from fastobj.core.secret import Secret
from fastobj.meta import keys, records
from fastobj.meta.records import ObjectRecord
from fastobj.objects import encryption, manifest, parts, upload_rows, uploads, versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried, carry
from fastobj.objects.change import Change, Tries
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.manifest import ManifestPart
from fastobj.objects.part_sums import PartSums
from fastobj.objects.parts import Part
from fastobj.objects.store import Store
from fastobj.objects.uploads import Upload

_NONE: Mapping[str, str] = MappingProxyType({})


class Listed(NamedTuple):
    """A part as the client lists it; `checksums` are those that it names, in base64."""

    number: int
    etag: str
    checksums: Mapping[str, str] = _NONE


class Expected(NamedTuple):
    """What the client says of the object as a whole; None: nothing."""

    size: int | None = None
    is_composite: bool | None = None
    checksums: Mapping[str, str] = _NONE


class _Plan(NamedTuple):
    """The object to be: everything that is known before its transaction."""

    upload: Upload
    carried: Carried
    size: int
    etag: str
    checksums: dict[str, str]
    parts: int
    kept: bytes


async def complete(
    store: Store,
    bucket: Bucket,
    key: bytes,
    upload_id: str,
    listed: Sequence[Listed],
    expected: Expected,
    conditions: WriteConditions = UNCONDITIONAL,
    customer: Secret | None = None,
) -> ObjectRecord:
    """Makes the object. Asked again with the same parts, it answers what it has made.

    `customer` is the key that the sender has brought, which a customer's upload with a checksum
    algorithm takes.
    Raises S3Error (NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge,
    BadDigest, InvalidRequest, PreconditionFailed, NoSuchKey, NoSuchBucket, SlowDown), Unknown,
    Unavailable, NoSpace.
    """
    if any(one.number >= other.number for one, other in pairwise(listed)):
        raise S3Error(codes.INVALID_PART_ORDER, extra=[("UploadId", upload_id)])
    conditional = conditions != UNCONDITIONAL
    with store.turns.of(keys.current(bucket.record.id, key)) as turn:
        await turn.join()
        tries = Tries(store, bucket, key, turn, conditions.exhausted)
        while upload := await uploads.find(store, bucket, key, uploads.parse_id(upload_id)):
            encryption.check_end(upload.record, customer)
            if conditional and await _is_made(store, bucket, upload, conditions):
                break
            plan = await _plan(store, bucket, upload, listed, expected)
            async with plan.carried:
                made = await tries.run(partial(_try, store, plan=plan, conditions=conditions))
            if made is not None:
                return made
    return await _completed(store, bucket, key, upload_id, listed)


async def _is_made(
    store: Store, bucket: Bucket, upload: Upload, conditions: WriteConditions
) -> bool:
    """Whether the upload has become the object meanwhile; else checks the conditions on that.

    Who asks twice at once, and wins once, is not told by the other answer that it lost.
    """
    present = await versions.current_object(store, bucket, upload.key)
    if present is not None and present.upload_id == upload.id:
        return True
    conditions.check(present)
    return False


async def _completed(
    store: Store, bucket: Bucket, key: bytes, upload_id: str, listed: Sequence[Listed]
) -> ObjectRecord:
    """The object that this upload has become with these parts. Raises NoSuchUpload."""
    record = await versions.current_object(store, bucket, key)
    wanted = uploads.parse_id(upload_id)
    if (
        record is None
        or wanted == uploads.NO_ID
        or record.upload_id != wanted
        or record.etag != _etag([one.etag for one in listed])
    ):
        raise uploads.missing(upload_id)
    return record


# --- what the object will be


async def _plan(
    store: Store,
    bucket: Bucket,
    upload: Upload,
    listed: Sequence[Listed],
    expected: Expected,
) -> _Plan:
    chosen = await _choose(store, upload, listed)
    size = sum(part.record.size for part in chosen)
    _check_sizes(store, chosen, size, expected.size)
    sums = PartSums(upload.record.algorithm, upload.record.is_composite, chosen)
    checksums = await sums.checked(expected.is_composite, expected.checksums)
    body = manifest.encode(
        [
            ManifestPart(part.number, part.record.size, part.record.data_id, part.record.location)
            for part in chosen
        ]
    )
    carried = await carry(store, body, bucket.name.encode() + b"/" + upload.key)
    etag = _etag([part.record.etag for part in chosen])
    kept = b"".join([part.suffix for part in chosen])
    return _Plan(upload, carried, size, etag, checksums, len(chosen), kept)


async def _choose(store: Store, upload: Upload, listed: Sequence[Listed]) -> list[Part]:
    """The parts that are listed; of several with one number and ETag, the newest."""
    wanted = {one.number: one for one in listed}
    chosen: dict[int, Part] = {}
    async for portion in parts.scan(store.meta, upload.id):
        for part in portion:
            one = wanted.get(part.number)
            if one is None or one.etag != part.record.etag:
                continue
            before = chosen.get(part.number)
            if before is None or before.record.modified_ns < part.record.modified_ns:
                chosen[part.number] = part
    for one in listed:
        found = chosen.get(one.number)
        if found is None or not _agrees(one, found):
            extra = [
                ("UploadId", uploads.id_text(upload.id)),
                ("PartNumber", str(one.number)),
                ("ETag", one.etag),
            ]
            raise S3Error(codes.INVALID_PART, extra=extra)
    return [chosen[one.number] for one in listed]


def _agrees(listed: Listed, part: Part) -> bool:
    """Whether the part has the checksums that are listed with it."""
    return all(part.record.checksums.get(name) == sum for name, sum in listed.checksums.items())


def _check_sizes(store: Store, chosen: list[Part], size: int, expected: int | None) -> None:
    for part in chosen[:-1]:
        if part.record.size < store.part_bytes_min:
            extra = [
                ("ProposedSize", str(part.record.size)),
                ("MinSizeAllowed", str(store.part_bytes_min)),
                ("PartNumber", str(part.number)),
                ("ETag", part.record.etag),
            ]
            raise S3Error(codes.ENTITY_TOO_SMALL, extra=extra)
    if size > UPLOADED_OBJECT_BYTES_MAX:
        most = str(UPLOADED_OBJECT_BYTES_MAX)
        extra = [("ProposedSize", str(size)), ("MaxSizeAllowed", most)]
        raise S3Error(codes.ENTITY_TOO_LARGE, extra=extra)
    if expected is not None and expected != size:
        message = (
            "The provided 'x-amz-mp-object-size' header value does not match what was computed."
        )
        raise S3Error(codes.INVALID_REQUEST, message)


def _etag(etags: Sequence[str]) -> str:
    """MD5 of the parts' MD5s, and their number; "" where one of them is no MD5."""
    try:
        joined = b"".join([bytes.fromhex(etag) for etag in etags])
    except ValueError:
        return ""
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


# --- the transaction


async def _try(
    store: Store, change: Change, *, plan: _Plan, conditions: WriteConditions
) -> ObjectRecord | None:
    """The object's record; None where the upload has ended, or a part of it was replaced."""
    upload = plan.upload
    place = keys.UPLOADS, upload.row_key
    if place in change.lost:
        row = change.lost[place]
        if row is None or row[1] != upload.token:
            return None
    old = change.object
    if old is not None and old.upload_id == upload.id:
        return None
    conditions.check(old)
    record = await change.put(_record(store, plan), plan.carried)
    change.carry(upload_rows.closing(upload.row_key, upload.token, upload.record))
    change.carry([upload_rows.parts_due(upload.id, plan.kept)])
    reach("complete.planned")
    return record


def _record(store: Store, plan: _Plan) -> ObjectRecord:
    return ObjectRecord(
        format=records.FORMAT,
        location=plan.carried.location,
        data_id=plan.carried.data_id,
        size=plan.size,
        etag=plan.etag,
        modified_ns=store.clock.now_ns(),
        headers=plan.upload.record.headers,
        metadata=plan.upload.record.metadata,
        checksums=plan.checksums,
        upload_id=plan.upload.id,
        parts=plan.parts,
        acl=plan.upload.record.acl,
        tags=plan.upload.record.tags,
        encryption=plan.upload.record.encryption,
        lock=plan.upload.record.lock,
    )
