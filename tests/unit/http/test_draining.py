"""The end of a server whose clients go on: what has come is answered, what rests moves on."""

import asyncio
import contextlib
import os
import socket
import ssl

import pytest

from fastobj.core.clock import SystemClock
from fastobj.http.deadline import Timeouts
from fastobj.http.tls import Certificates
from tests.unit.http.certificates import make_pair
from tests.unit.http.test_requests import on_both_loops
from tests.unit.http.wire import MIB, get, site, stream_bytes

NEVER_S = 1000.0  # longer than any test: what waits for it hangs


class Successor:
    """Takes connections that are passed on, and adopts them on a server of its own."""

    def __init__(self, place):
        self._place = place
        self.taken = []

    def __call__(self, descriptor):
        self.taken.append(socket.socket(fileno=os.dup(descriptor)))
        return True

    async def adopt_all(self):
        """Serves what was taken; returns how many these are."""
        for sock in self.taken:
            await self._place.server.adopt(sock)
        return len(self.taken)


@on_both_loops
async def test_connections_at_rest_are_passed_on_with_what_has_come():
    async with site() as place, site() as other:
        successor = Successor(other)
        clients = [await place.client() for _ in range(3)]
        for client in clients[:2]:
            await client.ask(get("/echo"))
        clients[0].writer.write(get("/echo/passed"))  # in the kernel: the server has had no turn
        await place.server.drain(NEVER_S, successor)
        assert place.server.connections == 0
        assert place.bench.counts[-1] == 0
        assert await successor.adopt_all() == 3
        assert (await clients[0].response())[0] == 200
        for client in clients:
            assert (await client.ask(get("/echo")))[1].get("connection") != "close"
        assert len(place.bench.requests) == 2
        assert len(other.bench.requests) == 4


@on_both_loops
async def test_a_request_under_way_ends_its_connection_unless_its_head_has_left():
    async with site() as place, site() as other:
        successor = Successor(other)
        waiting, streaming = await place.client(), await place.client()
        await waiting.send(get("/wait"))
        streaming.writer.transport.pause_reading()
        size = 64 * MIB
        await streaming.send(get(f"/stream?{size},{size},-1"))
        await place.until(lambda: place.bench.finished)
        await place.until(lambda: len(place.bench.requests) == 2)
        draining = asyncio.ensure_future(place.server.drain(NEVER_S, successor))
        await asyncio.sleep(0.01)
        assert not successor.taken
        place.bench.gate.set()
        assert (await waiting.response())[1]["connection"] == "close"
        streaming.writer.transport.resume_reading()
        assert (await streaming.response())[2] == stream_bytes(size)
        await draining
        assert await successor.adopt_all() == 1
        assert (await streaming.ask(get("/echo")))[0] == 200


@on_both_loops
async def test_one_that_arrives_meanwhile_is_passed_on():
    async with site() as place, site() as other:
        successor = Successor(other)
        await place.server.drain(NEVER_S, successor)
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
            ours = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        accepted.setblocking(False)
        ours.setblocking(False)
        await place.server.adopt(accepted)
        assert await successor.adopt_all() == 1
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, get("/echo"))
        assert (await loop.sock_recv(ours, 100)).startswith(b"HTTP/1.1 200")
        ours.close()


async def _answered_last(successor):
    async with site() as place:
        idle, asking = await place.client(), await place.client()
        for client in (idle, asking):
            await client.ask(get("/echo"))
        asking.writer.write(get("/echo/late"))
        await place.server.drain(NEVER_S, successor)
        assert await idle.rest() == b""
        status, headers, _ = await asking.response()
        assert (status, headers["connection"]) == (200, "close")
        assert await asking.rest() == b""


@on_both_loops
async def test_what_has_come_is_answered_where_nobody_could_take_it():
    await _answered_last(None)


@on_both_loops
async def test_what_has_come_is_answered_where_nobody_takes_it():
    await _answered_last(lambda descriptor: False)


# --- TLS, whose state cannot be passed on


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """A folder of certificates."""
    return make_pair(tmp_path_factory.mktemp("certs"), "localhost")


@contextlib.asynccontextmanager
async def _secure_site(certs, **timeouts):
    context = Certificates(certs, "1.2", SystemClock()).context
    async with site(Timeouts(**timeouts), ssl=context) as place:
        yield place


async def _secure_client(place, certs):
    trust = ssl.create_default_context(cafile=certs / "public.crt")
    client = await place.client(ssl=trust, server_hostname="localhost")
    assert (await client.ask(get("/echo")))[0] == 200
    return client


async def test_tls_connections_at_rest_get_a_last_request(certs):
    async with _secure_site(certs, linger_s=NEVER_S) as place:
        client = await _secure_client(place, certs)
        successor = Successor(place)
        draining = asyncio.ensure_future(place.server.drain(NEVER_S, successor, last_request=True))
        await asyncio.sleep(0.01)
        assert place.server.connections == 1
        assert (await client.ask(get("/echo")))[1]["connection"] == "close"
        await draining
        assert not successor.taken


async def test_tls_connections_that_rest_on_are_closed_in_the_end(certs):
    async with _secure_site(certs, linger_s=0.05) as place:
        client = await _secure_client(place, certs)
        await place.server.drain(NEVER_S, Successor(place), last_request=True)
        assert await client.rest() == b""
        assert place.bench.cuts == []  # no limit was passed


@pytest.mark.parametrize("hurried", [False, True])
async def test_an_end_does_not_wait_for_goodbyes(certs, hurried):
    """A client that keeps a connection for later does not read, and so never says goodbye."""
    async with _secure_site(certs, linger_s=NEVER_S) as place:
        client = await _secure_client(place, certs)
        client.writer.transport.pause_reading()
        successor = Successor(place) if hurried else None
        draining = asyncio.ensure_future(
            place.server.drain(NEVER_S, successor, last_request=hurried)
        )
        await asyncio.sleep(0.01)
        if hurried:
            place.server.hurry()
        await draining
        client.writer.transport.resume_reading()
        assert await client.rest() == b""


async def test_a_slow_client_gets_all_of_a_last_answer(certs):
    async with _secure_site(certs, linger_s=NEVER_S) as place:
        client = await _secure_client(place, certs)
        client.writer.transport.pause_reading()
        await client.send(get(f"/stream?{5 * MIB},{5 * MIB},-1"))
        await place.until(lambda: place.bench.finished)
        draining = asyncio.ensure_future(place.server.drain(NEVER_S))
        await asyncio.sleep(0.2)
        client.writer.transport.resume_reading()
        assert (await client.response())[2] == stream_bytes(5 * MIB)
        await draining


async def test_a_connection_may_be_lost_in_the_very_moment_of_an_end(certs):
    """Its transport knows before its protocol does."""
    async with _secure_site(certs, linger_s=NEVER_S) as place:
        client = await _secure_client(place, certs)
        client.reset()
        drains = []
        while place.server.connections:  # one begins in each turn of the loop
            drains.append(
                asyncio.ensure_future(
                    place.server.drain(NEVER_S, Successor(place), last_request=True)
                )
            )
            await asyncio.sleep(0)
        await asyncio.gather(*drains)
        assert place.bench.reported == []
