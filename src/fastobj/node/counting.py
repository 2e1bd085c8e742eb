"""What a worker counts: requests, bytes, and bytes that do not verify.

All is counted where something happens anyway, into cells of the shared page that this process
alone writes: no timer, no lock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from fastobj.core.errors import ChecksumMismatch
from fastobj.core.metrics import Metric, MetricsPage
from fastobj.http.message import Application, Request, Response
from fastobj.http.render import has_body
from fastobj.storage.base import BodyStream, Location
from fastobj.storage.local_volume import LocalVolume

_SUCCESS_BELOW: Final = 300


class CountingApplication:
    """Counts what passes through to the application."""

    def __init__(self, inner: Application, metrics: MetricsPage, slot: int) -> None:
        self._inner = inner
        self._metrics = metrics
        self._slot = slot

    async def __call__(self, request: Request) -> Response:
        """Answers one request."""
        response = await self._inner(request)
        self._count(request, response)
        return response

    def _count(self, request: Request, response: Response) -> None:
        add, slot, status = self._metrics.add, self._slot, response.status
        add(slot, Metric(status // 100 - 2), 1)
        received = request.body.length
        if received and status < _SUCCESS_BELOW:  # what is refused may not have been read
            add(slot, Metric.HTTP_BYTES_IN, received)
        sent = response.length
        if sent and has_body(request.method, status):
            add(slot, Metric.HTTP_BYTES_OUT, sent)


class CountingVolume(LocalVolume):
    """The local volume; `mismatch` is called when bytes do not verify."""

    mismatch: Callable[[], None]

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        try:
            return await super().read(location, data_id, offset, length)
        except ChecksumMismatch:
            self.mismatch()
            raise

    def stream(self, location: Location, data_id: bytes, offset: int, length: int) -> BodyStream:
        """Verified bytes in slices; see LocalVolume."""
        slices = super().stream(location, data_id, offset, length)
        return _CountingStream(slices, self.mismatch)


class _CountingStream:
    """Passes slices on, and tells of one that does not verify."""

    def __init__(self, slices: BodyStream, mismatch: Callable[[], None]) -> None:
        self._slices = slices
        self._mismatch = mismatch
        self.aclose = slices.aclose

    def __aiter__(self) -> AsyncIterator[memoryview]:
        return self

    async def __anext__(self) -> memoryview:
        try:
            return await self._slices.__anext__()
        except ChecksumMismatch:
            self._mismatch()
            raise
