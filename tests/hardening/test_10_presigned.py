"""10: a presigned URL is good for what was signed, and for nothing else."""

import time
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.hardening.raw import Caller, Connection, Entry


@pytest.fixture
def signed(server, bucket, s3):
    """The head of a presigned GET of an object that exists, and what it answers."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello")
    made = Caller(server, Entry("query", "path"))
    yield made.head("GET", bucket, "key", query="response-content-type=text/x")
    made.close()


def ask(server, data, method="GET"):
    with Connection(server.port) as connection:
        connection.send(data)
        return connection.answer(method)


def test_as_it_was_signed(server, signed):
    answer = ask(server, signed)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["content-type"] == "text/x"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "POST"])
def test_another_method(server, signed, method):
    changed = signed.replace(b"GET ", method.encode() + b" ", 1)
    assert ask(server, changed, method).status == (405 if method == "POST" else 403)
    assert ask(server, signed).body == b"hello"


@pytest.mark.parametrize(
    "query",
    [
        b"versionId=null",
        b"partNumber=1",
        b"response-content-type=text/html",
        b"response-cache-control=none",
        b"acl",
        b"X-Amz-Expires=604800",
        b"x-id=GetObject",
    ],
)
def test_an_added_or_repeated_parameter(server, signed, query):
    for changed in (
        signed.replace(b" HTTP/1.1", b"&" + query + b" HTTP/1.1", 1),
        signed.replace(b"?", b"?" + query + b"&", 1),
    ):
        assert ask(server, changed).status == 403


def test_an_added_upload(server, signed):
    changed = signed.replace(b" HTTP/1.1", b"&uploadId=1&partNumber=1 HTTP/1.1", 1)
    assert ask(server, changed.replace(b"GET ", b"PUT ", 1), "PUT").status == 403


@pytest.mark.parametrize("name", [b"x-amz-copy-source", b"x-amz-acl", b"x-amz-meta-a"])
def test_an_added_header(server, signed, name):
    changed = signed.replace(b"\r\n\r\n", b"\r\n" + name + b": /b/k\r\n\r\n")
    assert ask(server, changed).status == 403


def test_another_host_or_object(server, signed, bucket):
    host = f"127.0.0.1:{server.port}".encode()
    assert ask(server, signed.replace(host, b"localhost")).status == 403
    assert ask(server, signed.replace(b"/key?", b"/kez?", 1)).status == 403
    assert ask(server, signed.replace(b"/key?", b"/./key?", 1)).status == 403


def test_a_host_that_is_not_signed(server, signed):
    changed = signed.replace(b"X-Amz-SignedHeaders=host", b"X-Amz-SignedHeaders=accept", 1)
    assert changed != signed
    assert ask(server, changed).status == 403


# --- Signature Version 2


@pytest.fixture
def signed_v2(server, bucket, s3):
    """Makes the head of a GET as boto3 presigns it by default, of an object that exists."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello")

    def make(expires=60, method="GET"):
        url = f"{server.endpoint}/{bucket}/key?response-content-type=text%2Fx"
        request = AWSRequest(method, url)
        HmacV1QueryAuth(Credentials(server.access_key, server.secret_key), expires).add_auth(
            request
        )
        parts = urlsplit(request.url)
        line = f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        return line.encode()

    return make


def test_v2_as_it_was_signed(server, signed_v2):
    answer = ask(server, signed_v2())
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["content-type"] == "text/x"
    assert ask(server, signed_v2(method="HEAD"), "HEAD").status == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_v2_another_method(server, signed_v2, method):
    changed = signed_v2().replace(b"GET ", method.encode() + b" ", 1)
    assert ask(server, changed, method).status == 403
    assert ask(server, signed_v2()).body == b"hello"


@pytest.mark.parametrize(
    "query",
    [
        b"versionId=null",
        b"partNumber=1",
        b"response-content-type=text/html",
        b"response-cache-control=none",
        b"%72esponse-cache-control=none",
        b"acl",
        b"%61cl",
        b"attributes",
        b"legal-hold",
        b"torrent",
        b"retention",
    ],
)
def test_v2_an_added_or_repeated_parameter(server, signed_v2, query):
    signed = signed_v2()
    for changed in (
        signed.replace(b" HTTP/1.1", b"&" + query + b" HTTP/1.1", 1),
        signed.replace(b"?", b"?" + query + b"&", 1),
    ):
        assert ask(server, changed).status == 403


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/key?", b"/kez?"),
        (b"/key?", b"/./key?"),
        (b"text%2Fx", b"text%2Fy"),
        (b"response-content-type", b"response-content-typf"),
        (b"\r\n\r\n", b"\r\nContent-Type: a/b\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nContent-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nx-amz-checksum-mode: ENABLED\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nx-amz-meta-a: b\r\n\r\n"),
    ],
)
def test_v2_anything_signed_that_changes(server, signed_v2, old, new):
    changed = signed_v2().replace(old, new, 1)
    assert ask(server, changed).status == 403


def test_v2_another_bucket_in_the_host(server, signed_v2):
    host = f"127.0.0.1:{server.port}".encode()
    for name in (b"a.s3.test", b"key.s3.test:1"):
        assert ask(server, signed_v2().replace(host, name)).status == 403


@pytest.mark.parametrize("expires", [-1, -3600, 8 * 24 * 3600])
def test_v2_out_of_time(server, signed_v2, expires):
    answer = ask(server, signed_v2(expires))
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_v2_a_time_that_was_not_signed(server, signed_v2):
    later = b"Expires=%d" % (time.time() + 600)
    before, _, rest = signed_v2().partition(b"Expires=")
    changed = before + later + rest[10:]
    answer = ask(server, changed)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
