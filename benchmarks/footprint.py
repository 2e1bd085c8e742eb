"""What a server costs when it does nothing: start-up, memory, idle CPU.

Memory is the proportional set size, process by process: after the start, and again after a load of
every kind and a rest. Start-up is measured on an empty store, and after kill -9 of all processes.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from itertools import count

from benchmarks import _load as load
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server

REST_S = 25.0  # what is idle is given back within this time
LARGE = os.urandom(8 << 20)
SMALL = os.urandom(512)
BUDGET_MB = 60


def show_memory(server: Server, when: str) -> None:
    """Prints each process's memory, and the sum next to the budget."""
    found = server.memory()
    for one in found:
        print(
            f"  {one.role:<12}{one.pss / 1e6:6.1f} MB: own {one.private / 1e6:5.1f}"
            f" (heap {one.heap / 1e6:.1f}, anonymous {one.anonymous / 1e6:.1f},"
            f" other {one.other / 1e6:.1f}), shared {one.shared / 1e6:.1f}"
        )
    total = sum(one.pss for one in found) / 1e6
    print(f"PSS {when}: {total:.1f} MB, {total / BUDGET_MB:.2f} of the budget", flush=True)


def show_idle(server: Server, seconds: float) -> None:
    """Prints the CPU that an idle server uses."""
    before = sum(server.cpu_seconds().values())
    time.sleep(seconds)
    used = sum(server.cpu_seconds().values()) - before
    print(f"idle CPU over {seconds:.0f} s: {used / seconds * 100:.3f} % of a core", flush=True)


def fill(server: Server, objects: int) -> None:
    """Puts that many small objects under ever new keys, or a few more."""
    signer, numbers = new_signer(server), count()
    run(server, 1, 0.01, lambda _: signer.request(b"PUT", b"/fill"))
    done = 0
    while done < objects:
        done += run(server, 64, 2.0, lambda _: put(signer, b"%08d" % next(numbers), SMALL))
    print(f"filled with {done} objects", flush=True)


def stir(server: Server, objects: int, seconds: float) -> None:
    """Reads, lists, overwrites and deletes small objects; sends and reads large ones."""
    signer = new_signer(server)
    cases: list[tuple[int, Callable[[int], bytes]]] = [
        (64, lambda number: signer.request(b"GET", b"/fill/%08d" % (number * 7919 % objects))),
        (64, lambda number: put(signer, b"%08d" % (number % objects), SMALL)),
        (16, lambda number: signer.request(b"GET", b"/fill", query=b"list-type=2")),
        (8, lambda number: put(signer, b"large-%d" % (number % 8), LARGE)),
        (8, lambda number: signer.request(b"GET", b"/fill/large-%d" % (number % 8))),
        (64, lambda number: signer.request(b"DELETE", b"/fill/%08d" % (number % objects))),
    ]
    for concurrency, make in cases:
        run(server, concurrency, seconds, make)


def new_signer(server: Server) -> load.Signer:
    """Signs for that server."""
    return load.Signer("127.0.0.1", server.port, ACCESS_KEY, SECRET_KEY)


def put(signer: load.Signer, key: bytes, body: bytes) -> bytes:
    """A PUT that does not sign its body."""
    return signer.request(b"PUT", b"/fill/" + key, body, signed=False)


def run(server: Server, concurrency: int, seconds: float, make: Callable[[int], bytes]) -> int:
    """Sends requests for that long; returns how many were answered."""
    result = load.run("127.0.0.1", server.port, concurrency, seconds, make)
    if result.errors:
        raise SystemExit(f"{result.errors} errors, the last: {result.last_error!r}")
    return len(result.latencies)


def main() -> None:
    """Prints the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--objects", type=int, default=50_000)
    arguments.add_argument("--seconds", type=float, default=2.0, help="for each kind of request")
    arguments.add_argument("--idle-seconds", type=float, default=5.0)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    server = Server(workers=options.workers)
    try:
        print(f"start to ready, new store: {server.start():.3f} s", flush=True)
        time.sleep(1.0)
        show_memory(server, "after start")
        show_idle(server, options.idle_seconds)
        fill(server, options.objects)
        stir(server, options.objects, options.seconds)
        show_memory(server, "under load")
        time.sleep(REST_S)
        show_memory(server, "after load and rest")
        show_idle(server, options.idle_seconds)
        for _ in range(3):
            server.kill()
            print(f"start to ready, after kill -9: {server.start():.3f} s", flush=True)
        show_memory(server, f"after start with {options.objects} objects")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
