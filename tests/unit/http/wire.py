"""A server on 127.0.0.1 with an application for tests, and a client that writes raw bytes."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastobj.http.crowd import Crowd
from fastobj.http.cut import Cut
from fastobj.http.deadline import Timeouts
from fastobj.http.message import (
    BodyIncomplete,
    BodyTooLarge,
    ReadInterrupted,
    Request,
    Response,
)
from fastobj.http.server import HttpServer

MIB = 1024 * 1024


class Bench:
    """What the application of a test saw, and what it is to wait for."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self.bodies: list[bytes] = []
        self.closed = 0
        self.finished = 0
        self.counts: list[int] = []
        self.gate = asyncio.Event()
        self.reported: list[str] = []
        self.cuts: list[Cut] = []
        self.told: list[tuple[int, bool]] = []

    async def application(self, request: Request) -> Response:
        """Does what the path says; /echo answers with the body."""
        self.requests.append(request)
        action = request.path.split(b"/")[1].decode()
        response = await getattr(self, "do_" + action)(request)
        response.finished = lambda sent, whole: self.told.append((sent, whole))
        self.finished += 1
        return response

    async def do_echo(self, request: Request) -> Response:
        try:
            body = await request.body.read(8 * MIB)
        except (BodyIncomplete, BodyTooLarge) as error:
            self.errors.append(error)
            return Response(400, body=b"incomplete")
        self.bodies.append(body)
        return Response(200, [(b"x-size", b"%d" % len(body))], body)

    async def do_pieces(self, request: Request) -> Response:
        """Reads with a buffer of odd size, as large bodies are read."""
        size = int(request.query or b"100003")
        buffer = bytearray(size)
        body = bytearray()
        try:
            while count := await request.body.readinto(memoryview(buffer)):
                body += buffer[:count]
        except BodyIncomplete as error:
            self.errors.append(error)
            return Response(408, body=b"incomplete")
        self.bodies.append(bytes(body))
        return Response(200, body=b"%d" % len(body))

    async def do_ignore(self, request: Request) -> Response:
        return Response(403, body=b"denied")

    async def do_wait(self, request: Request) -> Response:
        await self.gate.wait()
        return Response(200, body=b"waited")

    async def do_waitread(self, request: Request) -> Response:
        await self.gate.wait()
        return await self.do_echo(request)

    async def do_interrupted(self, request: Request) -> Response:
        """Waits for a body until the gate opens."""
        asyncio.get_running_loop().create_task(self.interrupt(request))
        with contextlib.suppress(ReadInterrupted):
            await request.body.readinto(memoryview(bytearray(MIB)))
            return Response(500, body=b"not interrupted")
        return Response(200, body=b"interrupted")

    async def interrupt(self, request: Request) -> None:
        """Ends the wait for the body's bytes."""
        await self.gate.wait()
        request.body.interrupt()

    async def do_head(self, request: Request) -> Response:
        return Response(200, body=b"", length=1234)

    async def do_status(self, request: Request) -> Response:
        return Response(int(request.query), body=b"body")

    async def do_crash(self, request: Request) -> Response:
        raise RuntimeError("a bug")

    async def do_split(self, request: Request) -> Response:
        return Response(200, [(b"x-evil", b"a\r\nset-cookie: b")])

    async def do_close(self, request: Request) -> Response:
        response = Response(200, body=b"bye")
        response.close = True
        return response

    async def do_stream(self, request: Request) -> Response:
        """?total,declared,fails: one buffer used again for each piece, like a volume's reader."""
        total, declared, fails = (int(number) for number in request.query.split(b","))
        return Response(200, body=self.stream(total, fails), length=declared)

    async def stream(self, total: int, fails: int) -> AsyncIterator[memoryview]:
        """Yields `total` bytes; raises behind `fails` of them where that is not negative."""
        buffer = bytearray(MIB)
        sent = 0
        try:
            while sent < total:
                if 0 <= fails <= sent:
                    raise RuntimeError("the disk failed")
                count = min(MIB, total - sent)
                buffer[:] = bytes([sent // MIB % 251]) * MIB
                yield memoryview(buffer)[:count]
                sent += count
        finally:
            self.closed += 1


def stream_bytes(total: int) -> bytes:
    """What `Bench.stream` yields."""
    return b"".join(bytes([number % 251]) * MIB for number in range(total // MIB + 1))[:total]


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Writes bytes and waits until they have left."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Reads the head of a response: status, headers by lower-case name."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])
        }
        return int(head[0].split()[1]), headers

    async def response(self, *, bodiless: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Reads one response: status, headers by lower-case name, body."""
        status, headers = await self.head()
        length = 0 if bodiless else int(headers.get("content-length", 0))
        return status, headers, await self.reader.readexactly(length)

    async def response_in_chunks(self) -> tuple[int, dict[str, str], bytes]:
        """The same for a body in chunks."""
        status, headers = await self.head()
        assert headers["transfer-encoding"] == "chunked"
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return status, headers, body

    async def ask(self, data: bytes, **options: bool) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes and reads one response."""
        await self.send(data)
        return await self.response(**options)

    def reset(self) -> None:
        """Goes away with a reset, as a program does that dies with unread bytes."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def rest(self) -> bytes:
        """All that still comes until the server ends the connection; b"" also for a reset."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


class Site:
    """A running server with its bench, and clients that are closed with it."""

    def __init__(self, bench: Bench, server: HttpServer, port: int) -> None:
        self.bench = bench
        self.server = server
        self.port = port
        self.clients: list[Client] = []

    async def client(self, **options: Any) -> Client:
        """A new connection."""
        client = Client(
            *await asyncio.open_connection("127.0.0.1", self.port, limit=16 * MIB, **options)
        )
        self.clients.append(client)
        return client

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for something that must become true."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def site(
    timeouts: Timeouts | None = None,
    application: Callable[[Request], Awaitable[Response]] | None = None,
    connections_max: int = 10_000,
    **options: Any,
) -> AsyncIterator[Site]:
    """A server for one test; at its end nothing may be left of it."""
    loop = asyncio.get_running_loop()
    bench = Bench()
    loop.set_exception_handler(
        lambda _, context: bench.reported.append(repr(context.get("exception") or context))
    )
    crowd = Crowd(connections_max, bench.cuts.append)
    server = HttpServer(
        application or bench.application,
        timeouts=timeouts,
        changed=bench.counts.append,
        crowd=crowd,
        cut=bench.cuts.append,
        **options,
    )
    place = Site(bench, server, await server.listen("127.0.0.1", 0))
    try:
        yield place
    finally:
        for client in place.clients:
            client.writer.close()
        bench.gate.set()
        await server.drain(5)
        assert server.connections == 0
        assert not crowd._present
        assert not crowd._resting
        await place.until(lambda: len(asyncio.all_tasks()) == 1)


def get(path: str, *headers: str) -> bytes:
    """A GET request."""
    return request("GET", path, *headers)


def request(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    """A request with Host, and Content-Length where there is a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(body: bytes, sizes: list[int], trailers: str = "") -> bytes:
    """`body` in chunked coding, in chunks of the given sizes, the rest in one."""
    parts, start = [], 0
    for size in [*sizes, len(body)]:
        piece = body[start : start + size]
        start += size
        if piece:
            parts.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    return b"".join(parts) + b"0\r\n" + trailers.encode() + b"\r\n"
