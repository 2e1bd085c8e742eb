"""What this machine can do: the bounds that the store's figures are read against.

Each line is one bound, measured now, with nothing of the server in it: the disk's sync, copies in
memory, bytes and round trips over loopback, system calls, hashes. The last lines say what follows
for requests, by the formulas beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from benchmarks._disk import fdatasync_per_second
from fastobj._ext import crc

KIB, MIB, GIB = 1024, 1024 * 1024, 1024 * 1024 * 1024
_LOOPBACK_BYTES = 2 * GIB
_ROUNDS = 3


class Bound(NamedTuple):
    """One figure: its name, how many of its unit in a second, and the unit."""

    name: str
    per_second: float
    unit: str


def best(work: Callable[[], float]) -> float:
    """The best of a few rounds: a bound is what was reached at all."""
    return max(work() for _ in range(_ROUNDS))


def rate(amount: int, work: Callable[[], object], seconds: float = 0.3) -> float:
    """`amount` per second, for as many calls as the time takes."""
    calls, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        work()
        calls += 1
    return calls * amount / spent


def disk(directory: Path) -> list[Bound]:
    """Syncs of 4 KiB one after the other, and bytes in bulk: first written, then overwritten."""
    found = [Bound("fdatasync of 4 KiB", best(lambda: fdatasync_per_second(directory)), "/s")]
    body = memoryview(os.urandom(8 * MIB))
    with tempfile.NamedTemporaryFile(dir=directory) as file:

        def write() -> float:
            began = time.perf_counter()
            for number in range(64):
                os.pwrite(file.fileno(), body, number * len(body))
            os.fdatasync(file.fileno())
            return 64 * len(body) / (time.perf_counter() - began)

        found.append(Bound("write, new", write() / MIB, "MiB/s"))
        found.append(Bound("write, over", best(write) / MIB, "MiB/s"))
    return found


def memory() -> list[Bound]:
    """Copies of what no cache holds, and of what one does."""
    bounds = []
    for name, size in (("copy 64 MiB", 64 * MIB), ("copy 64 KiB", 64 * KIB)):
        source, target = memoryview(os.urandom(size)), memoryview(bytearray(size))

        def copy(source: memoryview = source, target: memoryview = target) -> None:
            target[:] = source

        bounds.append(
            Bound(name, best(lambda size=size, copy=copy: rate(size, copy)) / GIB, "GiB/s")
        )
    return bounds


def system() -> list[Bound]:
    """System calls, and round trips of a byte between two threads over loopback."""
    return [
        Bound("system call", best(lambda: rate(1, os.getppid)), "/s"),
        Bound("loopback round trip", best(_round_trips), "/s"),
        Bound("loopback", best(_loopback) / GIB, "GiB/s"),
    ]


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def _round_trips() -> float:
    client, server = _pair()

    def echo() -> None:
        while data := server.recv(1):
            server.send(data)

    thread = Thread(target=echo)
    thread.start()
    try:
        return rate(1, lambda: (client.send(b"x"), client.recv(1)))
    finally:
        client.close()
        thread.join()
        server.close()


def _loopback() -> float:
    client, server = _pair()
    body, room = bytes(MIB), bytearray(MIB)

    def send() -> None:
        for _ in range(_LOOPBACK_BYTES // len(body)):
            client.sendall(body)
        client.close()

    thread = Thread(target=send)
    began = time.perf_counter()
    thread.start()
    while server.recv_into(room):
        pass
    spent = time.perf_counter() - began
    thread.join()
    server.close()
    return _LOOPBACK_BYTES / spent


def hashes() -> list[Bound]:
    """One stream each, by OpenSSL, and our CRCs."""
    piece = os.urandom(MIB)
    sums: dict[str, Callable[[], object]] = {
        "MD5": lambda: hashlib.md5(piece, usedforsecurity=False).digest(),
        "SHA-256": lambda: hashlib.sha256(piece).digest(),
        "CRC32C": lambda: crc.crc32c(piece),
        "CRC64NVME": lambda: crc.crc64nvme(piece),
    }
    return [
        Bound(name, best(lambda work=work: rate(len(piece), work)) / GIB, "GiB/s")
        for name, work in sums.items()
    ]


def measured(directory: Path) -> list[Bound]:
    """All bounds."""
    return [*disk(directory), *memory(), *system(), *hashes()]


def main() -> None:
    """Prints the bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path.cwd(), help="on the disk in question"
    )
    for bound in measured(parser.parse_args().directory):
        print(f"{bound.name:24} {bound.per_second:>12,.1f} {bound.unit}", flush=True)


if __name__ == "__main__":
    main()
