"""A server on a small disk of its own, and the check of what it leaves."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.faults.disk import MIB, mounted
from tests.faults.load import Load

DISK_BYTES = 96 * MIB


class FullDisk:
    """One store on one disk, and its server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.server = ProcessServer(root, workers=2)
        self.clients: Load | None = None

    def start(self) -> None:
        """Starts the server, and connects the clients that there are."""
        self.server.start()
        self.pids = self.children()
        if self.clients is not None:
            self.clients.connect(self.server.port)

    def load(self, sizes: Callable[[random.Random], int], seed: int) -> Load:
        """Clients of the server, whoever may run it."""
        self.clients = Load(self.server.port, sizes, seed)
        self.clients.create_bucket()
        return self.clients

    def stop(self) -> None:
        """Ends clients and server."""
        if self.clients is not None:
            self.clients.close()
        if self.server.is_running():
            self.server.stop()

    def children(self) -> list[int]:
        """The pids of the supervisor's children."""
        assert self.server.process is not None
        pid = self.server.process.pid
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def check_alive(self) -> None:
        """No process has been started anew."""
        assert self.children() == self.pids, self.server.log_end()


@pytest.fixture
def full_disk(tmp_path):
    """A disk with a running server on it."""
    with mounted(tmp_path, DISK_BYTES) as root:
        disk = FullDisk(root)
        disk.server.log_path = tmp_path / "server.log"  # beside the disk, not on it
        disk.start()
        try:
            yield disk
        finally:
            disk.stop()
