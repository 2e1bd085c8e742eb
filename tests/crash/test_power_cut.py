"""Power cuts: whatever the disk may hold then, the store opens and no acknowledged change is lost.

Each test prints its seed; `--seed` repeats its choices. The loads themselves race, so a failing
state is kept together with its record, and the message says where.
"""

import asyncio
import random
import shutil
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fastobj.storage.pool import IoPool
from tests.crash import mutations, oracle, records, world
from tests.crash.death import record_death
from tests.crash.oracle import Lost
from tests.crash.power_cut import PowerCuts, Recorded, Tally, files, rebuilt, record, scratch
from tests.crash.records import Kind
from tests.crash.replayer import write_state
from tests.crash.world import Load, Node

pytestmark = pytest.mark.crash

# A load with a small WAL checkpoints often, one with a large WAL replays much.
WAL_BYTES = (4 << 20, 256 << 10, 1 << 20)
LONG_STATES = 5000


async def cut_loads(
    folder: Path, kept: Path, seed: int, loads: int, states: int, doubles: int
) -> Tally:
    """So many loads, so many states of each, and as many recoveries cut again."""
    pool = IoPool()
    cuts = PowerCuts(folder, kept, pool, seed)
    try:
        for number in range(loads):
            rng = random.Random(f"{seed} load {number}")
            with world.small_limits(WAL_BYTES[number % len(WAL_BYTES)]):
                recorded = await record(folder / f"load-{number}", pool, rng, 300)
                await cuts.run(recorded, states)
                await cuts.run_double(recorded, doubles, 10)
            shutil.rmtree(folder / f"load-{number}")
    finally:
        pool.close()
    return cuts.tally


async def test_cuts_of_a_load(seed: int, tmp_path: Path) -> None:
    with scratch() as folder:
        tally = await cut_loads(folder, tmp_path, seed, loads=3, states=60, doubles=2)
    assert tally.states == 3 * 60 + 3 * 2 * 10
    assert tally.blocks > 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thousands_of_cuts(seed: int, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2) as processes:
        parts = [
            processes.submit(_cut_in_process, str(tmp_path / str(part)), seed + part)
            for part in range(2)
        ]
        states = sum(part.result() for part in parts)
    assert states >= LONG_STATES


def _cut_in_process(kept: str, seed: int) -> int:
    """One half of the long test, in a process of its own."""
    loads, states, doubles = 30, 180, 3
    with scratch() as folder:
        work = cut_loads(folder, Path(kept), seed, loads, states, doubles)
        return run_coroutine(work).states


def run_coroutine(work: Coroutine[Any, Any, Tally]) -> Tally:
    """Runs a coroutine on a loop of the kind that the server uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def test_whole_record_gives_the_directory(seed: int, tmp_path: Path) -> None:
    """Nothing that changes the store escapes the recorder: all of it, replayed, is the store."""
    pool = IoPool()
    with scratch() as folder, world.small_limits():
        recorded = await record(folder / "load", pool, random.Random(seed), 300)
        assert rebuilt(recorded, folder / "rebuilt") == files(recorded.root)
    pool.close()


async def test_replay_over_three_segments_twice(seed: int, tmp_path: Path) -> None:
    """Two crashes in a row, each with a torn block, each replayed over three segments and more.

    No checkpoint runs, and of the database nothing uncovered is kept: so the second replay goes
    through both torn tails.
    """
    pool = IoPool()
    rng = random.Random(seed)
    with scratch() as folder:
        first = await record(folder / "first", pool, rng, 150, verified=False)
        begun, history = await _crash_torn(first, folder / "second", pool, rng)
        with world.recording(folder / "second" / "record"):
            node = Node(begun, pool)
            try:
                assert _segments_replayed(node) >= 3
                history = oracle.settled(await oracle.check(node.store, history))
                await Load(node, history, rng, "second: ").run(150)
            finally:
                await node.close()
        entries = records.read(folder / "second" / "record")
        second = Recorded(begun, folder / "second" / "base", entries, history)
        replayed, history = await _crash_torn(second, folder / "third", pool, rng)
        node = Node(replayed, pool)
        try:
            assert _segments_replayed(node) >= 6
            await oracle.check(node.store, history)
        finally:
            await node.close()
    pool.close()


async def _crash_torn(
    recorded: Recorded, folder: Path, pool: IoPool, rng: random.Random
) -> tuple[Path, oracle.History]:
    """A state in the midst of a late block, torn so that replay has to leave it out.

    It is returned as a directory and the history it may show; `folder/base` is a copy.
    """
    blocks = [e for e in recorded.entries if e.kind is Kind.WRITE and e.path.endswith(".log")]
    replayer = recorded.replayer()
    block = next(e for e in reversed(blocks) if len(bytes(e.data).rstrip(b"\0")) > 4096)
    replayer.advance(block.end)
    folder.mkdir()
    while True:
        state = replayer.state(rng, lambda path: "torn" if path.endswith(".log") else "none")
        name = str(Path(block.path).relative_to(recorded.root))
        torn = bytes(state[name].head[block.offset : block.offset + len(block.data)])
        if torn.strip(b"\0") and torn.ljust(len(block.data), b"\0") != block.data:
            break
    for copy in ("base", "store"):
        write_state(state, replayer.folders(), folder / copy)
    return folder / "store", recorded.history.at(block.end)


def _segments_replayed(node: Node) -> int:
    """Over how many segments the recovery of `node` replayed: all but the fresh one."""
    assert node.recovered.blocks_replayed > 0
    return node.recovered.log.segment - 1


async def test_cuts_after_a_death(seed: int, tmp_path: Path) -> None:
    """What a dead writer left unsynced, and the next life showed, survives a power cut."""
    with scratch() as folder:
        tally = await _cut_deaths(folder, tmp_path, seed, deaths=6)
    assert tally.states == 6 * 10


async def test_a_tail_not_settled_is_found(seed: int, tmp_path: Path) -> None:
    with scratch() as folder, mutations.tail_not_settled(), pytest.raises(Lost):
        await _cut_deaths(folder, tmp_path, seed, deaths=200)


async def _cut_deaths(folder: Path, kept: Path, seed: int, deaths: int) -> Tally:
    """So many stores whose writer died once, and ten states of the next life of each."""
    pool = IoPool()
    cuts = PowerCuts(folder, kept, pool, seed)
    try:
        for index in range(deaths):
            rng = random.Random(f"{seed} death {index}")
            with world.small_limits():
                recorded = await record_death(folder / f"death-{index}", pool, rng)
                await cuts.run(recorded, 10)
            shutil.rmtree(folder / f"death-{index}")
    finally:
        pool.close()
    return cuts.tally


@pytest.mark.parametrize("fault", mutations.FAULTS)
async def test_a_fault_is_found(fault: mutations.Fault, seed: int, tmp_path: Path) -> None:
    """The instrument bites: a store with this fault does not pass."""
    pool = IoPool()
    with scratch() as folder, pytest.raises(Lost):
        await _cut_faulty(PowerCuts(folder, tmp_path, pool, seed), fault, folder, seed, pool)
    pool.close()


async def _cut_faulty(
    cuts: PowerCuts, fault: mutations.Fault, folder: Path, seed: int, pool: IoPool
) -> None:
    """Far more cuts than any of the faults needs."""
    for number in range(64):
        rng = random.Random(f"{seed} {number}")
        with world.small_limits(WAL_BYTES[number % len(WAL_BYTES)]), fault():
            path = folder / f"load-{number}"
            recorded = await record(path, pool, rng, 300, verified=False)
            await cuts.run(recorded, 100)
        shutil.rmtree(path)
