"""What the connections of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastobj.core import limits
from fastobj.core.clock import Clock
from fastobj.http.crowd import Crowd
from fastobj.http.cut import OnCut
from fastobj.http.deadline import Timeouts
from fastobj.http.message import Application
from fastobj.http.render import Renderer

if TYPE_CHECKING:
    from fastobj.http.connection import Connection


class Shared:
    """What the connections of one server share.

    `buffer` receives for all of them: it is filled and emptied within one callback of the loop.
    `changed` is called with the number of open connections when it changes, `cut` with the limit
    where a connection is cut off or refused. While `draining`, `pass_on` takes the descriptor of
    a connection at rest to whoever serves it from then on; None where nobody does. With
    `last_request` those that it cannot take wait some seconds for one.
    """

    __slots__ = (
        "application",
        "buffer",
        "changed",
        "crowd",
        "cut",
        "departed",
        "draining",
        "head_bytes_max",
        "last_request",
        "open",
        "pass_on",
        "renderer",
        "timeouts",
        "view",
    )

    def __init__(
        self,
        application: Application,
        timeouts: Timeouts,
        clock: Clock,
        changed: Callable[[int], None],
        crowd: Crowd,
        cut: OnCut,
        head_bytes_max: int,
    ) -> None:
        self.application = application
        self.timeouts = timeouts
        self.renderer = Renderer(clock)
        self.changed = changed
        self.crowd = crowd
        self.cut = cut
        self.head_bytes_max = head_bytes_max
        self.buffer = bytearray(limits.HTTP_RECEIVE_BYTES)
        self.view = memoryview(self.buffer)
        self.open: set[Connection] = set()
        self.departed: set[asyncio.Task[None]] = set()  # their clients have left, they have not
        self.draining = False
        self.pass_on: Callable[[int], bool] | None = None
        self.last_request = False
