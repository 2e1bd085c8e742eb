"""Renames an object: one transaction takes it from one key and puts it under another.

Its body stays where it is: no byte moves, and no name of it is counted. What stood under the new
key is let go of. Nobody sees both keys, or neither. A rename that is asked for again, by a client
that had no answer, is known by the token that it has left in the object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta import keys
from fastobj.meta.base import DELETE, Add, Row
from fastobj.meta.records import ObjectRecord
from fastobj.objects import locking, versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.change import Change, Stale, change_key
from fastobj.objects.conditions import ReadConditions, Verdict, failed
from fastobj.objects.events import Kind
from fastobj.objects.store import Store
from fastobj.objects.versions import Version

_HALF: Final = 16  # bytes of each digest in a token


def token_of(client_token: bytes, parameters: Sequence[bytes]) -> bytes:
    """What tells one rename from others: the digest of its client's token, then of all it asks."""
    asked = b"\0".join(parameters)
    return b"".join([hashlib.sha256(text).digest()[:_HALF] for text in (client_token, asked)])


async def rename(
    store: Store,
    bucket: Bucket,
    source: bytes,
    key: bytes,
    on_source: ReadConditions,
    on_destination: ReadConditions,
    token: bytes = b"",
) -> ObjectRecord:
    """Puts the object under `source` under `key`; all that is said of it goes with it.

    `token` is what `token_of` makes; where the object under `key` has it, nothing is done. Where
    there is none under `key`, conditions that need one fail and all others hold. Raises S3Error
    (NoSuchKey of the source, PreconditionFailed, InvalidRequest for one key and where there is or
    was versioning, NoSuchBucket, ConditionalRequestConflict, IdempotencyParameterMismatch),
    Unknown, Unavailable.
    """
    if source == key:
        message = "The source and the destination of a rename must be different keys."
        raise S3Error(codes.INVALID_REQUEST, message)
    renaming = _Renaming(store, source, on_source, on_destination, token)
    exhausted = codes.CONDITIONAL_REQUEST_CONFLICT
    return await change_key(store, bucket, key, renaming.plan, exhausted)


class _Renaming:
    """What one rename asks for, and what that comes to in each try."""

    def __init__(
        self,
        store: Store,
        source: bytes,
        on_source: ReadConditions,
        on_destination: ReadConditions,
        token: bytes,
    ) -> None:
        self._store = store
        self._source = source
        self._on_source = on_source
        self._on_destination = on_destination
        self._token = token

    async def plan(self, change: Change) -> ObjectRecord:
        """Raises Stale.

        The counter loses the object that is replaced: the other one only goes elsewhere.
        """
        versions.check_never(change.bucket, "Renaming an object")
        if change.object is not None and self._is_done(change.object):
            return change.object
        source = await self._find(change)
        if source.record.lock is not None:
            await locking.check_removal(self._store, source.record.lock)
        _check_source(self._on_source, source.record)
        _check_destination(self._on_destination, change.object)
        renamed = msgspec.structs.replace(source.record, rename_token=self._token)
        await change.put(renamed)
        change.happen(Kind.DELETED, source.record, self._source)
        counter = keys.bucket_counter(change.bucket.record.id)
        change.carry(
            [Row(source.space, source.row_key, source.token, DELETE)],
            [Add(keys.CURRENT, counter, (-1, -renamed.size))],
        )
        return renamed

    def _is_done(self, present: ObjectRecord) -> bool:
        """Whether this rename was done before. Raises IdempotencyParameterMismatch."""
        if not self._token or present.rename_token[:_HALF] != self._token[:_HALF]:
            return False
        if present.rename_token != self._token:
            raise S3Error(codes.IDEMPOTENCY_PARAMETER_MISMATCH)
        return True

    async def _find(self, change: Change) -> Version:
        """The source, as it was when the destination was as the change knows it.

        Else a rename that was done between two looks would seem to have no source. Raises Stale,
        NoSuchKey.
        """
        bucket_id = change.bucket.record.id
        names = [keys.current(bucket_id, key) for key in (self._source, change.key)]
        origin, present = await self._store.meta.get_many([(keys.CURRENT, it) for it in names])
        if present != (change.current and (change.current.value, change.current.token)):
            raise Stale
        source = versions.current_version(change.bucket, self._source, origin)
        if source is None:
            raise versions.missing(self._source)
        return source


def _check_source(conditions: ReadConditions, source: ObjectRecord) -> None:
    if conditions.judge(source) is Verdict.NOT_MODIFIED:
        raise failed("x-amz-rename-source-if-none-match or -if-modified-since")


def _check_destination(conditions: ReadConditions, present: ObjectRecord | None) -> None:
    if present is not None:
        if conditions.judge(present) is Verdict.NOT_MODIFIED:
            raise failed("If-None-Match or If-Modified-Since")
    elif conditions.if_match is not None or conditions.if_modified_since_s is not None:
        raise failed("If-Match or If-Modified-Since")
