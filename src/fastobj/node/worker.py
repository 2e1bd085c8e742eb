"""A worker: HTTP, signatures, handlers; reads metadata itself, writes large bodies itself."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import ModuleType
from typing import Final

import uvloop

from fastobj.core.clock import SystemClock
from fastobj.http.server import HttpServer
from fastobj.iam.identity import Identities
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node import links
from fastobj.node.child import ChildContext, database_vfs
from fastobj.node.health import ConsoleApplication, HealthApplication
from fastobj.node.link_ledger import LinkLedger
from fastobj.objects.buckets import BucketCache
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.store import Store
from fastobj.s3.auth import Authenticator
from fastobj.s3.dispatch import S3Application, find_handlers
from fastobj.s3.handlers import bucket, listing, object, service
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool

HANDLERS: Final[tuple[ModuleType, ...]] = (service, bucket, object, listing)
_POOL_THREADS: Final = 2


def run(context: ChildContext) -> int:
    """Serves until the supervisor says stop or goes away; returns the exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Worker(context).serve())


class Worker:
    """One worker process. Connections and links arrive over the control socket."""

    def __init__(self, context: ChildContext) -> None:
        self._context = context
        self._log = logging.getLogger("fastobj.worker")
        self._stop: asyncio.Future[float] | None = None
        self._servers: list[HttpServer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._adopted = 0

    async def serve(self) -> int:
        """Runs the worker's life."""
        loop = asyncio.get_running_loop()
        self._stop = loop.create_future()
        context = self._context
        self._ledger = LinkLedger(loop, on_ready=self._on_ready)
        self._engine = SqliteEngine(context.layout.database, read_only=True, vfs=database_vfs())
        self._pool = IoPool(_POOL_THREADS)
        self._first_ready = loop.create_future()
        context.control.setblocking(False)
        loop.add_reader(context.control.fileno(), self._on_control)
        self._waiting: list[links.Message] = []
        await asyncio.wait({self._first_ready, self._stop}, return_when=asyncio.FIRST_COMPLETED)
        if self._first_ready.done():
            await self._open()
        timeout_s = await self._stop
        await asyncio.gather(*(server.drain(timeout_s) for server in self._servers))
        if self._servers:
            await self._volume.close()
        self._ledger.close()
        return 0

    async def _open(self) -> None:
        """Only now the database is there: the committer has recovered it."""
        await self._engine.open()
        context = self._context
        self._volume = LocalVolume(
            str(context.layout.root),
            self._pool,
            rows_committer(self._ledger),
            context.owner,
            context.settings.body_memory_bytes_max,
        )
        clock = SystemClock()
        store = Store(
            meta=BucketCache(self._engine, context.page.epochs),
            ledger=self._ledger,
            volume=self._volume,
            clock=clock,
            epochs=context.page.epochs,
            region=context.settings.region,
            small_body_bytes_max=context.settings.small_body_bytes_max,
        )
        identities = Identities(context.settings.identities)
        s3 = S3Application(
            store,
            Authenticator(identities, context.settings.region, clock),
            find_handlers(HANDLERS),
            log=self._log,
        )
        self._serve_with(HealthApplication(s3, self._is_ready, context.page.metrics.render))

    def _serve_with(self, application: HealthApplication) -> None:
        console = ConsoleApplication(self._is_ready)
        self._servers = [
            HttpServer(served, changed=self._count_connections) for served in (application, console)
        ]
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._adopt(message)

    def _is_ready(self) -> bool:
        return self._ledger.ready

    def _on_ready(self) -> None:
        if not self._first_ready.done():
            self._first_ready.set_result(None)

    def _count_connections(self, _: int) -> None:
        closed = self._adopted - sum(server.connections for server in self._servers)
        self._context.page.set_closed(self._context.slot, closed)

    # --- messages of the supervisor

    def _on_control(self) -> None:
        messages, alive = links.receive_all(self._context.control)
        for message in messages:
            if message.kind == links.CONNECTION:
                self._adopt(message)
            elif message.kind == links.LINK:
                self._ledger.attach(socket.socket(fileno=message.fd))
            elif message.kind == links.STOP:
                self._stop_in(message.argument / 1000)
        if not alive:
            self._stop_in(0.0)

    def _stop_in(self, timeout_s: float) -> None:
        asyncio.get_running_loop().remove_reader(self._context.control.fileno())
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(timeout_s)

    def _adopt(self, message: links.Message) -> None:
        """Takes an accepted connection; one that comes before the store is open waits."""
        if not self._servers:
            self._waiting.append(message)
            return
        sock = socket.socket(fileno=message.fd)
        self._adopted += 1
        self._adopting(self._servers[message.argument], sock)

    def _adopting(self, server: HttpServer, sock: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(server.adopt(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
