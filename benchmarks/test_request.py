"""What every request costs before its handler: the head, the operation, the table of headers."""

from __future__ import annotations

from benchmarks.conftest import Calibrated
from fastobj.core.op import Op, Scope
from fastobj.http.head import HeadParser
from fastobj.http.message import BytesBody, Headers, Request
from fastobj.s3 import headers
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.router import resolve

OPS = {op.name: op for op in OPERATIONS}
# As boto3 sends it.
HEAD = bytearray(
    b"GET /photos/2026/11/0123456789.jpg HTTP/1.1\r\n"
    b"Host: 127.0.0.1:9000\r\n"
    b"Accept-Encoding: identity\r\n"
    b"User-Agent: Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux#6.1 lang/python#3.12\r\n"
    b"X-Amz-Date: 20261120T101112Z\r\n"
    b"X-Amz-Content-SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261120/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
    b"Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    b"amz-sdk-invocation-id: 5f2c0b4e-5a60-4a50-9a3a-3ad8b2e2a2a1\r\n"
    b"amz-sdk-request: attempt=1\r\n\r\n"
)
PUT_HEADERS: Headers = [
    (b"host", b"127.0.0.1:9000"),
    (b"content-type", b"image/jpeg"),
    (b"content-length", b"4096"),
    (b"x-amz-meta-mode", b"33188"),
    (b"x-amz-checksum-crc32", b"AAAAAA=="),
    (b"x-amz-sdk-checksum-algorithm", b"CRC32"),
    (b"x-amz-date", b"20261120T101112Z"),
    (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
    (b"authorization", b"AWS4-HMAC-SHA256 Credential=..."),
]
LISTING = {"list-type": "2", "prefix": "photos/", "delimiter": "/", "max-keys": "1000"}


def test_head(measured: Calibrated) -> None:
    parser = HeadParser()
    taken = measured("head of a GET", "python", parser.feed, HEAD, len(HEAD))
    assert taken == len(HEAD)
    assert parser.complete
    assert len(parser.headers) == 8


def _resolved(measured: Calibrated, label: str, scope: Scope, query: dict[str, str]) -> Op:
    names = dict(PUT_HEADERS)
    found: Op = measured(label, "python", resolve, b"GET", scope, query, names.get)
    return found


def test_resolve_get_object(measured: Calibrated) -> None:
    assert _resolved(measured, "resolve GetObject", Scope.OBJECT, {}).name == "GetObject"


def test_resolve_list_objects_v2(measured: Calibrated) -> None:
    found = _resolved(measured, "resolve ListObjectsV2", Scope.BUCKET, LISTING)
    assert found.name == "ListObjectsV2"


def test_check_put_object(measured: Calibrated) -> None:
    request = Request(b"PUT", b"/bucket/key", PUT_HEADERS, BytesBody(b""))
    assert headers.REFUSED["PutObject"]
    measured("check headers of PutObject", "python", headers.check, OPS["PutObject"], request, {})
