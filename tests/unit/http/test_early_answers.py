"""Answers before the body is read: the client sees them, and the body is never a request."""

import asyncio

import pytest

from fastobj.core import limits
from tests.unit.http.wire import chunked, get, request, site

EXPECT = "Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EVIL = b"GET /echo/evil HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize("coding", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_continue_is_sent_at_the_first_read(coding):
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/waitread", EXPECT, coding))
        await place.until(lambda: place.bench.requests)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.readexactly(1), 0.03)
        place.bench.gate.set()
        assert await client.reader.readexactly(len(CONTINUE)) == CONTINUE
        await client.send(b"12345" if "Length" in coding else chunked(b"12345", [2]))
        assert (await client.response())[2] == b"12345"
        assert (await client.ask(get("/echo")))[0] == 200


async def test_continue_is_not_sent_for_a_body_that_came_anyway():
    async with site() as place:
        client = await place.client()
        assert (await client.ask(request("PUT", "/echo", EXPECT, body=b"12345")))[2] == b"12345"


async def test_continue_comes_before_the_answer_to_an_empty_body():
    async with site() as place:
        client = await place.client()
        for asked in (request("PUT", "/echo", EXPECT, body=b""), get("/echo", EXPECT)):
            await client.send(asked)
            assert await client.reader.readexactly(len(CONTINUE)) == CONTINUE
            assert (await client.response())[::2] == (200, b"")


async def test_http_1_0_expects_nothing():
    async with site() as place:
        client = await place.client()
        await client.send(
            b"PUT /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        await place.until(lambda: place.bench.requests)
        await client.send(b"12345")
        assert (await client.response())[2] == b"12345"


async def test_a_refused_expectation_ends_the_connection():
    async with site() as place:
        client = await place.client()
        answer = await client.ask(request("PUT", "/ignore", EXPECT, "Content-Length: 5"))
        assert (answer[0], answer[1]["connection"], answer[2]) == (403, "close", b"denied")
        await client.send(EVIL)
        assert await client.rest() == b""
        assert len(place.bench.requests) == 1


async def test_a_refused_expectation_with_its_body_at_hand_is_kept():
    async with site() as place:
        client = await place.client()
        answer = await client.ask(request("PUT", "/ignore", EXPECT, body=EVIL))
        assert (answer[0], "connection" in answer[1]) == (403, False)
        assert (await client.ask(get("/echo/next")))[0] == 200
        assert [seen.path for seen in place.bench.requests] == [b"/ignore", b"/echo/next"]


@pytest.mark.parametrize("coding", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_a_read_that_is_interrupted_leaves_the_rest_of_the_body_to_come(coding):
    whole = b"12345" if "Length" in coding else chunked(b"12345", [3, 2])
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/interrupted", coding) + whole[:4])
        await place.until(lambda: place.bench.requests)
        place.bench.gate.set()
        assert (await client.response())[2] == b"interrupted"
        await client.send(whole[4:])
        if "Length" in coding:  # of a chunked body nobody knows how much is still to come
            assert (await client.ask(get("/echo/next")))[0] == 200


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("size", [1, 1000, limits.DRAIN_BYTES_MAX])
async def test_a_short_unread_body_is_drained(size, late):
    body = (EVIL * (size // len(EVIL) + 1))[:size]
    async with site() as place:
        client = await place.client()
        whole = request("PUT", "/ignore", body=body)
        head = len(whole) - size
        await client.send(whole[:head])
        if late:
            assert (await client.response())[0] == 403
            await client.send(body[: size // 2])
            await asyncio.sleep(0.005)
        await client.send(body[size // 2 if late else 0 :] + get("/echo/next"))
        if not late:
            answer = await client.response()
            assert (answer[0], "connection" in answer[1]) == (403, False)
        assert (await client.response())[0] == 200
        assert [seen.path for seen in place.bench.requests] == [b"/ignore", b"/echo/next"]


async def test_a_short_unread_chunked_body_is_drained_if_it_is_there():
    async with site() as place:
        client = await place.client()
        coded = request("PUT", "/ignore", "Transfer-Encoding: chunked") + chunked(EVIL * 9, [7, 50])
        answer = await client.ask(coded + get("/echo/next"))
        assert (answer[0], "connection" in answer[1]) == (403, False)
        assert (await client.response())[0] == 200
        assert [seen.path for seen in place.bench.requests] == [b"/ignore", b"/echo/next"]


async def test_half_a_chunked_body_ends_the_connection():
    async with site() as place:
        client = await place.client()
        coded = request("PUT", "/ignore", "Transfer-Encoding: chunked") + b"5\r\nabc"
        assert (await client.ask(coded))[1]["connection"] == "close"
        await client.send(b"de\r\n0\r\n\r\n" + EVIL)
        assert await client.rest() == b""
        assert len(place.bench.requests) == 1


async def test_an_answer_survives_a_long_unread_body():
    """A client that sends all before it reads gets the answer, not a reset."""
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/ignore", body=EVIL * 100_000))
        answer = await client.response()
        assert (answer[0], answer[1]["connection"], answer[2]) == (403, "close", b"denied")
        assert await client.rest() == b""
        assert len(place.bench.requests) == 1


@pytest.mark.parametrize("over", [0, 1])
async def test_the_drained_length_is_bounded(over):
    size = limits.DRAIN_BYTES_MAX + over
    async with site() as place:
        client = await place.client()
        answer = await client.ask(request("PUT", "/ignore", f"Content-Length: {size}"))
        assert ("connection" in answer[1]) == bool(over)
        await client.send((EVIL * size)[:size] + get("/echo/next"))
        assert (await client.rest() == b"") if over else ((await client.response())[0] == 200)
        assert not any(b"evil" in seen.path for seen in place.bench.requests)


async def test_lingering_is_bounded():
    async with site() as place:
        client = await place.client()
        await client.send(request("PUT", "/ignore", f"Content-Length: {2**40}"))
        assert (await client.response())[0] == 403
        with pytest.raises(ConnectionError):
            await client.send(bytes(4 * limits.HTTP_LINGER_BYTES_MAX))
        await place.until(lambda: not place.server.connections)


async def test_a_read_of_half_the_body_leaves_the_rest_unread():
    async def read_some(seen):
        buffer = memoryview(bytearray(10))
        assert await seen.body.readinto(buffer[:0]) == 0
        assert await seen.body.readinto(buffer[:4]) == 4
        assert await seen.body.readinto(buffer[4:]) == 6
        return await place.bench.do_ignore(seen)

    for coding in (False, True):
        async with site(application=read_some) as place:
            client = await place.client()
            body = b"0123456789" + EVIL
            whole = request("PUT", "/", body=body)
            if coding:
                whole = request("PUT", "/", "Transfer-Encoding: chunked") + chunked(body, [1, 3])
            for _ in range(2):
                assert (await client.ask(whole))[0] == 403
