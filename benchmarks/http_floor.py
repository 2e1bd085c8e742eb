"""How far the HTTP server is from the least that Python can do: keep-alive GETs of 1 KiB.

Prints requests a second and the server's CPU time per request, for the server with a trivial
application and for a bare protocol that answers each read with fixed bytes, and their ratios.
The client is a raw socket loop in a forked process.

    python -m benchmarks.http_floor [--requests 40000] [--upload]
"""

import argparse
import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable

import uvloop

from fastobj.http.message import Request, Response
from fastobj.http.server import HttpServer

REQUEST = (
    b"GET /bucket/prefix/object-000001 HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n"
    b"User-Agent: MinIO (linux; amd64) minio-go/v7.0.90 warp/1.2.0\r\n"
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/"
    b"aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="
    + b"0123456789abcdef" * 4
    + b"\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nX-Amz-Date: 20260101T000000Z\r\n\r\n"
)
HEADERS = [
    (b"ETag", b'"0123456789abcdef0123456789abcdef"'),
    (b"Last-Modified", b"Thu, 01 Jan 2026 00:00:00 GMT"),
    (b"Content-Type", b"application/octet-stream"),
    (b"x-amz-request-id", b"0123456789ABCDEF"),
]
BODY = bytes(1024)
MIB = 1024 * 1024
UPLOAD_BYTES = 256 * MIB

Start = Callable[[], Awaitable[int]]


async def answer(request: Request) -> Response:
    """Answers every request alike."""
    return Response(200, HEADERS, BODY)


async def swallow(request: Request) -> Response:
    """Reads a body into one buffer of 1 MiB."""
    buffer = memoryview(bytearray(MIB))
    while await request.body.readinto(buffer):
        pass
    return Response(200)


class Echo(asyncio.Protocol):
    """Answers each read with the same bytes, without a look at it."""

    response = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n" + bytes(240) + b"\r\n\r\n" + BODY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to write."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers."""
        self.transport.write(self.response)


class Sink(asyncio.Protocol):
    """Counts the bytes of one upload and answers at its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to write."""
        self.transport = transport
        self.missing = UPLOAD_BYTES + len(upload_head())

    def data_received(self, data: bytes) -> None:
        """Counts."""
        self.missing -= len(data)
        if not self.missing:
            self.transport.write(Echo.response)


def upload_head() -> bytes:
    """The head of a large PUT."""
    return b"PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES


def get_often(port: int, concurrency: int, requests: int) -> None:
    """Sends on all connections, then reads from all, until enough requests are answered."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(concurrency)]
    for _ in range(requests // concurrency):
        for sock in sockets:
            sock.sendall(REQUEST)
        for sock in sockets:
            got = 0
            while got < len(BODY):
                got += len(sock.recv(65536))


def put_once(port: int, concurrency: int, requests: int) -> None:
    """Sends one large body."""
    piece = bytes(MIB)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(upload_head())
        for _ in range(UPLOAD_BYTES // MIB):
            sock.sendall(piece)
        sock.recv(65536)


async def serve_echo() -> int:
    """Starts the bare protocol for GETs."""
    listener = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    return int(listener.sockets[0].getsockname()[1])


async def serve_sink() -> int:
    """Starts the bare protocol for uploads."""
    listener = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    return int(listener.sockets[0].getsockname()[1])


async def serve_answer() -> int:
    """Starts the HTTP server for GETs."""
    return await HttpServer(answer).listen("127.0.0.1", 0)


async def serve_swallow() -> int:
    """Starts the HTTP server for uploads."""
    return await HttpServer(swallow).listen("127.0.0.1", 0)


async def measure(
    start: Start, client: Callable[[int, int, int], None], concurrency: int, requests: int
) -> tuple[float, float]:
    """Seconds of wall-clock time and of this process's CPU that the client's work took."""
    port = await start()
    wall, cpu = time.perf_counter(), time.process_time()
    pid = os.fork()
    if not pid:
        client(port, concurrency, requests)
        os._exit(0)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        await asyncio.sleep(0.002)
    return time.perf_counter() - wall, time.process_time() - cpu


def compare_gets(requests: int, concurrency: int) -> None:
    """Prints one line: bare protocol, server, ratios."""
    bare_s, bare_cpu_s = uvloop.run(measure(serve_echo, get_often, concurrency, requests))
    http_s, http_cpu_s = uvloop.run(measure(serve_answer, get_often, concurrency, requests))
    print(
        f"GET 1 KiB x{concurrency:<3} bare {requests / bare_s:8.0f}/s"
        f" {bare_cpu_s / requests * 1e6:5.1f} us   server {requests / http_s:8.0f}/s"
        f" {http_cpu_s / requests * 1e6:5.1f} us   ratio {bare_s / http_s:.2f}"
        f"   CPU +{(http_cpu_s - bare_cpu_s) / requests * 1e6:.1f} us"
    )


def compare_uploads() -> None:
    """Prints one line: CPU per KiB received by the bare protocol and by the server."""
    kib = UPLOAD_BYTES / 1024
    bare_s, bare_cpu_s = uvloop.run(measure(serve_sink, put_once, 1, 1))
    http_s, http_cpu_s = uvloop.run(measure(serve_swallow, put_once, 1, 1))
    print(
        f"PUT {UPLOAD_BYTES // MIB} MiB    bare {UPLOAD_BYTES / bare_s / 1e9:.2f} GB/s"
        f" {bare_cpu_s / kib * 1e9:.0f} ns/KiB   server {UPLOAD_BYTES / http_s / 1e9:.2f} GB/s"
        f" {http_cpu_s / kib * 1e9:.0f} ns/KiB   ratio {bare_s / http_s:.2f}"
    )


def main() -> None:
    """Runs the comparison at 1 and at 20 connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=40_000)
    parser.add_argument("--upload", action="store_true")
    options = parser.parse_args()
    for concurrency in (1, 20):
        compare_gets(options.requests, concurrency)
    if options.upload:
        compare_uploads()


if __name__ == "__main__":
    main()
