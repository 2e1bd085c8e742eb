"""Starts a server for a benchmark in a directory of its own, and reads what it costs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import _tree

# Servers that benchmarks start with TLS have certificates of their own making.
ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname, ANYBODY.verify_mode = False, ssl.CERT_NONE
ACCESS_KEY = "benchmark"
SECRET_KEY = "benchmark-secret"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Memory(NamedTuple):
    """What a process holds, in bytes: its own pages, and its share of those held together.

    `other` are its own pages outside of heap and anonymous maps: libraries, stacks.
    """

    role: str
    pid: int
    pss: int
    private: int
    heap: int
    anonymous: int

    @property
    def shared(self) -> int:
        """Its proportional part of the pages that others hold too."""
        return self.pss - self.private

    @property
    def other(self) -> int:
        """Its own pages that are neither heap nor anonymous."""
        return self.private - self.heap - self.anonymous

    @classmethod
    def of(cls, role: str, pid: int) -> Memory:
        """The memory of a process, as the kernel tells it."""
        pss, private = 0, {"[heap]": 0, "": 0}
        name = ""
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            word, *values = line.split()
            if not word.endswith(":"):
                name = values[4] if len(values) > 4 else ""
            elif word == "Pss:":
                pss += int(values[0]) * 1024
            elif word in ("Private_Clean:", "Private_Dirty:"):
                private[name] = private.get(name, 0) + int(values[0]) * 1024
        return cls(role, pid, pss, sum(private.values()), private["[heap]"], private[""])


class Server:
    """One `fastobj server` process tree."""

    def __init__(
        self,
        directory: Path | None = None,
        workers: int = 2,
        arguments: Sequence[str] = (),
        scheme: str = "http",
    ) -> None:
        self.owned = directory is None
        self.directory = directory or Path(
            tempfile.mkdtemp(prefix="fastobj-bench-", dir=Path.cwd())
        )
        self.workers = workers
        self.arguments = arguments
        self.scheme = scheme
        self.port = free_port()
        self.log: int | None = None  # the terminal: benchmarks of one server show what it says
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts it; returns the seconds until /health/ready answered 200."""
        environment = dict(
            os.environ, FASTOBJ_ROOT_USER=ACCESS_KEY, FASTOBJ_ROOT_PASSWORD=SECRET_KEY
        )
        command = [
            str(Path(sys.executable).parent / "fastobj"),
            "server",
            "--address",
            f"127.0.0.1:{self.port}",
            "--console-address",
            f"127.0.0.1:{free_port()}",
            "--workers",
            str(self.workers),
            *self.arguments,
            str(self.directory),
        ]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=self.log
        )
        while not self.is_ready():
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit("the server did not become ready")
            time.sleep(0.002)
        return time.perf_counter() - began

    def is_ready(self) -> bool:
        """Whether /health/ready answers 200."""
        try:
            return self._get("/health/ready")[0] == 200
        except OSError:
            return False

    def _get(self, path: str) -> tuple[int, bytes]:
        url = f"{self.scheme}://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=5, context=ANYBODY) as response:
            return response.status, response.read()

    def metrics(self) -> dict[str, float]:
        """Every metric without labels, by name."""
        lines = self._get("/metrics")[1].decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs if "{" not in name}

    def pids(self) -> list[tuple[str, int]]:
        """Role and pid of each process."""
        lines = (self.directory / "processes").read_text().splitlines()
        return [(role, int(pid)) for role, pid in (line.split() for line in lines)]

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time of each role so far."""
        total: dict[str, float] = {}
        for role, pid in self.pids():
            total[role] = total.get(role, 0.0) + _tree.cpu_seconds(pid)
        return total

    def memory(self) -> list[Memory]:
        """The memory of each process."""
        return [Memory.of(role, pid) for role, pid in self.pids()]

    def kill(self) -> None:
        """SIGKILL to the supervisor; its children end with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """Ends it, and removes its directory if it was made here."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None
        if self.owned:
            shutil.rmtree(self.directory, ignore_errors=True)
