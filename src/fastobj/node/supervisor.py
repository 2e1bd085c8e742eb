"""The supervisor: tiny, and the only process that lives as long as the server.

It takes the server lock, opens the listeners, forks the children, watches them, accepts
connections and hands each to the worker with the fewest. It has no event loop, no thread and no
database: so what it forks starts clean.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastobj.core import log
from fastobj.core.clock import SystemClock
from fastobj.core.settings import Settings
from fastobj.node import banner, committer_main, links, maintenance, worker
from fastobj.node.child import ChildContext, configure_hooks, fork_child
from fastobj.node.committer import EXIT_FENCED
from fastobj.node.credentials import load_credentials
from fastobj.node.layout import StoreLayout, prepare
from fastobj.node.locks import ServerLock, take_server_lock
from fastobj.node.shared_page import (
    COMMITTER,
    FIRST_WORKER,
    MAINTENANCE,
    WORKERS_MAX,
    SharedPage,
)

_BACKLOG: Final = 1024
_ACCEPTS_PER_TURN: Final = 64
_BACKOFF_NS_MIN: Final = 50_000_000
_BACKOFF_NS_MAX: Final = 5_000_000_000
_STEADY_NS: Final = 10_000_000_000  # a child that lived this long starts over without back-off


@dataclass(slots=True)
class Child:
    """One process slot: who runs in it, and when it may run again."""

    role: str
    slot: int
    run: Callable[[ChildContext], int]
    pid: int = 0
    owner: int = 0
    control: socket.socket | None = None
    started_ns: int = 0
    backoff_ns: int = 0
    due_ns: int = 0
    handed: int = 0  # connections, in this life of the child


def run(settings: Settings, directory: Path) -> int:
    """Serves the store in `directory` until SIGTERM or SIGINT; returns the exit status."""
    layout = prepare(directory)
    lock = take_server_lock(layout)
    log.set_role("supervisor")
    credentials = load_credentials(layout, settings)
    settings = settings.with_identities([credentials.identity])
    supervisor = Supervisor(settings, layout, lock)
    supervisor.listen()
    banner.show(settings, credentials)
    return supervisor.serve()


class Supervisor:
    """The loop over listeners, children and signals."""

    def __init__(self, settings: Settings, layout: StoreLayout, lock: ServerLock) -> None:
        self._settings = settings
        self._layout = layout
        self._lock = lock
        self._log = logging.getLogger("fastobj.supervisor")
        self._clock = SystemClock()
        self._page = SharedPage()
        self._selector = selectors.DefaultSelector()
        self._listeners: list[socket.socket] = []
        workers = min(settings.workers, WORKERS_MAX)
        self._committer = Child("committer", COMMITTER, committer_main.run)
        self._maintenance = Child("maintenance", MAINTENANCE, maintenance.run)
        self._workers = [
            Child("worker", FIRST_WORKER + index, worker.run) for index in range(workers)
        ]
        self._stopping = False
        self._status = 0
        self._wakeup: tuple[int, int] = (-1, -1)

    def listen(self) -> None:
        """Opens the listeners. Raises OSError where an address is taken."""
        for address in (self._settings.address, self._settings.console_address):
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((address.host, address.port))
            sock.listen(_BACKLOG)
            self._listeners.append(sock)

    def serve(self) -> int:
        """Starts the children and watches them until the end."""
        self._catch_signals()
        self._start(self._maintenance)
        for child in self._workers:
            self._start(child)
        self._start(self._committer)
        for sock in self._listeners:
            self._selector.register(sock, selectors.EVENT_READ, self._accept)
        configure_hooks("supervisor")
        while not self._stopping:
            for key, _ in self._selector.select(self._pause_s()):
                key.data(key.fileobj)
            self._reap()
            self._restart_due()
        self._end()
        return self._status

    # --- signals

    def _catch_signals(self) -> None:
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ, self._drain_wakeup)

    def _on_stop(self, *_: object) -> None:
        self._stopping = True

    def _drain_wakeup(self, _: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakeup[0], 512):
                pass

    # --- children

    def _children(self) -> list[Child]:
        return [self._committer, self._maintenance, *self._workers]

    def _start(self, child: Child) -> None:
        ours, theirs = links.control_pair()
        child.owner = int.from_bytes(os.urandom(8), "little") | 1
        child.due_ns = 0
        self._page.set_owner(child.slot, child.owner)
        context = ChildContext(
            child.role,
            child.slot,
            child.owner,
            theirs,
            self._layout,
            self._settings,
            self._page,
            self._maintenance.owner,
            is_first=not child.started_ns,
        )
        child.started_ns = self._clock.monotonic_ns()
        child.pid = fork_child(context, child.run)
        theirs.close()
        ours.setblocking(False)
        child.control = ours
        self._link(child)
        self._write_processes()

    def _link(self, started: Child) -> None:
        """Connects a new committer with every peer, or a new peer with the committer."""
        peers = [self._maintenance, *self._workers] if started is self._committer else [started]
        for peer in peers:
            if peer.control is None or self._committer.control is None:
                continue
            committer_end, peer_end = links.link_pair()
            links.send(self._committer.control, links.LINK, peer.owner, committer_end.fileno())
            links.send(peer.control, links.LINK, self._committer.owner, peer_end.fileno())
            committer_end.close()
            peer_end.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in self._children():
                if child.pid == pid:
                    self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, status: int) -> None:
        """A child is dead, and waited for: only now may another take its place."""
        self._page.set_owner(child.slot, 0)
        self._page.set_closed(child.slot, 0)
        child.handed = 0
        child.pid = 0
        if child.control is not None:
            child.control.close()
            child.control = None
        if self._stopping:
            return
        self._log.error("%s ended with status %d and is started again", child.role, status)
        if child is self._committer and status == EXIT_FENCED:
            self._start_all_anew()
        now = self._clock.monotonic_ns()
        steady = now - child.started_ns > _STEADY_NS
        child.due_ns = now if steady or not child.backoff_ns else now + child.backoff_ns
        child.backoff_ns = (
            _BACKOFF_NS_MIN
            if steady or not child.backoff_ns
            else min(child.backoff_ns * 2, _BACKOFF_NS_MAX)
        )

    def _start_all_anew(self) -> None:
        """After a failed sync no process may keep what it believes of the files."""
        for child in self._children():
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)

    def _restart_due(self) -> None:
        now = self._clock.monotonic_ns()
        for child in self._children():
            if not child.pid and child.due_ns <= now and not self._stopping:
                self._start(child)

    def _pause_s(self) -> float | None:
        waiting = [child.due_ns for child in self._children() if not child.pid]
        if not waiting:
            return None
        return max(0, min(waiting) - self._clock.monotonic_ns()) / 1e9

    def _write_processes(self) -> None:
        """`DIR/processes`: a line for each process, for operators and tests."""
        lines = [f"supervisor {os.getpid()}\n"]
        lines += [f"{child.role} {child.pid}\n" for child in self._children() if child.pid]
        path = self._layout.processes
        temporary = path.with_suffix(".new")
        temporary.write_text("".join(lines))
        temporary.replace(path)

    # --- connections

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # descriptors or memory are short: others must go first
                self._log.error("no connection can be accepted now: %s", error)
                return
            self._hand_over(connection, self._listeners.index(listener))

    def _hand_over(self, connection: socket.socket, listener: int) -> None:
        with connection:
            for child in sorted(self._workers, key=self._load):
                if child.control is not None and links.send(
                    child.control, links.CONNECTION, listener, connection.fileno()
                ):
                    child.handed += 1
                    return

    def _load(self, child: Child) -> int:
        return child.handed - self._page.closed(child.slot)

    # --- the end

    def _end(self) -> None:
        """Workers finish their requests first, then those whom they need."""
        for sock in self._listeners:
            sock.close()
        timeout_ms = int(self._settings.shutdown_timeout * 1000)
        self._stop(self._workers, timeout_ms)
        self._stop([self._maintenance], timeout_ms)
        self._stop([self._committer], timeout_ms)
        self._layout.processes.unlink(missing_ok=True)

    def _stop(self, children: list[Child], timeout_ms: int) -> None:
        for child in children:
            if child.control is not None:
                links.send(child.control, links.STOP, timeout_ms)
        deadline = self._clock.monotonic_ns() + (timeout_ms + 2000) * 1_000_000
        while any(child.pid for child in children):
            left_s = (deadline - self._clock.monotonic_ns()) / 1e9
            if left_s <= 0:
                self._kill(children)
            for key, _ in self._selector.select(max(left_s, 0.05)):
                if key.data == self._drain_wakeup:
                    key.data(key.fileobj)
            self._reap()

    def _kill(self, children: list[Child]) -> None:
        for child in children:
            if child.pid:
                self._log.error("%s did not end in time and is killed", child.role)
                self._status = 1
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = 0


if sys.platform != "linux":  # SCM_RIGHTS, OFD locks, eventfd, fdatasync of preallocated files
    raise ImportError("fastobj's server runs on Linux only")
