"""What the kernel holds of a TCP connection, either way. Knows no connection of ours."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios


def descriptor_of(transport: asyncio.Transport) -> int | None:
    """The descriptor of a transport; None once its connection has gone.

    That of TLS has lost it a moment before the protocol is told so.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return None
    descriptor: int = sock.fileno()
    return descriptor if descriptor >= 0 else None


def received_bytes(descriptor: int) -> int:
    """How many bytes have come that were not read yet."""
    return _asked(descriptor, termios.FIONREAD)


def unsent_bytes(transport: asyncio.Transport) -> int:
    """How many bytes the kernel was given that the other end has not received, and may yet."""
    descriptor = descriptor_of(transport)
    return 0 if descriptor is None else _asked(descriptor, termios.TIOCOUTQ)


def _asked(descriptor: int, question: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, question, bytes(4)), sys.byteorder)
