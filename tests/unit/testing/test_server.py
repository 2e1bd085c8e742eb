"""The server for tests: it starts, it ends, and it says why it could not start."""

import http.client
import threading
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from fastobj.testing.server import InProcessServer
from fastobj.testing.store import opened


def status_of(endpoint):
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_from_start_to_end():
    threads = threading.active_count()
    states = []

    @asynccontextmanager
    async def watched():
        async with opened() as store:
            states.append("open")
            yield store
        states.append("closed")

    with InProcessServer(watched) as server:
        assert status_of(server.endpoint) == 403
        assert server.differences() == []
        assert states == ["open"]
    assert states == ["open", "closed"]
    assert threading.active_count() == threads
    with pytest.raises(OSError):  # noqa: PT011
        status_of(server.endpoint)


def test_store_that_does_not_open():
    @asynccontextmanager
    async def broken():
        raise RuntimeError("no such disk")
        yield

    with pytest.raises(RuntimeError, match="no such disk"), InProcessServer(broken):
        raise AssertionError("never reached")


def test_several_at_once():
    with InProcessServer() as first, InProcessServer() as second:
        assert first.endpoint != second.endpoint
        assert first.access_key != second.access_key
