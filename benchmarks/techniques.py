"""What single techniques of docs/performance.md gain: each taken back, against the server as it is.

Two servers are forked from this process and take turns under the same load, one of them with the
technique taken back by a few lines below. A line says what both need: CPU of the server's processes
per request, and requests per second; the last figure is how many times more CPU it is without. What
needs no server is measured in this process, in the same manner.

    python -m benchmarks.techniques [NUMBER ...] [--rounds 3] [--seconds 2]
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import hashlib
import http.client
import os
import re
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import _load as load
from benchmarks import path
from benchmarks._server import ACCESS_KEY, SECRET_KEY, Server
from fastobj._ext import crc, segio
from fastobj.core import limits
from fastobj.http.connection import Connection
from fastobj.http.message import Response
from fastobj.http.writer import Writer
from fastobj.node.committer import _Request
from fastobj.node.link_ledger import LinkLedger
from fastobj.node.supervisor import Child, Supervisor
from fastobj.storage import io
from fastobj.storage.pool import IoPool

KIB, MIB = limits.KIB, limits.MIB
_SMALL: Final = os.urandom(4 * KIB)
_LARGE: Final = os.urandom(10 * MIB)
_PART: Final = os.urandom(limits.PART_BYTES_MIN)
_KEYS: Final = 1000
_PIECES: Final = 400  # sends of 1 MiB
Make = Callable[[int], bytes]


def signer(server: Server) -> load.Signer:
    """Signs requests to a server."""
    return load.Signer("127.0.0.1", server.port, ACCESS_KEY, SECRET_KEY)


def put_small(sign: load.Signer) -> Make:
    """PUTs of 4 KiB under ever new keys."""
    run = os.urandom(4).hex().encode()
    return lambda number: sign.request(b"PUT", b"/bench/%s/%d" % (run, number), _SMALL)


def get_small(sign: load.Signer) -> Make:
    """GETs of 4 KiB."""
    return lambda number: sign.request(b"GET", b"/bench/%d" % (number * 7919 % _KEYS))


def put_large(sign: load.Signer) -> Make:
    """Unsigned PUTs of 10 MiB, made once."""
    keys = range(8)
    made = [sign.request(b"PUT", b"/bench/large-%d" % key, _LARGE, signed=False) for key in keys]
    requests = cycle(made)
    return lambda _: next(requests)


# --- how a technique is taken back ---------------------------------------------------------------


def replace(owner: object, name: str, by: object) -> None:
    """Puts another function in the place of one; only in the server that is forked for it."""
    setattr(owner, name, by)


def nothing() -> None:
    """The server as it is."""


def one_frame_a_send() -> None:
    """3: each transaction, and each answer, goes through the socket alone."""
    answer = _Request._answer

    def queue(self: LinkLedger, parts: list[bytes]) -> None:
        for part in parts:
            self._out += part
        if not self._flushing:
            self._flush()

    def answer_alone(self: _Request) -> None:
        answer(self)
        self._peer.flush(self._ledger.last_sequence)

    replace(LinkLedger, "_queue", queue)
    replace(_Request, "_answer", answer_alone)


def head_apart() -> None:
    """6: head and body of a response leave in two system calls, as if nothing joined them.

    Two writes to uvloop's transport in one callback are one system call.
    """
    together = Writer.send

    def send(self: Writer, method: bytes, response: Response, keep_alive: bool) -> bool:
        body = response.body
        if method != b"GET" or response.length is not None or not isinstance(body, bytes):
            return together(self, method, response, keep_alive)
        fd = self._transport.get_extra_info("socket").fileno()
        os.write(fd, self._head(response, len(body), keep_alive))
        self._transport.write(body)
        self.sent_bytes, self.whole = len(body), True
        return keep_alive

    replace(Writer, "send", send)


def never_now() -> None:
    """11: no read succeeds in the loop, as if the cache were cold; the pool reads."""
    replace(segio, "read_packed_now", lambda *_: -errno.EAGAIN)


def executor() -> None:
    """7: beyond that the threads are Python's, which are woken and answer through the loop."""
    never_now()

    def read(self: IoPool, file: io.File, offset: int, into: bytearray) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, os.preadv, file.fd, [into], offset)

    replace(IoPool, "read", read)


def small_reads() -> None:
    """16: a body is received by 64 KiB at most."""
    get_buffer = Connection.get_buffer

    def get_some(self: Connection, sizehint: int) -> memoryview:
        return get_buffer(self, sizehint)[: 64 * KIB]

    replace(Connection, "get_buffer", get_some)


def _weights(*weights: int) -> Callable[[], None]:
    def change() -> None:
        def turn(self: Supervisor, child: Child) -> int:
            return child.handed * weights[self._workers.index(child)]

        replace(Supervisor, "_load", turn)

    return change


class Technique(NamedTuple):
    """One that is compared on two servers: `before` has what it replaced, `now` what it is."""

    name: str
    before: Callable[[], None]
    make: Callable[[load.Signer], Make]
    concurrency: int
    now: Callable[[], None] = nothing
    workers: int = 1


SERVED: Final = {
    3: Technique("batches over a socket, PUT 4 KiB", one_frame_a_send, put_small, 64),
    6: Technique("head and body in one call, GET 4 KiB", head_apart, get_small, 20),
    7: Technique("native pool for cold GETs of 4 KiB", executor, get_small, 20, never_now),
    11: Technique("RWF_NOWAIT in the loop, GET 4 KiB", never_now, get_small, 20),
    16: Technique("receives of 1 MiB, not 64 KiB, PUT 10 MiB", small_reads, put_large, 4),
    # A hash puts 20 connections on two workers 12 to 8, on average; at worst all on one.
    18: Technique("10 + 10 connections, not 12 + 8", _weights(2, 3), get_small, 20, workers=2),
}


class Measured(NamedTuple):
    """What one turn came to."""

    cpu_us: float
    per_second: float
    p99_ms: float


def turn(server: Server, technique: Technique, seconds: float) -> Measured:
    """Loads a server for that long."""
    before = path.cpu_us(server)
    result = load.run(
        "127.0.0.1", server.port, technique.concurrency, seconds, technique.make(signer(server))
    )
    if result.errors:
        raise SystemExit(f"{result.errors} errors, the last: {result.last_error!r}")
    spent = sum(path.cpu_us(server).values()) - sum(before.values())
    return Measured(spent / len(result.latencies), result.per_second, result.percentile_ms(0.99))


def seed(server: Server) -> None:
    """Puts what is read."""
    Client(server).ask(b"PUT", b"/bench")
    sign = signer(server)
    puts = [sign.request(b"PUT", b"/bench/%d" % key, _SMALL) for key in range(_KEYS)]
    load.run_at_least("127.0.0.1", server.port, 8, _KEYS, lambda number: puts[number % _KEYS])


def compare(number: int, technique: Technique, rounds: int, seconds: float) -> None:
    """Measures both servers by turns and prints a line."""
    with ExitStack() as stack:
        sides = []
        for change in (technique.now, technique.before):
            served = path.served(change, Path.cwd(), technique.workers)
            sides.append(stack.enter_context(served))
            seed(sides[-1])
        found: list[list[Measured]] = [[], []]
        for _ in range(rounds):
            for side, turns in zip(sides, found, strict=True):
                turns.append(turn(side, technique, seconds))
    now, before = (Measured(*map(statistics.median, zip(*turns, strict=True))) for turns in found)
    show(number, technique.name, now, before)


def show(number: int, name: str, now: Measured, before: Measured) -> None:
    """Prints a line of two measurements."""
    print(
        f"{number:2} {name:43} {now.cpu_us:8.1f} us {now.per_second:7.0f}/s p99 {now.p99_ms:5.1f}"
        f" | without {before.cpu_us:8.1f} us {before.per_second:7.0f}/s p99 {before.p99_ms:5.1f}"
        f" | {before.cpu_us / now.cpu_us:5.2f} x CPU, {now.per_second / before.per_second:5.2f} x",
        flush=True,
    )


# --- what is compared otherwise ------------------------------------------------------------------


class Client:
    """One connection to a server of its own, which answers a request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sign = signer(server)
        self._socket = socket.create_connection(("127.0.0.1", server.port))

    def ask(self, *request: Any, **options: Any) -> tuple[bytes, http.client.HTTPResponse]:
        """Sends one request of the signer; returns the body of the answer, and the answer."""
        self._socket.sendall(self.sign.request(*request, **options))
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        body = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{request[:2]}: {answer.status} {body[:300]!r}")
        return body, answer

    def cost(self, work: Callable[[], object]) -> tuple[float, float, float, float]:
        """Milliseconds, microseconds of server CPU, syncs and transactions of some work."""
        before, cpu = self._server.metrics(), sum(path.cpu_us(self._server).values())
        began = time.perf_counter()
        work()
        spent_ms = (time.perf_counter() - began) * 1e3
        used = sum(path.cpu_us(self._server).values()) - cpu
        after = self._server.metrics()
        names = ("fastobj_log_sync_seconds_count", "fastobj_commit_transactions_total")
        syncs, transactions = (after[name] - before[name] for name in names)
        return spent_ms, used, syncs, transactions


def deletions(rounds: int, _: float) -> None:
    """13: a hundred keys in one request, and in a hundred."""
    with path.served(nothing, Path.cwd()) as server:
        client = Client(server)
        client.ask(b"PUT", b"/bench")
        keys = [b"%03d" % number for number in range(100)]
        listed = b"".join(b"<Object><Key>%s</Key></Object>" % key for key in keys)
        document = b"<Delete><Quiet>true</Quiet>%s</Delete>" % listed

        def apart() -> None:
            for key in keys:
                client.ask(b"DELETE", b"/bench/" + key)

        works: dict[str, Callable[[], object]] = {
            "one request": lambda: client.ask(b"POST", b"/bench", document, b"delete="),
            "a hundred": apart,
        }
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in works}
        for _ in range(rounds * 3):
            for name, work in works.items():
                for key in keys:
                    client.ask(b"PUT", b"/bench/" + key, _SMALL)
                found[name].append(client.cost(work))
        costs = [tuple(map(statistics.median, zip(*x, strict=True))) for x in found.values()]
    for name, (spent_ms, cpu_us, syncs, _) in zip(works, costs, strict=True):
        print(
            f"13 100 keys deleted by {name:12} {spent_ms:6.1f} ms, {cpu_us / 100:6.1f} us of CPU"
            f" a key, {syncs:.0f} syncs"
        )
    ratios = [apart / one for one, apart in zip(*costs, strict=True)]
    print(f"13 a hundred requests over one: {ratios[0]:.1f} x the time, {ratios[1]:.1f} x CPU")


def completions(rounds: int, _: float) -> None:
    """14: uploads of 1, 100 and 1,000 parts are completed."""
    with path.served(nothing, Path.cwd()) as server:
        client = Client(server)
        client.ask(b"PUT", b"/bench")
        client.ask(b"PUT", b"/bench/source", _PART, signed=False)
        etag = hashlib.md5(_PART, usedforsecurity=False).hexdigest().encode()
        for parts in (1, 100, 1000):
            found = [_completed(client, parts, etag) for _ in range(rounds)]
            spent_ms, cpu_us, syncs, commits = map(statistics.median, zip(*found, strict=True))
            print(
                f"14 Complete of {parts:4} parts: {spent_ms:6.1f} ms, CPU {cpu_us / 1e3:5.1f} ms,"
                f" {syncs:.0f} syncs, {commits:.0f} transactions",
                flush=True,
            )


def _completed(client: Client, parts: int, etag: bytes) -> tuple[float, float, float, float]:
    key = b"/bench/whole-" + os.urandom(4).hex().encode()  # what it replaced would be released
    body, _ = client.ask(b"POST", key, query=b"uploads=")
    found = re.search(rb"<UploadId>(.*)</UploadId>", body)
    assert found
    upload = found[1]
    for number in range(1, parts + 1):
        query = b"partNumber=%d&uploadId=%s" % (number, upload)
        client.ask(b"PUT", key, _PART, query, signed=False)
    listed = b"".join(
        b'<Part><PartNumber>%d</PartNumber><ETag>"%s"</ETag></Part>' % (number, etag)
        for number in range(1, parts + 1)
    )
    document = b"<CompleteMultipartUpload>%s</CompleteMultipartUpload>" % listed
    return client.cost(lambda: client.ask(b"POST", key, document, b"uploadId=" + upload))


def sendfile(rounds: int, _: float) -> None:
    """20: bytes of the page cache to a socket, from memory that was verified and by sendfile."""
    with tempfile.TemporaryFile(dir=Path.cwd()) as file:
        file.write(os.urandom(8 * MIB))
        file.flush()
        fd, room = file.fileno(), memoryview(bytearray(MIB))

        def send(sock: socket.socket, offset: int) -> None:
            sock.sendall(room)

        def read_send(sock: socket.socket, offset: int) -> None:
            os.preadv(fd, [room], offset)
            sock.sendall(room)

        def verify_send(sock: socket.socket, offset: int) -> None:
            os.preadv(fd, [room], offset)
            crc.crc32c(room)
            sock.sendall(room)

        def hand_over(sock: socket.socket, offset: int) -> None:
            end = offset + MIB
            while offset < end:
                offset += os.sendfile(sock.fileno(), fd, offset, end - offset)

        def verify_hand_over(sock: socket.socket, offset: int) -> None:
            os.preadv(fd, [room], offset)
            crc.crc32c(room)
            hand_over(sock, offset)

        ways = (verify_send, read_send, send, hand_over, verify_hand_over)
        turns = [[_sent_ns(way) for way in ways] for _ in range(rounds)]
    for name, found in zip((way.__name__ for way in ways), zip(*turns, strict=True), strict=True):
        print(f"20 {name:17} {statistics.median(found):6.3f} ns of the sender's CPU a byte")


def _sent_ns(way: Callable[[socket.socket, int], None]) -> float:
    """CPU of a sender by loopback, whose receiver is a process that throws all away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = os.fork()
        if not pid:
            with socket.create_connection(listener.getsockname()) as sock:
                room = bytearray(MIB)
                while sock.recv_into(room):
                    pass
            os._exit(0)
        sock, _ = listener.accept()
        with sock:
            began = time.process_time_ns()
            for number in range(_PIECES):
                way(sock, number % 8 * MIB)
            spent = time.process_time_ns() - began
        os.waitpid(pid, 0)
        return spent / (_PIECES * MIB)


OTHERS: Final[dict[int, Callable[[int, float], None]]] = {
    13: deletions,
    14: completions,
    20: sendfile,
}


def main() -> None:
    """Prints the lines of the techniques."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = sorted({*SERVED, *OTHERS})
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER", help=f"of {known}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    options = parser.parse_args()
    if unknown := set(options.numbers) - set(known):
        parser.error(f"no technique is measured here under {unknown}: there are {known}")
    for number in options.numbers or known:
        if number in SERVED:
            compare(number, SERVED[number], options.rounds, options.seconds)
        else:
            OTHERS[number](options.rounds, options.seconds)


if __name__ == "__main__":
    main()
