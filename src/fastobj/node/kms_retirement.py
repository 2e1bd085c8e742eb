"""Which versions of keys a store uses, and how far rewrapping is: for `fastobj kms`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from fastobj.kms.base import KeyNotFound, Kms, KmsError
from fastobj.meta.records import RewrapRecord
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node import layout as layouts
from fastobj.node.child import database_vfs
from fastobj.node.store_check import at_rest
from fastobj.objects import kms_keys
from fastobj.objects.kms_keys import Use


class KeyStatus(NamedTuple):
    """A key in use: its newest version, 0 where the service has no such key, and the least that
    may still be needed."""

    id: str
    newest: int
    needed: int


class Status(NamedTuple):
    """The keys in use, and the pass that goes on or was the last one."""

    keys: list[KeyStatus]
    rewrapping: RewrapRecord | None


async def status(directory: Path, kms: Kms) -> Status:
    """What a store says of itself, also while a server runs on it.

    Raises StoreError, and KmsUnavailable.
    """
    engine = SqliteEngine(layouts.find(directory).database, read_only=True, vfs=database_vfs())
    await engine.open()
    try:
        known, record = await kms_keys.known(engine), await kms_keys.progress(engine)
    finally:
        await engine.close()
    found = [KeyStatus(key.id, await _newest(kms, key.id), key.record.version) for key in known]
    return Status(found, record)


async def _newest(kms: Kms, key_id: str) -> int:
    try:
        return await kms.newest(key_id)
    except KeyNotFound:
        return 0


async def check_unused(directory: Path, kms: Kms, key_id: str) -> int:
    """The newest version of a key, once all rows say that no older one is needed.

    The store is at rest meanwhile: else a request that began before the rotation might bring
    another use. Raises KmsError where an older one is needed, StoreLocked where a server runs,
    StoreDamaged where that cannot be told.
    """
    newest = await kms.newest(key_id)
    with at_rest(directory, "retiring keys") as (_, opened):
        used = await kms_keys.uses(opened.engine, kms)
    older = {use: count for use, count in used.items() if use.key_id == key_id}
    older.pop(Use(key_id, newest), None)
    if older:
        raise KmsError(f"not retired: {_words(Counter(older))}")
    return newest


def _words(older: Counter[Use]) -> str:
    told = [
        f"version {use.version} of {use.key_id} is needed by {count} objects and uploads"
        for use, count in sorted(older.items())
        if use.version
    ]
    cure = "start the server, which rewraps them in the background, and see `fastobj kms status`"
    strange = sum(count for use, count in older.items() if not use.version)
    if strange:
        told.append(f"{strange} objects and uploads have keys that another key service has wrapped")
        cure = "copy those onto themselves with the setting kms that they need"
    return f"{', '.join(told)}: {cure}"
