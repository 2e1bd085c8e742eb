"""Rounds of killing a loaded server: SIGKILL, wait for it to come back, compare everything."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from fastobj.storage.pool import IoPool
from fastobj.testing.audited import differences_at
from tests import figures
from tests.crash import oracle, world
from tests.crash.client import Broken, Client, Refused, SmallServer
from tests.crash.http_load import HttpLoad
from tests.crash.oracle import History, Lost
from tests.crash.small_server import FAULT_VARIABLE, WAL_VARIABLE
from tests.crash.world import Node

PROCESSES = ("worker", "committer", "maintenance", "supervisor", "all")
# Where a process can be made to end by itself, and which one passes there.
POINTS = {
    "log.before_pwritev": "committer",
    "log.after_pwritev": "committer",
    "log.after_sync": "committer",
    "log.renamed": "committer",
    "commit.committed": "committer",
    "commit.before_answer": "committer",
    "commit.answered": "committer",
    "replay.committed": "committer",
    "extent.made": "worker",
    "extent.synced": "worker",
    "link.sent": "worker",
    "link.answered": "worker",
    "reclaim.unlinked": "maintenance",
    "spare.recycled": "maintenance",
    "compaction.scanned": "maintenance",
    "compaction.moved": "maintenance",
    "compaction.stored": "maintenance",
    "checkpoint.copied": "committer",
    "checkpoint.restarted": "committer",
    "extent.opened": "worker",
    "complete.planned": "worker",
    "copy.placed": "worker",
}
_SELDOM = (
    "log.renamed",
    "extent.made",
    "reclaim.unlinked",
    "spare.recycled",
    "compaction.scanned",
    "compaction.moved",
    "compaction.stored",
    "checkpoint.copied",
    "checkpoint.restarted",
    "extent.opened",
)
_WAIT_S = 120.0  # a busy machine comes to a point seldom
_TRIES = 3


class Killer:
    """One store, and the servers that live and die on it. Raises Lost, naming seed and round.

    After a round in which all processes ended, no request can be under way: what was read then
    has to stay.
    """

    def __init__(self, directory: Path, seed: int, fault: str = "") -> None:
        self._directory = directory
        self._seed = seed
        self._fault = fault
        self.history = History()
        self.rounds = 0
        self._loads = 0  # several in a round; what they put is told apart by it
        self.answered = 0
        self.broken = 0

    @contextmanager
    def server(self, crash_at: str = "") -> Iterator[SmallServer]:
        """A server on the store; with `crash_at` the process of that point ends itself there."""
        environment = {WAL_VARIABLE: str(1 << 18), FAULT_VARIABLE: self._fault}
        if crash_at:
            role = POINTS[crash_at.partition(":")[0]]
            environment |= {"FASTOBJ_CRASH_AT": crash_at, "FASTOBJ_CRASH_ROLE": role}
        server = SmallServer(self._directory, environment)
        with server:
            yield server

    def kill_round(self, server: SmallServer, victim: str) -> None:
        """Kills one process, or all, at a random moment of a load."""
        rng = self._next_round()
        with self._reporting(victim, server):
            with self._load(server):
                time.sleep(rng.uniform(0.01, 0.15))
                self._kill(server, victim, rng)
                if victim in ("worker", "committer") and rng.random() < 0.3:
                    time.sleep(rng.uniform(0.0, 0.06))  # on its way back
                    self._kill(server, victim, rng)
                if not server.is_running():
                    server.start()
                time.sleep(0.05)
            server.wait_ready()
            self._verify(server, restarted=victim in ("supervisor", "all"))

    def point_rounds(self, point: str, count: int, *, everyone: bool = False) -> int:
        """At least `count` ends at a named point, each followed by a comparison; returns how many.

        With `everyone` all other processes are killed as soon as that process's end shows, which
        may be on its way back. How often the point is passed before differs between servers.
        """
        done = 0
        while done < count:
            rng = self._next_round()
            crash_at = f"{point}:{_passes(point, rng)}"
            if point == "replay.committed":  # only a log that is ahead is replayed
                crash_at += f",log.after_sync:{rng.randint(8, 40)}"
            with self.server(crash_at) as server, self._reporting(crash_at, server):
                for _ in range(min(5, count - done)):
                    done += self._point_round(server, rng, POINTS[point], everyone=everyone)
                    asyncio.run(self.check_counters())
        return done

    def _point_round(
        self, server: SmallServer, rng: random.Random, role: str, *, everyone: bool
    ) -> int:
        before = _ends(server, role)
        with self._load(server):
            deadline = time.monotonic() + _WAIT_S
            while _ends(server, role) == before:
                if time.monotonic() > deadline:
                    raise Lost(f"no {role} ended at the point")
                time.sleep(0.002)
            if everyone:
                self._kill(server, "all", rng)
                server.start()
        server.wait_ready()
        self._verify(server, restarted=False)
        return _ends(server, role) - before

    def _next_round(self) -> random.Random:
        self.rounds += 1
        return random.Random(f"{self._seed} round {self.rounds}")

    @contextmanager
    def _load(self, server: SmallServer) -> Iterator[None]:
        self._loads += 1
        load = HttpLoad(server.port, self.history, f"{self._seed} {self._loads}")
        figures.count("kill rounds", 1)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(load.run, 1 << 30)
            try:
                yield
            finally:
                load.stopping.set()
        running.result()
        self.answered += load.answered
        self.broken += load.broken

    def _kill(self, server: SmallServer, victim: str, rng: random.Random) -> None:
        if victim == "supervisor":
            children = [pid for role, pid in server.pids() if role != "supervisor"]
            server.kill_supervisor()
            _await_ends(children)
            return
        processes = server.pids()
        rng.shuffle(processes)
        chosen = [pid for role, pid in processes if victim in (role, "all")]
        for pid in chosen if victim == "all" else chosen[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended with the supervisor, a moment ago
        if victim == "all":
            server.kill_supervisor()  # waits for it
            _await_ends(chosen)

    def _verify(self, server: SmallServer, *, restarted: bool) -> None:
        client = Client(server.port)
        try:
            for left in reversed(range(_TRIES)):
                try:
                    observed = client.observe()
                    break
                except (Broken, Refused) as error:  # a worker on its way back took the request
                    if not left:
                        raise Lost(f"reading fails: {error}") from error
                    time.sleep(0.2)
        finally:
            client.close()
        oracle.compare(observed, self.history)
        if restarted:
            self.history = oracle.settled(observed)

    async def check_counters(self) -> None:
        """Recomputes all counters from the rows, beside the running server. Raises Lost."""
        different = await differences_at(self._directory)
        if different:
            raise Lost(f"round {self.rounds}: counters differ from the rows: {different}")

    async def check_stopped(self) -> None:
        """Opens the store of a server that has stopped, and compares all of it. Raises Lost."""
        pool = IoPool()
        try:
            with world.small_limits():
                node = Node(self._directory, pool)
                try:
                    await oracle.check(node.store, self.history)
                    await node.reclaim()
                    await oracle.check(node.store, self.history)
                finally:
                    await node.close()
        finally:
            pool.close()

    @contextmanager
    def _reporting(self, what: str, server: SmallServer) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            kind = Lost if isinstance(error, Lost) else RuntimeError
            raise kind(
                f"{type(error).__name__}: {error}\n"
                f"round {self.rounds} ({what}), repeat with --seed={self._seed};"
                f" the store is {self._directory}\n"
                f"{server.log_end()}"
            ) from error


def _passes(point: str, rng: random.Random) -> int:
    """How often a process passes a point before it ends there: never first while it recovers."""
    if point in ("replay.committed", "compaction.stored"):
        return 1
    return rng.randint(2, 3) if point in _SELDOM else rng.randint(3, 60)


def _ends(server: SmallServer, role: str) -> int:
    """How many processes of that role have ended by SIGKILL so far."""
    return server.log_path.read_text(errors="replace").count(f"{role} ended with status -9")


def _await_ends(pids: list[int]) -> None:
    """Waits until none of the processes is left. Raises Lost."""
    deadline = time.monotonic() + _WAIT_S
    while left := [pid for pid in pids if _is_alive(pid)]:
        if time.monotonic() > deadline:
            raise Lost(f"processes outlive the supervisor: {left}")
        time.sleep(0.005)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
