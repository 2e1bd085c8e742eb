"""49: a thousand signed uploads that stall take bounded memory, and other clients are served."""

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.signed import signed_headers
from tests.connections.figures import MIB, Crowd, descriptors, pss_bytes, settled_descriptors
from tests.unit.node.running import Client, metrics, on_each_worker, wait_until

COUNT = 1000
BODY_MEMORY_BYTES = 48 * MIB  # for each of two workers
OTHER_BYTES_MAX = 30 * MIB  # of memory, for a thousand connections and their requests


@pytest.fixture
def server(tmp_path):
    """A server with a bucket, on which bodies may stall for a second."""
    limits = ("--body-timeout", "1", "--body-memory-bytes-max", str(BODY_MEMORY_BYTES))
    with ProcessServer(tmp_path / "store", arguments=limits) as running:
        for client in on_each_worker(running):  # the first connection opens more than itself
            with client:
                assert client("PUT", "/bucket")[0] == 200
        yield running


def test_stalled_uploads_take_bounded_memory(server):
    lines = [f"{n}: {v}" for n, v in signed_headers(server, "PUT", "/bucket/stalled").items()]
    head = "\r\n".join(["PUT /bucket/stalled HTTP/1.1", *lines, "Content-Length: 1000000", "", ""])
    base, files = pss_bytes(server), settled_descriptors(server)
    with Crowd(server, COUNT, "127.0.0.7", head + "x" * 1000) as stalled:
        stalled.wait_open()
        wait_until(lambda: metrics(server)["http_connections"] > COUNT / 2, "the uploads")
        highest = 0
        with Client(server) as client:
            for number in range(200):
                path = f"/bucket/{number}"
                assert client("PUT", path, b"%d" % number)[0] == 200
                assert client("GET", path) == (200, b"%d" % number)
                highest = max(highest, pss_bytes(server)) if number % 20 == 0 else highest
        print(f"memory grew by {(highest - base) / MIB:.1f} MiB")
        assert highest - base < 2 * BODY_MEMORY_BYTES + OTHER_BYTES_MAX
        assert stalled.ask("answered 400 503") == COUNT
    with Client(server) as client:
        assert client("PUT", "/bucket/large", bytes(3 * MIB))[0] == 200
        assert client("GET", "/bucket/large") == (200, bytes(3 * MIB))
        assert client("GET", "/bucket/stalled")[0] == 404
    wait_until(lambda: descriptors(server) <= files, "the end of all connections")
    assert metrics(server)['http_cut_total{limit="body"}'] > 0
