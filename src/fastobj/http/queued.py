"""What the kernel holds of a TCP connection, either way. Knows no connection of ours."""

from __future__ import annotations

import fcntl
import sys
import termios


def received_bytes(descriptor: int) -> int:
    """How many bytes have come that were not read yet."""
    return _asked(descriptor, termios.FIONREAD)


def unsent_bytes(descriptor: int) -> int:
    """How many bytes were written that the other end has not received yet."""
    return _asked(descriptor, termios.TIOCOUTQ)


def _asked(descriptor: int, question: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, question, bytes(4)), sys.byteorder)
