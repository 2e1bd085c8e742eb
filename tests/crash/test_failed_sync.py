"""A sync fails and the kernel takes what it was to sync for clean, as Linux does: nothing that was
acknowledged is lost, whether the cache is dropped or the power is cut later.

The record of such a run has the failure; a replay leaves out what was lost by it, whatever sync
came behind.
"""

import contextlib
import random
import shutil
from pathlib import Path

import pytest

from fastobj.core.errors import FastobjError, SyncFailed
from fastobj.node.layout import prepare
from fastobj.storage import faults, io
from fastobj.storage.pool import IoPool
from tests.crash import records, world
from tests.crash.oracle import History, Lost
from tests.crash.power_cut import PowerCuts, Recorded, scratch
from tests.crash.records import Kind
from tests.crash.world import Load, Node

pytestmark = pytest.mark.crash

RUNS = 24
PATHS = ("*/log/*", "*.ext", "*.body", "*meta.db-wal", "*meta.db")


async def _record_failure(folder: Path, pool: IoPool, rng: random.Random, path: str) -> Recorded:
    """A recorded load on a new store, one sync of which fails; it ends soon after that."""
    folder.mkdir()
    root, base = folder / "store", folder / "base"
    prepare(root)
    shutil.copytree(root, base)
    history = History()
    with world.recording(folder / "record"):
        node = Node(root, pool)
        faults.arm(f"sync:path={path}:nth={rng.randint(1, 8)}:error=EIO:drop")
        try:
            with contextlib.suppress(BaseExceptionGroup, FastobjError):
                await Load(node, history, rng).run(150)
        finally:
            with contextlib.suppress(FastobjError):  # of a checkpoint in its thread
                await node.close()
    return Recorded(root, base, records.read(folder / "record"), history)


async def _open_states(folder: Path, kept: Path, seed: int, runs: int) -> int:
    """Opens what the disk may hold after each run; returns in how many a sync was lost."""
    pool = IoPool()
    cuts = PowerCuts(folder, kept, pool, seed)
    lost = 0
    try:
        for number in range(runs):
            rng = random.Random(f"{seed} failed sync {number}")
            with world.small_limits():
                path = PATHS[number % len(PATHS)]
                recorded = await _record_failure(folder / f"run-{number}", pool, rng, path)
                lost += any(entry.kind is Kind.SYNC_LOST for entry in recorded.entries)
                faults.arm("")
                replayer = recorded.replayer()
                replayer.advance(replayer.last + 1)
                await cuts.open(recorded, replayer, replayer.last + 1, lambda path: "all")
                await cuts.run(recorded, 3)
            shutil.rmtree(folder / f"run-{number}")
    finally:
        pool.close()
    return lost


@pytest.fixture(autouse=True)
def instrumented(monkeypatch):
    """The process is one with rules, so that SQLite's calls meet them too."""
    monkeypatch.setenv(io.FAULTS_VARIABLE, "any:count:path=nowhere")
    yield
    monkeypatch.undo()
    io.configure()


async def test_nothing_acknowledged_is_lost(seed: int, tmp_path: Path) -> None:
    with scratch() as folder:
        assert await _open_states(folder, tmp_path, seed, RUNS) > RUNS // 2


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_nothing_is_lost_in_hundreds(seed: int, tmp_path: Path) -> None:
    with scratch() as folder:
        assert await _open_states(folder, tmp_path, seed, 600) > 300


async def test_a_second_try_is_found(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that is repeated after its failure succeeds, and proves nothing."""
    sync = io.File.fdatasync

    def insist(file: io.File) -> None:
        try:
            sync(file)
        except SyncFailed:
            sync(file)

    monkeypatch.setattr(io.File, "fdatasync", insist)
    with scratch() as folder, pytest.raises(Lost):
        await _open_states(folder, tmp_path, seed, 200)
