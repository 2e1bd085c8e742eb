"""Descriptors passed between processes, and small messages beside them.

Each child has one control socket to the supervisor (a socketpair of kind SOCK_SEQPACKET, so that
messages keep their bounds), used both ways. A message is one byte of kind and a u64 argument,
with at most one descriptor.
"""

from __future__ import annotations

import array
import contextlib
import select
import selectors
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

# To a worker: an accepted connection; from one: a connection at rest, for another worker. Argument:
# the listener's index.
CONNECTION: Final = ord("c")
LINK: Final = ord("l")  # an end of a link; argument: the owner (incarnation) at its other end
RELOAD: Final = ord("r")  # read certificates and other files again
STOP: Final = ord("s")  # drain and end; argument: milliseconds to do it in
RETIRE: Final = ord("t")  # to a worker: the same, but others are there to take its connections
RELEASE: Final = ord("n")  # to a worker: the same, but those who take them are yet to come
READY: Final = ord("y")  # from a worker or the committer: it serves

LINK_SEND_BUFFER_BYTES: Final = 4 << 20  # the default holds three bodies
_MESSAGE = struct.Struct("<BQ")
_FD_BYTES: Final = array.array("i").itemsize
_ROOM_MS_MAX: Final = 1000  # for a supervisor that has more to read than its socket holds


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


def give_back(control: socket.socket, listener: int, fd: int) -> bool:
    """Passes a connection to the supervisor; False where it does not read, or is gone.

    It reads all the time, so a full socket is waited for where it is met.
    """
    try:
        try:
            send(control, CONNECTION, listener, fd)
        except BlockingIOError:
            room = select.poll()
            room.register(control, select.POLLOUT)
            room.poll(_ROOM_MS_MAX)
            send(control, CONNECTION, listener, fd)
    except OSError:
        return False
    return True


class Control:
    """The supervisor's end of a child's control socket.

    Connections are offered, and go elsewhere where the child does not read; all else is posted
    and waits until there is room: whoever waits on `selector` gets it sent. What the child says
    goes to `on_message`.
    """

    def __init__(
        self,
        sock: socket.socket,
        selector: selectors.BaseSelector,
        on_message: Callable[[Message], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._selector = selector
        self._on_message = on_message
        self._waiting: deque[tuple[int, int, socket.socket | None]] = deque()
        self._events = selectors.EVENT_READ  # none once the child has closed its end
        selector.register(sock, self._events, self._turn)

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
        self._waiting.append((kind, argument, passed))
        self._flush()

    def close(self) -> None:
        """The child is gone, and with it all that waits; what it said last is heard first."""
        self._end_waiting()
        self._receive()
        self._watch(0)
        self._sock.close()

    def _turn(self, _: object) -> None:
        self._receive()
        self._flush()

    def _receive(self) -> None:
        messages, alive = receive_all(self._sock)
        if not alive:
            self._watch(0)  # readable for ever
        for message in messages:
            self._on_message(message)

    def _watch(self, events: int) -> None:
        """Waits for these from now on; for nothing at all once it has been nothing."""
        if events == self._events or not self._events:
            return
        self._events = events
        if events:
            self._selector.modify(self._sock, events, self._turn)
        else:
            self._selector.unregister(self._sock)

    def _flush(self) -> None:
        while self._waiting:
            kind, argument, passed = self._waiting[0]
            try:
                send(self._sock, kind, argument, -1 if passed is None else passed.fileno())
            except BlockingIOError:
                self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            except OSError:  # it is dead, or will be killed with what it did not get
                break
            if passed is not None:
                passed.close()
            self._waiting.popleft()
        self._end_waiting()

    def _end_waiting(self) -> None:
        self._watch(selectors.EVENT_READ)
        while self._waiting:
            passed = self._waiting.popleft()[2]
            if passed is not None:
                passed.close()


def receive(control: socket.socket) -> Message | None:
    """The next message; None at the end of the other side. Raises BlockingIOError.

    Raises ConnectionResetError, once, where that end left messages unread; those that it sent
    come behind.
    """
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
    """All messages that wait, and whether the other side is still there."""
    messages: list[Message] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            try:
                message = receive(control)
            except ConnectionResetError:
                continue
            if message is None:
                return messages, False
            messages.append(message)
    return messages, True
