"""The end of a TLS connection without waiting for the client's goodbye, which may never come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from fastobj.http.queued import unsent_bytes

_LOOK_S: Final = 0.02


def cut_when_sent(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.Transport,
    is_gone: Callable[[], bool],
    was_sent: bool = False,
) -> None:
    """Cuts a transport that is closing, once the client has received all, seen twice.

    In between what the transport itself still held has gone to the kernel.
    """
    if is_gone():
        return
    is_sent = not unsent_bytes(transport)
    if was_sent and is_sent:
        transport.abort()
    else:
        loop.call_later(_LOOK_S, cut_when_sent, loop, transport, is_gone, is_sent)
