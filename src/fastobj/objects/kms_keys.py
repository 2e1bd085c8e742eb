"""Which keys of the key service wrap keys of objects, and by which of their versions.

A key has a row before anything that it has wrapped is committed: so whoever wraps anew what older
versions have wrapped (background.rewrap) knows without a look at all objects which keys to ask for.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

import msgspec

from fastobj.core.errors import Conflict
from fastobj.kms.base import Kms
from fastobj.meta import keys, records, walk
from fastobj.meta.base import ABSENT, MetaReader, Row, ScanRow, Token, Txn, new_txn_id
from fastobj.meta.records import SSE_C, Encryption, KmsKeyRecord, ObjectRecord, UploadRecord
from fastobj.objects.ledger import Entry
from fastobj.objects.store import Store

# The spaces whose rows hold wrapped keys. Uploads come first: what they become has their key, and
# a Complete that has read one from before fails, for it checks the row.
WRAPPING: Final = (keys.UPLOADS, keys.CURRENT, keys.HISTORY)
_FIRST_VERSION: Final = 1

Wrapping = ObjectRecord | UploadRecord


class KmsKey(NamedTuple):
    """The row of a key."""

    id: str
    token: Token
    record: KmsKeyRecord


async def note(store: Store, key_id: str) -> None:
    """Sees to it that the key has a row; reads and commits once in a process at the most.

    Raises what a commit raises.
    """
    if key_id in store.kms_keys:
        return
    row_key = key_id.encode()
    if await store.meta.get(keys.KMS_KEYS, row_key) is None:
        value = records.encode(KmsKeyRecord(records.FORMAT, _FIRST_VERSION))
        row = Row(keys.KMS_KEYS, row_key, ABSENT, value)
        try:
            await store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
        except Conflict:  # others were faster
            pass
    store.kms_keys.add(key_id)


async def known(meta: MetaReader) -> list[KmsKey]:
    """The keys that have a row. Raises StoreDamaged, UnknownFormat."""
    return [
        KmsKey(row.key.decode(), row.token, records.decode(KmsKeyRecord, row.value))
        async for row in walk.rows(meta, keys.KMS_KEYS)
    ]


async def progress(meta: MetaReader) -> records.RewrapRecord | None:
    """How far rewrapping is; None where it never began. Raises StoreDamaged, UnknownFormat."""
    row = await meta.get(keys.JOBS, keys.JOB_REWRAP)
    return None if row is None else records.decode(records.RewrapRecord, row[0])


def wrapping_of(space: int, value: bytes) -> Wrapping:
    """The record in a row of one of WRAPPING. Raises StoreDamaged, UnknownFormat."""
    if space == keys.UPLOADS:
        return records.decode(UploadRecord, value)
    return records.decode(ObjectRecord, value)


def of_service(record: Wrapping) -> Encryption | None:
    """How the record's key is wrapped, where a key service has done that."""
    found = record.encryption
    return None if found is None or found.kind == SSE_C else found


def rewrapped(record: Wrapping, wrapped: bytes) -> bytes:
    """The value of the row with that wrapped key, and all else as it was."""
    found = record.encryption
    assert found is not None, "it has a wrapped key"
    encryption = msgspec.structs.replace(found, wrapped=wrapped)
    if isinstance(record, UploadRecord):
        return records.encode(msgspec.structs.replace(record, encryption=encryption))
    return records.encode(msgspec.structs.replace(record, encryption=encryption))


class Use(NamedTuple):
    """A version of a key that has wrapped keys of objects; 0 where it is none of the service."""

    key_id: str
    version: int


async def uses(meta: MetaReader, kms: Kms) -> Counter[Use]:
    """How many keys of objects and uploads each version has wrapped: a look at all rows.

    Exact only while nobody writes. Raises StoreDamaged, UnknownFormat: a row that cannot be read
    may use any.
    """
    found = Counter[Use]()
    for space in WRAPPING:
        async for row in walk.rows(meta, space):
            used = _encryption(space, row)
            if used is not None:
                found[Use(used.key_id, kms.version(used.wrapped))] += 1
    return found


def _encryption(space: int, row: ScanRow) -> Encryption | None:
    return of_service(wrapping_of(space, row.value))
