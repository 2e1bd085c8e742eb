"""Descriptors passed between processes, and small messages beside them.

Each child has one control socket to the supervisor (a socketpair of kind SOCK_SEQPACKET, so that
messages keep their bounds). A message is one byte of kind and a u64 argument, with at most one
descriptor.
"""

from __future__ import annotations

import array
import contextlib
import selectors
import socket
import struct
from collections import deque
from typing import Final, NamedTuple

CONNECTION: Final = ord("c")  # to a worker: an accepted connection; argument: the listener's index
LINK: Final = ord("l")  # an end of a link; argument: the owner (incarnation) at its other end
RELOAD: Final = ord("r")  # read certificates and other files again
STOP: Final = ord("s")  # drain and end; argument: milliseconds to do it in

LINK_SEND_BUFFER_BYTES: Final = 4 << 20  # the default holds three bodies
_MESSAGE = struct.Struct("<BQ")
_FD_BYTES: Final = array.array("i").itemsize


class Message(NamedTuple):
    """A control message. The receiver owns `fd` (-1 where there is none)."""

    kind: int
    argument: int
    fd: int


def control_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a control socket."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def link_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a link between the committer and one life of a peer."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LINK_SEND_BUFFER_BYTES)
        end.setblocking(False)
    return pair


def send(control: socket.socket, kind: int, argument: int = 0, fd: int = -1) -> None:
    """Sends a message. Raises BlockingIOError where there is no room, OSError at the end."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
    control.sendmsg([_MESSAGE.pack(kind, argument)], rights, socket.MSG_NOSIGNAL)


class Control:
    """The supervisor's end of a child's control socket.

    Connections are offered, and go elsewhere where the child does not read; all else is posted
    and waits until there is room: whoever waits on `selector` gets it sent.
    """

    def __init__(self, sock: socket.socket, selector: selectors.BaseSelector) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._selector = selector
        self._waiting: deque[tuple[int, int, socket.socket | None]] = deque()

    def offer(self, kind: int, argument: int, fd: int) -> bool:
        """Sends a message at once; False where that cannot be."""
        if self._waiting:
            return False
        try:
            send(self._sock, kind, argument, fd)
        except OSError:
            return False
        return True

    def post(self, kind: int, argument: int, passed: socket.socket | None = None) -> None:
        """Sends a message as soon as there is room, and closes the socket passed with it."""
        if not self._waiting:
            self._selector.register(self._sock, selectors.EVENT_WRITE, self._flush)
        self._waiting.append((kind, argument, passed))
        self._flush(self._sock)

    def close(self) -> None:
        """The child is gone, and with it all that waits."""
        self._end_waiting()
        self._sock.close()

    def _flush(self, _: object) -> None:
        while self._waiting:
            kind, argument, passed = self._waiting[0]
            try:
                send(self._sock, kind, argument, -1 if passed is None else passed.fileno())
            except BlockingIOError:
                return
            except OSError:  # it is dead, or will be killed with what it did not get
                break
            if passed is not None:
                passed.close()
            self._waiting.popleft()
            if not self._waiting:
                self._selector.unregister(self._sock)
        self._end_waiting()

    def _end_waiting(self) -> None:
        if self._waiting:
            self._selector.unregister(self._sock)
        while self._waiting:
            passed = self._waiting.popleft()[2]
            if passed is not None:
                passed.close()


def receive(control: socket.socket) -> Message | None:
    """The next message; None at the end of the supervisor. Raises BlockingIOError."""
    data, ancillary, _, _ = control.recvmsg(
        _MESSAGE.size, socket.CMSG_SPACE(_FD_BYTES), socket.MSG_CMSG_CLOEXEC
    )
    fd = -1
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            (fd,) = array.array("i", rights[:_FD_BYTES])
    if not data:
        return None
    kind, argument = _MESSAGE.unpack(data)
    return Message(kind, argument, fd)


def receive_all(control: socket.socket) -> tuple[list[Message], bool]:
    """All messages that wait, and whether the supervisor is still there."""
    messages: list[Message] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            message = receive(control)
            if message is None:
                return messages, False
            messages.append(message)
    return messages, True
