"""A worker: HTTP, signatures, handlers; reads metadata itself, writes large bodies itself."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

import uvloop

from fastobj.core.clock import SystemClock
from fastobj.core.limits import IDLE_S
from fastobj.core.metrics import Metric
from fastobj.http.crowd import Crowd
from fastobj.http.deadline import Timeouts
from fastobj.http.message import Application
from fastobj.http.server import HttpServer
from fastobj.meta.sqlite import SqliteEngine
from fastobj.node import links
from fastobj.node.access_log import AccessLog
from fastobj.node.child import ChildContext, database_vfs, release_memory
from fastobj.node.counting import CountingVolume, LoopStalls, RequestCounter
from fastobj.node.encryption import encryption_rules
from fastobj.node.pages import ConsoleApplication, PagesApplication
from fastobj.node.peer import Peer
from fastobj.node.s3_service import bucket_in_host, s3_application
from fastobj.node.scrape import Scrape
from fastobj.objects.buckets import BucketCache
from fastobj.objects.integrity import whole_sum
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.s3.dispatch import S3Application
from fastobj.storage.pool import IoPool

if TYPE_CHECKING:
    from fastobj.core.settings import Settings
    from fastobj.http.tls import Certificates

_POOL_THREADS: Final = 2
_ADOPT_S_MAX: Final = 1.0  # connections that were handed over before the end are still opened


def run(context: ChildContext, certificates: Certificates | None = None) -> int:
    """Serves until the supervisor says stop or goes away; returns the exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Worker(context, certificates).serve())


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        handshake_s=settings.header_timeout,
        head_s=settings.header_timeout,
        idle_s=settings.idle_timeout,
        body_s=settings.body_timeout,
        body_bytes_s=settings.body_rate_min,
        write_s=settings.write_timeout,
    )


class Worker:
    """One worker process. Connections and links arrive over the control socket."""

    def __init__(self, context: ChildContext, certificates: Certificates | None = None) -> None:
        self._context = context
        self._certificates = certificates
        self._log = logging.getLogger("fastobj.worker")
        self._stop: asyncio.Future[float] | None = None
        self._servers: list[HttpServer] = []
        self._adopting: set[asyncio.Task[None]] = set()
        self._handed = 0
        self._retires = False  # others take its connections
        self._others_serve = False
        self._status = 0
        self._resting: asyncio.TimerHandle | None = None
        self._clock = SystemClock()
        self._cells = context.page.metrics.of(context.slot)
        self._access_log: AccessLog | None = None
        self._store: Store | None = None

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
        await self._drain(timeout_s)
        if self._servers:
            await self._volume.close()
        if self._store is not None and self._store.encryption.kms is not None:
            await self._store.encryption.kms.close()
        if self._access_log is not None:
            self._access_log.close()
        self._ledger.close()
        return self._status

    async def _drain(self, timeout_s: float) -> None:
        """Finishes what was handed over so far; who retires passes on what it need not finish."""
        if self._adopting:
            await asyncio.wait(self._adopting, timeout=min(timeout_s, _ADOPT_S_MAX))
        for message in self._waiting:
            if self._retires:
                self._give_back(message.argument, message.fd)
            os.close(message.fd)
        drains = [
            server.drain(
                timeout_s,
                partial(self._give_back, index) if self._retires else None,
                last_request=self._others_serve,
            )
            for index, server in enumerate(self._servers)
        ]
        await asyncio.gather(*drains)

    def _give_back(self, listener: int, fd: int) -> bool:
        """Passes a connection on to another worker; False where it stays."""
        return links.give_back(self._context.control, listener, fd)

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
        self._counter = self._request_counter()
        self._volume.mismatch = self._counter.mismatch
        store = self._store = Store(
            meta=BucketCache(self._engine, context.page.epochs),
            ledger=self._ledger,
            volume=self._volume,
            clock=self._clock,
            epochs=context.page.epochs,
            region=context.settings.region,
            small_body_bytes_max=context.settings.small_body_bytes_max,
            parts_max=context.settings.parts_max,
            upload_expiry_days=context.settings.upload_expiry_days,
            lifecycle_day_s=context.settings.lifecycle_day_seconds,
            whole_sum=whole_sum(context.settings.integrity),
            event_targets=context.settings.event_targets,
            encryption=encryption_rules(context.settings, context.layout, self._cells.add),
        )
        self._serve_with(s3_application(context.settings, store, self._counter, self._log))

    def _request_counter(self) -> RequestCounter:
        loop, clock, cells = asyncio.get_running_loop(), self._clock, self._cells
        path = self._context.settings.access_log
        if path:
            self._access_log = AccessLog(
                path, loop, clock, lambda lines: cells.add(Metric.ACCESS_LOG_LOST, lines)
            )
        return RequestCounter(cells, LoopStalls(cells, loop, clock), clock, self._access_log)

    def _serve_with(self, s3: S3Application) -> None:
        settings = self._context.settings
        scrape = Scrape(self._context.page, self._context.layout, self._engine)
        pages = PagesApplication(
            s3,
            self._is_ready,
            scrape.text,
            metrics_token=settings.metrics_token,
            where=settings.pages,
            names_bucket=bucket_in_host(settings.domain),
        )
        console = ConsoleApplication(
            self._is_ready, scrape.text, metrics_token=settings.metrics_token
        )
        self._servers = self._http_servers(pages, console)
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self._adopt(message)
        links.send(self._context.control, links.READY)

    def _http_servers(self, *applications: Application) -> list[HttpServer]:
        """A server for each, in the order of the listeners; together they are bounded as one."""
        settings = self._context.settings
        crowd = Crowd(settings.connections_max, self._counter.cut)
        return [
            HttpServer(
                application,
                timeouts=_timeouts(settings),
                ssl=self._certificates.context if self._certificates else None,
                changed=self._count_connections,
                crowd=crowd,
                cut=self._counter.cut,
                head_bytes_max=settings.header_bytes_max,
            )
            for application in applications
        ]

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
        self._cells.set(Metric.HTTP_CONNECTIONS, is_open)
        if not is_open and self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        """A while after the last connection has gone, memory goes back."""
        self._resting = None
        if not any(server.connections for server in self._servers):
            self._engine.release_memory()
            if self._store is not None:
                self._store.manifests.clear()
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
            elif message.kind == links.RELOAD:
                self._reload()
            elif message.kind in (links.RETIRE, links.RELEASE):
                self._retire_in(message.argument / 1000, others_serve=message.kind == links.RETIRE)
            elif message.kind == links.STOP:
                self._stop_in(message.argument / 1000)
        if not alive:
            self._stop_in(0.0)

    def _reload(self) -> None:
        """Reads again what may have been replaced, and lets go of a log that was moved away."""
        if self._access_log is not None:
            self._access_log.reopen()
        if self._certificates is not None:
            for remark in self._certificates.reload():
                self._log.debug("%s", remark)  # the supervisor says it aloud

    def _retire_in(self, timeout_s: float, *, others_serve: bool) -> None:
        """Ends, and passes connections on; links to a new committer, and the end, may still come.

        Where others serve meanwhile, those that cannot be passed on get time for a last request.
        """
        assert self._stop is not None
        if not self._stop.done():
            self._retires, self._others_serve = True, others_serve
            self._stop.set_result(timeout_s)

    def _stop_in(self, timeout_s: float) -> None:
        asyncio.get_running_loop().remove_reader(self._context.control.fileno())
        assert self._stop is not None
        if not self._stop.done():
            self._stop.set_result(timeout_s)
        elif self._retires:
            for server in self._servers:
                server.hurry()

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
