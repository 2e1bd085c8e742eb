"""Paths of ours: who answers which request, and what."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from fastobj.http.message import Headers, Request, Response
from fastobj.node.pages import ConsoleApplication, PagesApplication
from fastobj.s3.names import bucket_of_host
from fastobj.s3.operations import OPERATIONS

LIVE = [b"/health", b"/health/live", b"/minio/health/live"]
READY = [
    b"/health/ready",
    b"/minio/health/ready",
    b"/minio/health/cluster",
    b"/minio/health/cluster/read",
]
DOCUMENTS = [b"/docs", b"/openapi.json"]
EVERY = [*LIVE, *READY, b"/metrics", *DOCUMENTS]
METRICS = b"# HELP x y\n"
TOKEN = "sixteen-or-more-x"


class NoBody:
    """A request without a body."""

    length = 0
    received = 0

    async def read(self, limit: int) -> bytes:
        return b""

    async def readinto(self, buffer: memoryview) -> int:
        return 0


async def inner(request: Request) -> Response:
    """The S3 application: known by its status."""
    return Response(299)


async def shown_metrics() -> bytes:
    return METRICS


def ask(
    target: bytes, method: bytes = b"GET", headers: Headers | None = None, peer: str = "127.0.0.1"
) -> Request:
    return Request(method, target, headers or [], NoBody(), peer=peer)


def application(
    ready: bool = True, metrics: bool = True, token: str = "", where: str = "s3"
) -> PagesApplication:
    return PagesApplication(
        inner,
        lambda: ready,
        shown_metrics if metrics else None,
        metrics_token=token,
        where=where,
        names_bucket=lambda request: bool(bucket_of_host(request.header(b"host"), ["example.com"])),
    )


def header(response: Response, name: bytes) -> bytes:
    return dict(response.headers)[name]


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


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


@pytest.mark.parametrize("path", EVERY)
async def test_head_has_the_length_of_get_and_no_body(path: bytes) -> None:
    got = await application()(ask(path))
    headed = await application()(ask(path, b"HEAD"))
    assert headed.body == b""
    assert (headed.status, headed.length) == (got.status, got.length)
    assert headed.headers == got.headers
    assert header(got, b"x-content-type-options") == b"nosniff"


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (b"", [(b"authorization", b"AWS4-HMAC-SHA256 wrong")]),
        (b"", [(b"authorization", b"")]),
        (b"?X-Amz-Signature=00", []),
        (b"?a=b&X-Amz-Signature=", []),
        (b"?X%2DAmz%2DSignature=00", []),
        (b"?x-amz-signature=00", []),
        (b"?x-amz-signature=00", [(b"authorization", b"Bearer x")]),
        (b"", [(b"authorization", b"Bearertoken")]),
    ],
)
async def test_a_signed_request_always_means_a_bucket(
    path: bytes, query: bytes, headers: Headers
) -> None:
    assert (await application()(ask(path + query, headers=headers))).status == 299


@pytest.mark.parametrize("method", [b"PUT", b"POST", b"DELETE", b"OPTIONS", b"get"])
@pytest.mark.parametrize("path", [b"/health", b"/health/ready", b"/metrics", *DOCUMENTS])
async def test_other_methods_go_to_s3(path: bytes, method: bytes) -> None:
    assert (await application()(ask(path, method))).status == 299


NOT_OURS = b"""/ /health/ /healthy //health /Health /%68ealth /health/x /metrics/ /bucket/health
/docs/ /docs/x /Docs /openapi.json/ /openapi /bucket/docs /minio/health /minio/health/x"""


@pytest.mark.parametrize("path", NOT_OURS.split())
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


@pytest.mark.parametrize("authorization", [b"Bearer %b", b"bearer %b", b"BEARER  %b "])
async def test_a_token_reads_metrics_from_elsewhere(authorization: bytes) -> None:
    headers: Headers = [(b"authorization", authorization % TOKEN.encode())]
    request = ask(b"/metrics", headers=headers, peer="10.0.0.1")
    for asked in (application(token=TOKEN), console(token=TOKEN)):
        response = await asked(request)
        assert (response.status, response.body) == (200, METRICS)


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"Bearer",
        b"Bearer ",
        b"Bearer sixteen-or-more-",
        b"Bearer sixteen-or-more-xx",
        b"Bearer \xff",
    ],
)
async def test_a_wrong_token_does_not(token: str, authorization: bytes | None) -> None:
    headers: Headers = [] if authorization is None else [(b"authorization", authorization)]
    request = ask(b"/metrics", headers=headers, peer="10.0.0.1")
    response = await console(token=token)(request)
    assert response.status == 403
    assert METRICS not in bytes(response.body)  # type: ignore[arg-type]


async def test_this_machine_needs_no_token() -> None:
    assert (await application(token=TOKEN)(ask(b"/metrics"))).status == 200


@pytest.mark.parametrize("path", EVERY)
async def test_a_bearer_token_is_no_signature(path: bytes) -> None:
    request = ask(path, headers=[(b"authorization", b"Bearer of news")])
    assert (await application()(request)).status == 200


@pytest.mark.parametrize("path", EVERY)
async def test_a_host_that_names_a_bucket_makes_the_path_a_key(path: bytes) -> None:
    of_bucket = ask(path, headers=[(b"host", b"photos.example.com:9000")])
    assert (await application()(of_bucket)).status == 299
    of_service = ask(path, headers=[(b"host", b"example.com:9000")])
    assert (await application()(of_service)).status == 200


@pytest.mark.parametrize("path", EVERY)
async def test_pages_that_move_to_the_console_leave_health_behind(path: bytes) -> None:
    moved = application(where="console")
    stays = path in {*LIVE, *READY}
    assert (await moved(ask(path))).status == (200 if stays else 299)
    assert (await console()(ask(path))).status == 200


async def test_without_metrics_the_path_is_a_bucket() -> None:
    assert (await application(metrics=False)(ask(b"/metrics"))).status == 299


def console(ready: bool = True, token: str = "") -> ConsoleApplication:
    return ConsoleApplication(lambda: ready, shown_metrics, metrics_token=token)


async def test_the_console_has_the_same_pages_and_nothing_else() -> None:
    asked = console(ready=False)
    assert (await asked(ask(b"/health"))).status == 200
    assert (await asked(ask(b"/health/ready"))).status == 503
    assert (await asked(ask(b"/metrics"))).status == 200
    for request in (ask(b"/"), ask(b"/bucket/key"), ask(b"/health", b"PUT")):
        assert (await asked(request)).status == 404
    headed = await asked(ask(b"/", b"HEAD"))
    assert headed.body == b""
    assert headed.length


async def test_a_console_without_metrics_has_no_such_page() -> None:
    assert (await ConsoleApplication(lambda: True)(ask(b"/metrics"))).status == 404


# --- documents


async def test_the_openapi_document_is_json() -> None:
    response = await application()(ask(b"/openapi.json"))
    assert header(response, b"content-type") == b"application/json"
    assert json.loads(text(response))["openapi"].startswith("3.1")


class Elements(HTMLParser):
    """The elements of a page: their attributes, and the text inside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.inside: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.inside[self._open] = self.inside.get(self._open, "") + data


async def docs() -> tuple[Response, Elements]:
    response = await application()(ask(b"/docs"))
    assert header(response, b"content-type") == b"text/html; charset=utf-8"
    return response, Elements(text(response))


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    response, page = await docs()
    links = [value or "" for name, value in page.attributes if name in ("src", "href")]
    assert links
    for link in links:
        assert link.startswith(("#", "data:")) or link == "openapi.json"
    assert not re.search(r"url\(|@import|fetch\(|import\(|srcset|<base|<iframe", text(response))


async def test_the_policy_allows_what_stands_in_the_page_and_no_more() -> None:
    response, page = await docs()
    policy = header(response, b"content-security-policy").decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.inside[kind].encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert set(rules.values()) == {"'none'"}
    assert not any(name == "style" or name.startswith("on") for name, _ in page.attributes)


async def test_the_page_has_every_operation_once() -> None:
    _, page = await docs()
    assert len(set(page.ids)) == len(page.ids)
    assert {op.name for op in OPERATIONS} <= set(page.ids)


async def test_no_markup_is_broken_by_what_the_tables_say() -> None:
    response, _ = await docs()
    for name in ("code", "details", "div", "li", "section", "table", "td", "tr"):
        assert text(response).count(f"<{name}>") + text(response).count(f"<{name} ") == (
            text(response).count(f"</{name}>")
        )


def test_documents_cost_nothing_until_they_are_asked_for() -> None:
    script = (
        "import sys; import fastobj.node.worker;"
        "print([name for name in sys.modules if 'openapi' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
