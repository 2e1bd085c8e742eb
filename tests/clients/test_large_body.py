"""A large body is never buffered whole: memory does not follow its size."""

import hashlib
import http.client
import threading
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.signed import signed_headers

MIB = 1024 * 1024
PSS_GROWTH_BYTES_MAX = 32 * MIB


def pss_bytes(server: ProcessServer) -> int:
    """The proportional set size of all processes together."""
    total = 0
    for _, pid in server.pids():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


class PssWatch:
    """The highest figure seen while it is open."""

    def __init__(self, server: ProcessServer) -> None:
        self._server = server
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.highest = 0

    def __enter__(self) -> "PssWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self.highest = max(self.highest, pss_bytes(self._server))


def block(number: int) -> bytes:
    """The megabyte of that number: repeatable, and no two alike."""
    return hashlib.sha256(b"%d" % number).digest() * (MIB // 32)


def put(server: ProcessServer, path: str, blocks: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    headers = signed_headers(server, "PUT", path)
    headers["Content-Length"] = str(blocks * MIB)
    connection.request(
        "PUT", path, body=(block(number) for number in range(blocks)), headers=headers
    )
    response = connection.getresponse()
    assert response.status == 200, response.read()
    response.read()
    connection.close()


def get(server: ProcessServer, path: str, blocks: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("GET", path, headers=signed_headers(server, "GET", path))
    response = connection.getresponse()
    assert response.status == 200
    for number in range(blocks):
        assert response.read(MIB) == block(number), number
    assert response.read() == b""
    connection.close()


@pytest.mark.parametrize("blocks", [256, pytest.param(5 * 1024, marks=pytest.mark.long)])
def test_memory_does_not_follow_size(server: ProcessServer, blocks: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("PUT", "/large", headers=signed_headers(server, "PUT", "/large"))
    assert connection.getresponse().status == 200
    before = pss_bytes(server)
    with PssWatch(server) as watch:
        put(server, "/large/body", blocks)
        get(server, "/large/body", blocks)
    print(f"{blocks} MiB up and down: PSS grew by {(watch.highest - before) / MIB:.1f} MiB")
    assert watch.highest - before < PSS_GROWTH_BYTES_MAX
    connection.close()
    path = "/large/body"
    gone = http.client.HTTPConnection("127.0.0.1", server.port)
    gone.request("DELETE", path, headers=signed_headers(server, "DELETE", path))
    assert gone.getresponse().status == 204
    gone.close()
