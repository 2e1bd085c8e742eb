"""A server inside the test's own process: a thread with an event loop, HTTP on a free port.

with InProcessServer() as server:
    boto3.client("s3", **server.boto3_options())
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

import uvloop

from fastobj.core import limits
from fastobj.core.clock import SystemClock
from fastobj.http.server import HttpServer
from fastobj.iam.identity import Identities, Identity
from fastobj.node.s3_service import HANDLERS
from fastobj.objects import audit
from fastobj.objects.audit import Difference
from fastobj.objects.store import Store
from fastobj.s3.admission import Admission
from fastobj.s3.auth import Authenticator, Rules
from fastobj.s3.context import Unobserved
from fastobj.s3.dispatch import S3Application, find_handlers
from fastobj.testing.store import opened

HOST: Final = "127.0.0.1"
_DRAIN_S: Final = 5.0
_WHOLE_BYTES_MAX: Final = 64 * limits.MIB

T = TypeVar("T")


def new_identity(name: str) -> Identity:
    """An identity with keys of its own."""
    return Identity(
        id=secrets.token_hex(32),
        display_name=name,
        access_key=secrets.token_hex(10).upper(),
        secret_key=secrets.token_urlsafe(30),
    )


class InProcessServer:
    """A server in a thread, from `with` to the end of the block.

    `open_store` opens the store on the server's loop; without it the store is in memory.
    `endpoint`, `store` and `loop` are there inside the block only.
    """

    def __init__(
        self,
        open_store: Callable[[], AbstractAsyncContextManager[Store]] = opened,
        identities: Sequence[Identity] = (),
    ) -> None:
        self.identities = tuple(identities) or (new_identity("tester"),)
        self.endpoint = ""
        self.store: Store
        self.loop: asyncio.AbstractEventLoop
        self._open_store = open_store
        self._started: Future[None] = Future()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="fastobj-server", daemon=True)

    @property
    def access_key(self) -> str:
        """The access key of the first identity."""
        return self.identities[0].access_key

    @property
    def secret_key(self) -> str:
        """The secret key of the first identity."""
        return self.identities[0].secret_key

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        return self.store.region

    def boto3_options(self, identity: Identity | None = None) -> dict[str, str]:
        """Arguments for boto3 clients and sessions: endpoint, keys of the identity, region."""
        identity = identity if identity is not None else self.identities[0]
        return {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": identity.access_key,
            "aws_secret_access_key": identity.secret_key,
            "region_name": self.region,
        }

    def __enter__(self) -> InProcessServer:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the server's loop, from another thread, and returns its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def differences(self) -> list[Difference]:
        """Counters that are not what the rows add up to; for a moment without requests."""
        return self.run(audit.differences(self.store))

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self._open_store() as self.store:
            http = HttpServer(self._application())
            port = await http.listen(HOST, 0)
            self.endpoint = f"http://{HOST}:{port}"
            self._started.set_result(None)
            await self._stop.wait()
            await http.drain(_DRAIN_S)

    def _application(self) -> S3Application:
        rules = Rules(self.store.region)
        return S3Application(
            self.store,
            Authenticator(Identities(self.identities), rules, SystemClock()),
            find_handlers(HANDLERS),
            log=logging.getLogger("fastobj.testing"),
            observer=Unobserved(),
            admission=Admission(limits.REQUESTS_MAX, _WHOLE_BYTES_MAX, Unobserved().refused),
        )
