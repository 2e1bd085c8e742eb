"""The HTTP server: listeners, adopted sockets, and the way to an orderly end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from fastobj.core import limits
from fastobj.core.clock import Clock, SystemClock
from fastobj.http import cut as cuts
from fastobj.http.connection import Connection
from fastobj.http.crowd import Crowd
from fastobj.http.cut import Cut, OnCut
from fastobj.http.deadline import Timeouts
from fastobj.http.message import Application
from fastobj.http.shared import Shared

_LISTEN_BACKLOG = 1024


def _ignore_count(count: int) -> None:
    """Stands in where nobody wants to know the number of connections."""


class HttpServer:
    """Serves an application over HTTP/1.1 on the running loop.

    `changed` is called with the number of open connections whenever it changes, `cut` with the
    limit whenever a connection is cut off or refused by one. Servers of one process share a
    `crowd`. With `ssl` all connections speak TLS.
    """

    def __init__(
        self,
        application: Application,
        *,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        ssl: SSLContext | None = None,
        changed: Callable[[int], None] = _ignore_count,
        crowd: Crowd | None = None,
        cut: OnCut = cuts.ignore,
        head_bytes_max: int = limits.HEAD_BYTES_MAX,
    ) -> None:
        self._changed = changed
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._listeners: list[asyncio.AbstractServer] = []
        self._ssl = ssl
        self._shared = Shared(
            application,
            timeouts or Timeouts(),
            clock or SystemClock(),
            self._count,
            crowd or Crowd(on_cut=cut),
            cut,
            head_bytes_max,
        )

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._shared.open)

    async def listen(self, host: str, port: int) -> int:
        """Accepts connections; port 0 takes a free one. Returns the port. Raises OSError."""
        listener = await asyncio.get_running_loop().create_server(
            self._connection, host, port, backlog=_LISTEN_BACKLOG, **self._tls_options()
        )
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def adopt(self, sock: socket.socket) -> None:
        """Serves a connection that was accepted elsewhere. Raises OSError (SSLError is one)."""
        connection, crowd = self._connection(), self._shared.crowd
        if self._shared.draining:
            if self._shared.pass_on is not None:
                self._shared.pass_on(sock.fileno())
            sock.close()
            return
        if not (connection.enter() or self._may_refuse()):
            crowd.leave(connection)
            sock.close()
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, sock, **self._tls_options()
            )
        except BaseException as error:
            crowd.leave(connection)
            if self._ssl is not None and isinstance(error, OSError):
                self._shared.cut(Cut.HANDSHAKE)
            raise

    async def drain(
        self,
        timeout_s: float,
        pass_on: Callable[[int], bool] | None = None,
        *,
        last_request: bool = False,
    ) -> None:
        """Ends: no new connections, idle ones close at once, the others with their request.

        With `pass_on` idle ones are passed on instead: it takes a descriptor, and returns whether
        somebody else serves that connection from now on. Those with TLS cannot be; with
        `last_request` they get some seconds for one.

        What is still open after `timeout_s` seconds is cut; requests that then still run go on
        without their clients, and end with the loop at the latest.
        """
        self._shared.draining = True
        self._shared.pass_on = pass_on
        self._shared.last_request = last_request
        for listener in self._listeners:
            listener.close()
        self._retire()
        try:
            await asyncio.wait_for(self._emptied.wait(), timeout_s)
        except TimeoutError:
            for connection in list(self._shared.open):
                connection.abort()
            await self._emptied.wait()

    def hurry(self) -> None:
        """Nobody takes connections any more: closes those at rest, in a drain under way."""
        self._shared.pass_on = None
        self._shared.last_request = False
        self._retire()

    def _retire(self) -> None:
        for connection in list(self._shared.open):
            connection.retire()

    def _may_refuse(self) -> bool:
        """Whether a connection that is one too many is told so; TLS would cost a handshake."""
        return self._ssl is None and not self._shared.crowd.is_overrun

    def _tls_options(self) -> dict[str, Any]:
        if self._ssl is None:
            return {}
        timeouts = self._shared.timeouts
        return {
            "ssl": self._ssl,
            "ssl_handshake_timeout": timeouts.handshake_s,
            "ssl_shutdown_timeout": timeouts.linger_s,
        }

    def _connection(self) -> Connection:
        return Connection(self._shared, asyncio.get_running_loop())

    def _count(self, count: int) -> None:
        if count:
            self._emptied.clear()
        else:
            self._emptied.set()
        self._changed(count)
