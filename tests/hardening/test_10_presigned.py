"""10: a presigned URL is good for what was signed, and for nothing else."""

import pytest

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
