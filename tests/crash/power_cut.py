"""Records a load, cuts the power at many moments, and opens what the disk may hold then."""

import os
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from fastobj.node.layout import prepare
from fastobj.storage.pool import IoPool
from fastobj.storage.spares import LOG_SUFFIX
from tests import figures
from tests.crash import oracle, records, world
from tests.crash.oracle import History, Lost, Observed
from tests.crash.records import Entry, Kind
from tests.crash.replayer import Modes, Replayer, write_state
from tests.crash.world import Load, Node, number

_MEMORY = Path("/dev/shm")
# SQLite's shared memory, locks, and what a server writes for those who look at it.
_TRANSIENT = ("-shm", ".lock", "credentials", "identities", "processes")


@dataclass
class Recorded:
    """A load that was recorded: where, from what beginning, and what was done."""

    root: Path
    base: Path
    entries: list[Entry]
    history: History
    begin: int = 1  # cuts are made from this number on

    def replayer(self) -> Replayer:
        """A replayer at the beginning."""
        return Replayer(self.entries, self.root, self.base)


@dataclass
class Tally:
    """What was opened. Blocks and segments are those that recovery replayed."""

    states: int = 0
    blocks: int = 0
    double_states: int = 0
    lives: int = 0


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory in memory where there is one: states are many and short-lived."""
    path = Path(mkdtemp(prefix="fastobj-cut-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def record(
    folder: Path, pool: IoPool, rng: random.Random, operations: int, *, verified: bool = True
) -> Recorded:
    """Runs a load on a new store in `folder` and records it; compares at its end if `verified`."""
    folder.mkdir()
    root, base = folder / "store", folder / "base"
    prepare(root)
    shutil.copytree(root, base)
    history = History()
    with world.recording(folder / "record"):
        node = Node(root, pool)
        try:
            await Load(node, history, rng).run(operations)
            if verified:
                await oracle.check(node.store, history)
        finally:
            await node.close()
    return Recorded(root, base, records.read(folder / "record"), history)


def rebuilt(recorded: Recorded, directory: Path) -> dict[str, bytes]:
    """The files that the whole record makes, covered or not."""
    replayer = recorded.replayer()
    replayer.advance(replayer.last + 1)
    write_state(replayer.whole(), replayer.folders(), directory)
    return files(directory)


def files(root: Path) -> dict[str, bytes]:
    """The contents of all files whose changes count after a power cut."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(_TRANSIENT)
    }


def choose_cuts(recorded: Recorded, count: int, rng: random.Random) -> list[int]:
    """Cuts in ascending order: any moments, moments in a change or sync, moments in a log write.

    Of the second each kind of file counts the same, however seldom it changes.
    """
    after = [entry for entry in recorded.entries if entry.end > recorded.begin]
    kinds: defaultdict[tuple[str, Kind], list[Entry]] = defaultdict(list)
    for entry in after:
        kinds[os.path.splitext(entry.path)[1], entry.kind].append(entry)
    last = max((entry.end for entry in after), default=recorded.begin)
    blocks = kinds.get((LOG_SUFFIX, Kind.WRITE), after)
    cuts: list[int] = []
    for index in range(count):
        begin, end = recorded.begin, last + 1
        if index % 3 and after:
            chosen = blocks if index % 3 == 1 else kinds[rng.choice(list(kinds))]
            entry = rng.choice(chosen)
            begin, end = max(begin, entry.begin + 1), entry.end
        cuts.append(rng.randint(begin, end))
    return sorted(cuts)


class PowerCuts:
    """Opens states of recorded loads. `kept` is where a failing one is left for inspection."""

    def __init__(self, folder: Path, kept: Path, pool: IoPool, seed: int) -> None:
        self.tally = Tally()
        self._folder = folder
        self._kept = kept
        self._pool = pool
        self._seed = seed
        self._count = 0

    async def run(self, recorded: Recorded, count: int, modes: Modes | None = None) -> None:
        """Opens `count` states at random cuts. Raises Lost."""
        replayer = recorded.replayer()
        for cut in choose_cuts(recorded, count, self._rng("cuts")):
            replayer.advance(cut)
            await self.open(recorded, replayer, cut, modes)

    async def open(
        self, recorded: Recorded, replayer: Replayer, cut: int, modes: Modes | None = None
    ) -> None:
        """Opens one state at the replayer's cut and compares. Raises Lost, naming all of it."""
        rng = self._rng(str(cut))
        state = self._folder / "state"
        write_state(replayer.state(rng, modes), replayer.folders(), state)
        self.tally.states += 1
        figures.count("power cuts", 1)
        try:
            await self._live(state, recorded.history, cut, rng)
        except Exception as error:  # whatever it is, the store does not open
            raise self._lost(recorded, replayer, cut, modes, error) from error

    async def _live(self, state: Path, history: History, cut: int, rng: random.Random) -> None:
        """Opens a state, compares, and now and then goes on working with it."""
        node = Node(state, self._pool)
        try:
            self.tally.blocks += node.recovered.blocks_replayed
            observed = await oracle.check(node.store, history, cut)
            if rng.random() > 0.1:
                return
            after = oracle.settled(observed)
            if strays := await node.strays():
                raise Lost(f"reclaim leaves {strays}")
            await Load(node, after, rng, f"after {cut}: ").run(20, clients=3)
            await oracle.check(node.store, after)
        finally:
            await node.close()
        self.tally.lives += 1
        await self._reopen(state, after)

    async def _reopen(self, state: Path, history: History) -> Observed:
        node = Node(state, self._pool)
        try:
            return await oracle.check(node.store, history)
        finally:
            await node.close()

    async def run_double(self, recorded: Recorded, count: int, cuts: int) -> None:
        """Cuts while a state recovers and goes on: `count` states, `cuts` in each. Raises Lost."""
        replayer = recorded.replayer()
        for index, cut in enumerate(choose_cuts(recorded, count, self._rng("double"))):
            replayer.advance(cut)
            folder = self._folder / f"double-{index}"
            folder.mkdir()
            before, after = await self._record_recovery(recorded, replayer, cut, folder)
            states = self.tally.states
            await self.run(before, cuts // 2)
            await self.run(after, cuts - cuts // 2)
            self.tally.double_states += self.tally.states - states
            shutil.rmtree(folder)

    async def _record_recovery(
        self, recorded: Recorded, replayer: Replayer, cut: int, folder: Path
    ) -> tuple[Recorded, Recorded]:
        """A recorded recovery with a short load behind it, as two: until it serves, and after."""
        rng = self._rng(f"recovery {cut}")
        root, base = folder / "store", folder / "base"
        write_state(replayer.state(rng), replayer.folders(), base)
        shutil.copytree(base, root)
        before = recorded.history.at(cut)
        with world.recording(folder / "record"):
            node = Node(root, self._pool)
            served = number()
            try:
                after = oracle.settled(await oracle.check(node.store, before))
                await Load(node, after, rng, f"after {cut}: ").run(30, clients=3)
            finally:
                await node.close()
        entries = records.read(folder / "record")
        until = [entry for entry in entries if entry.begin < served]
        return (
            Recorded(root, base, until, before),
            Recorded(root, base, entries, after, begin=served + 1),
        )

    def _rng(self, word: str) -> random.Random:
        """Choices of their own for each step."""
        self._count += 1
        return random.Random(f"{self._seed} {self._count} {word}")

    def _lost(
        self,
        recorded: Recorded,
        replayer: Replayer,
        cut: int,
        modes: Modes | None,
        error: Exception,
    ) -> Lost:
        """The failure, with the state as it was opened and the record kept for inspection."""
        kept = self._kept / f"lost-{self._count}"
        rng = random.Random(f"{self._seed} {self._count} {cut}")
        write_state(replayer.state(rng, modes), replayer.folders(), kept / "state")
        shutil.copytree(recorded.root.parent / "record", kept / "record")
        pending = "\n  ".join(map(repr, replayer.pending()[-12:]))
        return Lost(
            f"{type(error).__name__}: {error}\n"
            f"at cut {cut}, state {self._count}, kept in {kept}; repeat with --seed={self._seed}\n"
            f"changes that no sync covered:\n  {pending}"
        )
