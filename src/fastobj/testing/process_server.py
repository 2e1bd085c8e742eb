"""A whole server, all its processes, as tests start it: `with ProcessServer(directory) as server`.

It is what `fastobj server` runs, on free ports of 127.0.0.1, in a directory of the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastobj.core.clock import SystemClock
from fastobj.http.tls import CERTIFICATE_FILE
from fastobj.objects.audit import Difference
from fastobj.testing.audited import differences_at

ACCESS_KEY: Final = "test-access-key"
SECRET_KEY: Final = "test-secret-key"
READY_S_MAX: Final = 30.0
STOP_S_MAX: Final = 40.0
_POLL_S: Final = 0.01
_PORTS_OF_CLIENTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORT_MIN: Final = 10_000
_PORT_MAX: Final = 65_535
_PORTS_TRIED: Final = 100
_ACTIVATION: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ProcessServer:
    """One server. `start` waits until it is ready; `stop` ends it and checks how it ended.

    With `certs`, a folder of certificates, it speaks TLS; `authorities` is then the file with the
    default one, for clients to trust. `prefix` is a program that runs the server, as prlimit does.
    With `activated` its socket is open before and behind it, as systemd would have it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 2,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        certs: Path | None = None,
        prefix: tuple[str, ...] = (),
        activated: bool = False,
    ) -> None:
        self.directory = directory
        self.access_key = ACCESS_KEY
        self.secret_key = SECRET_KEY
        self.port = port or free_port()
        self.console_port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port)) if activated else None
        self.log_path = directory.with_name(directory.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None
        self.authorities = certs / CERTIFICATE_FILE if certs is not None else None
        self._workers = workers
        self._prefix = prefix
        self._arguments = arguments if certs is None else ("--tls-certs", str(certs), *arguments)
        self._environment = dict(environment or {})
        self._clock = SystemClock()

    @property
    def endpoint(self) -> str:
        """The URL that clients are given."""
        scheme = "http" if self.authorities is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    def connection(self, timeout_s: float = READY_S_MAX) -> http.client.HTTPConnection:
        """A connection for http.client, not yet open."""
        if self.authorities is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        trust = ssl.create_default_context(cafile=self.authorities)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=trust)

    def __enter__(self) -> ProcessServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._listener is not None:
            self._listener.close()

    def launch(self) -> None:
        """Starts the processes and returns at once."""
        command = [
            *self._prefix,
            *self._activation(),
            *(sys.executable, "-m", "fastobj", "server"),
            *("--address", f"127.0.0.1:{self.port}"),
            *("--console-address", f"127.0.0.1:{self.console_port}"),
            *("--workers", str(self._workers), *self._arguments, str(self.directory)),
        ]
        environment = {
            **os.environ,
            "FASTOBJ_ROOT_USER": ACCESS_KEY,
            "FASTOBJ_ROOT_PASSWORD": SECRET_KEY,
            **self._environment,
        }
        with open(self.log_path, "ab") as log:
            given = () if self._listener is None else (self._listener.fileno(),)
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, pass_fds=given
            )

    def _activation(self) -> list[str]:
        """The program that passes the socket to the server."""
        if self._listener is None:
            return []
        return [sys.executable, "-c", _ACTIVATION, str(self._listener.fileno())]

    def start(self) -> None:
        """Starts the processes and waits until they serve. Raises RuntimeError with their log."""
        self.launch()
        try:
            self.wait_ready()
        except BaseException:
            self.kill_supervisor()  # nobody else would: `with` has not begun
            raise

    def wait_ready(self) -> None:
        """Waits until /health/ready answers 200. Raises RuntimeError with the log's end."""
        deadline = self._clock.monotonic_ns() + int(READY_S_MAX * 1e9)
        while not self.is_ready():
            if not self.is_running() or self._clock.monotonic_ns() > deadline:
                raise RuntimeError(f"the server did not become ready:\n{self.log_end()}")
            time.sleep(_POLL_S)

    def is_ready(self) -> bool:
        """Whether the server says that it is."""
        connection = self.connection(timeout_s=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def is_running(self) -> bool:
        """Whether the supervisor lives."""
        return self.process is not None and self.process.poll() is None

    def pids(self) -> list[tuple[str, int]]:
        """Role and pid of each process, as the supervisor wrote them last."""
        lines = (self.directory / "processes").read_text().splitlines()
        return [(role, int(pid)) for role, pid in (line.split() for line in lines)]

    def log_end(self, lines: int = 60) -> str:
        """The last lines of the server's log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def differences(self) -> list[Difference]:
        """Counters that are not what the rows add up to; for a moment without writes."""
        return asyncio.run(differences_at(self.directory))

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor: its children end with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and waits. Raises RuntimeError where the server ends with an error."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the server did not end in time:\n{self.log_end()}") from None
        if status != 0:
            raise RuntimeError(f"the server ended with status {status}:\n{self.log_end()}")


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago.

    It is none of those that the system gives to clients: one of these would be taken by the next
    client before a server listens there.
    """
    of_clients = int(_PORTS_OF_CLIENTS.read_text().split()[0])
    end = of_clients if of_clients > _PORT_MIN else _PORT_MAX  # all of them are, somewhere
    for _ in range(_PORTS_TRIED):
        port = random.SystemRandom().randrange(_PORT_MIN, end)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"none of {_PORTS_TRIED} ports from {_PORT_MIN} to {end} is free")
