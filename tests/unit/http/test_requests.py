"""Requests, bodies and pipelining, as well-meaning clients send them."""

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from fastobj.http.message import Response
from tests.unit.http.wire import MIB, chunked, get, request, site

SIZES = [0, 1, 64 * 1024, 64 * 1024 + 1, 5 * MIB]


def on_both_loops(test: Callable[..., Coroutine[None, None, None]]) -> object:
    """Runs a coroutine test on uvloop and on asyncio's own loop."""

    @pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.SelectorEventLoop])
    def run(loop_factory):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(test())

    run.__doc__ = test.__doc__
    return run


@on_both_loops
async def test_keep_alive_and_names():
    async with site() as place:
        client = await place.client()
        for number in range(3):
            status, headers, body = await client.ask(
                get(f"/echo/{number}?a=b", "X-Name:  some value \t", "x-empty:")
            )
            assert (status, body) == (200, b"")
            assert headers["server"] == "fastobj"
            assert headers["date"].endswith("GMT")
            assert "connection" not in headers
        seen = place.bench.requests[-1]
        assert (seen.method, seen.target, seen.path) == (b"GET", b"/echo/2?a=b", b"/echo/2")
        assert seen.headers == [(b"host", b"test"), (b"x-name", b"some value"), (b"x-empty", b"")]
        assert (seen.peer, seen.secure) == ("127.0.0.1", False)
        assert place.bench.counts == [1]


@on_both_loops
async def test_bodies_of_all_sizes():
    async with site() as place:
        client = await place.client()
        for size in SIZES:
            body = random.Random(size).randbytes(size)
            status, headers, answer = await client.ask(request("PUT", "/echo", body=body))
            assert (status, headers["x-size"]) == (200, str(size))
            assert answer == body
            status, _, answer = await client.ask(request("PUT", "/pieces", body=body))
            assert (status, answer) == (200, b"%d" % size)
            assert place.bench.bodies[-1] == body


@on_both_loops
async def test_bodies_that_follow_their_head():
    async with site() as place:
        client = await place.client()
        for size in SIZES:
            whole = request("PUT", "/pieces", body=bytes(range(256)) * (size // 256 + 1))
            head, _, body = whole.partition(b"\r\n\r\n")
            await client.send(head + b"\r\n\r\n")
            await place.until(lambda: place.bench.requests)
            place.bench.requests.clear()
            assert (await client.ask(body))[0] == 200
            assert place.bench.bodies[-1] == body


@on_both_loops
async def test_pipelined_requests_are_answered_in_order():
    async with site() as place:
        client = await place.client()
        bodies = [b"%d" % number * number for number in range(300)]
        sent = b"".join(
            request("PUT", "/echo", body=body)
            if number % 3
            else request("PUT", "/echo", "Transfer-Encoding: chunked") + chunked(body, [1, 7])
            for number, body in enumerate(bodies)
        )
        await client.send(sent)
        for body in bodies:
            assert (await client.response())[2] == body


async def test_pipelining_does_not_run_ahead():
    async with site() as place:
        client = await place.client()
        await client.send(get("/wait") + get("/echo") * 5)
        await asyncio.sleep(0.02)
        assert [seen.path for seen in place.bench.requests] == [b"/wait"]
        place.bench.gate.set()
        assert (await client.response())[2] == b"waited"
        for _ in range(5):
            assert (await client.response())[0] == 200


@on_both_loops
async def test_a_flood_of_pipelined_bytes_is_not_buffered():
    async with site() as place:
        client = await place.client()
        await client.send(get("/wait"))
        client.writer.write(get("/echo") * 200_000)
        await asyncio.sleep(0.05)
        (connection,) = place.server._shared.open
        assert len(connection.backlog) <= 256 * 1024
        client.writer.transport.abort()
        place.bench.gate.set()
        await place.until(lambda: not place.server.connections)


async def test_split_at_every_byte():
    body = b"a body\r\n\r\nwith a blank line"
    sent = (
        request("PUT", "/echo/1", "X-A: b", body=body)
        + request("PUT", "/echo/2", "Transfer-Encoding: chunked")
        + chunked(body, [3, 4], "x-trailer: y\r\n")
        + get("/echo/3")
    )
    async with site() as place:
        for cut in range(1, len(sent)):
            client = await place.client()
            client.writer.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )
            await client.send(sent[:cut])
            await asyncio.sleep(0)
            await client.send(sent[cut:])
            assert [(await client.response())[2] for _ in range(3)] == [body, body, b""]
            client.writer.close()


async def test_one_byte_at_a_time():
    async with site() as place:
        client = await place.client()
        body = b"0123456789"
        whole = request("PUT", "/echo", "Transfer-Encoding: chunked") + chunked(body, [1, 2, 3])
        for number in range(len(whole)):
            await client.send(whole[number : number + 1])
            await asyncio.sleep(0.0005)
        assert (await client.response())[2] == body


@on_both_loops
async def test_chunked_in_odd_chunks():
    random_source = random.Random(7)
    async with site() as place:
        client = await place.client()
        for size in SIZES:
            body = random_source.randbytes(size)
            sizes = [random_source.choice((1, 2, 3, 1000, 65_537)) for _ in range(200)]
            coded = request("PUT", "/echo", "transfer-encoding: Chunked") + chunked(body, sizes)
            assert (await client.ask(coded))[2] == body
            coded = request("PUT", "/pieces?65536", "Transfer-Encoding: chunked")
            assert (await client.ask(coded + chunked(body, sizes)))[0] == 200
            assert place.bench.bodies[-1] == body
        assert place.bench.requests[-1].body.length is None


async def test_trailers_never_become_headers():
    async with site() as place:
        client = await place.client()
        coded = request("PUT", "/echo", "Transfer-Encoding: chunked")
        coded += chunked(b"abc", [], "Host: evil\r\nAuthorization: evil\r\n")
        assert (await client.ask(coded))[2] == b"abc"
        assert (await client.ask(get("/echo")))[0] == 200
        for seen in place.bench.requests:
            assert b"evil" not in dict(seen.headers).values()


async def test_the_body_reader_says_its_length_and_keeps_limits():
    async with site() as place:
        client = await place.client()
        assert (await client.ask(request("PUT", "/echo", body=b"12345")))[0] == 200
        assert place.bench.requests[-1].body.length == 5
        too_large = b"x" * (8 * MIB + 1)
        assert (await client.ask(request("PUT", "/echo", body=too_large)))[0] == 400
        assert type(place.bench.errors[0]).__name__ == "BodyTooLarge"


async def test_a_chunked_body_keeps_limits():
    async def read_ten(seen):
        await seen.body.read(10)
        return Response(200)

    async with site(application=read_ten) as place:
        head = request("PUT", "/", "Transfer-Encoding: chunked")
        client = await place.client()
        assert (await client.ask(head + chunked(b"x" * 10, [3])))[0] == 200
        assert (await client.ask(head + chunked(b"x" * 11, [3])))[0] == 413


async def test_an_upgrade_is_ignored():
    async with site() as place:
        client = await place.client()
        upgrade = ("Connection: Upgrade", "Upgrade: h2c")
        assert (await client.ask(get("/echo", *upgrade)))[0] == 200
        assert (await client.ask(request("PUT", "/echo", *upgrade, body=b"abc")))[2] == b"abc"
        coded = request("PUT", "/echo", *upgrade, "Transfer-Encoding: chunked")
        assert (await client.ask(coded + chunked(b"abcd", [1])))[2] == b"abcd"
        assert (await client.ask(get("/echo")))[0] == 200


async def test_http_1_0_ends_with_its_response():
    async with site() as place:
        client = await place.client()
        await client.send(b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await client.response())[1]["connection"] == "close"
        assert await client.rest() == b""


async def test_connection_close_is_obeyed():
    async with site() as place:
        for ask in (get("/echo", "Connection: close"), get("/close")):
            client = await place.client()
            assert (await client.ask(ask))[1]["connection"] == "close"
            assert await client.rest() == b""


async def test_tcp_nodelay_is_set():
    async with site() as place:
        client = await place.client()
        await client.ask(get("/echo"))
        (connection,) = place.server._shared.open
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_an_adopted_socket_is_served():
    async with site() as place:
        listener = socket.create_server(("127.0.0.1", 0))
        ours = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        listener.close()
        accepted.setblocking(False)
        ours.setblocking(False)
        await place.server.adopt(accepted)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, get("/echo", "Connection: close"))
        assert (await loop.sock_recv(ours, 1000)).startswith(b"HTTP/1.1 200 OK\r\n")
        ours.close()
        await place.until(lambda: not place.server.connections)
