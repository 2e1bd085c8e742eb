"""MD5, SHA-1 and SHA-256 of the digest kernel against hashlib: alone, and many streams in lanes.

`python -m benchmarks.digest [LEVEL ...]` runs each level of FASTOBJ_ISA in a process of its own,
because a kernel chooses its code at import. Of many short rounds the best counts, with hashlib's
between them: its figure is for the same buffers one after another.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable

from fastobj.core.clock import SystemClock

CLOCK = SystemClock()
LEVELS = ("generic", "sse42", "avx2-no-sha", "avx2", "avx512-no-sha", "avx512")
NOT_HERE = "does not have"
ROUNDS = 300
SINGLE_BYTES = (0, 128, 1 << 10, 4 << 10, 16 << 10, 64 << 10)
LANE_BYTES = 16 << 10
STREAMS = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 32, 64)
SIZED_STREAMS = 16
SIZES = (256, 1 << 10, 4 << 10, 64 << 10)
UNEQUAL_STREAMS = 64
CALL_BYTES_MIN = 8 << 10  # shorter calls are repeated, for the clock is coarse

Run = Callable[[], object]


def _seconds(run: Run, times: int) -> float:
    begin = CLOCK.monotonic_ns()
    for _ in range(times):
        run()
    return (CLOCK.monotonic_ns() - begin) / 1e9 / times


def best(mine: Run, other: Run, size: int) -> tuple[float, float]:
    """Seconds of the best round of each, the two in turns."""
    times = max(1, CALL_BYTES_MIN // (size + 100))
    seconds = [(_seconds(mine, times), _seconds(other, times)) for _ in range(ROUNDS)]
    return min(each[0] for each in seconds), min(each[1] for each in seconds)


def _with_hashlib(name: str, content: bytes) -> bytes:
    digest = getattr(hashlib, name)(usedforsecurity=False)
    digest.update(content)
    return digest.digest()


def show_single(name: str, begin: Callable[[], hashlib._Hash]) -> None:
    """One object for each buffer: made, fed, asked."""

    def mine(content: bytes) -> bytes:
        digest = begin()
        digest.update(content)
        return digest.digest()

    for size in SINGLE_BYTES:
        content = os.urandom(size)
        ours, theirs = best(
            lambda content=content: mine(content),
            lambda content=content: _with_hashlib(name, content),
            size,
        )
        print(
            f"  {name:6} one of {size:6} bytes {ours * 1e6:8.2f} us"
            f"  hashlib {theirs * 1e6:8.2f} us  {theirs / ours:5.2f} of hashlib",
            flush=True,
        )


def _many_with_hashlib(name: str, contents: list[bytes]) -> list[bytes]:
    return [_with_hashlib(name, content) for content in contents]


def show_lanes(
    name: str, many: Callable[[list[bytes]], object], lengths: list[int], label: str
) -> None:
    """Prints a line: all in one call, against hashlib and against one stream after another."""
    contents = [os.urandom(length) for length in lengths]
    size = sum(lengths)
    ours, theirs = best(lambda: many(contents), lambda: _many_with_hashlib(name, contents), size)
    alone, _ = best(lambda: [many([content]) for content in contents], lambda: None, size)
    print(
        f"  {name:6} {label:22} {size / ours / 1e9:6.2f} GB/s"
        f"  {theirs / ours:5.2f} of hashlib  {alone / ours:5.2f} of one by one",
        flush=True,
    )


def show_streams(name: str, many: Callable[[list[bytes]], object]) -> None:
    """Equal streams, more and more of them; streams of several sizes; and unequal ones."""
    for count in STREAMS:
        show_lanes(name, many, [LANE_BYTES] * count, f"{count} streams")
    for size in SIZES:
        show_lanes(name, many, [size] * SIZED_STREAMS, f"{SIZED_STREAMS} of {size} bytes")
    rng = random.Random(1)
    lengths = [rng.randrange(2 * LANE_BYTES) for _ in range(UNEQUAL_STREAMS)]
    show_lanes(name, many, lengths, f"{UNEQUAL_STREAMS} unequal")
    show_lanes(name, many, sorted(lengths, reverse=True), "the same, longest 1st")


def show_level() -> None:
    """Prints the figures of the level that this process is forced to."""
    from fastobj._ext import digest

    print("  " + "  ".join(f"{name} by {isa}" for name, isa in digest.ISA.items()))
    for name, begin in (("md5", digest.Md5), ("sha1", digest.Sha1), ("sha256", digest.Sha256)):
        show_single(name, begin)
    show_streams("md5", digest.md5_many)
    show_streams("sha256", digest.sha256_many)


def main(levels: list[str]) -> int:
    """Prints the figures of each level; 1 when one of them failed."""
    if levels == ["--here"]:
        show_level()
        return 0
    failed = 0
    for level in levels or LEVELS:
        print(f"FASTOBJ_ISA={level}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.digest", "--here"],
            env={**os.environ, "FASTOBJ_ISA": level},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode and NOT_HERE in done.stderr:
            print("  not on this machine")
        elif done.returncode:
            print(done.stderr, file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
