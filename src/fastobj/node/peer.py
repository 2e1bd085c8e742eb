"""A peer's side of the links that the supervisor hands out: takes them, and misses them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from fastobj.node import frames, links
from fastobj.node.child import ChildContext
from fastobj.node.link_ledger import LinkLedger


class Peer:
    """The ledger of a worker or of maintenance, and the links that it gets over its life.

    `fail` is called with the reason where this process can be of no more use: the next one in its
    place gets a link of its own.
    """

    def __init__(
        self,
        context: ChildContext,
        fail: Callable[[str], None],
        *,
        on_ready: Callable[[], None] | None = None,
        on_nudge: Callable[[frames.NudgeHead], None] | None = None,
    ) -> None:
        self._page = context.page
        self._fail = fail
        self._committer = 0  # the incarnation at the other end of the last link
        self.ledger = LinkLedger(
            asyncio.get_running_loop(),
            on_ready=on_ready,
            on_nudge=on_nudge,
            on_lost=self._on_lost,
        )

    def take(self, message: links.Message) -> None:
        """Goes on with the link that the supervisor sends."""
        self._committer = message.argument
        if message.fd < 0:
            self._fail("a link did not arrive: raise the limit of open files (ulimit -n)")
        else:
            self.ledger.attach(socket.socket(fileno=message.fd))

    def _on_lost(self) -> None:
        """No committer for long: either there is none, or only a new process gets a link to it."""
        if self._committer in self._page.live_owners():
            self._fail("the link to a living committer is lost")
