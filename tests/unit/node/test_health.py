"""Paths of ours: who answers which request, and what."""

import json

import pytest

from fastobj.http.message import Headers, Request, Response
from fastobj.node.health import ConsoleApplication, HealthApplication

LIVE = [b"/health", b"/health/live", b"/minio/health/live"]
READY = [
    b"/health/ready",
    b"/minio/health/ready",
    b"/minio/health/cluster",
    b"/minio/health/cluster/read",
]
METRICS = b"# HELP x y\n"


class NoBody:
    """A request without a body."""

    length = 0

    async def read(self, limit: int) -> bytes:
        return b""

    async def readinto(self, buffer: memoryview) -> int:
        return 0


async def inner(request: Request) -> Response:
    """The S3 application: known by its status."""
    return Response(299)


def ask(
    target: bytes, method: bytes = b"GET", headers: Headers | None = None, peer: str = "127.0.0.1"
) -> Request:
    return Request(method, target, headers or [], NoBody(), peer=peer)


def application(ready: bool = True, metrics: bool = True) -> HealthApplication:
    return HealthApplication(inner, lambda: ready, (lambda: METRICS) if metrics else None)


@pytest.mark.parametrize("path", LIVE + READY)
async def test_a_ready_server_answers_200_with_json(path: bytes) -> None:
    response = await application()(ask(path))
    assert response.status == 200
    assert isinstance(response.body, bytes)
    assert json.loads(response.body)["status"] in {"live", "ready"}
    assert response.length == len(response.body)
    assert (b"content-type", b"application/json") in response.headers
    assert (b"cache-control", b"no-store") in response.headers


@pytest.mark.parametrize("path", LIVE)
async def test_a_server_that_is_not_ready_is_still_live(path: bytes) -> None:
    assert (await application(ready=False)(ask(path))).status == 200


@pytest.mark.parametrize("path", READY)
async def test_a_server_that_is_not_ready_says_503(path: bytes) -> None:
    response = await application(ready=False)(ask(path + b"?verbose"))
    assert response.status == 503
    assert response.body == b'{"status":"not ready"}\n'


@pytest.mark.parametrize("path", [*LIVE, *READY, b"/metrics"])
async def test_head_has_the_length_of_get_and_no_body(path: bytes) -> None:
    got = await application()(ask(path))
    headed = await application()(ask(path, b"HEAD"))
    assert headed.body == b""
    assert (headed.status, headed.length) == (got.status, got.length)


@pytest.mark.parametrize("path", [*LIVE, *READY, b"/metrics"])
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (b"", [(b"authorization", b"AWS4-HMAC-SHA256 wrong")]),
        (b"", [(b"authorization", b"")]),
        (b"?X-Amz-Signature=00", []),
        (b"?a=b&X-Amz-Signature=", []),
        (b"?X%2DAmz%2DSignature=00", []),
        (b"?x-amz-signature=00", []),
    ],
)
async def test_a_signed_request_always_means_a_bucket(
    path: bytes, query: bytes, headers: Headers
) -> None:
    assert (await application()(ask(path + query, headers=headers))).status == 299


@pytest.mark.parametrize("method", [b"PUT", b"POST", b"DELETE", b"OPTIONS", b"get"])
@pytest.mark.parametrize("path", [b"/health", b"/health/ready", b"/metrics"])
async def test_other_methods_go_to_s3(path: bytes, method: bytes) -> None:
    assert (await application()(ask(path, method))).status == 299


NOT_OURS = b"/ /health/ /healthy //health /Health /%68ealth /health/x /metrics/ /bucket/health"


@pytest.mark.parametrize("path", [*NOT_OURS.split(), b"/minio/health", b"/minio/health/x"])
async def test_other_paths_go_to_s3(path: bytes) -> None:
    assert (await application()(ask(path))).status == 299


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_metrics_are_for_this_machine(peer: str) -> None:
    response = await application()(ask(b"/metrics", peer=peer))
    assert (response.status, response.body) == (200, METRICS)
    assert response.headers[0][1].startswith(b"text/plain; version=0.0.4")


@pytest.mark.parametrize("peer", ["10.0.0.1", "::2", "::ffff:10.0.0.1", "", "localhost"])
async def test_metrics_are_refused_to_others(peer: str) -> None:
    response = await application()(ask(b"/metrics", peer=peer))
    assert response.status == 403
    assert METRICS not in bytes(response.body)  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [b"x-forwarded-for", b"forwarded", b"x-real-ip"])
async def test_metrics_are_refused_through_a_proxy_of_this_machine(header: bytes) -> None:
    request = ask(b"/metrics", headers=[(header, b"127.0.0.1")])
    assert (await application()(request)).status == 403


async def test_without_metrics_the_path_is_a_bucket() -> None:
    assert (await application(metrics=False)(ask(b"/metrics"))).status == 299


async def test_the_console_has_the_same_pages_and_nothing_else() -> None:
    console = ConsoleApplication(lambda: False, lambda: METRICS)
    assert (await console(ask(b"/health"))).status == 200
    assert (await console(ask(b"/health/ready"))).status == 503
    assert (await console(ask(b"/metrics"))).status == 200
    for request in (ask(b"/"), ask(b"/bucket/key"), ask(b"/health", b"PUT")):
        assert (await console(request)).status == 404
    headed = await console(ask(b"/", b"HEAD"))
    assert headed.body == b""
    assert headed.length


async def test_a_console_without_metrics_has_no_such_page() -> None:
    assert (await ConsoleApplication(lambda: True)(ask(b"/metrics"))).status == 404
