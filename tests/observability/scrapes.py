"""The page of metrics as Prometheus reads it, taken when the server is at rest."""

import re
import socket
import struct
import urllib.request
from typing import NamedTuple

from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import Client, wait_until

_LINE = re.compile(r"([a-z0-9_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z]+)="([^"]*)"')


class Series(NamedTuple):
    """One line of the page."""

    name: str
    labels: dict[str, str]
    value: float


class Page:
    """One answer of /metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.series = [_series(line) for line in text.splitlines() if not line.startswith("#")]

    def find(self, name: str, **labels: str) -> list[Series]:
        """The series of a name that have these labels; `fastobj_` is understood."""
        wanted = labels.items()
        named = [one for one in self.series if one.name == f"fastobj_{name}"]
        return [one for one in named if wanted <= one.labels.items()]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of these series; 0 where there is none."""
        return sum(one.value for one in self.find(name, **labels))


def _series(line: str) -> Series:
    match = _LINE.fullmatch(line)
    assert match is not None, line
    return Series(match[1], dict(_LABEL.findall(match[2] or "")), float(match[3]))


def fetch(server: ProcessServer, path: str = "/metrics") -> bytes:
    """A page of the server's own."""
    with urllib.request.urlopen(f"{server.endpoint}{path}", timeout=30) as answer:
        content: bytes = answer.read()
    return content


def scrape(server: ProcessServer) -> Page:
    """The page once every request that was answered is counted."""
    wait_until(lambda: Page(fetch(server).decode())("s3_requests_in_flight") == 0)
    return Page(fetch(server).decode())


def leave_early(client: Client, path: str) -> None:
    """Asks for a large object, takes a little of it, and cuts the connection."""
    client.begin("GET", path)
    client.http.sock.recv(1000)
    at_once = struct.pack("ii", 1, 0)
    client.http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    client.http.sock.close()
