"""The servers that are compared: each is started on a fresh directory and ended again.

A program that is not of this project is named by a path, found on PATH, or run by docker where an
engine is. The container shares the host's network and directory, so it is measured alike.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Protocol

from benchmarks._server import ACCESS_KEY, ANYBODY, SECRET_KEY, Server, free_port
from fastobj.core.settings import default_workers

_READY_S_MAX = 60.0
_CONTAINER = f"fastobj-benchmark-{os.getpid()}"


class Missing(Exception):
    """A program is not to be had; the text says how to give it."""


class Target(Protocol):
    """One S3 server."""

    name: str

    def start(self, directory: Path, certs: Path | None) -> str:
        """Starts it there, with TLS where there are certificates; returns HOST:PORT once ready."""
        ...

    def root(self) -> int:
        """The pid below which all of its processes are."""
        ...

    def stop(self) -> None:
        """Ends it."""
        ...

    def version(self) -> str:
        """What it calls itself."""
        ...


class Fastobj:
    """This project's server."""

    name = "fastobj"

    def __init__(self, workers: int = 0) -> None:
        self._workers = workers or default_workers()
        self._server: Server | None = None

    def start(self, directory: Path, certs: Path | None) -> str:
        """Starts it there; returns HOST:PORT once ready."""
        arguments = ("--tls-certs", str(certs)) if certs else ()
        self._server = Server(directory, self._workers, arguments, "https" if certs else "http")
        self._server.log = subprocess.DEVNULL
        self._server.start()
        return f"127.0.0.1:{self._server.port}"

    def root(self) -> int:
        """The pid of the supervisor."""
        assert self._server is not None
        assert self._server.process is not None
        return self._server.process.pid

    def processes(self) -> list[tuple[str, int]]:
        """Role and pid of each."""
        assert self._server is not None
        return self._server.pids()

    def stop(self) -> None:
        """Ends it."""
        if self._server is not None:
            self._server.stop()

    def version(self) -> str:
        """The last commit that changed its sources, with a + where files have changed since."""
        commit = _run(["git", "log", "-1", "--format=%h", "--", "src"]).stdout.strip()
        changed = _run(["git", "status", "--porcelain", "--", "src"]).stdout.strip()
        return f"fastobj {commit}{'+' if changed else ''}"


class Minio:
    """MinIO with its defaults on one drive, without its console."""

    name = "minio"

    def __init__(self, command: list[str], version: str = "") -> None:
        self._command = command
        self._version = version  # for a program that was built without knowing it
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, directory: Path, certs: Path | None) -> str:
        """Starts it there; returns HOST:PORT once ready."""
        address = f"127.0.0.1:{free_port()}"
        arguments = ["server", "--address", address, "--quiet", str(directory)]
        if certs:
            arguments[1:1] = ["--certs-dir", str(certs)]
        environment = dict(
            os.environ,
            MINIO_ROOT_USER=ACCESS_KEY,
            MINIO_ROOT_PASSWORD=SECRET_KEY,
            MINIO_BROWSER="off",
        )
        self._process = subprocess.Popen(
            in_container(self._command, directory, environment) + arguments,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _await_ready(f"{'https' if certs else 'http'}://{address}/minio/health/cluster")
        return address

    def root(self) -> int:
        """The pid of the server, in a container as outside of one."""
        assert self._process is not None
        return container_pid() if self._command[0] == "docker" else self._process.pid

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def version(self) -> str:
        """What was said of it, or its own words."""
        return (
            self._version
            or (_run([*self._command, "--version"]).stdout.splitlines() or ["minio"])[0]
        )


def program(name: str, path: str, image: str) -> list[str]:
    """The command that runs a program: from a path, from PATH, or by docker. Raises Missing."""
    if path:
        if not os.access(path, os.X_OK):
            raise Missing(f"{path} is not a program")
        return [path]
    if found := shutil.which(name):
        return [found]
    if shutil.which("docker") and _run(["docker", "info"]).returncode == 0:
        return ["docker", "run", "--rm", "--network", "host", image]
    raise Missing(f"{name} is missing: give its path with --{name}, or put it on PATH")


def in_container(command: list[str], directory: Path, environment: dict[str, str]) -> list[str]:
    """The command with what a container must be given; any other command as it is."""
    if command[0] != "docker":
        return command
    given = [f"{key}={text}" for key, text in environment.items() if key.startswith("MINIO_")]
    options = [word for text in given for word in ("--env", text)]
    options += ["--name", _CONTAINER, "--volume", f"{directory}:{directory}"]
    return [*command[:-1], *options, command[-1]]


def container_pid() -> int:
    """The pid of the container's first process, as this machine sees it."""
    return int(_run(["docker", "inspect", "--format", "{{.State.Pid}}", _CONTAINER]).stdout)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + _READY_S_MAX
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=ANYBODY):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{url} did not answer within {_READY_S_MAX:.0f} s") from None
            time.sleep(0.02)
