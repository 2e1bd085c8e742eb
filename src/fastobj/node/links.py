"""Descriptors passed between processes, and small messages beside them.

Each child has one control socket to the supervisor (a socketpair of kind SOCK_SEQPACKET, so that
messages keep their bounds). A message is one byte of kind and a u64 argument, with at most one
descriptor.
"""

from __future__ import annotations

import array
import contextlib
import socket
import struct
from typing import Final, NamedTuple

CONNECTION: Final = ord("c")  # to a worker: an accepted connection; argument: the listener's index
LINK: Final = ord("l")  # an end of a link; argument: the owner (incarnation) at its other end
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


def send(control: socket.socket, kind: int, argument: int = 0, fd: int = -1) -> bool:
    """Sends a message; False where the other end is gone or does not read."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
    try:
        control.sendmsg([_MESSAGE.pack(kind, argument)], rights, socket.MSG_NOSIGNAL)
    except OSError:
        return False
    return True


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
