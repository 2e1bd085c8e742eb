"""Paths of our own, beside the S3 application and on the console address: health, metrics, docs.

They answer unsigned GET and HEAD only: a signed request always means the bucket of that name, and
a request to a host that names a bucket always means its object.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from functools import cache
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
_DOCS: Final = b"/docs"
_OPENAPI: Final = b"/openapi.json"
_HEALTH: Final = _LIVE | _READY
_PATHS: Final = _HEALTH | {_METRICS, _DOCS, _OPENAPI}
_METHODS: Final = frozenset({b"GET", b"HEAD"})
_JSON: Final = b"application/json"
_TEXT: Final = b"text/plain; charset=utf-8"
_HTML: Final = b"text/html; charset=utf-8"
_PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
_BEARER: Final = b"bearer "
_PROXY_HEADERS: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip")

Ready = Callable[[], bool]
MetricsText = Callable[[], Awaitable[bytes]]
NamesBucket = Callable[[Request], bool]


class PagesApplication:
    """Answers paths of ours and hands everything else to the S3 application.

    `where` is the setting `pages`: with "console", only health answers here. `names_bucket` tells
    requests whose host names a bucket.
    """

    def __init__(
        self,
        inner: Application,
        ready: Ready,
        metrics_text: MetricsText | None = None,
        *,
        metrics_token: str = "",
        where: str = "s3",
        names_bucket: NamesBucket | None = None,
    ) -> None:
        self._inner = inner
        self._pages = _Pages(ready, metrics_text, metrics_token)
        self._paths = _PATHS if where == "s3" else _HEALTH
        self._names_bucket = names_bucket

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answers one request."""
        if request.path in self._paths and self._is_ours(request):
            return self._answer(request)
        return self._inner(request)

    async def _answer(self, request: Request) -> Response:
        response = await self._pages.answer(request)
        return response if response is not None else await self._inner(request)

    def _is_ours(self, request: Request) -> bool:
        if _is_signed(request):
            return False
        return self._names_bucket is None or not self._names_bucket(request)


class ConsoleApplication:
    """What listens on the console address: all paths of ours, and nothing else."""

    def __init__(
        self, ready: Ready, metrics_text: MetricsText | None = None, *, metrics_token: str = ""
    ) -> None:
        self._pages = _Pages(ready, metrics_text, metrics_token)

    async def __call__(self, request: Request) -> Response:
        """Answers one request."""
        response = await self._pages.answer(request)
        return response or _page(request, 404, _TEXT, b"there is no such page\n")


class _Pages:
    """The pages themselves; None for a path or method that is not theirs."""

    def __init__(self, ready: Ready, metrics_text: MetricsText | None, metrics_token: str) -> None:
        self._ready = ready
        self._metrics_text = metrics_text
        self._metrics_token = metrics_token.encode()

    async def answer(self, request: Request) -> Response | None:
        if request.method not in _METHODS:
            return None
        if request.path in _LIVE:
            return _page(request, 200, _JSON, b'{"status":"live"}\n')
        if request.path in _READY:
            return self._readiness(request)
        if request.path == _METRICS and self._metrics_text is not None:
            return await self._metrics(request, self._metrics_text)
        if request.path == _OPENAPI:
            return _page(request, 200, _JSON, _openapi())
        if request.path == _DOCS:
            html, policy = _docs()
            return _page(request, 200, _HTML, html, (b"content-security-policy", policy))
        return None

    def _readiness(self, request: Request) -> Response:
        if self._ready():
            return _page(request, 200, _JSON, b'{"status":"ready"}\n')
        return _page(request, 503, _JSON, b'{"status":"not ready"}\n')

    async def _metrics(self, request: Request, metrics_text: MetricsText) -> Response:
        if _is_local(request) or self._has_token(request):
            return _page(request, 200, _PROMETHEUS, await metrics_text())
        text = b"metrics are for this machine, and for whoever has the token of metrics-token\n"
        return _page(request, 403, _TEXT, text)

    def _has_token(self, request: Request) -> bool:
        given = _bearer_token(request.header(b"authorization"))
        wanted = self._metrics_token
        return wanted != b"" and given is not None and hmac.compare_digest(given, wanted)


# Most processes are never asked for these, so they are made, and their modules read, at first use.


@cache
def _openapi() -> bytes:
    from fastobj.s3 import openapi

    return openapi.render()


@cache
def _docs() -> tuple[bytes, bytes]:
    from fastobj.s3 import openapi_page

    return openapi_page.render()


def _page(
    request: Request, status: int, kind: bytes, body: bytes, *further: tuple[bytes, bytes]
) -> Response:
    headers: Headers = [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *further,
    ]
    sent = b"" if request.method == b"HEAD" else body
    return Response(status, headers, sent, length=len(body))


def _is_signed(request: Request) -> bool:
    """Whether anything in the request claims a signature; whether it holds is for S3 to say."""
    authorization = request.header(b"authorization")
    if authorization is not None and _bearer_token(authorization) is None:
        return True
    names = (pair.partition(b"=")[0] for pair in request.query.split(b"&"))
    return any(unquote_to_bytes(name).lower() == b"x-amz-signature" for name in names)


def _bearer_token(authorization: bytes | None) -> bytes | None:
    """The token of an Authorization header of the form `Bearer TOKEN`, which is no signature."""
    if authorization is None or authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    return authorization[len(_BEARER) :].strip()


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
