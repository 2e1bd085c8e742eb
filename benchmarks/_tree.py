"""What a tree of processes uses while something runs: CPU over time, and memory at its peak."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_CPU_EVERY_S = 0.25
_MEMORY_EVERY = 4  # looks at CPU for one at memory, which costs the kernel a walk


def descendants(pid: int) -> list[int]:
    """A process and all below it that live now."""
    found = [pid]
    for each in found:
        try:
            tasks = list(Path(f"/proc/{each}/task").iterdir())
            for task in tasks:
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, and of those children that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def pss_bytes(pid: int) -> int:
    """The proportional set size of a process."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024


class Watch:
    """Samples of one tree. `memory_bytes_max` is the largest sum of PSS that was seen."""

    def __init__(self, root: Callable[[], int]) -> None:
        self._root = root
        self.cpu: list[tuple[float, float]] = []
        self.memory_bytes_max = 0

    def look(self, with_memory: bool) -> None:
        """Takes one sample; none where the tree has ended."""
        root = self._root()
        if not Path(f"/proc/{root}").exists():
            return
        pids = descendants(root)
        self.cpu.append((time.time(), sum(map(cpu_seconds, pids))))
        if with_memory:
            self.memory_bytes_max = max(self.memory_bytes_max, sum(map(pss_bytes, pids)))

    def used(self, start: float, end: float) -> float:
        """CPU-seconds used between two moments of the wall clock, by linear interpolation."""
        return self._at(end) - self._at(start)

    def _at(self, moment: float) -> float:
        before = max((x for x in self.cpu if x[0] <= moment), default=self.cpu[0])
        after = min((x for x in self.cpu if x[0] >= moment), default=self.cpu[-1])
        if after[0] == before[0]:
            return before[1]
        share = (moment - before[0]) / (after[0] - before[0])
        return before[1] + share * (after[1] - before[1])


@contextmanager
def repeating(every_s: float, step: Callable[[int], bool]) -> Iterator[None]:
    """Calls `step` from a thread, with 0, 1, 2, ..., until it returns False or the block ends."""
    stop = threading.Event()

    def run() -> None:
        number = 0
        while step(number) and not stop.wait(every_s):
            number += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def watching(*watches: Watch) -> Iterator[None]:
    """Samples the trees until the block ends."""

    def look(number: int) -> bool:
        for watch in watches:
            watch.look(number % _MEMORY_EVERY == 0)
        return True

    with repeating(_CPU_EVERY_S, look):
        yield
    for watch in watches:
        watch.look(False)
