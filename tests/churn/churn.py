"""Churn: clients overwrite, delete and read back a working set for as long as asked.

The server compacts beneath them. Each thread has slots of its own and knows what each holds: a
body follows from its slot and the number of its write, so nothing of it need be kept. Sizes are
mixed and slots are chosen at random, so every segment keeps a few live bodies: the worst that
compaction meets.
"""

import hashlib
import os
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import Client, metrics

KIB, MIB = 1 << 10, 1 << 20
BUCKET = "/churn"
# Sizes of bodies and how often they come: in the log, in extents, of several pieces.
SIZES = ((200, 8 * KIB), (8 * KIB, 60 * KIB), (66 * KIB, MIB), (MIB, 4 * MIB))
WEIGHTS = (50, 30, 6, 1)
MEAN_BYTES = sum(w * (a + b) // 2 for (a, b), w in zip(SIZES, WEIGHTS, strict=True)) // sum(WEIGHTS)
_BLOCK_BYTES = 64 * KIB
STILL_S = 15.0  # without a change: nothing more is given back


def body_of(slot: str, write: int, size: int) -> bytes:
    """The body of a slot after its write of that number."""
    block = hashlib.shake_128(f"{slot} {write}".encode()).digest(min(size, _BLOCK_BYTES))
    return (block * (size // len(block) + 1))[:size]


def held_bytes(directory: Path) -> int:
    """What the files of a store take on the disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


def _settled_bytes(directory: Path) -> int:
    """What a store takes once it has made what it makes ahead."""
    before = -1
    while (held := held_bytes(directory)) != before:
        before = held
        time.sleep(1)
    return held


@dataclass
class Figures:
    """What a churn came to; sizes are in bytes."""

    seconds: float = 0.0
    writes: int = 0
    deletes: int = 0
    reads: int = 0
    wrong: int = 0
    written: int = 0
    working_set: int = 0  # at its largest
    held: int = 0  # the most that the store took on the disk
    moved_bodies: int = 0
    moved: int = 0
    empty: int = 0  # what the store took before the first write
    emptied: int = 0  # and a while after everything was deleted

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"churn: {self.writes:,} writes ({self.written / MIB:,.0f} MiB), {self.deletes:,}"
            f" deletes and {self.reads:,} reads in {self.seconds:.0f} s, {self.wrong} wrong;"
            f" {self.moved_bodies:,} bodies ({self.moved / MIB:,.0f} MiB) moved;"
            f" working set {self.working_set / MIB:,.0f} MiB, held at most"
            f" {self.held / MIB:,.0f} MiB ({self.held / max(1, self.working_set):.2f} times);"
            f" empty {self.empty / MIB:.1f} MiB, emptied {self.emptied / MIB:.1f} MiB"
        )


@dataclass
class _Slots:
    """What one thread has stored: of each slot number of the write and size, or None."""

    number: int
    rng: random.Random
    holds: list[tuple[int, int] | None]
    figures: Figures = field(default_factory=Figures)
    size: int = 0

    def path(self, slot: int) -> str:
        """The path of a slot's object."""
        return f"{BUCKET}/{self.number}/{slot}"

    def turn(self, client: Client) -> None:
        """One request."""
        slot = self.rng.randrange(len(self.holds))
        held, choice = self.holds[slot], self.rng.random()
        if held is None or choice < 0.55:
            self._write(client, slot)
        elif choice < 0.6:
            self._delete(client, slot)
        else:
            self.read(client, slot)

    def _write(self, client: Client, slot: int) -> None:
        figures = self.figures
        figures.writes += 1
        size = self.rng.randint(*self.rng.choices(SIZES, WEIGHTS)[0])
        path, write = self.path(slot), figures.writes
        status, text = client("PUT", path, body_of(path, write, size))
        assert status == 200, (status, text)
        figures.written += size
        self._hold(slot, (write, size))

    def _delete(self, client: Client, slot: int) -> None:
        status, text = client("DELETE", self.path(slot))
        assert status == 204, (status, text)
        self.figures.deletes += 1
        self._hold(slot, None)

    def _hold(self, slot: int, what: tuple[int, int] | None) -> None:
        before = self.holds[slot]
        self.size += (what[1] if what else 0) - (before[1] if before else 0)
        self.holds[slot] = what

    def read(self, client: Client, slot: int) -> None:
        """Reads a slot and compares it."""
        held, path = self.holds[slot], self.path(slot)
        status, body = client("GET", path)
        self.figures.reads += 1
        wanted = (404, None) if held is None else (200, body_of(path, *held))
        if status != wanted[0] or (held is not None and body != wanted[1]):
            self.figures.wrong += 1

    def delete_all(self, client: Client) -> None:
        """Deletes what is there."""
        for slot, held in enumerate(self.holds):
            if held is not None:
                self._delete(client, slot)


class Churn:
    """A churn on a running server with an empty store."""

    def __init__(
        self, server: ProcessServer, seed: int, working_set: int, threads: int = 8
    ) -> None:
        self._server = server
        self._errors: list[BaseException] = []
        self._stop = threading.Event()
        count = max(1, working_set // MEAN_BYTES // threads)
        self._slots = [
            _Slots(number, random.Random(f"{seed} {number}"), [None] * count)
            for number in range(threads)
        ]
        with Client(server) as client:
            assert client("PUT", BUCKET)[0] == 200
        self._figures = Figures(empty=_settled_bytes(server.directory))

    def run(self, seconds: float) -> None:
        """Churns for that long; looks at what the store holds meanwhile. Raises what failed."""
        begin = time.monotonic()
        self._stop.clear()
        threads = [threading.Thread(target=self._work, args=[slots]) for slots in self._slots]
        for thread in threads:
            thread.start()
        while time.monotonic() - begin < seconds and not self._errors:
            time.sleep(min(0.5, seconds / 10))
            self._look()
        self._stop.set()
        for thread in threads:
            thread.join()
        self._figures.seconds += time.monotonic() - begin
        if self._errors:
            raise self._errors[0]

    def verify(self) -> None:
        """Reads everything and compares it."""
        with Client(self._server) as client:
            for slots in self._slots:
                for slot in range(len(slots.holds)):
                    slots.read(client, slot)

    def empty(self, within: float) -> None:
        """Deletes everything, then waits until the store has not become smaller for a while."""
        with Client(self._server) as client:
            for slots in self._slots:
                slots.delete_all(client)
        changed = begin = time.monotonic()
        least = held_bytes(self._server.directory)
        while (now := time.monotonic()) < min(begin + within, changed + STILL_S):
            held = held_bytes(self._server.directory)
            if held < least:
                least, changed = held, now
            time.sleep(0.5)
        self._figures.emptied = held_bytes(self._server.directory)

    def figures(self) -> Figures:
        """What it came to so far."""
        total = self._figures
        for name in ("writes", "deletes", "reads", "wrong", "written"):
            setattr(total, name, sum(getattr(slots.figures, name) for slots in self._slots))
        page = metrics(self._server)
        total.moved_bodies = int(page.get("compaction_moved_bodies_total", 0))
        total.moved = int(page.get("compaction_moved_bytes_total", 0))
        return total

    def _look(self) -> None:
        figures = self._figures
        figures.working_set = max(figures.working_set, sum(slots.size for slots in self._slots))
        figures.held = max(figures.held, held_bytes(self._server.directory))

    def _work(self, slots: _Slots) -> None:
        try:
            with Client(self._server) as client:
                while not self._stop.is_set():
                    slots.turn(client)
        except BaseException as error:
            self._errors.append(error)
