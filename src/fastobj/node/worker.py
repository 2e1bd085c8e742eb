"""A worker: HTTP, signatures, handlers; reads metadata itself, writes large bodies itself."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import ModuleType
from typing import Final

import uvloop

from fastobj.core.clock import SystemClock
from fastobj.core.limits import IDLE_S
from fastobj.core.metrics import Metric
from fastobj.http.server import HttpServer
from fastobj.iam.identity import Identities
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node import links
from fastobj.node.child import ChildContext, database_vfs, release_memory
from fastobj.node.counting import CountingApplication, CountingVolume
from fastobj.node.health import ConsoleApplication, HealthApplication
from fastobj.node.peer import Peer
from fastobj.objects.buckets import BucketCache
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.s3.auth import Authenticator
from fastobj.s3.dispatch import S3Application, find_handlers
from fastobj.s3.handlers import bucket, listing, object, service
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
        self._adopting: set[asyncio.Task[None]] = set()
        self._handed = 0
        self._status = 0
        self._resting: asyncio.TimerHandle | None = None

    async def serve(self) -> int:
        """Runs the worker's life."""
        loop = asyncio.get_running_loop()
        self._stop = loop.create_future()
        context = self._context
        self._peer = Peer(context, self._fail, on_ready=self._on_ready)
        self._ledger = self._peer.ledger
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
        return self._status

    async def _open(self) -> None:
        """Only now the database is there: the committer has recovered it."""
        await self._engine.open()
        context = self._context
        self._volume = CountingVolume(
            str(context.layout.root),
            self._pool,
            SegmentRows(self._ledger, context.owner),
            context.settings.body_memory_bytes_max,
        )
        metrics = context.page.metrics
        self._volume.mismatch = lambda: metrics.add(context.slot, Metric.CHECKSUM_MISMATCHES, 1)
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
        counted = CountingApplication(s3, metrics, context.slot)
        self._serve_with(HealthApplication(counted, self._is_ready, metrics.render))

    def _serve_with(self, application: HealthApplication) -> None:
        console = ConsoleApplication(self._is_ready, self._context.page.metrics.render)
        self._servers = [
            HttpServer(served, changed=self._count_connections) for served in (application, console)
        ]
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._adopt(message)

    def _is_ready(self) -> bool:
        return self._ledger.available

    def _on_ready(self) -> None:
        if not self._first_ready.done():
            self._first_ready.set_result(None)

    def _fail(self, reason: str) -> None:
        """Ends with an error; another process takes this place."""
        self._log.critical("this process ends: %s", reason)
        self._status = 1
        self._stop_in(0.0)

    def _count_connections(self, _: int = 0) -> None:
        """The supervisor reads what has been closed, everybody what is open."""
        context = self._context
        is_open = sum(server.connections for server in self._servers)
        waits = len(self._waiting) + len(self._adopting)  # one may be open already
        context.page.set_closed(context.slot, max(0, self._handed - is_open - waits))
        context.page.metrics.set(context.slot, Metric.HTTP_CONNECTIONS, is_open)
        if not is_open and self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        """A while after the last connection has gone, memory goes back."""
        self._resting = None
        if not any(server.connections for server in self._servers):
            self._engine.release_memory()
            release_memory()

    # --- messages of the supervisor

    def _on_control(self) -> None:
        messages, alive = links.receive_all(self._context.control)
        for message in messages:
            if message.kind == links.CONNECTION:
                self._handed += 1
                self._adopt(message)
            elif message.kind == links.LINK:
                self._peer.take(message)
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
        if message.fd < 0:  # too many are open: this one has been dropped on its way
            self._count_connections()
        elif not self._servers:
            self._waiting.append(message)
        else:
            adopting = self._servers[message.argument].adopt(socket.socket(fileno=message.fd))
            task = asyncio.get_running_loop().create_task(adopting)
            self._adopting.add(task)
            task.add_done_callback(self._adopted)

    def _adopted(self, task: asyncio.Task[None]) -> None:
        self._adopting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.debug("a connection has ended before it began: %r", task.exception())
        self._count_connections()
