"""50: ten thousand connections that wait, and as many that begin a request and stop."""

import os

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.connections.figures import KIB, MIB, Crowd, descriptors, pss_bytes, settled_descriptors
from tests.unit.node.running import Client, metrics, wait_until

COUNT = 10_000
IDLE_BYTES_MAX = 10 * KIB  # of memory, for each connection
# Of memory, once all have gone, each time: Python keeps 1 MiB of heap while anything in it lives.
LEFT_BYTES_MAX = 64 * MIB


@pytest.fixture
def server(tmp_path):
    """A server with a bucket, on which heads may take 8 seconds."""
    limits = ("--header-timeout", "8", "--idle-timeout", "300")
    with ProcessServer(tmp_path / "store", arguments=limits) as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


def _serves(server):
    """Requests on new connections, two for each worker."""
    clients = [Client(server) for _ in range(4)]
    for number, client in enumerate(clients):
        body = os.urandom(300_000)
        for path in (f"/bucket/{number}", "/bucket/both"):
            assert client("PUT", path, body)[0] == 200
            assert client("GET", path) == (200, body)
    for client in clients:
        client.http.close()


def _wait_for_idle(server, count):
    wait_until(lambda: count <= metrics(server)["http_connections"] < count + 10, "connections")


def test_idle_and_half_open_connections_are_held_and_let_go(server):
    _serves(server)
    base, files = pss_bytes(server), settled_descriptors(server)
    with Client(server) as client, Crowd(server, COUNT, "127.0.0.2") as idle:
        idle.wait_open()
        _wait_for_idle(server, COUNT)
        each = (pss_bytes(server) - base) / COUNT
        print(f"an idle connection takes {each / KIB:.1f} KiB")
        assert each < IDLE_BYTES_MAX
        _serves(server)
        with Crowd(server, COUNT, "127.0.0.3", "GET /bucket/k HTTP/1.1\r\nHost: x\r\n") as half:
            half.wait_open()
            _serves(server)
            assert half.ask("answered 408") == COUNT
        assert metrics(server)['http_cut_total{limit="head"}'] == COUNT
        assert client("GET", "/bucket/both")[0] == 200  # opened before all others
        _serves(server)
        _wait_for_idle(server, COUNT)
        assert idle.ask("open") == COUNT
    wait_until(lambda: descriptors(server) <= files, "the end of all connections")
    wait_until(lambda: pss_bytes(server) < base + LEFT_BYTES_MAX, "memory given back")
    with Crowd(server, COUNT, "127.0.0.4") as idle:
        idle.wait_open()
        _wait_for_idle(server, COUNT)
    wait_until(lambda: descriptors(server) <= files, "the end of all connections")
    wait_until(lambda: pss_bytes(server) < base + LEFT_BYTES_MAX, "memory given back again")
    print(f"once they are gone, {(pss_bytes(server) - base) / MIB:.1f} MiB more are held")
    _serves(server)
