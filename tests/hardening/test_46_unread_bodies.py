"""Check 46: where a request is refused before its body is read, the body is never a request."""

import itertools

import pytest

from fastobj.core import limits
from tests.hardening.raw import UNSIGNED, Connection
from tests.hardening.rows import SIGNED, minimal, place

EVIL_KEY = "evil"
MARKER = b"what the marker holds"
EXPECT = b"Expect: 100-continue\r\n"
# A refusal of each stage: names, signature, permission, headers, the store.
REFUSED = {
    "escape": (400, {"key": "%zz"}),
    "long key": (400, {"key": "a" * 1025}),
    "signature": (403, {"key": "key", "secret": "wrong"}),
    "owner": (403, {"key": "key", "headers": {"x-amz-expected-bucket-owner": "nobody"}}),
    "header": (501, {"key": "key", "headers": {"x-amz-website-redirect-location": "/a"}}),
    "parameter": (400, {"key": "key", "query": "versionId=1"}),
    "row": (405, {"key": "key", "query": "uploadId=1"}),
    "condition": (412, {"key": "marker", "headers": {"if-none-match": "*"}}),
    "metadata": (400, {"key": "key", "headers": {"x-amz-meta-a": "a" * 2048}}),
    "digest": (400, {"key": "key", "headers": {"content-md5": "none"}}),
}
SIZES = (
    1,
    limits.SMALL_BODY_BYTES_MAX + 1,
    limits.DRAIN_BYTES_MAX,
    limits.DRAIN_BYTES_MAX + 1,
    1024 * 1024,
)


@pytest.fixture(scope="session")
def full(s3):
    """A bucket with a marker; it must never hold anything else."""
    name = "hardening-unread-bodies"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="marker", Body=MARKER)
    return name


def evil(caller, bucket, size):
    """A body of that size that is made of requests which would be served."""
    request = caller.request("PUT", bucket, EVIL_KEY, body=b"evil")
    return (request * (size // len(request) + 1))[:size]


def assert_next_is_its_own(connection, caller, bucket):
    """The request behind is answered as what it is, or the connection has ended."""
    connection.send(caller.request("GET", bucket, "marker"))
    answer = connection.answer()
    assert answer is None or (answer.status, answer.body) == (200, MARKER)
    return answer is not None


def assert_unharmed(s3, bucket):
    """Nothing of a body was served."""
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["marker"]


@pytest.mark.parametrize("name", REFUSED)
def test_an_early_refusal(caller, server, s3, full, name):
    status, more = REFUSED[name]
    for size, expects in itertools.product(SIZES, (False, True)):
        body = evil(caller, full, size)
        lines = b"Content-Length: %d\r\n" % size + (EXPECT if expects else b"")
        head = caller.head("PUT", full, lines=lines, payload=UNSIGNED, **more)
        with Connection(server.port) as connection:
            connection.send(head + body)
            answer = connection.answer()
            assert answer.status == status
            kept = assert_next_is_its_own(connection, caller, full)
            assert kept == ("connection" not in answer.headers)
            assert kept or size > limits.DRAIN_BYTES_MAX or expects
    assert_unharmed(s3, full)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_expectation(caller, server, s3, full, name):
    """The client may send its body all the same, or go on with its next request."""
    status, more = REFUSED[name]
    for size in SIZES:
        lines = b"Content-Length: %d\r\n" % size + EXPECT
        head = caller.head("PUT", full, lines=lines, payload=UNSIGNED, **more)
        for sends_body in (True, False):
            with Connection(server.port) as connection:
                connection.send(head)
                assert connection.answer().status == status
                if sends_body:
                    connection.send(evil(caller, full, size))
                connection.send(caller.request("PUT", full, EVIL_KEY, body=b"evil"))
                assert connection.rest() == b""
    assert_unharmed(s3, full)


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_no_row_reads_requests_in_the_body_of_a_stranger(caller, server, s3, full, coding):
    for op in SIGNED:
        bucket, key = place(op, full, "key")
        asked = minimal(op)
        body = evil(caller, full, 3000)
        lines = b"Content-Length: %d\r\n" % len(body)
        if coding == "chunked":
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            lines = b"Transfer-Encoding: chunked\r\n"
        head = caller.head(
            *(op.method, bucket, key),
            query=asked.query,
            headers=asked.headers,
            lines=lines,
            secret="wrong",
        )
        with Connection(server.port) as connection:
            connection.send(head + body)
            assert connection.answer(op.method).status == 403, op.name
            assert_next_is_its_own(connection, caller, full)
    assert_unharmed(s3, full)


def test_an_accepted_expectation(caller, server, s3, bucket):
    body = evil(caller, bucket, 100_000)
    lines = b"Content-Length: %d\r\n" % len(body) + EXPECT
    head = caller.head("PUT", bucket, "key", lines=lines, payload=UNSIGNED)
    with Connection(server.port) as connection:
        connection.send(head)
        assert connection.sock.recv(25, 0) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(body + caller.request("GET", bucket, "key"))
        assert connection.answer().status == 200
        assert connection.answer().body == body
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
