"""Why the server cuts a connection off or turns one away: the names that are counted."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum, unique


@unique
class Cut(StrEnum):
    """The limit that a connection has met."""

    CONNECTIONS = "connections"  # too many are open: an idle one was closed, or a new one refused
    HANDSHAKE = "handshake"  # TLS did not begin, or not in time
    IDLE = "idle"  # no request came
    HEAD = "head"  # a head took too long
    HEADER_BYTES = "header_bytes"  # a head was too large
    BODY = "body"  # a body stalled
    RATE = "rate"  # a body came, or an answer went, too slowly
    WRITE = "write"  # an answer was not read
    LINGER = "linger"  # a client did not end behind its last answer


OnCut = Callable[[Cut], None]


def ignore(cut: Cut) -> None:
    """Stands in where nobody counts."""
