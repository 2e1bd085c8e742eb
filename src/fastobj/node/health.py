"""Paths of our own: health and metrics, beside the S3 application and on the console address.

They answer unsigned GET and HEAD only: a signed request always means the bucket of that name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from fastobj.http.message import Application, Headers, Request, Response

_METRICS: Final = b"/metrics"
_LIVE: Final = frozenset({b"/health", b"/health/live", b"/minio/health/live"})
_READY: Final = frozenset(
    {
        b"/health/ready",
        b"/minio/health/ready",
        b"/minio/health/cluster",
        b"/minio/health/cluster/read",
    }
)
_PATHS: Final = _LIVE | _READY | {_METRICS}
_METHODS: Final = frozenset({b"GET", b"HEAD"})
_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; charset=utf-8"
_PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
_PROXY_HEADERS: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip")

Ready = Callable[[], bool]
MetricsText = Callable[[], bytes]


class HealthApplication:
    """Answers paths of ours and hands everything else to the S3 application."""

    def __init__(
        self, inner: Application, ready: Ready, metrics_text: MetricsText | None = None
    ) -> None:
        self._inner = inner
        self._pages = _Pages(ready, metrics_text)

    async def __call__(self, request: Request) -> Response:
        """Answers one request."""
        if request.path in _PATHS and not _is_signed(request):
            response = self._pages.answer(request)
            if response is not None:
                return response
        return await self._inner(request)


class ConsoleApplication:
    """What listens on the console address: the same paths, and nothing else."""

    def __init__(self, ready: Ready, metrics_text: MetricsText | None = None) -> None:
        self._pages = _Pages(ready, metrics_text)

    async def __call__(self, request: Request) -> Response:
        """Answers one request."""
        response = self._pages.answer(request)
        return response or _page(request, 404, _TEXT, b"there is no such page\n")


class _Pages:
    """The pages themselves; None for a path or method that is not theirs."""

    def __init__(self, ready: Ready, metrics_text: MetricsText | None) -> None:
        self._ready = ready
        self._metrics_text = metrics_text

    def answer(self, request: Request) -> Response | None:
        if request.method not in _METHODS:
            return None
        if request.path in _LIVE:
            return _page(request, 200, _JSON, b'{"status":"live"}\n')
        if request.path in _READY:
            return self._readiness(request)
        if request.path == _METRICS and self._metrics_text is not None:
            return self._metrics(request, self._metrics_text)
        return None

    def _readiness(self, request: Request) -> Response:
        if self._ready():
            return _page(request, 200, _JSON, b'{"status":"ready"}\n')
        return _page(request, 503, _JSON, b'{"status":"not ready"}\n')

    def _metrics(self, request: Request, metrics_text: MetricsText) -> Response:
        if _is_local(request):
            return _page(request, 200, _PROMETHEUS, metrics_text())
        return _page(request, 403, _TEXT, b"metrics are for this machine only\n")


def _page(request: Request, status: int, kind: bytes, body: bytes) -> Response:
    headers: Headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
    sent = b"" if request.method == b"HEAD" else body
    return Response(status, headers, sent, length=len(body))


def _is_signed(request: Request) -> bool:
    """Whether anything in the request claims a signature; whether it holds is for S3 to say."""
    if request.header(b"authorization") is not None:
        return True
    names = (pair.partition(b"=")[0] for pair in request.query.split(b"&"))
    return any(unquote_to_bytes(name).lower() == b"x-amz-signature" for name in names)


def _is_local(request: Request) -> bool:
    """Whether the request comes from this machine, and not through a proxy on it."""
    if any(request.header(name) is not None for name in _PROXY_HEADERS):
        return False
    try:
        peer = ipaddress.ip_address(request.peer)
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return (mapped or peer).is_loopback
