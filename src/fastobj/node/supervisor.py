"""The supervisor: tiny, and the only process that lives as long as the server.

It takes the server lock, opens the listeners, forks the children, watches them, accepts
connections and hands each to the worker with the fewest. It has no event loop, no thread and no
database: so what it forks starts clean.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import selectors
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastobj.core import limits, log
from fastobj.core.clock import SystemClock
from fastobj.core.metrics import Metric
from fastobj.core.settings import Settings
from fastobj.node import banner, checks, committer_main, links, maintenance, passed, worker
from fastobj.node.acceptor import Acceptor
from fastobj.node.child import ChildContext, configure_hooks, fork_child
from fastobj.node.committer import EXIT_FENCED
from fastobj.node.committer_main import EXIT_REFUSED
from fastobj.node.credentials import load_credentials
from fastobj.node.layout import StoreLayout, prepare
from fastobj.node.locks import ServerLock, take_server_lock
from fastobj.node.process_slot import Child
from fastobj.node.roll import Roll
from fastobj.node.shared_page import (
    COMMITTER,
    FIRST_WORKER,
    MAINTENANCE,
    SUPERVISOR,
    WORKERS_MAX,
    SharedPage,
)

if TYPE_CHECKING:
    from fastobj.http.tls import Certificates

_NOTHING: Final = passed.Passed()
_LOOK_NS: Final = 1_000_000_000  # how often replaced certificates are looked for, at most
_KILL_AFTER_NS: Final = 2_000_000_000  # beyond the time that a child was given to end


def run(settings: Settings, directory: Path) -> int:
    """Serves the store in `directory` until SIGTERM or SIGINT; returns the exit status."""
    os.umask(0o077)  # what is stored is nobody else's to read, wherever the directory is moved
    checks.check(settings)
    layout = prepare(directory)
    lock = take_server_lock(layout)
    log.set_role("supervisor")
    credentials = load_credentials(layout, settings)
    settings = settings.with_signers(credentials.identities)
    supervisor = Supervisor(settings, layout, lock)
    supervisor.listen(passed.take(os.environ, os.getpid()))
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
        self._selector = selectors.DefaultSelector()
        self._acceptor = Acceptor(self._selector, self._hand_over, self._clock)
        self._certificates = _certificates(settings)
        self._certificates_due_ns = 0
        workers = min(settings.workers, WORKERS_MAX)
        self._page = SharedPage(workers)
        self._page.set_pid(SUPERVISOR, os.getpid())
        self._committer = Child("committer", COMMITTER, committer_main.run)
        self._maintenance = Child("maintenance", MAINTENANCE, maintenance.run)
        run_worker = partial(worker.run, certificates=self._certificates)
        self._workers = [
            Child("worker", FIRST_WORKER + index, run_worker) for index in range(workers)
        ]
        self._free_slot = FIRST_WORKER + workers
        self._retired: list[Child] = []  # workers that finish their requests
        self._roll = Roll(self, self._clock, self._shutdown_ms() * 1_000_000 + _KILL_AFTER_NS)
        self._all_must_end = False
        self._stopping = False
        self._must_roll = False
        self._must_try = False
        self._trial = 0  # the process that tries whether the server could start anew
        self._renews = False
        self._given: Iterable[passed.Connection] = ()
        self._status = 0
        self._wakeup: tuple[int, int] = (-1, -1)

    def listen(self, given: passed.Passed = _NOTHING) -> None:
        """Opens the listeners that were not passed. Raises StoreError where an address is taken."""
        addresses = [self._settings.address, self._settings.console_address]
        self._acceptor.listen(addresses, given.listeners)
        self._given = given.connections

    def serve(self) -> int:
        """Starts the children and watches them until the end."""
        open_files = _raise_open_files()
        self._settings = _within(self._settings, open_files)
        if open_files != resource.RLIM_INFINITY:
            self._acceptor.held_max = open_files // 2
        self._catch_signals()
        for child in [self._maintenance, *self._workers, self._committer]:
            self._start(child)
        self._acceptor.start()
        for connection, listener in self._given:
            self._acceptor.take(connection, listener)
        configure_hooks("supervisor")
        while not self._stopping:
            self._turn(self._pause_s())
            self._restart_due()
            self._acceptor.resume()
            if self._must_roll:
                self._must_roll = False
                self._reload()
                self._roll.ask()
            if self._must_try:
                self._must_try = False
                self._try_anew()
            self._roll.step()
        self._end()
        if self._renews:
            self._lock.close()
            passed.become_anew(self._acceptor.passed())
        return self._status

    def _turn(self, pause_s: float | None) -> None:
        for key, _ in self._selector.select(pause_s):
            key.data(key.fileobj)
        self._reap()

    # --- signals

    def _catch_signals(self) -> None:
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_hangup)
        signal.signal(signal.SIGUSR2, self._on_renew)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ, self._drain_wakeup)

    def _on_stop(self, *_: object) -> None:
        self._stopping, self._renews = True, False

    def _on_hangup(self, *_: object) -> None:
        self._must_roll = True

    def _on_renew(self, *_: object) -> None:
        self._must_try = True

    def _drain_wakeup(self, _: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakeup[0], 512):
                pass

    # --- children

    def _staff(self) -> list[Child]:
        """All but those that nobody replaces any more."""
        return [self._committer, self._maintenance, *self._workers]

    def _children(self) -> list[Child]:
        return [*self._staff(), *self._retired]

    def _start(self, child: Child) -> None:
        """Starts a child; where the system lacks something, it is tried again later."""
        try:
            self._fork(child)
            self._link(child)
        except OSError as error:
            self._log.error("%s cannot be started now: %s", child.role, error)
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)  # without a link it is of no use
            else:
                child.set_back(self._clock.monotonic_ns())
        self._write_processes()

    def _fork(self, child: Child) -> None:
        ours, theirs = links.control_pair()
        is_first = not child.started_ns
        child.owner = int.from_bytes(os.urandom(8), "little") | 1
        child.started_ns = self._clock.monotonic_ns()
        is_planned, child.is_retiring = child.is_retiring, False
        self._page.set_owner(child.slot, child.owner)
        context = ChildContext(
            child.role,
            child.slot,
            child.owner,
            theirs,
            self._layout,
            self._settings,
            self._page,
            is_first,
        )
        try:
            child.pid = fork_child(context, child.run)
            self._page.set_pid(child.slot, child.pid)
        except OSError:
            self._page.set_owner(child.slot, 0)
            ours.close()
            raise
        finally:
            theirs.close()
        child.control = links.Control(ours, self._selector, partial(self._on_message, child))
        if not is_first and not is_planned:
            self._page.metrics.of(SUPERVISOR).add(Metric.PROCESS_RESTARTS, 1)

    def _link(self, started: Child) -> None:
        """Connects a new committer with every peer, or a new peer with the committer."""
        peers = [started]
        if started is self._committer:
            peers = [self._maintenance, *self._workers, *self._retired]
        for peer in peers:
            if peer.control is None or self._committer.control is None:
                continue
            committer_end, peer_end = links.link_pair()
            self._committer.control.post(links.LINK, peer.owner, committer_end)
            peer.control.post(links.LINK, self._committer.owner, peer_end)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._trial:
                self._tried(status)
            for child in self._children():
                if child.pid == pid:
                    self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, status: int) -> None:
        """A child is dead, and waited for: only now may another take its place."""
        self._page.set_owner(child.slot, 0)
        self._page.set_closed(child.slot, 0)
        self._page.set_pid(child.slot, 0)
        self._page.metrics.of(child.slot).forget_gauges()
        child.handed = 0
        child.pid = 0
        child.is_ready = False
        if child.control is not None:
            child.control.close()
            child.control = None
        if self._stopping:
            return
        as_told = child.is_retiring and not status
        if as_told:
            child.due_ns = self._clock.monotonic_ns()
        else:
            child.set_back(self._clock.monotonic_ns())
        self._write_processes()
        if child is self._committer and status == EXIT_REFUSED:
            self._stopping = True
            self._status = 1
            return
        if not as_told:
            again = "was retiring" if child in self._retired else "is started again"
            self._log.error("%s ended with status %d and %s", child.role, status, again)
        if child is self._committer and (status == EXIT_FENCED or self._layout.fence.exists()):
            self._end_all()

    def _end_all(self) -> None:
        """After a failed sync no process may keep what it believes of the files."""
        self._all_must_end = True
        for child in self._children():
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)

    def _restart_due(self) -> None:
        if self._all_must_end and any(child.pid for child in self._children()):
            return  # none starts anew before the last one has ended
        self._all_must_end = False
        now = self._clock.monotonic_ns()
        for child in self._staff():
            if not child.pid and child.due_ns <= now and not self._stopping:
                self._start(child)

    def _pause_s(self) -> float | None:
        """How long nothing is due, in seconds; None for ever."""
        due = [] if self._all_must_end else [c.due_ns for c in self._staff() if not c.pid]
        due += [ns for ns in (self._acceptor.due_ns, self._roll.due_ns) if ns is not None]
        if not due:
            return None
        return max(0, min(due) - self._clock.monotonic_ns()) / 1e9

    def _write_processes(self) -> None:
        """`DIR/processes`: a line for each process, for operators and tests."""
        lines = [f"supervisor {os.getpid()}\n"]
        lines += [f"{child.role} {child.pid}\n" for child in self._children() if child.pid]
        path = self._layout.processes
        temporary = path.with_suffix(".new")
        try:
            temporary.write_text("".join(lines))
            temporary.replace(path)
        except OSError as error:  # a full disk is no reason to end
            self._log.warning("%s cannot be written: %s", path, error)

    # --- a rolling restart (node.roll)

    def replaceable(self) -> Sequence[Child]:
        """All children, in the order in which they are to be replaced."""
        return [*self._workers, self._committer, self._maintenance]

    def begin_beside(self, worker: Child) -> Child:
        """Starts another worker, in the free slot; returns it."""
        child = Child("worker", self._free_slot, worker.run)
        self._workers.insert(self._workers.index(worker), child)
        self._start(child)
        return child

    def retire(self, child: Child) -> None:
        """Tells a child to finish what it does, and to end; a worker gets no more connections."""
        child.is_retiring = True
        if child in self._workers:
            self._workers.remove(child)
            self._retired.append(child)
        if child.control is not None:
            kind = links.RETIRE if child in self._retired else links.STOP
            child.control.post(kind, self._shutdown_ms())

    def kill(self, child: Child) -> None:
        """Ends a child that did not do so in time."""
        self._log.error("%s did not end in time and is killed", child.role)
        os.kill(child.pid, signal.SIGKILL)

    def dismiss(self, worker: Child) -> None:
        """A retired worker has ended: its slot is free."""
        self._retired.remove(worker)
        self._free_slot = worker.slot

    # --- the server renews itself (node.passed)

    def _try_anew(self) -> None:
        """Has another process say whether this server, with its program of now, could start."""
        if self._trial:
            return
        arguments = [*passed.command(), "--check"]
        try:
            self._trial = os.posix_spawn(arguments[0], arguments, os.environ)
        except OSError as error:
            self._log.error("the server cannot start anew: %s: %s", arguments[0], error.strerror)

    def _tried(self, status: int) -> None:
        self._trial = 0
        if status:
            self._log.error("the server would not start anew, and goes on as it is")
        elif not self._stopping:
            self._log.info("the server ends its requests and starts anew")
            self._renews = self._stopping = True

    # --- connections

    def _on_message(self, child: Child, message: links.Message) -> None:
        if message.kind == links.READY:
            child.is_ready = True
        elif message.kind == links.CONNECTION and message.fd >= 0:
            self._acceptor.take(socket.socket(fileno=message.fd), message.argument)

    def _hand_over(self, connection: socket.socket, listener: int) -> bool:
        if self._renews:
            return False
        self._look_at_certificates()
        for child in sorted(self._workers, key=self._load):
            if child.control is not None and child.control.offer(
                links.CONNECTION, listener, connection.fileno()
            ):
                child.handed += 1
                return True
        return False

    def _load(self, child: Child) -> tuple[bool, int]:
        """One that does not serve yet comes behind all that do."""
        return not child.is_ready, child.handed - self._page.closed(child.slot)

    def _look_at_certificates(self) -> None:
        """Replaced files are taken with the next connection: idle servers look at nothing."""
        now = self._clock.monotonic_ns()
        if self._certificates is None or now < self._certificates_due_ns:
            return
        self._certificates_due_ns = now + _LOOK_NS
        if self._certificates.have_changed():
            self._reload()

    def _reload(self) -> None:
        """Reads again what may have been replaced, here for workers to come, and in all workers."""
        if self._certificates is not None:
            remarks = self._certificates.reload()
            self._log.info("certificates were read again: %s", self._settings.tls_certs)
            for remark in remarks:
                self._log.error("%s", remark)
        for child in [*self._workers, *self._retired]:
            if child.control is not None:
                child.control.post(links.RELOAD, 0)

    # --- the end

    def _end(self) -> None:
        """Workers finish their requests first, then those whom they need."""
        if self._renews:
            self._acceptor.hold()
        else:
            self._acceptor.close()
        self._stop([*self._workers, *self._retired])
        self._stop([self._maintenance])
        self._stop([self._committer])
        with contextlib.suppress(OSError):
            self._layout.processes.unlink()

    def _shutdown_ms(self) -> int:
        return int(self._settings.shutdown_timeout * 1000)

    def _stop(self, children: list[Child]) -> None:
        timeout_ms = self._shutdown_ms()
        for child in children:
            if child.control is not None:
                gives_back = self._renews and child.role == "worker"
                child.control.post(links.RELEASE if gives_back else links.STOP, timeout_ms)
        deadline = self._clock.monotonic_ns() + timeout_ms * 1_000_000 + _KILL_AFTER_NS
        while any(child.pid for child in children):
            left_s = (deadline - self._clock.monotonic_ns()) / 1e9
            if left_s > 0:
                self._turn(left_s)
            else:
                self._kill(children)

    def _kill(self, children: list[Child]) -> None:
        for child in children:
            if child.pid:
                self.kill(child)
                self._status = 1
                os.waitpid(child.pid, 0)
                child.pid = 0


def _certificates(settings: Settings) -> Certificates | None:
    """The certificates, where TLS is wanted. Raises SettingsError."""
    if not settings.tls_certs:
        return None
    from fastobj.http.tls import Certificates  # who speaks no TLS need not have it in memory

    certificates = Certificates(Path(settings.tls_certs), settings.tls_min_version, SystemClock())
    for remark in certificates.remarks:
        logging.getLogger("fastobj.supervisor").warning("%s", remark)
    return certificates


def _raise_open_files() -> int:
    """As many open files as the system lets this user have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _within(settings: Settings, open_files: int) -> Settings:
    """The settings with no more connections than leave a worker descriptors for its files.

    A request for a large body takes one beside that of its connection.
    """
    if open_files == resource.RLIM_INFINITY:
        return settings
    left = open_files - limits.DESCRIPTORS_RESERVED
    most = max(left - settings.requests_max, left // 2, 1)
    if most >= settings.connections_max:
        return settings
    logging.getLogger("fastobj.supervisor").warning(
        "each worker serves %d connections at most, not %d: it may open %d files (ulimit -n)",
        most,
        settings.connections_max,
        open_files,
    )
    return replace(settings, connections_max=most)


if sys.platform != "linux":  # SCM_RIGHTS, OFD locks, eventfd, fdatasync of preallocated files
    raise ImportError("fastobj's server runs on Linux only")
