"""The audit of a store on a disk, from outside its server: whether it runs or has stopped."""

from __future__ import annotations

from pathlib import Path

from fastobj.meta.sqlite import SqliteEngine
from fastobj.node.layout import prepare
from fastobj.objects import audit
from fastobj.objects.audit import Difference
from fastobj.objects.engine_ledger import EngineLedger
from fastobj.objects.segment_rows import SegmentRows
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.memory import MemoryVolume
from fastobj.storage.pool import IoPool
from fastobj.testing.store import assemble


async def differences_at(directory: Path) -> list[Difference]:
    """Counters that are not what the rows add up to; for a moment without writes."""
    layout = prepare(directory)
    pool = IoPool()
    engine = SqliteEngine(layout.database, read_only=True)
    engine.open_now()
    try:
        book = SegmentRows(EngineLedger(engine, MemoryVolume()), 0)  # commits nothing
        volume = LocalVolume(str(layout.root), pool, book)
        found = await audit.differences(assemble(engine, volume))
        await volume.close()
        return found
    finally:
        engine.close_now()
        pool.close()
