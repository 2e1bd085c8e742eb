"""A running server as its tests see it: requests on one connection, processes, metrics."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from fastobj.testing.process_server import ProcessServer
from tests.clients.signed import signed_headers
from tests.descriptors import targets

WAIT_S_MAX = 30.0


def wait_until(condition, what: str = "what was waited for") -> None:
    """Returns as soon as `condition()` holds."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


class Client:
    """One connection, and so one worker, for as long as it lasts."""

    def __init__(self, server: ProcessServer) -> None:
        self._server = server
        self.http = server.connection(WAIT_S_MAX)
        self.http.connect()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def begin(self, method: str, path: str, length: int = 0) -> None:
        """Sends the head of a request; its body is the caller's to send."""
        self.http.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in signed_headers(self._server, method, path).items():
            self.http.putheader(name, value)
        self.http.putheader("Content-Length", str(length))
        self.http.endheaders()

    def answer(self) -> tuple[int, bytes]:
        """Status and body of the response."""
        response = self.http.getresponse()
        return response.status, response.read()

    def __call__(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self.begin(method, path, len(body))
        self.http.send(body)
        return self.answer()

    def worker(self) -> int:
        """The pid of the worker at the other end, once one has it."""
        found = []
        wait_until(lambda: found.append(self._worker()) or found[-1], "a worker")
        return found[-1]

    def _worker(self) -> int:
        inode = _inode(self._server.port, self.http.sock.getsockname()[1])
        return next((pid for pid in workers(self._server) if inode in sockets(pid)), 0)


def _inode(local: int, remote: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(address.split(":")[1], 16) for address in fields[1:3]]
        if ports == [local, remote]:
            return fields[9]
    return "none"


def sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets; none of one that has ended."""
    try:
        found = targets(pid).values()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {target[8:-1] for target in found if target.startswith("socket:[")}


def pids(server: ProcessServer, role: str) -> list[int]:
    """The processes of a role."""
    return [pid for name, pid in server.pids() if name == role]


def workers(server: ProcessServer) -> list[int]:
    """The worker processes."""
    return pids(server, "worker")


def on_each_worker(server: ProcessServer) -> list[Client]:
    """Two connections to different workers, of a server that has two."""
    clients = [Client(server), Client(server)]
    while clients[0].worker() == clients[-1].worker():  # one that has closed may still count
        clients.append(Client(server))
    for client in clients[1:-1]:
        client.http.close()
    return [clients[0], clients[-1]]


def all_pids(server: ProcessServer) -> list[int]:
    """Supervisor and children."""
    return [pid for _, pid in server.pids()]


def is_alive(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(server: ProcessServer, role: str, index: int = 0) -> int:
    """Kills a process of a role and waits until another has its place; returns the new pid."""
    old = pids(server, role)
    os.kill(old[index], signal.SIGKILL)
    new: list[int] = []

    def is_replaced() -> bool:
        new[:] = pids(server, role)  # read once: the next reading may tell of another death
        return len(new) == len(old) and old[index] not in new

    wait_until(is_replaced, f"another {role}")
    return (set(new) - set(old)).pop()


def metrics(server: ProcessServer) -> dict[str, float]:
    """The page of metrics: series and value."""
    with contextlib.closing(server.connection(WAIT_S_MAX)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {series.removeprefix("fastobj_"): float(value) for series, value in pairs}


class Load:
    """Threads that call `work(client, thread, round)` until the block ends; errors are kept."""

    def __init__(self, server: ProcessServer, work, threads: int = 4) -> None:
        self._server = server
        self._work = work
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(threads)]
        self.rounds = [0] * threads
        self.errors: list[BaseException] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors[:3]

    def _run(self, number: int) -> None:
        try:
            with Client(self._server) as client:
                while not self._stop.is_set():
                    self._work(client, number, self.rounds[number])
                    self.rounds[number] += 1
        except BaseException as error:
            self.errors.append(error)

    def go_on(self, rounds: int = 5) -> None:
        """Waits until every thread has made that many rounds more."""
        wanted = [count + rounds for count in self.rounds]
        wait_until(
            lambda: self.errors or all(map(int.__ge__, self.rounds, wanted)), "rounds of the load"
        )


def rolls_done(server: ProcessServer) -> int:
    """How many rolling restarts have been brought to their end."""
    return server.log_path.read_text(errors="replace").count("rolling restart: done")


def hang_up(server: ProcessServer) -> None:
    """SIGHUP to the supervisor: a rolling restart, if it is let run."""
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)


def roll(server: ProcessServer) -> None:
    """A whole rolling restart: returns when every child is another one."""
    done = rolls_done(server)
    hang_up(server)
    wait_until(lambda: rolls_done(server) > done, "the end of a rolling restart")


def renew(server: ProcessServer) -> None:
    """SIGUSR2 to the supervisor: returns when the server has started anew."""
    assert server.process is not None

    def starts() -> int:
        return server.log_path.read_text(errors="replace").count("log goes on behind block")

    before = starts()
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: starts() > before, "another start")
