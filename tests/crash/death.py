"""A store whose writer dies between a write of the log and its sync, and goes on in another life.

The bytes are in the page cache and not on the disk: the next life believes what it reads only
after it synced it, or a power cut later takes away what it has shown.
"""

import asyncio
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastobj.node.layout import prepare
from fastobj.storage import io
from fastobj.storage.pool import IoPool
from fastobj.storage.spares import LOG_SUFFIX
from tests.crash import oracle, records, world
from tests.crash.oracle import History
from tests.crash.power_cut import Recorded
from tests.crash.world import Load, Node, number


class Died(BaseException):
    """Ends the thread that writes the log."""


@contextmanager
def dying(syncs: int) -> Iterator[asyncio.Event]:
    """Whoever syncs a log segment for the `syncs`-th time dies instead; then the event is set."""
    whole = io.File.fdatasync
    loop = asyncio.get_running_loop()
    died = asyncio.Event()
    left = syncs
    dead: list[threading.Thread] = []

    def fdatasync(self: io.File) -> None:
        nonlocal left
        if self.path.endswith(LOG_SUFFIX):
            left -= 1
            if left <= 0:
                dead.append(threading.current_thread())
                loop.call_soon_threadsafe(died.set)
                raise Died
        whole(self)

    hook, threading.excepthook = threading.excepthook, lambda _: None
    io.File.fdatasync = fdatasync  # type: ignore[method-assign]
    try:
        yield died
    finally:
        io.File.fdatasync = whole  # type: ignore[method-assign]
        for thread in dead:  # its end is still to be reported, to the hook that knows of it
            thread.join()
        threading.excepthook = hook


async def record_death(folder: Path, pool: IoPool, rng: random.Random) -> Recorded:
    """Records a load, a death in the midst of it, and a second life with a load of its own.

    Cuts begin where the second life serves: what it showed has to stay.
    """
    folder.mkdir()
    root, base = folder / "store", folder / "base"
    prepare(root)
    shutil.copytree(root, base)
    history = History()
    with world.recording(folder / "record"):
        await _live_and_die(Node(root, pool), history, rng)
        node = Node(root, pool)
        served = number()
        try:
            after = oracle.settled(await oracle.check(node.store, history))
            await Load(node, after, rng, "second life: ").run(20)
        finally:
            await node.close()
    return Recorded(root, base, records.read(folder / "record"), after, begin=served + 1)


async def _live_and_die(node: Node, history: History, rng: random.Random) -> None:
    """A load until the writer dies. Requests under way are never answered."""
    await Load(node, history, rng).run(20)
    with dying(rng.randint(1, 40)) as died:
        load = asyncio.ensure_future(Load(node, history, rng, "dying: ").run(1 << 30))
        await died.wait()
        node.ledger.close()  # from here on every commit is refused at once
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(load, *others, return_exceptions=True)
    await node.close()
