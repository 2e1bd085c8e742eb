"""Dispatch: nothing reaches a handler that should not, and every request gets an answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from base64 import b64encode
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import pytest

from fastobj.core import codes
from fastobj.core.errors import ChecksumMismatch, S3Error, Unavailable
from fastobj.core.op import Op, Scope, Support
from fastobj.http.message import BodyIncomplete, Request, Response
from fastobj.meta.records import BucketRecord
from fastobj.objects.buckets import Bucket
from fastobj.s3.context import Context, Result
from fastobj.s3.dispatch import S3Application, find_handlers, handler_name
from fastobj.s3.operations import OPERATIONS
from tests.unit.s3 import signing
from tests.unit.s3.signing import FORGER, OTHER, OWNER

LOG = logging.getLogger("test.dispatch")
PATHS = {Scope.SERVICE: "/", Scope.BUCKET: "/bucket", Scope.OBJECT: "/bucket/key"}
DELETE_BODY = b"<Delete><Object><Key>k</Key></Object></Delete>"


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


def application(handler: Recorder, **more: Any) -> S3Application:
    handlers = {op.name: handler for op in OPERATIONS}
    store: Any = SimpleNamespace()
    return S3Application(store, signing.authenticator(), handlers, log=LOG, **more)


async def ask(request: Request, handler: Recorder | None = None, **more: Any) -> Response:
    return await application(handler or Recorder(), **more)(request)


def error_of(response: Response) -> dict[str, str | None]:
    assert isinstance(response.body, bytes)
    return {child.tag: child.text for child in ElementTree.fromstring(response.body)}


def minimal(op: Op) -> tuple[str, dict[str, str], bytes]:
    """Target, headers and body with which a row is reached."""
    pairs = [(key, "1") for key in op.query] + list(op.pinned)
    target = PATHS[op.scope] + "?" + "&".join(f"{key}={value}" for key, value in pairs)
    headers = {op.header: "bucket/source"} if op.header else {}
    return target, headers, DELETE_BODY if op.xml_in == "Delete" else b""


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
async def test_unsigned_and_wrongly_signed_requests_stop_before_the_handler(op: Op) -> None:
    target, headers, body = minimal(op)
    for request in (
        signing.unsigned(op.method, target, headers, body),
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
        assert not request.body.was_read  # type: ignore[attr-defined]


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
async def test_signed_requests_reach_the_handler_or_are_refused(op: Op) -> None:
    for sign in (signing.signed, signing.presigned):
        handler = Recorder()
        target, headers, body = minimal(op)
        response = await ask(sign(op.method, target, headers, body), handler)
        if op.support is Support.YES:
            assert (response.status, handler.seen[0].op) == (200, op)
        else:
            assert (response.status, handler.seen) == (501, [])
            assert error_of(response)["Code"] == "NotImplemented"


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
        ("GET", "/Bad_Name/key", 404),
        ("GET", "//key", 404),
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
    request = signing.signed("PUT", "/bucket/key", {"x-amz-acl": "public-read"}, b"hello")
    response = await ask(request)
    assert (response.status, error_of(response)["Header"]) == (501, "x-amz-acl")
    assert not request.body.was_read  # type: ignore[attr-defined]


async def test_admission_comes_before_the_signature() -> None:
    def admit(op: Op, request: Request) -> None:
        assert op.name == "GetObject"
        raise S3Error(codes.SLOW_DOWN)

    response = await ask(signing.unsigned("GET", "/bucket/key"), admit=admit)
    assert (response.status, dict(response.headers)[b"retry-after"]) == (503, b"1")


@pytest.mark.parametrize(("owner", "status"), [(OWNER.id, 200), (OTHER.id, 403), (None, 200)])
async def test_the_expected_owner(owner: str | None, status: int) -> None:
    record = BucketRecord(1, bytes(8), owner or "", 0, "")
    found = Bucket("bucket", record, b"") if owner else None
    request = signing.signed("GET", "/bucket/key", {"x-amz-expected-bucket-owner": OWNER.id})
    with mock.patch("fastobj.objects.buckets.find", mock.AsyncMock(return_value=found)):
        assert (await ask(request)).status == status


async def test_a_bug_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    request = signing.presigned("GET", "/bucket/a%0a\nkey?a=b")
    response = await ask(request, Recorder(KeyError("inner")))
    told = error_of(response)
    assert (response.status, told["Code"]) == (500, "InternalError")
    assert "inner" not in str(told)
    [record] = caplog.records
    assert record.exc_info is not None
    assert str(told["RequestId"]) in record.getMessage()
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


async def test_cancellation_passes() -> None:
    class Cancelled(Recorder):
        async def __call__(self, context: Context) -> Result:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ask(signing.signed("GET", "/bucket/key"), Cancelled())


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
