"""What a byte of a large body costs the server: user and system time of all of its processes.

PUTs in signed chunks of 64 KiB, PUTs of unsigned bodies, and GETs, at several concurrencies, next
to what this machine needs for one MD5, one SHA-256 and one copy of a byte in the same run. With
`--against SOURCES` the server of another source tree (its `src` folder, kernels built) takes
turns with this one, and each line ends with its cost divided by this one's.

    python -m benchmarks.bodies [--mib 10] [--concurrency 1 4 20] [--against SOURCES]
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from itertools import cycle

from benchmarks import _load as load
from benchmarks import _tree, limits
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server

KEYS = 20
Make = Callable[[int], bytes]


def _streaming(signer: load.Signer, body: bytes) -> Make:
    # Signed once: the load must not pay for the digests that the server is measured at.
    requests = cycle([signer.streaming(b"/bench/%d" % key, body) for key in range(KEYS)])
    return lambda _: next(requests)


def _unsigned(signer: load.Signer, body: bytes) -> Make:
    requests = cycle(
        [signer.request(b"PUT", b"/bench/%d" % key, body, signed=False) for key in range(KEYS)]
    )
    return lambda _: next(requests)


def _get(signer: load.Signer, body: bytes) -> Make:
    return lambda number: signer.request(b"GET", b"/bench/%d" % (number % KEYS))


CASES = {"put-signed": _streaming, "put-unsigned": _unsigned, "get": _get}


def show_bounds() -> None:
    """Prints what a byte costs in one thread of this process."""
    for bound in (*limits.memory(), *limits.hashes()):
        cost = 1e9 / (bound.per_second * limits.GIB)
        print(f"bound: {bound.name:20} {cost:6.3f} ns/byte", flush=True)


class _Side:
    """A server of one source tree; "" is this one."""

    def __init__(self, sources: str, workers: int) -> None:
        self._sources = sources
        self.server = Server(workers=workers)
        self.mib_s = 0.0  # of the last measurement

    def start(self) -> None:
        """Starts it, with a bucket."""
        if self._sources:
            os.environ["PYTHONPATH"] = self._sources
        try:
            self.server.start()
        finally:
            os.environ.pop("PYTHONPATH", None)
        signer = self.signer()
        load.run(
            "127.0.0.1", self.server.port, 1, 0.01, lambda _: signer.request(b"PUT", b"/bench")
        )

    def signer(self) -> load.Signer:
        """Signs requests to it."""
        return load.Signer("127.0.0.1", self.server.port, ACCESS_KEY, SECRET_KEY)

    def measure(self, case: str, concurrency: int, seconds: float, body: bytes) -> float:
        """Nanoseconds of server CPU per byte."""
        assert self.server.process is not None
        pids = _tree.descendants(self.server.process.pid)
        make = CASES[case](self.signer(), body)
        before = sum(map(_tree.cpu_seconds, pids))
        result = load.run("127.0.0.1", self.server.port, concurrency, seconds, make)
        used = sum(map(_tree.cpu_seconds, pids)) - before
        if result.errors:
            raise SystemExit(f"{case}: {result.errors} errors, the last: {result.last_error!r}")
        self.mib_s = len(result.latencies) * len(body) / 2**20 / result.seconds
        return used / (len(result.latencies) * len(body)) * 1e9


def compare(
    sides: list[_Side], case: str, concurrency: int, rounds: int, seconds: float, body: bytes
) -> None:
    """Measures the sides by turns and prints a line."""
    costs: list[list[float]] = [[] for _ in sides]
    rates: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, cost, rate in zip(sides, costs, rates, strict=True):
            cost.append(side.measure(case, concurrency, seconds, body))
            rate.append(side.mib_s)
    mine, *other = map(statistics.median, costs)
    speed, *other_speed = map(statistics.median, rates)
    line = f"{case:13} c={concurrency:<3} {mine:6.3f} ns/byte {speed:7.0f} MiB/s"
    if other:
        line += f"   other {other[0]:6.3f} ns/byte {other_speed[0]:7.0f} MiB/s"
        line += f"   CPU ratio {other[0] / mine:5.2f}"
    print(line, flush=True)


def main() -> None:
    """Prints the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mib", type=int, default=10)
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 20])
    arguments.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--against", default="")
    options = arguments.parse_args()
    body = os.urandom(options.mib << 20)
    show_bounds()
    sides = [
        _Side(sources, options.workers)
        for sources in ("", options.against)[: 1 + bool(options.against)]
    ]
    try:
        for side in sides:
            side.start()
            make = _unsigned(side.signer(), body)
            load.run_at_least("127.0.0.1", side.server.port, 4, KEYS, make)
        for case in options.cases:
            for concurrency in options.concurrency:
                compare(sides, case, concurrency, options.rounds, options.seconds, body)
    finally:
        for side in sides:
            side.server.stop()


if __name__ == "__main__":
    main()
