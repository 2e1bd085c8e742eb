"""What a connection tells of each response's end, and of the bytes of a body that came."""

import asyncio

import pytest

from fastobj.http.message import Response
from tests.unit.http.test_requests import on_both_loops
from tests.unit.http.wire import MIB, chunked, get, request, site


@on_both_loops
async def test_every_answer_is_told_once_with_the_bytes_of_its_body():
    async with site() as place:
        client = await place.client()
        for sent, ask in [
            (5, request("PUT", "/echo", body=b"12345")),
            (100_000, request("PUT", "/echo", body=bytes(100_000))),
            (3 * MIB, get(f"/stream?{3 * MIB},{3 * MIB},-1")),
            (0, get("/stream?0,0,-1")),
            (0, get("/status?304")),
            (6, get("/ignore")),
            (3, get("/close")),
        ]:
            assert (await client.ask(ask))[0] in (200, 304, 403)
            await place.until(lambda: place.bench.told)
            assert place.bench.told == [(sent, True)]
            place.bench.told.clear()
        client = await place.client()
        for path in ("/head", "/stream?100,100,-1"):
            await client.ask(request("HEAD", path), bodiless=True)
            await place.until(lambda: place.bench.told)
            assert place.bench.told.pop() == (0, True)


async def test_pipelined_answers_are_told_in_order():
    async with site() as place:
        client = await place.client()
        await client.send(
            b"".join(request("PUT", "/echo", body=b"x" * size) for size in range(100))
        )
        for _ in range(100):
            await client.response()
        assert place.bench.told == [(size, True) for size in range(100)]


@pytest.mark.parametrize("path", ["/split", "/stream?5,5,0", "/stream?5,,"])
async def test_an_answer_that_became_a_500_is_told_as_not_sent(path):
    async def answer(seen):
        if path.endswith(",,"):
            response = Response(200, body=place.bench.stream(5, -1))  # without a length
        else:
            return await place.bench.application(seen)
        response.finished = lambda sent, whole: place.bench.told.append((sent, whole))
        return response

    async with site(application=answer) as place:
        client = await place.client()
        assert (await client.ask(get(path)))[0] == 500
        assert await client.rest() == b""
        assert place.bench.told == [(0, False)]


async def test_a_body_that_fails_is_told_with_what_was_sent():
    async with site() as place:
        client = await place.client()
        await client.send(get(f"/stream?{4 * MIB},{4 * MIB},{2 * MIB}"))
        await client.rest()
        await place.until(lambda: place.bench.told)
        assert place.bench.told == [(2 * MIB, False)]


async def test_a_client_that_leaves_before_its_answer_is_told():
    async with site() as place:
        client = await place.client()
        await client.send(get("/wait"))
        await place.until(lambda: place.bench.requests)
        client.reset()
        await place.until(lambda: not place.server.connections)
        assert place.bench.told == []
        place.bench.gate.set()
        await place.until(lambda: place.bench.told)
        assert place.bench.told == [(0, False)]


@pytest.mark.parametrize("size", [30 * MIB, 5])
@pytest.mark.parametrize("action", ["stream", "whole"])
async def test_a_client_that_leaves_amid_its_answer_is_told(action, size):
    async def answer(seen):
        body = place.bench.stream(30 * MIB, -1) if action == "stream" else bytes(30 * MIB)
        response = Response(200, body=body, length=30 * MIB)
        response.finished = lambda sent, whole: place.bench.told.append((sent, whole))
        return response

    async with site(application=answer) as place:
        client = await place.client()
        await client.send(get("/"))
        await client.reader.readexactly(100)
        assert place.bench.told == []
        client.reset()
        await place.until(lambda: place.bench.told)
        [(sent, whole)] = place.bench.told
        assert not whole
        assert sent < 30 * MIB or action == "whole"  # which was handed over at once


async def test_an_answer_is_told_where_the_server_ends_first():
    async with site() as place:
        client = await place.client()
        client.writer.transport.pause_reading()
        await client.send(get("/stream?1000000000,1000000000,-1"))
        await place.until(lambda: place.bench.finished)
        await asyncio.sleep(0.01)
        assert place.bench.told == []
        await place.server.drain(0.01)
        await place.until(lambda: place.bench.told)
        assert not place.bench.told[0][1]


async def test_a_failure_of_who_is_told_does_not_hurt_the_connection():
    def fail(sent, whole):
        raise RuntimeError("a bug")

    async def answer(seen):
        response = Response(200, body=b"fine")
        response.finished = fail
        return response

    async with site(application=answer) as place:
        client = await place.client()
        for _ in range(2):
            assert (await client.ask(get("/")))[2] == b"fine"
        assert [entry.split("(")[0] for entry in place.bench.reported] == ["RuntimeError"] * 2


@pytest.mark.parametrize("coding", ["Content-Length: 10", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("action", ["echo", "pieces"])
async def test_a_body_counts_what_has_arrived(action, coding):
    parts = [b"123", b"4567", b"890"]
    if "chunked" in coding:
        parts = [chunked(part, [2])[:-5] for part in parts] + [b"0\r\n\r\n"]
    counts = []
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/" + action, coding))
        await place.until(lambda: place.bench.requests)
        body = place.bench.requests[0].body
        for part, expected in zip(parts, (3, 7, 10, 10), strict=False):
            counts.append(body.received)
            await client.send(part)
            await place.until(lambda wanted=expected: body.received == wanted)
        assert (await client.response())[0] == 200
        assert counts == [0, 3, 7, 10][: len(parts)]
        assert body.received == 10


async def test_a_body_that_came_with_its_head_or_is_read_away_has_arrived():
    async with site() as place:
        client = await place.client()
        await client.ask(request("PUT", "/echo", body=b"12345"))
        await client.ask(get("/echo"))
        whole = request("PUT", "/ignore", "Transfer-Encoding: chunked") + chunked(b"1234567", [3])
        await client.ask(whole)
        await client.ask(get("/echo"))
        assert [seen.body.received for seen in place.bench.requests] == [5, 0, 7, 0]
