"""The HTTP server: listeners, adopted sockets, and the way to an orderly end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ssl import SSLContext

from fastobj.core.clock import Clock, SystemClock
from fastobj.http.connection import Connection, Shared
from fastobj.http.deadline import Timeouts
from fastobj.http.message import Application

_LISTEN_BACKLOG = 1024


def _ignore_count(count: int) -> None:
    """Stands in where nobody wants to know the number of connections."""


class HttpServer:
    """Serves an application over HTTP/1.1 on the running loop.

    `changed` is called with the number of open connections whenever it changes. With `ssl` all
    connections speak TLS.
    """

    def __init__(
        self,
        application: Application,
        *,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        ssl: SSLContext | None = None,
        changed: Callable[[int], None] = _ignore_count,
    ) -> None:
        self._changed = changed
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._listeners: list[asyncio.AbstractServer] = []
        self._ssl = ssl
        self._shared = Shared(
            application, timeouts or Timeouts(), clock or SystemClock(), self._count
        )

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._shared.open)

    async def listen(self, host: str, port: int) -> int:
        """Accepts connections; port 0 takes a free one. Returns the port. Raises OSError."""
        listener = await asyncio.get_running_loop().create_server(
            self._connection, host, port, ssl=self._ssl, backlog=_LISTEN_BACKLOG
        )
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    async def adopt(self, sock: socket.socket) -> None:
        """Serves a connection that was accepted elsewhere. Raises OSError or SSLError."""
        if self._shared.draining:
            sock.close()
            return
        await asyncio.get_running_loop().connect_accepted_socket(
            self._connection, sock, ssl=self._ssl
        )

    async def drain(self, timeout_s: float) -> None:
        """Ends: no new connections, idle ones close at once, the others with their request.

        What is still open after `timeout_s` seconds is cut; requests that then still run go on
        without their clients, and end with the loop at the latest.
        """
        self._shared.draining = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self._shared.open):
            connection.retire()
        try:
            await asyncio.wait_for(self._emptied.wait(), timeout_s)
        except TimeoutError:
            for connection in list(self._shared.open):
                connection.abort()
            await self._emptied.wait()

    def _connection(self) -> Connection:
        return Connection(self._shared, asyncio.get_running_loop())

    def _count(self, count: int) -> None:
        if count:
            self._emptied.clear()
        else:
            self._emptied.set()
        self._changed(count)
