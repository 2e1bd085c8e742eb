"""The calibration kernels: work that any machine does, which benchmarks are divided by."""

from __future__ import annotations

import hashlib
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fastobj.core.clock import SystemClock

Run = Callable[[], object]
CLOCK: Final = SystemClock()
_MIB: Final = 1 << 20


def _memcpy(directory: Path) -> Run:
    source, target = os.urandom(_MIB), memoryview(bytearray(_MIB))

    def copy() -> None:
        target[:] = source

    return copy


def _sha256(directory: Path) -> Run:
    content = os.urandom(64 << 10)
    return lambda: hashlib.sha256(content).digest()


def _python(directory: Path) -> Run:
    words = {number: b"%d" % number for number in range(256)}

    def loop() -> int:
        total = 0
        for number in range(1000):
            word = words[number & 255]
            total += len(word) if word.startswith(b"1") else number
        return total

    return loop


def _fdatasync(directory: Path) -> Run:
    body = os.urandom(4096)
    file = os.open(directory / "calibration", os.O_RDWR | os.O_CREAT)
    os.write(file, bytes(16 * _MIB))
    os.fsync(file)
    place = 0

    def sync() -> None:
        nonlocal place
        place = (place + 4096) % (16 * _MIB)
        os.pwrite(file, body, place)
        os.fdatasync(file)

    return sync


# The names are those of tools.bench_ratios.MARGINS.
KERNELS: Final[dict[str, Callable[[Path], Run]]] = {
    "memcpy": _memcpy,
    "sha256": _sha256,
    "python": _python,
    "fdatasync": _fdatasync,
}
SYNCED: Final = frozenset({"fdatasync"})


def seconds(run: Run, calls: int) -> float:
    """Seconds of one call, over that many."""
    began = CLOCK.monotonic_ns()
    for _ in range(calls):
        run()
    return (CLOCK.monotonic_ns() - began) / 1e9 / calls


def calls_for(run: Run, least_s: float) -> int:
    """How many calls take that long together, or a little longer."""
    calls = 1
    while seconds(run, calls) * calls < least_s:
        calls *= 2
    return calls


def compared(calibration: str, times: list[float], yardsticks: list[float]) -> dict[str, float]:
    """Seconds of a call, and their ratio to those of the calibration.

    Computing has a shortest time that a quiet moment shows, so the best stands against the best. A
    disk has none: of two rounds next to each other the ratio counts, and of these the median.
    """
    if calibration in SYNCED:
        ratios = [time / yardstick for time, yardstick in zip(times, yardsticks, strict=True)]
        return {"seconds": statistics.median(times), "ratio": statistics.median(ratios)}
    return {"seconds": min(times), "ratio": min(times) / min(yardsticks)}
