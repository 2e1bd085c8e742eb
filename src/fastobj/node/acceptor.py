"""The listeners: accepts connections and passes them on. Knows no processes and no HTTP."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from fastobj.core import limits
from fastobj.core.clock import Clock
from fastobj.core.errors import StoreError
from fastobj.core.setting_kinds import Address
from fastobj.node.passed import Passed

_BACKLOG: Final = 1024
_ACCEPTS_PER_TURN: Final = 64
_PAUSE_NS: Final = 100_000_000
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# Takes a connection and the index of its listener; False where nobody can take it now.
HandOver = Callable[[socket.socket, int], bool]


class Acceptor:
    """Listens on some addresses. What cannot be passed on waits, and the listeners with it."""

    def __init__(self, selector: selectors.BaseSelector, hand_over: HandOver, clock: Clock) -> None:
        self._selector = selector
        self._hand_over = hand_over
        self._clock = clock
        self._log = logging.getLogger("fastobj.supervisor")
        self._listeners: list[socket.socket] = []
        self._held: deque[tuple[socket.socket, int]] = deque()
        self._is_closed = False
        self._are_passed = False
        self.held_max = limits.CONNECTIONS_MAX
        self._accepting = False
        self._is_short = False
        self.due_ns: int | None = None  # when `resume` wants to be called; None: not at all

    def listen(self, addresses: Sequence[Address], passed: Sequence[socket.socket] = ()) -> None:
        """Opens a listener for each address, or takes the one for its port that was passed.

        Raises StoreError where one cannot be had.
        """
        ports = {sock.getsockname()[1]: sock for sock in passed}
        self._are_passed = bool(passed)
        for address in addresses:
            try:
                self._listeners.append(_taken(ports, address) or _listener(address))
            except OSError as error:
                reason = "is in use already" if error.errno == errno.EADDRINUSE else str(error)
                self.close()
                raise StoreError(f"cannot listen on {address}: {reason}") from error
        for port, sock in ports.items():
            self._log.warning("the passed socket for port %d is not that of a setting", port)
            sock.close()

    def start(self) -> None:
        """Begins, or goes on, to accept."""
        self.due_ns = None
        if not self._accepting:
            self._accepting = True
            for listener in self._listeners:
                self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def resume(self) -> None:
        """Ends a pause that is over."""
        if self.due_ns is None or self._clock.monotonic_ns() < self.due_ns:
            return
        while self._held:
            if not self._pass_on(*self._held.popleft()):
                return
        self.start()

    def take(self, connection: socket.socket, index: int) -> None:
        """Passes on a connection that was accepted before; it waits like any other.

        More than `held_max` cannot.
        """
        if self._is_closed or len(self._held) >= self.held_max:
            connection.close()
        elif self._held:
            self._held.append((connection, index))
        else:
            self._pass_on(connection, index)

    def close(self) -> None:
        """Ends for good; whoever the system has let in by now is still passed on.

        Unless the listeners were passed: then the next server will find them there.
        """
        for listener in self._listeners:
            if self._accepting and not self._are_passed:
                self._accept(listener, _BACKLOG)
        self._is_closed = True
        self._stop()
        self.due_ns = None
        for sock in self._listeners:
            sock.close()
        while self._held:
            self._held.popleft()[0].close()

    def hold(self) -> None:
        """Accepts no more, while those who connect wait: for who is passed the listeners."""
        self._stop()

    def passed(self) -> Passed:
        """The listeners, and the connections that nobody has taken."""
        return Passed(self._listeners, self._held)

    def _stop(self) -> None:
        if self._accepting:
            self._accepting = False
            for listener in self._listeners:
                self._selector.unregister(listener)

    def _pause(self) -> None:
        """A listener that stays readable must not keep the loop turning."""
        self._stop()
        self.due_ns = self._clock.monotonic_ns() + _PAUSE_NS

    def _accept(self, listener: socket.socket, most: int = _ACCEPTS_PER_TURN) -> None:
        index = self._listeners.index(listener)
        for _ in range(most):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    continue  # that connection has ended already
                self._tell_short(error)
                self._pause()
                return
            self._is_short = False
            if not self._pass_on(connection, index):
                return

    def _pass_on(self, connection: socket.socket, index: int) -> bool:
        if not self._hand_over(connection, index):
            self._held.appendleft((connection, index))
            self._pause()
            return False
        connection.close()
        return True

    def _tell_short(self, error: OSError) -> None:
        if not self._is_short:
            self._is_short = True
            self._log.error("no connection can be accepted now: %s", os.strerror(error.errno or 0))


def _taken(ports: dict[int, socket.socket], address: Address) -> socket.socket | None:
    """The passed socket for that address, taken from those that are left; None: there is none.

    Raises OSError where it is not one that listens.
    """
    sock = ports.pop(address.port, None)
    if sock is not None:
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError("the socket that was passed does not listen")
        sock.setblocking(False)
    return sock


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with contextlib.ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((address.host, address.port))
        sock.listen(_BACKLOG)
        undo.pop_all()
    return sock
