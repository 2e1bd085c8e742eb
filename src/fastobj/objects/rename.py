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
from fastobj.core.errors import Conflict, S3Error
from fastobj.meta import keys
from fastobj.meta.base import DELETE, Add, Row, Token
from fastobj.meta.records import ObjectRecord
from fastobj.objects import bodies, buckets, get, put
from fastobj.objects.buckets import Bucket
from fastobj.objects.carried import Carried
from fastobj.objects.conditions import ReadConditions, Verdict, failed
from fastobj.objects.ledger import Entry
from fastobj.objects.put import OBJECT_ROW
from fastobj.objects.retry import Retry
from fastobj.objects.store import Store
from fastobj.objects.turns import Turn

_SOURCE_ROW: Final = OBJECT_ROW + 1
_HALF: Final = 16  # bytes of each digest in a token
_Present = tuple[bytes, Token] | None


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
    (NoSuchKey of the source, PreconditionFailed, InvalidRequest for one key, NoSuchBucket,
    ConditionalRequestConflict, IdempotencyParameterMismatch), Unknown, Unavailable.
    """
    if source == key:
        message = "The source and the destination of a rename must be different keys."
        raise S3Error(codes.INVALID_REQUEST, message)
    row_key = keys.current(bucket.record.id, key)
    with store.turns.of(row_key) as turn:
        await turn.join()
        renaming = _Renaming(store, bucket, source, row_key, turn, token)
        return await renaming.run(on_source, on_destination)


class _Renaming:
    """The tries of one rename."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        source: bytes,
        row_key: bytes,
        turn: Turn,
        token: bytes,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._source = source
        self._source_key = keys.current(bucket.record.id, source)
        self._row_key = row_key
        self._turn = turn
        self._token = token

    async def run(self, on_source: ReadConditions, on_destination: ReadConditions) -> ObjectRecord:
        retry = Retry(codes.CONDITIONAL_REQUEST_CONFLICT, self._turn)
        present, origin = await self._read()
        while True:
            self._bucket = await buckets.writable(self._store, self._bucket)
            source, old = put.decode(origin), put.decode(present)
            if old is not None and self._is_done(old):
                return old
            if source is None or origin is None:
                raise get.missing(self._source)
            _check_source(on_source, source)
            _check_destination(on_destination, old)
            if await bodies.join(self._turn, old):
                present, origin = await self._read()
                continue
            try:
                renamed = msgspec.structs.replace(source, rename_token=self._token)
                await self._commit(renamed, origin[1], old, present, retry)
                return renamed
            except Conflict as conflict:
                lost = conflict
            self._bucket = put.same_bucket(self._bucket, lost)
            present, origin = lost.present[OBJECT_ROW], lost.present[_SOURCE_ROW]
            if await retry.after(lost):
                present, origin = await self._read()

    def _is_done(self, present: ObjectRecord) -> bool:
        """Whether this rename was done before. Raises IdempotencyParameterMismatch."""
        if not self._token or present.rename_token[:_HALF] != self._token[:_HALF]:
            return False
        if present.rename_token != self._token:
            raise S3Error(codes.IDEMPOTENCY_PARAMETER_MISMATCH)
        return True

    async def _read(self) -> tuple[_Present, _Present]:
        """The rows of the destination and of the source."""
        pairs = [(keys.CURRENT, self._row_key), (keys.CURRENT, self._source_key)]
        present, origin = await self._store.meta.get_many(pairs)
        return present, origin

    async def _commit(
        self,
        source: ObjectRecord,
        token: Token,
        old: ObjectRecord | None,
        present: _Present,
        retry: Retry,
    ) -> None:
        """The counter loses the object that is replaced: the other one only goes elsewhere."""
        release = await bodies.release(self._store, old)
        gone = Row(keys.CURRENT, self._source_key, token, DELETE)
        carried = Carried(source.data_id, source.location)
        txn = put.transaction(
            self._bucket, self._row_key, source, carried, present, old, release, [gone]
        )
        counter = keys.bucket_counter(self._bucket.record.id)
        txn.adds.append(Add(keys.CURRENT, counter, (-1, -source.size)))
        await self._store.ledger.commit(Entry(txn, arrival=retry.arrival))


def _check_source(conditions: ReadConditions, source: ObjectRecord) -> None:
    if conditions.judge(source) is Verdict.NOT_MODIFIED:
        raise failed("x-amz-rename-source-if-none-match or -if-modified-since")


def _check_destination(conditions: ReadConditions, present: ObjectRecord | None) -> None:
    if present is not None:
        if conditions.judge(present) is Verdict.NOT_MODIFIED:
            raise failed("If-None-Match or If-Modified-Since")
    elif conditions.if_match is not None or conditions.if_modified_since_s is not None:
        raise failed("If-Match or If-Modified-Since")
