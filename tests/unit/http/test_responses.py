"""Responses as bytes, bodies in pieces, and clients that do not read or go away."""

import asyncio
import gc
import os
import random
import socket

import pytest

from fastobj.core.clock import FixedClock
from fastobj.http.connection import Connection
from fastobj.http.deadline import Timeouts
from fastobj.http.message import Response
from fastobj.http.render import Renderer
from tests.unit.http.test_requests import on_both_loops
from tests.unit.http.wire import MIB, chunked, get, request, site, stream_bytes


def test_head_bytes():
    clock = FixedClock(0)
    renderer = Renderer(clock)
    head = renderer.head(200, [(b"ETag", b'"a"'), (b"x-empty", b"")], 7, close=False)
    assert head == (
        b"HTTP/1.1 200 OK\r\nServer: fastobj\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b'ETag: "a"\r\nx-empty: \r\nContent-Length: 7\r\n\r\n'
    )
    clock.advance(999_999_999)
    assert b"00:00:00 GMT" in renderer.head(200, [], 0, close=False)
    clock.advance(1)
    head = renderer.head(599, [], 0, close=True)
    assert head.startswith(b"HTTP/1.1 599 \r\n")
    assert b"00:00:01 GMT" in head
    assert head.endswith(b"Content-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_no_length_without_a_body(status):
    assert b"Content-Length" not in Renderer(FixedClock(0)).head(status, [], 0, close=False)


@pytest.mark.parametrize("code", [code for code in (*range(32), 127) if code != 9])
def test_control_characters_are_never_emitted(code):
    renderer = Renderer(FixedClock(0))
    for header in ((b"x", b"a" + bytes([code]) + b"b"), (b"x" + bytes([code]), b"a")):
        with pytest.raises(ValueError, match="control character"):
            renderer.head(200, [(b"fine", b"fine"), header], 0, close=False)


def test_tabs_and_high_bytes_are_values():
    head = Renderer(FixedClock(0)).head(200, [(b"x", b"a\tb\xc3\xa4\x85")], 0, close=False)
    assert b"x: a\tb\xc3\xa4\x85\r\n" in head


@on_both_loops
async def test_responses_without_a_body():
    async with site() as place:
        client = await place.client()
        answer = await client.ask(request("HEAD", "/head"), bodiless=True)
        assert (answer[0], answer[1]["content-length"]) == (200, "1234")
        answer = await client.ask(request("HEAD", "/ignore"), bodiless=True)
        assert (answer[0], answer[1]["content-length"]) == (403, "6")
        answer = await client.ask(request("HEAD", "/stream?100,100,-1"), bodiless=True)
        assert (answer[0], answer[1]["content-length"]) == (200, "100")
        for status in (204, 304):
            answer = await client.ask(get(f"/status?{status}"))
            assert (answer[0], answer[2], "content-length" in answer[1]) == (status, b"", False)
        assert (await client.ask(get("/echo")))[0] == 200


async def test_failures_of_the_application_are_answered():
    async with site() as place:
        for path in ("/crash", "/split", "/stream?5,5,0"):
            client = await place.client()
            status, headers, body = await client.ask(get(path))
            assert (status, headers["connection"]) == (500, "close")
            assert (body, "set-cookie" in headers) == (b"500 Internal Server Error\n", False)
            assert await client.rest() == b""
        assert [entry.split("(")[0] for entry in place.bench.reported] == [
            "RuntimeError",
            "ValueError",
            "RuntimeError",
        ]


@on_both_loops
async def test_bodies_in_pieces():
    async with site() as place:
        client = await place.client()
        for total in (0, 1, MIB, MIB + 1, 20 * MIB):
            status, _, body = await client.ask(get(f"/stream?{total},{total},-1"))
            assert status == 200
            assert body == stream_bytes(total)
        assert place.bench.closed == 5


@on_both_loops
async def test_a_piece_is_not_reused_before_it_is_written():
    async with site() as place:
        client = await place.client()
        await client.send(get(f"/stream?{16 * MIB},{16 * MIB},-1") * 2)
        await asyncio.sleep(0.05)
        for _ in range(2):
            assert (await client.response())[2] == stream_bytes(16 * MIB)


@pytest.mark.parametrize(("total", "declared"), [(3 * MIB, 4 * MIB), (4 * MIB, 3 * MIB + 1)])
@pytest.mark.parametrize("fails", [-1, 2 * MIB])
async def test_a_wrong_body_never_looks_whole(total, declared, fails):
    async with site() as place:
        client = await place.client()
        await client.send(get(f"/stream?{total},{declared},{fails}"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.response()
        await place.until(lambda: place.bench.closed)
        assert len(place.bench.reported) == 1
        assert place.server.connections == 0


async def test_a_body_of_wrong_length_is_not_sent():
    async def answer(seen):
        return Response(200, body=b"12345", length=4)

    async with site(application=answer) as place:
        client = await place.client()
        assert (await client.ask(get("/")))[0] == 500


async def test_pieces_without_a_length_are_not_sent():
    async def answer(seen):
        return Response(200, body=place.bench.stream(5, -1))

    async with site(application=answer) as place:
        client = await place.client()
        assert (await client.ask(get("/")))[0] == 500


async def pieces_of(*pieces):
    for piece in pieces:
        yield memoryview(piece)


def in_chunks(body):
    response = Response(200, body=body)
    response.chunked = True
    return response


@on_both_loops
async def test_bodies_in_chunks():
    """The end is told by the last chunk, and the connection is kept."""
    bodies = [(), (b"",), (b"a",), (b"", b"ab", b"", b"x" * 300), (b"y" * MIB, b"z" * MIB)]
    wanted = iter(bodies)

    async def answer(seen):
        return in_chunks(pieces_of(*next(wanted)))

    async with site(application=answer) as place:
        client = await place.client()
        for pieces in bodies:
            await client.send(get("/"))
            status, headers, body = await client.response_in_chunks()
            assert (status, "content-length" in headers) == (200, False)
            assert body == b"".join(pieces)


async def test_a_body_in_chunks_that_fails_never_looks_whole():
    async def answer(seen):
        return in_chunks(place.bench.stream(3 * MIB, 2 * MIB))

    async with site(application=answer) as place:
        client = await place.client()
        await client.send(get("/"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.response_in_chunks()


async def test_who_takes_chunks():
    takes = []

    async def answer(seen):
        takes.append(seen.takes_chunks)
        return Response(200)

    async with site(application=answer) as place:
        for version in ("1.0", "1.1"):
            client = await place.client()
            head = f"GET / HTTP/{version}\r\nHost: test\r\n\r\n".encode()
            assert (await client.ask(head))[0] == 200
    assert takes == [False, True]


@on_both_loops
async def test_clients_that_do_not_read_are_cut():
    async with site(Timeouts(write_s=0.1)) as place:
        for path in ("/stream?1000000000,1000000000,-1", "/stream?1000000000,1000000000,-1"):
            client = await place.client()
            client.writer.transport.pause_reading()
            await client.send(get(path))
        await place.until(lambda: place.bench.closed == 2)
        await place.until(lambda: not place.server.connections)


async def test_a_slow_reader_is_not_cut():
    async with site(Timeouts(write_s=0.3)) as place:
        client = await place.client()
        await client.send(get(f"/stream?{20 * MIB},{20 * MIB},-1"))
        got = 0
        while got < 20 * MIB:
            got += len(await client.reader.read(MIB))
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("action", ["echo", "pieces"])
@pytest.mark.parametrize("coding", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("half", [False, True])
async def test_a_client_that_leaves_ends_the_body_only(action, coding, half):
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/" + action, coding) + b"5\r\nab")
        await place.until(lambda: place.bench.requests)
        if half:
            client.writer.write_eof()
            assert (await client.response())[1]["connection"] == "close"
        else:
            client.reset()
        await place.until(lambda: place.bench.finished)
        assert [error.stalled for error in place.bench.errors] == [False]
        assert place.bench.reported == []


async def test_a_request_goes_on_without_its_client():
    async with site() as place:
        client = await place.client()
        await client.send(get("/wait"))
        await place.until(lambda: place.bench.requests)
        client.reset()
        await place.until(lambda: not place.server.connections)
        assert len(place.server._shared.departed) == 1
        place.bench.gate.set()
        await place.until(lambda: place.bench.finished)
        await place.until(lambda: not place.server._shared.departed)
        assert place.bench.reported == []


async def test_a_whole_body_is_read_though_its_client_has_left():
    async with site() as place:
        for whole in (
            request("PUT", "/waitread", body=b"12345"),
            request("PUT", "/waitread", "Transfer-Encoding: chunked") + chunked(b"12345", [2]),
        ):
            client = await place.client()
            await client.send(whole)
            await place.until(lambda: place.bench.requests)
            client.reset()
        await place.until(lambda: len(place.bench.requests) == 2)
        place.bench.gate.set()
        await place.until(lambda: place.bench.finished == 2)
        assert place.bench.bodies == [b"12345"] * 2


async def test_a_half_closed_client_gets_its_answers():
    async with site() as place:
        client = await place.client()
        await client.send(get("/echo/1") + get("/echo/2") + get("/echo/3")[:-2])
        client.writer.write_eof()
        assert (await client.response())[0] == 200
        assert (await client.response())[0] == 200
        assert await client.rest() == b""
        client = await place.client()
        await client.send(get("/wait"))
        client.writer.write_eof()
        await asyncio.sleep(0.01)
        place.bench.gate.set()
        assert (await client.response())[2] == b"waited"
        assert await client.rest() == b""


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_aborting_clients_leave_nothing(rng: random.Random):
    """200 clients that leave at random bytes of all kinds of requests."""
    kinds = [
        request("PUT", "/echo", body=bytes(300_000)),
        request("PUT", "/pieces", body=bytes(300_000)),
        request("PUT", "/pieces", "Transfer-Encoding: chunked") + chunked(bytes(99_999), [9] * 99),
        request("PUT", "/ignore", body=bytes(600_000)),
        get("/stream?9000000,9000000,-1") * 3,
        get("/echo") * 50,
    ]
    async with site() as place:
        await (await place.client()).ask(get("/echo"))
        before = _descriptors()
        for number in range(200):
            client = await place.client()
            whole = kinds[number % len(kinds)]
            client.writer.write(whole[: rng.randrange(len(whole) + 1)])
            await asyncio.sleep(rng.choice((0, 0, 0.001)))
            client.reset()
        await place.until(lambda: place.server.connections == 1)
        await place.until(lambda: len(asyncio.all_tasks()) == 1)
        await place.until(lambda: _descriptors() == before)
        assert place.bench.reported == []
        assert not place.server._shared.departed
        place.bench.requests.clear()
        place.bench.errors.clear()
        gc.collect()
        assert sum(type(thing) is Connection for thing in gc.get_objects()) == 1


@on_both_loops
async def test_drain_lets_requests_finish():
    async with site() as place:
        idle, busy, begun = [await place.client() for _ in range(3)]
        await idle.ask(get("/echo"))
        await begun.ask(get("/echo"))
        await begun.send(get("/echo")[:10])
        await busy.send(get("/wait") + get("/echo/never"))
        await place.until(lambda: len(place.bench.requests) == 3)
        await asyncio.sleep(0.01)
        draining = asyncio.ensure_future(place.server.drain(10))
        assert await idle.rest() == b""
        with pytest.raises(OSError, match=r"."):
            await place.client()
        await begun.send(get("/echo")[10:])
        assert (await begun.response())[1]["connection"] == "close"
        place.bench.gate.set()
        status, headers, body = await busy.response()
        assert (status, headers["connection"], body) == (200, "close", b"waited")
        busy.writer.close()
        await draining
        assert place.server.connections == 0
        assert place.bench.counts[-1] == 0
        assert not any(b"never" in seen.path for seen in place.bench.requests)


async def test_drain_cuts_what_takes_too_long():
    async with site() as place:
        client = await place.client()
        await client.send(get("/wait"))
        await place.until(lambda: place.bench.requests)
        await place.server.drain(0.02)
        assert await client.rest() == b""
        assert place.bench.finished == 0
        ours, theirs = socket.socketpair()
        await place.server.adopt(theirs)
        assert ours.recv(1) == b""
        ours.close()
