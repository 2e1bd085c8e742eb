"""Each limit that ends a connection is told by its name, and connections are bounded."""

import asyncio
import contextlib
import socket

import pytest

from fastobj.core import limits
from fastobj.http.crowd import Crowd
from fastobj.http.cut import Cut
from fastobj.http.deadline import Timeouts
from tests.unit.http.test_requests import on_both_loops
from tests.unit.http.wire import MIB, get, request, site

LONG = [f"x-{number}: {'a' * 4000}" for number in range(2)]


@pytest.mark.parametrize(
    ("cut", "sent", "options"),
    [
        (Cut.IDLE, b"", {"idle_s": 0.05}),
        (Cut.IDLE, get("/echo"), {"idle_s": 0.05}),
        (Cut.HEAD, b"G", {"head_s": 0.05}),
        (Cut.HEAD, get("/echo") + b"GET /", {"head_s": 0.05}),
        (Cut.BODY, request("PUT", "/echo", "Content-Length: 9") + b"a", {"body_s": 0.05}),
        (Cut.BODY, request("PUT", "/pieces", "Transfer-Encoding: chunked"), {"body_s": 0.05}),
        (Cut.BODY, request("PUT", "/ignore", "Content-Length: 9"), {"body_s": 0.05}),
        (Cut.LINGER, request("PUT", "/ignore", f"Content-Length: {2**40}"), {"linger_s": 0.05}),
        (Cut.WRITE, get("/stream?1000000000,1000000000,-1"), {"write_s": 0.05}),
    ],
)
async def test_what_waits_too_long_is_cut(cut, sent, options):
    async with site(Timeouts(**options)) as place:
        client = await place.client()
        if cut is Cut.WRITE:
            client.writer.transport.pause_reading()
        await client.send(sent)
        await place.until(lambda: place.bench.cuts)
        if cut not in (Cut.WRITE, Cut.LINGER):
            await client.rest()
            client.writer.close()
        await place.until(lambda: not place.server.connections)
        assert place.bench.cuts == [cut]


@pytest.mark.parametrize("coding", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_body_that_trickles_is_told_from_one_that_stalls(coding):
    async with site(Timeouts(body_s=0.2, body_bytes_s=1e6)) as place:
        client = await place.client()
        await client.send(request("PUT", "/echo", coding))
        while not place.bench.errors:
            client.writer.write(b"a" if "Length" in coding else b"1\r\na\r\n")
            await asyncio.sleep(0.01)
        assert [error.stalled for error in place.bench.errors] == [True]
        assert place.bench.cuts == [Cut.RATE]


async def test_a_client_that_hardly_reads_is_told_from_one_that_does_not():
    async with site(Timeouts(write_s=0.2, body_bytes_s=1e9)) as place:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", place.port))
            sock.sendall(get("/stream?1000000000,1000000000,-1"))
            sock.setblocking(False)
            while not place.bench.cuts:
                with contextlib.suppress(BlockingIOError):
                    sock.recv(4096)
                await asyncio.sleep(0.005)
        await place.until(lambda: not place.server.connections)
        assert place.bench.cuts == [Cut.RATE]


async def test_heads_that_are_too_large_are_told():
    async with site(head_bytes_max=8192) as place:
        for head in (get("/echo", *LONG, "y: " + "a" * 300), get("/echo", *(["x: y"] * 128))):
            assert (await (await place.client()).ask(head))[0] == 431
        assert (await (await place.client()).ask(b"nonsense\r\n\r\n"))[0] == 400
        assert (await (await place.client()).ask(get("/echo", *LONG)))[0] == 200
        assert place.bench.cuts == [Cut.HEADER_BYTES] * 2
    async with site() as place:
        target = "/echo".ljust(limits.TARGET_BYTES_MAX + 1, "a")
        assert (await (await place.client()).ask(get(target)))[0] == 414
        assert place.bench.cuts == [Cut.HEADER_BYTES]


async def test_a_client_that_does_not_end_is_cut():
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/ignore", f"Content-Length: {2**40}"))
        assert (await client.response())[0] == 403
        with pytest.raises(ConnectionError):
            await client.send(bytes(4 * limits.HTTP_LINGER_BYTES_MAX))
        await place.until(lambda: not place.server.connections)
        assert place.bench.cuts == [Cut.LINGER]


# --- as many connections as may be


async def _adopt(place):
    """A connection that was accepted elsewhere; returns the client's end."""
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    listener.close()
    accepted.setblocking(False)
    ours.setblocking(False)
    await place.server.adopt(accepted)
    return ours


async def _ask(sock, sent=get("/echo")):  # noqa: B008 (bytes)
    loop = asyncio.get_running_loop()
    if sent:
        await loop.sock_sendall(sock, sent)
    return await loop.sock_recv(sock, 10_000)


@on_both_loops
async def test_beyond_the_most_the_one_that_rests_longest_goes():
    async with site(connections_max=3) as place:
        first, second, third = [await _adopt(place) for _ in range(3)]
        for sock in (second, first, third):
            assert (await _ask(sock)).startswith(b"HTTP/1.1 200")
        fourth = await _adopt(place)
        assert await _ask(second, b"") == b""
        for sock in (first, fourth):
            assert (await _ask(sock)).startswith(b"HTTP/1.1 200")
        fifth = await _adopt(place)
        assert await _ask(third, b"") == b""
        assert place.server.connections == 3
        assert place.bench.cuts == [Cut.CONNECTIONS] * 2
        for sock in (first, second, third, fourth, fifth):
            sock.close()


@on_both_loops
async def test_where_none_rests_the_new_one_is_refused():
    async with site(connections_max=2) as place:
        busy, begun = await _adopt(place), await _adopt(place)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(busy, get("/wait"))
        await loop.sock_sendall(begun, b"GET /ec")
        await place.until(lambda: len(place.bench.requests) == 1)
        await place.until(lambda: not place.server._shared.crowd._resting)
        refused = await _adopt(place)
        answer = await _ask(refused)
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nServer: fastobj\r\nDate: ")
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert b"\r\nConnection: close\r\n" in answer
        assert await _ask(refused, b"") == b""
        assert len(place.bench.requests) == 1
        refused.close()
        assert (await _ask(begun, b"ho HTTP/1.1\r\nHost: test\r\n\r\n")).startswith(b"HTTP/1.1 200")
        taken = await _adopt(place)  # in the place of the one that rests by now
        assert (await _ask(taken)).startswith(b"HTTP/1.1 200")
        assert place.bench.cuts == [Cut.CONNECTIONS] * 2
        for sock in (busy, begun, taken):
            sock.close()


async def test_a_flood_of_refused_ones_gets_no_answers():
    async with site(connections_max=1) as place:
        busy = await _adopt(place)
        await asyncio.get_running_loop().sock_sendall(busy, get("/wait"))
        await place.until(lambda: place.bench.requests)
        refused = [await _adopt(place) for _ in range(limits.HTTP_REFUSALS_MAX + 5)]
        assert place.server.connections <= 1 + limits.HTTP_REFUSALS_MAX
        answers = [await _ask(sock, b"") for sock in refused]
        assert [bool(answer) for answer in answers].count(False) == 5
        assert not any(answers[-5:])
        for sock in [*refused, busy]:
            sock.close()


class _Member:
    """A connection as far as a crowd knows."""

    def __init__(self):
        self.aborted = 0

    def abort(self):
        self.aborted += 1


def test_a_crowd_cuts_in_the_order_of_rest():
    cuts = []
    crowd = Crowd(3, cuts.append)
    members = [_Member() for _ in range(6)]
    for member in members[:3]:
        assert crowd.enter(member)
        crowd.rest(member)
    crowd.wake(members[0])
    crowd.rest(members[0])
    crowd.wake(members[1])
    assert crowd.enter(members[3])
    assert crowd.enter(members[4])
    assert [member.aborted for member in members] == [1, 0, 1, 0, 0, 0]
    assert not crowd.enter(members[5])
    assert cuts == [Cut.CONNECTIONS] * 3
    crowd.leave(members[5])
    crowd.leave(members[1])
    assert crowd.enter(members[5])


def test_a_crowd_says_when_refusals_are_too_many():
    crowd = Crowd(1)
    for _ in range(1 + limits.HTTP_REFUSALS_MAX):
        assert not crowd.is_overrun
        crowd.enter(_Member())
    assert not crowd.is_overrun
    crowd.enter(_Member())
    assert crowd.is_overrun


async def test_a_connection_that_comes_while_the_server_ends_is_closed():
    async with site() as place:
        busy = await place.client()
        await busy.send(get("/wait"))
        await place.until(lambda: place.bench.requests)
        draining = asyncio.ensure_future(place.server.drain(10))
        await asyncio.sleep(0)
        late = await _adopt(place)
        assert await _ask(late, b"") == b""
        late.close()
        place.bench.gate.set()
        assert (await busy.response())[0] == 200
        await draining


async def test_large_answers_are_not_cut_while_they_flow():
    async with site(Timeouts(write_s=0.3)) as place:
        client = await place.client()
        await client.send(get(f"/stream?{20 * MIB},{20 * MIB},-1"))
        got = 0
        while got < 20 * MIB:
            got += len(await client.reader.read(MIB))
            await asyncio.sleep(0.02)
        assert place.bench.cuts == []
