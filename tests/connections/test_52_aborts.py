"""52: clients that go away at any byte leave no descriptors, memory, segments or bytes behind."""

import contextlib
import random
import socket
import struct

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.signed import signed_headers
from tests.connections.figures import MIB, descriptors, pss_bytes, settled_descriptors
from tests.unit.node.running import Client, metrics, wait_until

LEFT_BYTES_MAX = 12 * MIB
EXTENTS_MAX = 6  # an open and a closing one for each worker, and what holds the large object
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def server(tmp_path):
    """A server with a large and a small object."""
    with ProcessServer(tmp_path / "store") as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
            assert client("PUT", "/bucket/large", bytes(3 * MIB))[0] == 200
            assert client("PUT", "/bucket/small", bytes(100))[0] == 200
        yield running


def _requests(server: ProcessServer) -> list[bytes]:
    """Requests of all kinds; none of them, cut anywhere before its end, stores a thing."""

    def signed(method: str, path: str, *more: str, body: bytes = b"") -> bytes:
        place, _, query = path.partition("?")
        headers = signed_headers(server, method, place, f"{query}=" if query else "")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, *more, "", ""]).encode() + body

    return [
        signed("PUT", "/bucket/k", body=bytes(50_000)),
        signed("PUT", "/bucket/k", body=bytes(2 * MIB + 5)),
        signed("PUT", "/bucket/k", "Expect: 100-continue", body=bytes(300_000)),
        signed("PUT", "/nobucket/k", body=bytes(300_000)),
        signed("GET", "/bucket/large") * 3,
        signed("GET", "/bucket/small") * 50,
        signed("POST", "/bucket?delete", body=b"<Delete>" + b" " * 5000),
    ]


def _abort(server: ProcessServer, whole: bytes, rng: random.Random) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        with contextlib.suppress(ConnectionError, TimeoutError):
            sock.sendall(whole[: rng.randrange(len(whole))])
            if rng.random() < 0.3:
                sock.settimeout(0.005)
                sock.recv(rng.randrange(1, 100_000))
        if rng.random() < 0.7:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _status(server: ProcessServer, whole: bytes) -> bytes:
    """The first answer to a request that is not cut, or only behind a head that expects one."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        head, blank, body = whole.partition(b"\r\n\r\n")
        sock.sendall(head + blank + (b"" if b"Expect" in head else body))
        return sock.recv(12)[9:]


def _extents(server: ProcessServer) -> int:
    return len(list((server.directory / "extents").iterdir()))


def _live_bytes(server: ProcessServer) -> float:
    found = metrics(server)
    return sum(value for name, value in found.items() if name.startswith("segment_live_bytes"))


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.long)])
def test_aborting_clients_leave_nothing(server, rng, count):
    requests = _requests(server)
    assert [_status(server, whole) for whole in requests[2:]] == [
        b"100",
        b"404",
        b"200",
        b"200",
        b"400",
    ]
    for number in range(200):  # so that memory has its usual size
        _abort(server, requests[number % len(requests)], rng)
    wait_until(lambda: metrics(server)["http_connections"] == 1, "the end of the first")
    files, live, memory = settled_descriptors(server), _live_bytes(server), pss_bytes(server)
    for number in range(count):
        if number % 1000 == 0:
            requests = _requests(server)  # signatures last for a quarter of an hour
        _abort(server, requests[number % len(requests)], rng)
    wait_until(lambda: metrics(server)["http_connections"] == 1, "the end of all")
    wait_until(lambda: descriptors(server) <= files, "descriptors closed")
    wait_until(lambda: _live_bytes(server) == live, "bytes released")
    wait_until(lambda: _extents(server) <= EXTENTS_MAX, "segments reclaimed")
    wait_until(lambda: pss_bytes(server) < memory + LEFT_BYTES_MAX, "memory given back")
    print(f"{count} aborts: {(pss_bytes(server) - memory) / MIB:.1f} MiB more")
    with Client(server) as client:
        assert client("DELETE", "/bucket/k")[0] == 204
        assert client("GET", "/bucket/large") == (200, bytes(3 * MIB))
    assert "Traceback" not in server.log_end(100_000)
