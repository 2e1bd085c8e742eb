"""What a server costs when it does nothing: start-up, memory, idle CPU.

Start-up is measured on an empty store, and with many objects after kill -9 of all processes.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial

from benchmarks import _load as load
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server


def show_memory(server: Server, when: str) -> None:
    """Prints the proportional set size by role and in all."""
    pss = server.pss_bytes()
    parts = " ".join(f"{role} {size / 1e6:.1f}" for role, size in sorted(pss.items()))
    print(f"PSS {when}: {sum(pss.values()) / 1e6:.1f} MB ({parts})", flush=True)


def show_idle(server: Server, seconds: float) -> None:
    """Prints the CPU that an idle server uses."""
    before = sum(server.cpu_seconds().values())
    time.sleep(seconds)
    used = sum(server.cpu_seconds().values()) - before
    print(f"idle CPU over {seconds:.0f} s: {used / seconds * 100:.3f} % of a core", flush=True)


def fill(server: Server, objects: int) -> None:
    """Puts that many small objects under ever new keys."""
    signer = load.Signer("127.0.0.1", server.port, ACCESS_KEY, SECRET_KEY)
    load.run("127.0.0.1", server.port, 1, 0.01, lambda _: signer.request(b"PUT", b"/fill"))
    run, done, body = os.urandom(4).hex().encode(), 0, os.urandom(512)

    def put(base: int, number: int) -> bytes:
        path = b"/fill/%s/%08d" % (run, base + number)
        return signer.request(b"PUT", path, body, signed=False)

    while done < objects:
        result = load.run("127.0.0.1", server.port, 64, 5.0, partial(put, done))
        if result.errors:
            raise SystemExit(f"{result.errors} errors, the last: {result.last_error!r}")
        done += len(result.latencies)
        print(f"filled {done} of {objects}", flush=True)


def main() -> None:
    """Prints the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--objects", type=int, default=1_000_000)
    arguments.add_argument("--idle-seconds", type=float, default=20.0)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    server = Server(workers=options.workers)
    try:
        print(f"start to ready, new store: {server.start():.3f} s", flush=True)
        show_memory(server, "after start")
        show_idle(server, options.idle_seconds)
        fill(server, options.objects)
        time.sleep(20)  # what is idle is given back within this time
        show_memory(server, "after load")
        show_idle(server, options.idle_seconds)
        for _ in range(3):
            server.kill()
            seconds = server.start()
            print(
                f"start to ready, {options.objects} objects, after kill -9: {seconds:.3f} s",
                flush=True,
            )
        show_memory(server, f"after start with {options.objects} objects")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
