"""12: wrong region, service or terminator, other signature versions, two signatures at once."""

import time

import pytest

from tests.hardening.raw import Caller, Connection, Entry


@pytest.fixture
def head(server, bucket):
    """Makes the signed head of a listing."""
    return lambda auth: Caller(server, Entry(auth, "path")).head("GET", bucket)


@pytest.fixture
def ask(server):
    """Sends a head on a connection of its own."""

    def send(data):
        with Connection(server.port) as connection:
            connection.send(data)
            return connection.answer()

    return send


MALFORMED = {
    "header": "AuthorizationHeaderMalformed",
    "query": "AuthorizationQueryParametersError",
}


@pytest.mark.parametrize("auth", ["header", "query"])
@pytest.mark.parametrize(
    ("old", "new"),
    [("us-east-1", "eu-west-1"), ("s3", "ec2"), ("aws4_request", "aws5_request")],
)
def test_wrong_scope(head, ask, auth, old, new):
    slash = "/" if auth == "header" else "%2F"
    end = "," if auth == "header" else "&"
    data, changed = head(auth).decode(), None
    for after in (slash, end):
        if f"{slash}{old}{after}" in data:
            changed = data.replace(f"{slash}{old}{after}", f"{slash}{new}{after}", 1)
    assert changed
    answer = ask(changed.encode())
    assert (answer.status, answer.code) == (400, MALFORMED[auth])
    is_region = old == "us-east-1"
    assert (b"<Region>us-east-1</Region>" in answer.body) is is_region
    assert (answer.headers["x-amz-bucket-region"] == "us-east-1") is is_region


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (b"AWS AKID:c2lnbmF0dXJl", 400, "InvalidRequest"),
        (b"AWS4-ECDSA-P256-SHA256 Credential=a/20261120/s3/aws4_request", 501, "NotImplemented"),
        (b"Basic dXNlcjpwYXNz", 400, "InvalidArgument"),
        (b"Bearer token", 400, "InvalidArgument"),
        (b"", 403, "AccessDenied"),
    ],
)
def test_other_ways_to_sign(ask, bucket, authorization, status, code):
    answer = ask(
        b"GET /%b HTTP/1.1\r\nHost: h\r\nAuthorization: %b\r\n\r\n"
        % (bucket.encode(), authorization)
    )
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"AWSAccessKeyId=a&Signature=b&Expires=99", "AccessDenied"),
        (b"AWSAccessKeyId=a&Signature=b&Expires=9999999999", "AccessDenied"),
        (b"AWSAccessKeyId=a&Signature=b&Expires=%d", "InvalidAccessKeyId"),
        (b"AWSAccessKeyId=a&Signature=b", "AccessDenied"),
        (b"AWSAccessKeyId=a&Expires=%d", "AccessDenied"),
    ],
)
def test_signature_version_2_in_the_query(ask, bucket, query, code):
    query = query.replace(b"%d", b"%d" % (time.time() + 60))
    answer = ask(b"GET /%b?%b HTTP/1.1\r\nHost: h\r\n\r\n" % (bucket.encode(), query))
    assert (answer.status, answer.code) == (403, code)


def test_version_2_beside_version_4(head, ask):
    line = b"\r\nAuthorization: AWS AKID:c2lnbmF0dXJl\r\n\r\n"
    answer = ask(head("query").replace(b"\r\n\r\n", line))
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    query = b"?AWSAccessKeyId=a&Signature=b&Expires=9999999999 HTTP/1.1"
    answer = ask(head("header").replace(b" HTTP/1.1", query, 1))
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_two_signatures(head, ask):
    line = next(x for x in head("header").split(b"\r\n") if x.startswith(b"Authorization:"))
    for data in (head("header"), head("query")):
        both = data.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")
        answer = ask(both)
        assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("auth", ["header", "query"])
def test_as_signed(head, ask, auth):
    assert ask(head(auth)).status == 200
