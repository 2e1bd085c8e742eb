"""The contract of targets: one message goes to one place, and is there or not."""

from __future__ import annotations

from typing import Protocol

from fastobj.core.errors import FastobjError


class NotDelivered(FastobjError):
    """A target has not taken a message, as far as can be told; the message of this says why."""


class Target(Protocol):
    """Where events are sent. What it holds for that is made with the first message."""

    id: str

    async def send(self, message: bytes) -> None:
        """Returns once the target has taken the message. Raises NotDelivered."""
        ...

    async def rest(self) -> None:
        """Lets go of connections, for there is nothing to send for a while."""
        ...
