"""Dispatch: nothing reaches a handler that should not, and every request gets an answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from base64 import b64encode
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from fastobj.core import codes
from fastobj.core.clock import FixedClock
from fastobj.core.errors import ChecksumMismatch, S3Error, Unavailable
from fastobj.core.log import request_id
from fastobj.core.op import Body, Op, Scope, Support
from fastobj.http.message import BodyIncomplete, Request, Response
from fastobj.meta import keys, records
from fastobj.meta.records import BucketRecord
from fastobj.s3.admission import Admission
from fastobj.s3.auth import OpenAuthenticator
from fastobj.s3.context import Context, Exchange, Result
from fastobj.s3.dispatch import S3Application, find_handlers, handler_name
from fastobj.s3.names import copy_source
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.shapes import SHAPES, Field, Kind
from tests.unit.s3 import signing
from tests.unit.s3.signing import FORGER, OTHER, OWNER

# All but what nobody signs: what browsers ask first.
SIGNED = [op for op in OPERATIONS if op.action]
LOG = logging.getLogger("test.dispatch")
PATHS = {Scope.SERVICE: "/", Scope.BUCKET: "/bucket", Scope.OBJECT: "/bucket/key"}
DELETE_BODY = b"<Delete><Object><Key>k</Key></Object></Delete>"
XML_BODIES = {
    "Delete": DELETE_BODY,
    "CompleteMultipartUpload": (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"
        b"</CompleteMultipartUpload>"
    ),
    "Tagging": b"<Tagging><TagSet/></Tagging>",
    "VersioningConfiguration": (
        b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    ),
}


class Recorder:
    """Stands for all handlers; keeps what they were called with."""

    def __init__(self, result: Result | Exception | None = None) -> None:
        self.seen: list[Context] = []
        self.result = result

    async def __call__(self, context: Context) -> Result:
        self.seen.append(context)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result or Result()


class Watcher:
    """Observes: what it was told of."""

    def __init__(self) -> None:
        self.begun_ids: list[str] = []
        self.limits: list[str] = []
        self.exchanges: list[Exchange] = []

    def begun(self, exchange: Exchange) -> None:
        self.begun_ids.append(exchange.request_id)

    def refused(self, limit: str) -> None:
        self.limits.append(limit)

    def ended(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


class Buckets:
    """Metadata with a bucket of one owner, `bucket`, and one of somebody else, `theirs`."""

    def __init__(self, owner: str) -> None:
        self._owners = {b"bucket": owner, b"theirs": OTHER.id}

    async def get(self, space: int, key: bytes) -> tuple[bytes, bytes] | None:
        assert space == keys.BUCKETS
        if key not in self._owners:
            return None
        record = BucketRecord(records.FORMAT, bytes(8), self._owners[key], 0, "us-east-1")
        return records.encode(record), b"token"


def application(
    handler: Recorder,
    *,
    owner: str = OWNER.id,
    watcher: Watcher | None = None,
    requests_max: int = 10,
    whole_bytes_max: int = 1 << 20,
    **more: Any,
) -> S3Application:
    handlers = {op.name: handler for op in OPERATIONS}
    meta = Buckets(owner)
    store: Any = SimpleNamespace(clock=FixedClock(signing.NOW_NS), meta=meta, region=signing.REGION)
    observer = watcher or Watcher()
    admission = Admission(requests_max, whole_bytes_max, observer.refused)
    more.setdefault("authenticator", signing.authenticator())
    return S3Application(
        store, handlers=handlers, log=LOG, observer=observer, admission=admission, **more
    )


async def ask(request: Request, handler: Recorder | None = None, **more: Any) -> Response:
    return await application(handler or Recorder(), **more)(request)


def error_of(response: Response) -> dict[str, str | None]:
    assert isinstance(response.body, bytes)
    return {child.tag: child.text for child in ElementTree.fromstring(response.body)}


def smallest_body(op: Op) -> bytes:
    """The XML of an operation's request with nothing in it but what is required."""
    shape = SHAPES.get(op.xml_in or "")
    if shape is None or shape.may_be_absent:
        return b""
    return f"<{shape.root}>{smallest(shape.fields)}</{shape.root}>".encode()


def smallest(fields: tuple[Field, ...]) -> str:
    found = ""
    for field in fields:
        if field.required:
            inner = "1" if isinstance(field.kind, Kind) else smallest(field.kind)
            found += f"<{field.name}>{'' if field.item else inner}</{field.name}>"
    return found


def minimal(op: Op) -> tuple[str, dict[str, str], bytes]:
    """Target, headers and body with which a row is reached."""
    pairs = [(key, "1") for key in op.query] + list(op.pinned)
    target = PATHS[op.scope] + "?" + "&".join(f"{key}={value}" for key, value in pairs)
    headers = {op.header: "bucket/source"} if op.header else {}
    return target, headers, XML_BODIES.get(op.xml_in or "", b"") or smallest_body(op)


@pytest.mark.parametrize("op", SIGNED, ids=lambda op: op.name)
async def test_unsigned_and_wrongly_signed_requests_stop_before_the_handler(op: Op) -> None:
    target, headers, body = minimal(op)
    forms = [signing.form(target, identity=identity) for identity in (None, FORGER)]
    unsigned = signing.unsigned(op.method, target, headers, body)
    for request in (
        *(forms if op.body is Body.FORM else [unsigned]),
        signing.signed(op.method, target, headers, body, identity=FORGER),
        signing.presigned(op.method, target, headers, body, identity=FORGER),
        *(
            signing.signed(op.method, target, headers, body, identity=FORGER, payload=payload)
            for payload in (
                "UNSIGNED-PAYLOAD",
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            )
        ),
    ):
        handler = Recorder()
        response = await ask(request, handler)
        assert response.status == 403
        assert not handler.seen
        assert request.body.was_read is (request in forms)


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
async def test_signed_requests_reach_the_handler_or_are_refused(op: Op) -> None:
    for sign in signing.signers(op):
        handler = Recorder()
        target, headers, body = minimal(op)
        response = await ask(sign(op.method, target, headers, body), handler)
        if op.support is Support.YES:
            assert (response.status, handler.seen[0].op) == (200, op)
        else:
            assert (response.status, handler.seen) == (501, [])
            assert error_of(response)["Code"] == "NotImplemented"


async def test_what_nobody_signs_is_answered_to_anybody() -> None:
    for path in ("/bucket", "/theirs/key?uploads", "/none"):
        for make in (signing.unsigned, signing.signed, signing.presigned):
            handler = Recorder()
            response = await ask(make("OPTIONS", path, {}, b""), handler)
            assert (response.status, len(handler.seen)) == (200, 1)
            assert handler.seen[0].identity.id == ""
            assert not handler.seen[0].op.action
    assert [op.name for op in OPERATIONS if not op.action] == ["PreflightBucket", "PreflightObject"]


async def test_what_a_handler_gets() -> None:
    handler = Recorder()
    await ask(signing.signed("PUT", "/bucket/a%2Fb?x=%20", body=b"hello"), handler)
    context = handler.seen[0]
    assert (context.bucket, context.key, context.query) == ("bucket", b"a/b", {"x": " "})
    assert (context.identity, context.document) == (OWNER, None)
    assert context.payload_sha256 == hashlib.sha256(b"hello").digest()
    assert re.fullmatch("[0-9A-F]{16}", context.request_id)


async def test_request_ids() -> None:
    handler = Recorder()
    served = await ask(signing.signed("GET", "/bucket/key"), handler)
    assert dict(served.headers)[b"x-amz-request-id"] == handler.seen[0].request_id.encode()
    assert b"x-amz-id-2" in dict(served.headers)
    refused = await ask(signing.unsigned("GET", "/bucket/key"))
    told = error_of(refused)
    assert dict(refused.headers)[b"x-amz-request-id"].decode() == told["RequestId"]
    assert dict(refused.headers)[b"x-amz-id-2"].decode() == told["HostId"]


async def test_documents() -> None:
    handler = Recorder(Result(document={"Deleted": [{"Key": "k"}]}))
    response = await ask(signing.signed("POST", "/bucket?delete", body=DELETE_BODY), handler)
    assert handler.seen[0].document == {"Object": [{"Key": "k"}]}
    assert dict(response.headers)[b"content-type"] == b"application/xml"
    assert isinstance(response.body, bytes)
    assert b"<Deleted><Key>k</Key></Deleted></DeleteResult>" in response.body
    assert response.length == len(response.body)


async def test_a_document_that_may_be_absent() -> None:
    handler = Recorder()
    await ask(signing.signed("PUT", "/bucket"), handler)
    assert handler.seen[0].document is None


@pytest.mark.parametrize(
    ("body", "headers", "payload", "code"),
    [
        (b"", {}, None, "MalformedXML"),
        (b"<Delete/>", {}, None, "MalformedXML"),
        (b" " * (2 * 1024 * 1024 + 1), {}, None, "MalformedXML"),
        (DELETE_BODY, {}, "0" * 64, "XAmzContentSHA256Mismatch"),
        (DELETE_BODY, {"Content-MD5": b64encode(bytes(16)).decode()}, None, "BadDigest"),
        (DELETE_BODY, {"Content-MD5": "short"}, None, "InvalidDigest"),
        (DELETE_BODY, {"x-amz-checksum-crc32": "AAAAAA=="}, None, "BadDigest"),
    ],
)
async def test_bodies_that_do_not_hold(
    body: bytes, headers: dict[str, str], payload: str | None, code: str
) -> None:
    handler = Recorder()
    request = signing.signed("POST", "/bucket?delete", headers, body, payload=payload)
    response = await ask(request, handler)
    assert (response.status, error_of(response)["Code"]) == (400, code)
    assert not handler.seen


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("PUT", "/Bad_Name", 400),
        ("HEAD", "/$extremelyunlikelytoexist$", 404),
        ("GET", "/Bad_Name/key", 400),
        ("HEAD", "/Bad_Name/key", 404),
        ("GET", "//key", 400),
        ("GET", "/bucket/%zz", 400),
        ("PATCH", "/bucket/key", 405),
        ("GET", "*", 400),
    ],
)
async def test_names_and_methods(method: str, target: str, status: int) -> None:
    handler = Recorder()
    request = signing.signed(method, target if target != "*" else "/", {})
    if target == "*":
        request = Request(b"GET", b"*", request.headers, request.body)
    assert (await ask(request, handler)).status == status
    assert not handler.seen


async def test_refused_headers_stop_before_the_body() -> None:
    request = signing.signed(
        "PUT", "/bucket/key", {"x-amz-website-redirect-location": "/a"}, b"hello"
    )
    response = await ask(request)
    assert (response.status, error_of(response)["Header"]) == (
        501,
        "x-amz-website-redirect-location",
    )
    assert not request.body.was_read


async def test_admission_comes_before_the_signature() -> None:
    watcher = Watcher()
    server = application(Recorder(), watcher=watcher, requests_max=1)
    first = await server(signing.signed("GET", "/bucket/key"))
    second = await server(signing.unsigned("GET", "/bucket/key"))
    assert (second.status, dict(second.headers)[b"retry-after"]) == (503, b"1")
    assert error_of(second)["Code"] == "SlowDown"
    assert watcher.limits == ["requests"]
    for response in (first, second):  # both answers leave, and make room
        assert response.finished is not None
        response.finished(0, True)
    assert (await server(signing.signed("GET", "/bucket/key"))).status == 200


@pytest.mark.parametrize(
    ("target", "owner", "status"),
    [
        ("/bucket/key", OWNER.id, 200),
        ("/bucket/key", OTHER.id, 403),
        ("/nobucket/key", OWNER.id, 200),
    ],
)
async def test_the_expected_owner(target: str, owner: str, status: int) -> None:
    request = signing.signed("GET", target, {"x-amz-expected-bucket-owner": owner})
    assert (await ask(request)).status == status


@pytest.mark.parametrize("op", SIGNED, ids=lambda op: op.name)
async def test_only_its_owner_may_touch_a_bucket(op: Op) -> None:
    for sign in signing.signers(op):
        handler = Recorder()
        target, headers, body = minimal(op)
        response = await ask(sign(op.method, target, headers, body), handler, owner=OTHER.id)
        if op.scope is Scope.SERVICE or op.name == "CreateBucket":
            assert response.status in (200, 501)
        else:
            assert (response.status, handler.seen) == (403, [])
            assert not body or op.method == "HEAD" or error_of(response)["Code"] == "AccessDenied"


async def test_what_an_observer_is_told() -> None:
    watcher = Watcher()
    server = application(Recorder(Result(body=b"hello")), watcher=watcher)
    response = await server(signing.signed("GET", "/bucket/a%2Fkey"))
    refused = await server(signing.unsigned("GET", "/bucket/key"))
    assert watcher.exchanges == []
    assert response.finished is not None
    response.finished(5, True)
    [served] = watcher.exchanges
    assert served.op is not None
    assert (served.op.name, served.bucket, served.key) == ("GetObject", "bucket", b"a/key")
    assert (served.identity, served.status, served.error) == (OWNER, 200, None)
    assert (served.sent_bytes, served.complete) == (5, True)
    assert refused.finished is not None
    refused.finished(3, False)
    denied = watcher.exchanges[1]
    assert (denied.identity, denied.status, denied.error) == (None, 403, codes.ACCESS_DENIED)
    assert (denied.sent_bytes, denied.complete) == (3, False)
    assert watcher.begun_ids == [served.request_id, denied.request_id]


async def test_a_cancelled_request_ends_too() -> None:
    class Cancelled(Recorder):
        async def __call__(self, context: Context) -> Result:
            raise asyncio.CancelledError

    watcher = Watcher()
    server = application(Cancelled(), watcher=watcher, requests_max=1)
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await server(signing.signed("GET", "/bucket/key"))
    assert [exchange.complete for exchange in watcher.exchanges] == [False, False]


async def test_a_body_without_a_hash_is_read_before_its_signature_is_known() -> None:
    handler = Recorder()
    response = await ask(signing.signed_without_hash("PUT", "/bucket/key", b"hello"), handler)
    assert response.status == 200
    context = handler.seen[0]
    assert context.payload_sha256 == hashlib.sha256(b"hello").digest()
    assert await context.request.body.read(5) == b"hello"
    forged = signing.signed_without_hash("PUT", "/bucket/key", b"hello")
    forged.body = signing.MemoryBody(b"hellx")
    assert error_of(await ask(forged))["Code"] == "SignatureDoesNotMatch"


async def test_a_large_body_without_a_hash_is_not_read() -> None:
    request = signing.signed_without_hash("PUT", "/bucket/key", b"hello")
    for body, was_read in (
        (signing.MemoryBody(bytes((16 << 20) + 1)), False),
        (signing.MemoryBody(bytes((16 << 20) + 1), is_chunked=True), True),
    ):
        request.body = body
        response = await ask(request, whole_bytes_max=1 << 30)
        assert (response.status, error_of(response)["Code"]) == (400, "InvalidRequest")
        assert body.was_read is was_read


async def test_bodies_without_a_hash_share_a_bounded_memory() -> None:
    watcher = Watcher()
    server = application(Recorder(), watcher=watcher, whole_bytes_max=9)
    first = await server(signing.signed_without_hash("PUT", "/bucket/key", b"hello"))
    second = await server(signing.signed_without_hash("PUT", "/bucket/key", b"hello"))
    assert (first.status, second.status, watcher.limits) == (200, 503, ["whole_bodies"])
    assert first.finished is not None
    first.finished(0, True)
    third = await server(signing.signed_without_hash("PUT", "/bucket/key", b"hello"))
    assert third.status == 200


async def test_a_body_too_long_is_refused_before_it_is_read() -> None:
    request = signing.signed("PUT", "/bucket/key", body=b"123456")
    response = await ask(request, object_bytes_max=5)
    assert (response.status, error_of(response)["Code"]) == (400, "EntityTooLarge")
    assert error_of(response)["MaxSizeAllowed"] == "5"
    assert not request.body.was_read
    assert (await ask(request, object_bytes_max=6)).status == 200


async def test_an_open_server_asks_for_no_signature() -> None:
    handler = Recorder()
    server = application(handler, authenticator=OpenAuthenticator(OWNER))
    assert (await server(signing.unsigned("GET", "/bucket/key"))).status == 200
    assert handler.seen[0].identity is OWNER


async def test_a_bug_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    request = signing.presigned("GET", "/bucket/a%0a\nkey?a=b")
    response = await ask(request, Recorder(KeyError("inner")))
    told = error_of(response)
    assert (response.status, told["Code"]) == (500, "InternalError")
    assert "inner" not in str(told)
    [record] = caplog.records
    assert record.exc_info is not None
    assert request_id.get() == told["RequestId"]  # which each line of the log shows
    assert "inner" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert "Signature" not in caplog.text.partition("Traceback")[0]


async def test_store_errors_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    request = signing.signed("GET", "/bucket/key")
    assert (await ask(request, Recorder(ChecksumMismatch("a frame")))).status == 500
    assert (await ask(request, Recorder(Unavailable("away")))).status == 503
    assert [record.exc_info is None for record in caplog.records] == [False, True]


async def test_errors_of_s3_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    request = signing.signed("GET", "/bucket/key")
    assert (await ask(request, Recorder(S3Error(codes.NO_SUCH_KEY)))).status == 404
    assert not caplog.records


async def test_a_body_cut_off_ends_the_connection() -> None:
    request = signing.signed("PUT", "/bucket/key")
    response = await ask(request, Recorder(BodyIncomplete("slow", stalled=True)))
    assert (response.status, response.close) == (400, True)


async def test_head_keeps_the_length() -> None:
    handler = Recorder(Result(headers=[(b"etag", b'"e"')], length=7))
    response = await ask(signing.signed("HEAD", "/bucket/key"), handler)
    assert (response.status, response.length, response.body) == (200, 7, b"")
    assert response.headers[0] == (b"etag", b'"e"')


def module_with(*names: str, **more: object) -> ModuleType:
    """A module that defines coroutine functions of these names."""
    module = ModuleType("made_up")
    lines = "\n".join(f"async def {name}(context): ..." for name in names)
    exec(lines, vars(module))
    vars(module).update(more)
    return module


def test_handlers_are_found_exactly_once() -> None:
    names = [handler_name(op.name) for op in OPERATIONS if op.support is Support.YES]
    first, second = module_with(*names[:5]), module_with(*names[5:])
    found = find_handlers([first, second])
    assert found["PutObject"] is vars(second)["put_object"]
    with pytest.raises(LookupError, match="ListBuckets has 0"):
        find_handlers([second])
    with pytest.raises(LookupError, match="ListBuckets has 2"):
        find_handlers([first, second, module_with("list_buckets")])


def test_a_borrowed_function_is_no_handler() -> None:
    names = [handler_name(op.name) for op in OPERATIONS if op.support is Support.YES]
    owner = module_with(*names)
    borrower = ModuleType("borrower")
    vars(borrower)["put_object"] = vars(owner)["put_object"]
    assert len(find_handlers([owner, borrower])) == len(names)


def test_handlers_from_a_table() -> None:
    names = [handler_name(op.name) for op in OPERATIONS if op.support is Support.YES]
    names.remove("put_object")
    answer = Recorder()
    table = module_with(*names, HANDLERS={"PutObject": answer})
    assert find_handlers([table])["PutObject"] is answer
    with pytest.raises(LookupError, match="PutObject has 2"):
        find_handlers([table, module_with("put_object")])


COPYING = [op for op in OPERATIONS if op.also]


@pytest.mark.parametrize("op", COPYING, ids=lambda op: op.name)
@pytest.mark.parametrize(
    ("source", "owner", "status"),
    [
        ("theirs/key", None, 403),
        ("%2Ftheirs%2Fkey", None, 403),
        ("bucket/key", OTHER.id, 403),
        ("bucket/key", OWNER.id, 200),
        ("missing/key", None, 200),
        ("bucket", None, 400),
    ],
)
async def test_the_source_of_a_copy_is_authorised_too(
    op: Op, source: str, owner: str | None, status: int
) -> None:
    target, headers, body = minimal(op)
    headers = {**headers, "x-amz-copy-source": source}
    if owner is not None:
        headers["x-amz-source-expected-bucket-owner"] = owner
    for sign in (signing.signed, signing.presigned):
        handler = Recorder()
        response = await ask(sign(op.method, target, headers, body), handler)
        is_let_in = status == 200
        assert bool(handler.seen) == (is_let_in and op.support is Support.YES)
        if not is_let_in or op.support is Support.YES:
            assert response.status == status
        if handler.seen:
            assert handler.seen[0].source == copy_source(source.encode())
