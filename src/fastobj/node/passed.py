"""Sockets that a process is started with: by systemd, or by the server that it was before.

Listeners come as systemd passes them (LISTEN_PID, LISTEN_FDS: sd_listen_fds(3)), so that those
who connect wait, and are not refused, while no server runs. A server that renews itself passes the
connections at rest, too: LISTEN_PASSED has a digit for each, the index of its listener.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final, NamedTuple, NoReturn

from fastobj.core.errors import StoreError

FIRST_FD: Final = 3
_CONNECTIONS_MAX: Final = 100_000  # a variable holds 128 KiB
_PID, _COUNT, _NAMES, _CONNECTIONS = "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PASSED"

Connection = tuple[socket.socket, int]  # with the index of its listener


class Passed(NamedTuple):
    """What a process was started with."""

    listeners: Sequence[socket.socket] = ()
    connections: Iterable[Connection] = ()


def take(environ: MutableMapping[str, str], pid: int) -> Passed:
    """What was passed to this process, once: the variables go. Raises StoreError."""
    addressee, count, indices = (environ.pop(n, "") for n in (_PID, _COUNT, _CONNECTIONS))
    environ.pop(_NAMES, None)
    if addressee != str(pid):
        return Passed()
    if not count.isdecimal() or not (indices.isdecimal() or not indices):
        raise StoreError(f"{_COUNT}={count} {_CONNECTIONS}={indices} cannot be understood")
    behind = FIRST_FD + int(count)
    return Passed(
        [_socket(fd) for fd in range(FIRST_FD, behind)],
        [(_socket(fd), int(index)) for fd, index in enumerate(indices, behind)],
    )


def _socket(fd: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise StoreError(f"descriptor {fd} was passed and is no socket: {error}") from error
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        sock.close()
        raise StoreError(f"descriptor {fd} was passed and is no TCP socket, but {sock.family.name}")
    sock.set_inheritable(False)
    return sock


def become_anew(passed: Passed) -> NoReturn:
    """Replaces this program by the one that its command line starts now. Raises OSError.

    The process stays the same, and what it passes stays open.
    """
    connections = list(passed.connections)[:_CONNECTIONS_MAX]
    _place([*passed.listeners, *[sock for sock, _ in connections]])
    environ = {
        **os.environ,
        _PID: str(os.getpid()),
        _COUNT: str(len(passed.listeners)),
        _CONNECTIONS: "".join(str(index) for _, index in connections),
    }
    for number in (signal.SIGHUP, signal.SIGUSR2):  # which would end a program that just begins
        signal.signal(number, signal.SIG_IGN)
    os.execve(sys.executable, command(), environ)


def command() -> list[str]:
    """The command line that has started this program."""
    return [sys.executable, *sys.orig_argv[1:]]


def _place(sockets: Sequence[socket.socket]) -> None:
    """Moves them to where the next program looks for them; whatever else was there is closed.

    One at a time: they may be nearly all that this process may open.
    """
    fds = [sock.detach() for sock in sockets]
    at = {fd: index for index, fd in enumerate(fds)}
    for index in range(len(fds)):
        fd, target = fds[index], FIRST_FD + index
        if fd == target:
            os.set_inheritable(fd, True)
            continue
        if target in at:  # one whose turn comes later makes room
            other = at.pop(target)
            fds[other] = os.dup(target)
            at[fds[other]] = other
        os.dup2(fd, target, inheritable=True)
        os.close(fd)
        del at[fd]
