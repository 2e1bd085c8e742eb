"""Small objects: what the committer alone does, and durable 4 KiB PUTs and GETs over HTTP.

Everything is printed next to the rate of fdatasync of this disk in the same run, because the
disk, not the processor, bounds what a durable store can acknowledge one at a time.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks import _load as load
from benchmarks import commit
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server

BODY = os.urandom(4096)


def put(signer: load.Signer, bucket: bytes) -> Callable[[int], bytes]:
    """Makes PUTs of ever new keys."""
    run = os.urandom(4).hex().encode()
    return lambda number: signer.request(b"PUT", b"/%s/%s/%d" % (bucket, run, number), BODY)


def measure(
    server: Server, name: str, concurrency: int, seconds: float, make: Callable[[int], bytes]
) -> None:
    """Runs one case and prints its line."""
    metrics, cpu = server.metrics(), server.cpu_seconds()
    result = load.run("127.0.0.1", server.port, concurrency, seconds, make)
    after, cpu_after = server.metrics(), server.cpu_seconds()
    if result.errors:
        raise SystemExit(f"{name}: {result.errors} errors, the last: {result.last_error!r}")
    requests = len(result.latencies)
    batches = after["fastobj_commit_batches_total"] - metrics["fastobj_commit_batches_total"]
    commits = (
        after["fastobj_commit_transactions_total"] - metrics["fastobj_commit_transactions_total"]
    )
    spent = {role: cpu_after[role] - cpu.get(role, 0.0) for role in cpu_after}
    per_op = " ".join(
        f"{role} {spent[role] / requests * 1e6:.0f}" for role in ("worker", "committer")
    )
    print(
        f"{name:<12} c={concurrency:<3} {result.per_second:>9.0f}/s"
        f"  p50 {result.percentile_ms(0.5):6.2f} ms  p99 {result.percentile_ms(0.99):6.2f} ms"
        f"  batch {commits / batches if batches else 0:5.1f}"
        f"  server CPU us/op {sum(spent.values()) / requests * 1e6:5.0f} ({per_op})",
        flush=True,
    )


def main() -> None:
    """Prints the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 20, 64])
    options = arguments.parse_args()
    commit.show(Path.cwd())
    server = Server(workers=options.workers)
    try:
        server.start()
        signer = load.Signer("127.0.0.1", server.port, ACCESS_KEY, SECRET_KEY)
        load.run("127.0.0.1", server.port, 1, 0.01, lambda _: signer.request(b"PUT", b"/bench"))
        seeds = [signer.request(b"PUT", b"/bench/seed/%d" % number, BODY) for number in range(1000)]
        load.run_at_least("127.0.0.1", server.port, 8, 1000, lambda number: seeds[number % 1000])
        for concurrency in options.concurrency:
            measure(server, "PUT 4 KiB", concurrency, options.seconds, put(signer, b"bench"))
        for concurrency in options.concurrency:
            measure(
                server,
                "GET 4 KiB",
                concurrency,
                options.seconds,
                lambda number: signer.request(b"GET", b"/bench/seed/%d" % (number * 7919 % 1000)),
            )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
