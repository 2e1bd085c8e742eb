"""What is unclear, too large or too slow is refused, and the connection ends with it."""

import asyncio

import pytest

from fastobj.core import limits
from fastobj.http.deadline import Timeouts
from tests.unit.http.wire import chunked, get, request, site

NEXT = b"GET /echo/smuggled HTTP/1.1\r\nHost: test\r\n\r\n"


def _put(*headers: str) -> bytes:
    return request("PUT", "/echo", *headers)


UNCLEAR_HEADS = {
    "two lengths": (400, _put("Content-Length: 3", "Content-Length: 3")),
    "two values of length": (400, _put("Content-Length: 3, 3")),
    "length and chunked": (400, _put("Content-Length: 3", "Transfer-Encoding: chunked")),
    "chunked and length": (400, _put("Transfer-Encoding: chunked", "Content-Length: 3")),
    "signed length": (400, _put("Content-Length: +5")),
    "negative length": (400, _put("Content-Length: -5")),
    "hexadecimal length": (400, _put("Content-Length: 0x5")),
    "empty length": (400, _put("Content-Length:")),
    "length with a space": (400, _put("Content-Length: 1 2")),
    "huge length": (400, _put("Content-Length: 99999999999999999999")),
    "2**64 - 1": (400, _put("Content-Length: 18446744073709551615")),
    "two codings": (501, _put("Transfer-Encoding: gzip, chunked")),
    "chunked twice": (400, _put("Transfer-Encoding: chunked, chunked")),
    "two coding headers": (400, _put("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    "identity": (400, _put("Transfer-Encoding: identity")),
    "quoted coding": (400, _put('Transfer-Encoding: "chunked"')),
    "coding with a letter more": (400, _put("Transfer-Encoding: xchunked")),
    "coding with a tab": (400, _put("Transfer-Encoding: chunked\x0b")),
    "no coding": (400, _put("Transfer-Encoding:")),
    "bare line feed": (400, b"GET /echo HTTP/1.1\nHost: test\n\n"),
    "bare line feed in headers": (400, b"GET /echo HTTP/1.1\r\nHost: test\nX: y\r\n\r\n"),
    "bare carriage return": (400, b"GET /echo HTTP/1.1\r\nHost: test\rX: y\r\n\r\n"),
    "folded line": (400, b"GET /echo HTTP/1.1\r\nHost: test\r\nX: a\r\n b\r\n\r\n"),
    "space before colon": (400, b"GET /echo HTTP/1.1\r\nHost: test\r\nContent-Length : 3\r\n\r\n"),
    "line without colon": (400, b"GET /echo HTTP/1.1\r\nHost: test\r\nX\r\n\r\n"),
    "empty name": (400, b"GET /echo HTTP/1.1\r\nHost: test\r\n: x\r\n\r\n"),
    "zero byte": (400, b"GET /echo HTTP/1.1\r\nHost: test\r\nX: a\0b\r\n\r\n"),
    "control in target": (400, b"GET /echo\x01 HTTP/1.1\r\nHost: test\r\n\r\n"),
    "8 bit target": (400, b"GET /echo\xff HTTP/1.1\r\nHost: test\r\n\r\n"),
    "space in target": (400, b"GET /echo x HTTP/1.1\r\nHost: test\r\n\r\n"),
    "no target": (400, b"GET  HTTP/1.1\r\nHost: test\r\n\r\n"),
    "no Host": (400, b"GET /echo HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, get("/echo", "Host: other")),
    "two Hosts of 1.0": (400, b"GET /echo HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "absolute form": (400, b"GET http://test/echo HTTP/1.1\r\nHost: test\r\n\r\n"),
    "asterisk": (400, b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n"),
    "CONNECT": (400, b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n"),
    "unknown method": (400, b"FROB /echo HTTP/1.1\r\nHost: test\r\n\r\n"),
    "lower-case method": (400, b"get /echo HTTP/1.1\r\nHost: test\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /echo\r\n\r\n"),
    "HTTP/2.0": (505, b"GET /echo HTTP/2.0\r\nHost: test\r\n\r\n"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "chunked of 1.0": (400, b"PUT /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
}


@pytest.mark.parametrize("name", UNCLEAR_HEADS)
async def test_unclear_heads_are_refused(name):
    status, head = UNCLEAR_HEADS[name]
    async with site() as place:
        client = await place.client()
        answer = await client.ask(head + b"abc" + NEXT)
        assert (answer[0], answer[1]["connection"]) == (status, "close")
        assert await client.rest() == b""
        assert place.bench.requests == []


MALFORMED_CHUNKS = {
    "sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "space": b"3 \r\nabc\r\n0\r\n\r\n",
    "bare line feed": b"3\nabc\r\n0\r\n\r\n",
    "bare line feed behind": b"3\r\nabc\n0\r\n\r\n",
    "line feed in extension": b"3;a\nabc\r\n0\r\n\r\n",
    "line feed in quoted extension": b'3;a="b\nc"\r\nabc\r\n0\r\n\r\n',
    "too short": b"3\r\nab\r\n0\r\n\r\n",
    "too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "17 digits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "line feed in trailers": b"3\r\nabc\r\n0\r\nx: y\n\r\n",
    "folded trailer": b"3\r\nabc\r\n0\r\nx: y\r\n z\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED_CHUNKS)
async def test_malformed_chunks_never_end_a_body(name):
    async with site() as place:
        for action in ("echo", "pieces", "ignore"):
            client = await place.client()
            head = request("PUT", "/" + action, "Transfer-Encoding: chunked")
            status, headers, _ = await client.ask(head + MALFORMED_CHUNKS[name] + NEXT)
            assert status >= 400
            assert headers["connection"] == "close"
            assert await client.rest() == b""
        assert place.bench.bodies == []
        assert not any(error.stalled for error in place.bench.errors)
        assert not any(b"smuggled" in seen.path for seen in place.bench.requests)


async def test_chunk_extensions_are_ignored():
    async with site() as place:
        client = await place.client()
        head = request("PUT", "/echo", "Transfer-Encoding: chunked")
        assert (await client.ask(head + b'3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n' + NEXT))[2] == b"abc"
        assert (await client.response())[0] == 200


@pytest.mark.parametrize("endless", [b"1;" + b"a" * 2**20, b"0\r\n" + b"x: y\r\n" * 2**18])
async def test_endless_chunk_framing_is_cut(endless):
    async with site() as place:
        client = await place.client()
        client.writer.write(request("PUT", "/echo", "Transfer-Encoding: chunked") + endless)
        assert (await client.response())[0] == 400
        assert place.bench.bodies == []


def _padded(size: int) -> bytes:
    """A head of exactly that many bytes."""
    lines = [f"x-{number}: {'a' * 4000}" for number in range(size // 4100)]
    short = get("/echo", *lines, "x-last: ")
    return get("/echo", *lines, "x-last: " + "a" * (size - len(short)))


async def test_the_size_of_a_head_is_bounded():
    async with site() as place:
        client = await place.client()
        assert len(_padded(limits.HEAD_BYTES_MAX)) == limits.HEAD_BYTES_MAX
        assert (await client.ask(_padded(limits.HEAD_BYTES_MAX) * 2))[0] == 200
        assert (await client.response())[0] == 200
        assert (await client.ask(_padded(limits.HEAD_BYTES_MAX + 1)))[0] == 431
        assert await client.rest() == b""


@pytest.mark.parametrize("pause_s", [0, 0.001])
async def test_a_megabyte_of_head_is_cut(pause_s):
    async with site() as place:
        client = await place.client()
        await client.send(b"GET /echo HTTP/1.1\r\nHost: test\r\nX: ")
        for _ in range(16):
            client.writer.write(b"a" * 65536)
            await asyncio.sleep(pause_s)
        assert (await client.response())[0] == 431
        client.writer.close()
        await place.until(lambda: not place.server.connections)


async def test_the_number_of_headers_is_bounded():
    async with site() as place:
        client = await place.client()
        most = [f"x: {number}" for number in range(limits.HEADERS_MAX - 1)]
        assert (await client.ask(get("/echo", *most)))[0] == 200
        assert (await client.ask(get("/echo", *most, "y: z")))[0] == 431
        client = await place.client()
        client.writer.write(get("/echo", *(["x: y"] * 100_000)))
        assert (await client.response())[0] == 431


@pytest.mark.parametrize("size", [65_535, 65_536, 131_071])
async def test_the_target_is_bounded(size):
    async with site() as place:
        client = await place.client()
        longest = "/echo/".ljust(limits.TARGET_BYTES_MAX, "a")
        assert (await client.ask(get(longest)))[0] == 200
        assert len(place.bench.requests[0].path) == limits.TARGET_BYTES_MAX
        assert (await client.ask(get(longest + "a")))[0] == 414
        client = await place.client()
        client.writer.write(get("/echo".ljust(size, "a")))
        assert (await client.response())[0] == 414
        assert len(place.bench.requests) == 1


@pytest.mark.parametrize("sent", [b"GET /echo HT", b"\r\n", b"G", get("/echo")[:-1]])
async def test_slow_heads_are_cut(sent):
    async with site(Timeouts(head_s=0.05)) as place:
        client = await place.client()
        assert (await client.ask(sent))[0] == 408
        assert await client.rest() == b""


async def test_trickling_heads_are_cut():
    async with site(Timeouts(head_s=0.1, linger_s=0.05)) as place:
        client = await place.client()
        for byte in get("/echo", "X: " + "a" * 500):
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
            if not place.server.connections:
                break
        assert place.server.connections == 0
        assert place.bench.requests == []


async def test_idle_connections_are_closed():
    async with site(Timeouts(idle_s=0.05)) as place:
        fresh, used = await place.client(), await place.client()
        assert (await used.ask(get("/echo")))[0] == 200
        assert await fresh.rest() == b""
        assert await used.rest() == b""
        assert place.server.connections == 0


@pytest.mark.parametrize("coding", ["Content-Length: 10", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("action", ["echo", "pieces"])
async def test_stalled_bodies_are_answered(action, coding):
    async with site(Timeouts(body_s=0.05)) as place:
        client = await place.client()
        status, headers, _ = await client.ask(request("PUT", "/" + action, coding) + b"4\r\na")
        assert status in (400, 408)
        assert headers["connection"] == "close"
        assert await client.rest() == b""
        assert [error.stalled for error in place.bench.errors] == [True]


async def test_trickling_bodies_are_cut():
    async with site(Timeouts(body_s=0.1, body_bytes_s=1e6)) as place:
        client = await place.client()
        await client.send(request("PUT", "/echo", "Content-Length: 1000"))
        for _ in range(1000):
            client.writer.write(b"a")
            await asyncio.sleep(0.005)
            if place.bench.errors:
                break
        assert [error.stalled for error in place.bench.errors] == [True]


async def test_a_long_body_is_not_cut_while_it_flows():
    async with site(Timeouts(body_s=0.5, body_bytes_s=1)) as place:
        client = await place.client()
        await client.send(request("PUT", "/pieces", "Content-Length: 100"))
        for _ in range(100):
            client.writer.write(b"a")
            await asyncio.sleep(0.01)
        assert (await client.response())[0] == 200


async def test_two_messages_in_one_slice_never_happen():
    """A chunked body ends with a blank line, wherever one stands inside it."""
    async with site() as place:
        client = await place.client()
        body = b"\r\n\r\n" * 1000 + NEXT * 10
        for sizes in ([], [4] * 900, [1] * 3000, [2] * 1500):
            coded = request("PUT", "/echo", "Transfer-Encoding: chunked") + chunked(body, sizes)
            assert (await client.ask(coded + NEXT))[2] == body
            assert (await client.response())[0] == 200
