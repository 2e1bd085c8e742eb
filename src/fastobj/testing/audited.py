"""The audit of a store on a disk, from outside its server: whether it runs or has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from fastobj.meta.sqlite import SqliteEngine
from fastobj.node.layout import prepare
from fastobj.objects import audit
from fastobj.objects.audit import Difference, WrongSum
from fastobj.objects.engine_ledger import EngineLedger
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.memory import MemoryVolume
from fastobj.storage.pool import IoPool
from fastobj.testing.store import assemble

_LOOKS: Final = 3
_AGAIN_S: Final = 0.2
T = TypeVar("T")


async def differences_at(directory: Path) -> list[Difference]:
    """Counters that are not what the rows add up to; for a moment without requests.

    Rows are read one page after the other. So where something differs it is looked at again: what
    maintenance has moved meanwhile does not differ then.
    """
    for _ in range(_LOOKS - 1):
        if not await audited_at(directory, audit.differences):
            return []
        await asyncio.sleep(_AGAIN_S)
    return await audited_at(directory, audit.differences)


async def wrong_sums_at(directory: Path) -> list[WrongSum]:
    """Bodies that have another sum than their row says. Raises PackageMissing."""
    return await audited_at(directory, audit.wrong_sums)


async def audited_at(directory: Path, ask: Callable[[Store], Awaitable[T]]) -> T:
    """What `ask` answers about the store in that directory, which it can only read."""
    layout = prepare(directory)
    pool = IoPool()
    engine = SqliteEngine(layout.database, read_only=True)
    engine.open_now()
    try:
        book = SegmentRows(EngineLedger(engine, MemoryVolume()), 0)  # commits nothing
        volume = LocalVolume(str(layout.root), pool, book)
        found = await ask(assemble(engine, volume))
        await volume.close()
        return found
    finally:
        engine.close_now()
        pool.close()
