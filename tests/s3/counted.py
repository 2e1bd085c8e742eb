"""What a running server has counted, compared with its rows."""

import asyncio

from fastobj.meta.sqlite import SqliteEngine
from fastobj.node.layout import prepare
from fastobj.objects import audit
from fastobj.objects.engine_ledger import EngineLedger
from fastobj.objects.segment_rows import SegmentRows
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.memory import MemoryVolume
from fastobj.storage.pool import IoPool
from fastobj.testing.server import InProcessServer
from fastobj.testing.store import assemble


def differences(server):
    """Counters that are not what the rows add up to; for a moment without requests."""
    if isinstance(server, InProcessServer):
        return server.differences()
    return asyncio.run(_differences(server.directory))


async def _differences(directory):
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
