"""Requests that are signed like one before: recognised only where the whole way finds no fault."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj.core.clock import FixedClock
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.s3 import auth_session
from fastobj.s3.names import parse_query
from tests.unit.s3 import signing
from tests.unit.s3.signing import FORGER, NOW, NOW_NS, OTHER, OWNER

CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
PAYLOADS = [None, "UNSIGNED-PAYLOAD", CHUNKED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "nonsense"]


def known(*requests, clock=None):
    """A server that has verified a request, and these."""
    server = signing.authenticator(clock)
    for request in requests or (signing.signed("GET", "/b/first"),):
        signing.authenticate(server, request)
    return server


def recognised(server, request):
    return server.recognise(request, parse_query(request.query))


def whole_way(server, request):
    """What claim and verify say, or the code of what is wrong."""
    try:
        return signing.authenticate(server, request)
    except S3Error as error:
        return error.code


def replaced(request, name, value):
    headers = [(other, value if other == name else old) for other, old in request.headers]
    return Request(request.method, request.target, headers, request.body)


def with_header(request, name, value):
    return Request(request.method, request.target, [*request.headers, (name, value)], request.body)


@pytest.mark.parametrize("payload", PAYLOADS[:-1])
def test_the_second_request_is_recognised(payload):
    server = known(signing.signed("PUT", "/b/first", payload=payload))
    request = signing.signed("PUT", "/b/second?x=%2F", body=b"", payload=payload)
    found = recognised(server, request)
    assert found is not None
    assert found == whole_way(server, request)


def test_the_first_request_is_not():
    assert recognised(signing.authenticator(), signing.signed("GET", "/b/k")) is None


@pytest.mark.parametrize(
    "other",
    [
        signing.signed("GET", "/b/k", identity=OTHER),
        signing.signed("GET", "/b/k", {"Content-Type": "text/plain"}),
        signing.signed("GET", "/b/k", when=NOW + timedelta(seconds=1)),
        signing.signed("GET", "/b/k", when=NOW - timedelta(days=1)),
        signing.signed("GET", "/b/k", identity=FORGER),
        signing.signed("GET", "/b/k", payload="nonsense"),
        signing.presigned("GET", "/b/k"),
        signing.unsigned("GET", "/b/k"),
        signing.signed_without_hash("GET", "/b/k"),
    ],
    ids=range(9),
)
def test_another_one_is_not(other):
    assert recognised(known(), other) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda r: Request(b"PUT", r.target, r.headers, r.body),
        lambda r: Request(r.method, r.target + b"x", r.headers, r.body),
        lambda r: Request(r.method, r.target + b"?versionId=1", r.headers, r.body),
        lambda r: with_header(r, b"x-amz-acl", b"private"),
        lambda r: with_header(r, b"x-amz-security-token", b"t"),
        lambda r: with_header(r, b"authorization", r.header(b"authorization")),
        lambda r: with_header(r, b"x-amz-date", r.header(b"x-amz-date")),
        lambda r: replaced(r, b"host", b"other"),
        lambda r: replaced(r, b"authorization", r.header(b"authorization")[:-1] + b"g"),
        lambda r: replaced(r, b"authorization", r.header(b"authorization")[:-64]),
        lambda r: Request(r.method, r.target, [h for h in r.headers if h[0] != b"host"], r.body),
    ],
    ids=range(11),
)
def test_a_changed_one_is_not_and_the_whole_way_says_why(change):
    server, request = known(), signing.signed("GET", "/b/k")
    assert recognised(server, request) is not None
    changed = change(request)
    assert recognised(server, changed) is None
    assert not isinstance(whole_way(server, changed), auth_session.Authenticated)


@pytest.mark.parametrize(
    ("query", "is_refused"),
    [
        ("X-Amz-Signature=x", True),
        ("%58-Amz-Algorithm=x", True),
        ("X-Amz-Security-Token=x", True),
        ("Signature=x&AWSAccessKeyId=x", True),
        ("Signature=x", False),  # by itself it claims nothing
    ],
)
def test_a_claim_in_the_query_is_for_the_whole_way(query, is_refused):
    server = known()
    request = signing.signed("GET", f"/b/k?{query}")
    assert recognised(server, request) is None
    found = whole_way(server, request)
    assert isinstance(found, auth_session.Authenticated) is not is_refused


def test_time_goes_by():
    clock = FixedClock(NOW_NS)
    server = known(clock=clock)
    request = signing.signed("GET", "/b/k")
    clock.advance(15 * 60 * 10**9)
    assert recognised(server, request) is not None
    clock.advance(10**9)
    assert recognised(server, request) is None


def test_sessions_are_bounded(monkeypatch):
    monkeypatch.setattr(auth_session, "FORMS_KEPT_MAX", 2)
    requests = [signing.signed("GET", "/b/k", {f"x-amz-meta-{n}": "v"}) for n in range(3)]
    server = known(*requests)
    found = [recognised(server, request) is not None for request in requests]
    assert found == [False, True, True]


@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    key=st.text(min_size=1, max_size=20),
    seconds=st.integers(-1000, 1000),
    payload=st.sampled_from(PAYLOADS),
    identity=st.sampled_from([OWNER, OTHER, FORGER]),
    changed=st.sampled_from(
        [b"", b"host", b"x-amz-date", b"x-amz-content-sha256", b"authorization"]
    ),
    value=st.binary(max_size=3).filter(lambda value: b"\n" not in value),
)
def test_whoever_is_recognised_is_whom_the_whole_way_finds(
    method, key, seconds, payload, identity, changed, value
):
    moment = NOW + timedelta(seconds=seconds)
    first = signing.signed("GET", "/b/first", when=moment)
    server = signing.authenticator()
    whole_way(server, first)
    request = signing.signed(
        method, f"/b/{quote(key)}", when=moment, payload=payload, identity=identity
    )
    if changed:
        request = replaced(request, changed, request.header(changed)[: -len(value) or None] + value)
    found = recognised(server, request)
    assert found is None or found == whole_way(server, request)
