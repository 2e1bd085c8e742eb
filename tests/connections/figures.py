"""What a running server holds: memory and descriptors of its processes."""

import resource
import subprocess
import sys
import time
from pathlib import Path

from fastobj.testing.process_server import ProcessServer
from tests.descriptors import targets

KIB = 1024
MIB = 1024 * KIB


def pss_bytes(server: ProcessServer) -> int:
    """The proportional set size of all processes together."""
    total = 0
    for _, pid in server.pids():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * KIB
    return total


def descriptors(server: ProcessServer) -> int:
    """Open descriptors of all processes, but those of files of the store: they close in time."""
    found = [target for _, pid in server.pids() for target in targets(pid).values()]
    return sum(not target.startswith(str(server.directory)) for target in found)


def settled_descriptors(server: ProcessServer) -> int:
    """The same, once a process that has just started has opened what it keeps open."""
    before = -1
    while (found := descriptors(server)) != before:
        before = found
        time.sleep(1)
    return found


class Crowd:
    """A process with many connections to a server: see crowd.py."""

    def __init__(self, server: ProcessServer, count: int, source: str, first: str = "") -> None:
        program = Path(__file__).with_name("crowd.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program), str(server.port), str(count), source, first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_raise_open_files,
        )

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def wait_open(self) -> None:
        """Waits until all connections are there."""
        assert self._answer() == "open"

    def ask(self, word: str) -> int:
        """Sends a word and returns the number that answers it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _raise_open_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
