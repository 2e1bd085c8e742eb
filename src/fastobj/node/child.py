"""What every child process does first: close what is not its own, end with the supervisor."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from fastobj.core import clock, crash_points, log
from fastobj.core.settings import Settings
from fastobj.node.layout import StoreLayout
from fastobj.node.shared_page import SharedPage
from fastobj.storage import io

# What operators send to the supervisor; to a child none of them means a thing.
SUPERVISOR_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ChildContext:
    """What the supervisor hands down. `slot` is the process's slot in the shared page."""

    role: str
    slot: int
    owner: int
    control: socket.socket
    layout: StoreLayout
    settings: Settings
    page: SharedPage
    is_first: bool  # of its slot, in this life of the server


def become_child(context: ChildContext, supervisor: int) -> None:
    """Closes foreign descriptors, arms the end with the supervisor, configures tests' hooks."""
    close_all_but([0, 1, 2, context.control.fileno()])
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the signal was armed
        os._exit(1)
    for number in (*SUPERVISOR_SIGNALS, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN if number != signal.SIGCHLD else signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    log.set_role(context.role)
    configure_hooks(context.role)


def configure_hooks(role: str) -> None:
    """Crash points, faults of I/O, its record, a shifted clock: off unless the environment asks."""
    only = os.environ.get("FASTOBJ_CRASH_ROLE")
    crash_points.configure(os.environ.get("FASTOBJ_CRASH_AT") if only in (None, role) else None)
    io.configure(role)
    clock.configure()


def release_memory() -> None:
    """Gives the heap's free pages back to the system: an idle process holds what it needs."""
    _libc.malloc_trim(0)


def database_vfs() -> str | None:
    """The SQLite VFS of this process: the instrumented one where I/O is recorded or fails."""
    if not io.is_instrumented():
        return None
    from fastobj.meta import instrumented_vfs  # only fault tests pay for it

    return instrumented_vfs.register()


def close_all_but(keep: Iterable[int]) -> None:
    """Closes every descriptor of this process that is not in `keep`."""
    kept = set(keep)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:  # the descriptor of the listing itself
                continue


def fork_child(context: ChildContext, run: Callable[[ChildContext], int]) -> int:
    """Forks a child that runs `run` and exits with its status; returns its pid.

    What is there before the fork is frozen: a collector that looked at it would write into each
    of its objects, and so make a copy of all their pages in each child.
    """
    supervisor = os.getpid()
    gc.collect()
    gc.freeze()
    release_memory()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        become_child(context, supervisor)
        status = run(context)
    except BaseException:  # a child never returns into the supervisor's code
        log.exception_of_child(context.role)
    finally:
        log.flush()
        os._exit(status)
