"""Signatures made by botocore hold; anything else is refused, with the error that S3 gives."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj.core.clock import FixedClock
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.iam.identity import Identities
from fastobj.s3.auth import Authenticator, OpenAuthenticator, Rules
from fastobj.s3.chunked_body import MODES
from fastobj.s3.names import parse_query
from tests.unit.s3 import signing
from tests.unit.s3.signing import FORGER, NOW, NOW_NS, OTHER, OWNER, STRANGER

TARGETS = [
    "/",
    "/bucket",
    "/bucket/",
    "/bucket/?list-type=2&prefix=a%2Fb&delimiter=%2F",
    "/bucket?uploads",
    "/bucket?uploads=",
    "/bucket/key?x-id=PutObject",
    "/bucket/key?partNumber=2&uploadId=b&Zed=1&alpha=2",
    "/bucket/a//b",
    "/bucket//a",
    "/bucket/../x/./y",
    "/bucket/a+b",
    "/bucket/a%2Bb%20c",
    "/bucket/%C3%A9/e%CC%81",
    "/bucket/%00%0A~*'()",
    "/bucket?prefix=a%2Bb&marker=%E2%82%AC",
    "/bucket?prefix=b&prefix=a",
    "/bucket?prefix=a/b:c@d+e",
    "/$extremelyunlikelytoexist$",
]
SIGNERS: list[Callable[..., Request]] = [signing.signed, signing.presigned]


def authenticate(request: Request, clock: FixedClock | None = None) -> bytes | None:
    found = signing.authenticate(signing.authenticator(clock), request)
    assert found.identity in (OWNER, OTHER)
    return found.payload_sha256


def refusal(request: Request, clock: FixedClock | None = None) -> S3Error:
    with pytest.raises(S3Error) as caught:
        authenticate(request, clock)
    for secret in (OWNER.secret_key, FORGER.secret_key):
        assert secret not in caught.value.message + str(caught.value.extra)
    return caught.value


def code_of(request: Request, clock: FixedClock | None = None) -> tuple[str, int]:
    code = refusal(request, clock).code
    return code.name, code.status


def replace(request: Request, old: bytes, new: bytes) -> Request:
    """The same request with one text changed wherever it stands."""
    target = request.target.replace(old, new)
    headers = [(name, value.replace(old, new)) for name, value in request.headers]
    assert target != request.target or headers != request.headers
    return Request(request.method, target, headers, request.body)


def with_header(request: Request, name: bytes, value: bytes) -> Request:
    return Request(request.method, request.target, [*request.headers, (name, value)], request.body)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_botocore_signs_holds(
    target: str, signer: Callable[..., Request], method: str
) -> None:
    headers = {"X-Amz-Meta-Note": "two  blanks", "Content-Type": "text/plain"}
    authenticate(signer(method, target, headers))


SAFE = st.text("abcXYZ019-_.~", max_size=8)
ESCAPES = st.binary(min_size=1, max_size=4).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw))
PARTS = st.lists(SAFE | ESCAPES, max_size=4).map("".join)


@given(path=PARTS, names=st.lists(st.tuples(SAFE.map("p{}".format), PARTS), max_size=4))
def test_any_path_and_query(path: str, names: list[tuple[str, str]]) -> None:
    # A raw query that is not UTF-8 is refused before, and is signed all the same.
    query: Mapping[str, str] = {}
    target = f"/bucket/{path}?" + "&".join(f"{name}={value}" for name, value in names)
    request, server = signing.signed("GET", target), signing.authenticator()
    server.verify(request, query, server.claim(request, query))


def test_the_signed_hash_is_returned() -> None:
    body_hash = authenticate(signing.signed("PUT", "/b/k", body=b"hello"))
    assert body_hash is not None
    assert body_hash.hex().startswith("2cf24dba5fb0a30e")
    assert authenticate(signing.signed("PUT", "/b/k", payload="UNSIGNED-PAYLOAD")) is None
    assert authenticate(signing.presigned("PUT", "/b/k", body=b"hello")) is None


def test_a_date_header_will_do() -> None:
    request = signing.signed("GET", "/b/k", {"Date": "any"})
    assert request.header(b"x-amz-date") is None
    authenticate(request)


@pytest.mark.parametrize("signer", SIGNERS)
def test_wrong_secret_and_unknown_key(signer: Callable[..., Request]) -> None:
    assert code_of(signer("GET", "/b/k", identity=FORGER)) == ("SignatureDoesNotMatch", 403)
    assert code_of(signer("GET", "/b/k", identity=STRANGER)) == ("InvalidAccessKeyId", 403)


def test_a_header_seen_before_proves_nothing() -> None:
    good = signing.signed("GET", "/b/k")
    signature = (good.header(b"authorization") or b"")[-64:]
    for _ in range(2):
        authenticate(good)
        forged = replace(good, signature, signature[::-1])
        assert code_of(forged)[0] == "SignatureDoesNotMatch"
        assert code_of(replace(good, signature, signature.upper()))[0] == "SignatureDoesNotMatch"
        twice = replace(good, b"Signature=", b"Signature=%b,Signature=" % signature)
        assert code_of(twice)[0] == "AuthorizationHeaderMalformed"
        late = FixedClock(NOW_NS + 86_400_000_000_000)
        assert code_of(good, late)[0] == "RequestTimeTooSkewed"


def test_the_parts_of_the_header_stand_in_any_order() -> None:
    good = signing.signed("GET", "/b/k")
    header = good.header(b"authorization") or b""
    algorithm, _, rest = header.partition(b" ")
    parts = [part.strip() for part in rest.split(b",")]
    for turn in range(len(parts)):
        turned = algorithm + b" " + b", ".join(parts[turn:] + parts[:turn])
        authenticate(replace(good, header, turned) if turn else good)


@pytest.mark.parametrize("signer", SIGNERS)
def test_another_users_signature(signer: Callable[..., Request]) -> None:
    request = replace(
        signer("GET", "/b/k", identity=OTHER), OTHER.access_key.encode(), OWNER.access_key.encode()
    )
    assert code_of(request)[0] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("signer", SIGNERS)
def test_whatever_is_changed_breaks_the_signature(signer: Callable[..., Request]) -> None:
    good = signer("GET", "/b/key?versionId=null", {"X-Amz-Meta-A": "value"})
    authenticate(good)
    other_method = Request(b"PUT", good.target, good.headers, good.body)
    for changed in (
        other_method,
        replace(good, b"/b/key", b"/b/kez"),
        replace(good, b"versionId=null", b"versionId=nulL"),
        replace(good, b"versionId=null", b"versionId=null&uploadId=1"),
        replace(good, b"versionId=null", b"versionId=null&versionId=2"),
        replace(good, b"127.0.0.1:9000", b"127.0.0.2:9000"),
        replace(good, b"value", b"other"),
        with_header(good, b"x-amz-meta-a", b"more"),
    ):
        assert code_of(changed) == ("SignatureDoesNotMatch", 403)


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize(
    "name",
    [
        b"x-amz-copy-source",
        b"x-amz-acl",
        b"x-amz-tagging",
        b"x-amz-server-side-encryption",
        b"x-amz-bypass-governance-retention",
        b"x-amz-meta-a",
    ],
)
def test_unsigned_amz_headers(signer: Callable[..., Request], name: bytes) -> None:
    error = refusal(with_header(signer("PUT", "/b/k"), name, b"/b/other"))
    assert (error.code.name, error.code.status) == ("AccessDenied", 403)
    assert error.extra == (("HeadersNotSigned", name.decode()),)


@pytest.mark.parametrize("signer", SIGNERS)
def test_host_must_be_signed(signer: Callable[..., Request]) -> None:
    request = replace(signer("GET", "/b/k"), b"host", b"hots")
    hosted = with_header(request, b"host", signing.HOST.encode())
    assert refusal(hosted).extra == (("HeadersNotSigned", "host"),)


def test_a_signed_header_must_be_there() -> None:
    request = signing.signed("GET", "/b/k", {"Content-Type": "text/plain"})
    request.headers.remove((b"content-type", b"text/plain"))
    assert code_of(request) == ("SignatureDoesNotMatch", 403)


def test_wrong_scope() -> None:
    error = refusal(signing.signed("GET", "/b/k", region="eu-west-1"))
    assert (error.code.name, error.code.status) == ("AuthorizationHeaderMalformed", 400)
    assert error.extra == (("Region", "us-east-1"),)
    malformed = ("AuthorizationHeaderMalformed", 400)
    assert code_of(signing.signed("GET", "/b/k", region="")) == malformed
    assert code_of(signing.signed("GET", "/b/k", service="ec2")) == malformed
    good = signing.signed("GET", "/b/k")
    assert code_of(replace(good, b"aws4_request", b"aws5_request")) == malformed
    assert code_of(replace(good, b"/20261120/", b"/20261119/")) == malformed


def test_wrong_scope_in_the_query() -> None:
    malformed = ("AuthorizationQueryParametersError", 400)
    error = refusal(signing.presigned("GET", "/b/k", region="eu-west-1"))
    assert (error.code.name, error.extra) == (malformed[0], (("Region", "us-east-1"),))
    good = signing.presigned("GET", "/b/k")
    assert code_of(replace(good, b"aws4_request", b"aws5_request")) == malformed
    assert code_of(replace(good, b"%2F20261120%2F", b"%2F20261119%2F")) == malformed
    assert code_of(replace(good, b"%2Fs3%2F", b"%2Fec2%2F")) == malformed


@pytest.mark.parametrize("seconds", [-900, 0, 900])
def test_within_the_skew(seconds: int) -> None:
    authenticate(signing.signed("GET", "/b/k", when=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-901, 901, -86_400])
def test_beyond_the_skew(seconds: int) -> None:
    error = refusal(signing.signed("GET", "/b/k", when=NOW + timedelta(seconds=seconds)))
    assert (error.code.name, error.code.status) == ("RequestTimeTooSkewed", 403)
    assert dict(error.extra)["ServerTime"] == "2026-11-20T12:00:00Z"


def test_presigned_life() -> None:
    clock = FixedClock(NOW_NS)
    request = signing.presigned("GET", "/b/k", expires=60)
    clock.advance(60 * 10**9)
    authenticate(request, clock)
    clock.advance(10**9)
    assert code_of(request, clock) == ("AccessDenied", 403)
    authenticate(signing.presigned("GET", "/b/k", when=NOW + timedelta(minutes=15)))
    early = signing.presigned("GET", "/b/k", when=NOW + timedelta(minutes=15, seconds=1))
    assert code_of(early) == ("AccessDenied", 403)


@pytest.mark.parametrize("expires", ["1", "604800"])
def test_expires_in_range(expires: str) -> None:
    authenticate(signing.presigned("GET", "/b/k", expires=int(expires)))


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "1e99", "", "1.5", "٣", "9" * 19])
def test_expires_out_of_range(expires: str) -> None:
    request = replace(
        signing.presigned("GET", "/b/k"), b"X-Amz-Expires=3600", f"X-Amz-Expires={expires}".encode()
    )
    parse_query(request.query)  # the query itself is well formed
    assert code_of(request) == ("AuthorizationQueryParametersError", 400)


def test_a_shorter_life_may_be_demanded() -> None:
    rules = Rules(signing.REGION, expires_s_max=60)
    server = Authenticator(Identities([OWNER]), rules, FixedClock(NOW_NS))
    signing.authenticate(server, signing.presigned("GET", "/b/k", expires=60))
    with pytest.raises(S3Error) as caught:
        signing.authenticate(server, signing.presigned("GET", "/b/k", expires=61))
    assert caught.value.code.name == "AuthorizationQueryParametersError"


def test_another_skew_may_be_allowed() -> None:
    server = Authenticator(
        Identities([OWNER]), Rules(signing.REGION, clock_skew_s_max=5), FixedClock(NOW_NS)
    )
    signing.authenticate(server, signing.signed("GET", "/b/k", when=NOW + timedelta(seconds=5)))
    with pytest.raises(S3Error) as caught:
        signing.authenticate(server, signing.signed("GET", "/b/k", when=NOW + timedelta(seconds=6)))
    assert caught.value.code.name == "RequestTimeTooSkewed"
    assert dict(caught.value.extra)["MaxAllowedSkewMilliseconds"] == "5000"


@pytest.mark.parametrize("signer", SIGNERS)
def test_behind_a_proxy_that_changes_the_host(signer: Callable[..., Request]) -> None:
    request = replace(signer("GET", "/b/k"), signing.HOST.encode(), b"10.0.0.7:9000")
    assert code_of(request) == ("SignatureDoesNotMatch", 403)
    rules = Rules(signing.REGION, external_host=signing.HOST.encode())
    server = Authenticator(Identities([OWNER]), rules, FixedClock(NOW_NS))
    assert signing.authenticate(server, request).identity is OWNER
    assert signing.authenticate(server, signer("GET", "/b/k")).identity is OWNER  # no proxy
    with pytest.raises(S3Error) as caught:
        signing.authenticate(server, signer("GET", "/b/k", identity=FORGER))
    assert caught.value.code.name == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "name",
    [
        b"X-Amz-Algorithm",
        b"X-Amz-Credential",
        b"X-Amz-Date",
        b"X-Amz-Expires",
        b"X-Amz-SignedHeaders",
        b"X-Amz-Signature",
    ],
)
def test_each_query_parameter_is_needed(name: bytes) -> None:
    request = replace(signing.presigned("GET", "/b/k"), name, name[:-1])
    assert code_of(request) == ("AuthorizationQueryParametersError", 400)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA1"),
        (b"X-Amz-Date=2026", b"X-Amz-Date=x026"),
        (b"X-Amz-Credential=AKIDEXAMPLE%2F", b"X-Amz-Credential="),
        (b"&X-Amz-Signature", b"&X-Amz-Signature=0&X-Amz-Signature"),
        (b"20261120T", b"20261320T"),
    ],
)
def test_bad_query_parameters(old: bytes, new: bytes) -> None:
    request = replace(signing.presigned("GET", "/b/k"), old, new)
    assert code_of(request) == ("AuthorizationQueryParametersError", 400)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "AccessDenied"),
        ("Basic dXNlcjpwYXNz", "InvalidArgument"),
        ("AWS AKIDEXAMPLE:c2lnbmF0dXJl", "InvalidRequest"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a/20261120/s3/aws4_request", "NotImplemented"),
        ("AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host", "AuthorizationHeaderMalformed"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, SignedHeaders=host, Signature=no",
            "SignatureDoesNotMatch",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature={'0' * 64}",
            "AuthorizationHeaderMalformed",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential=a, Credential=b, Signature={'0' * 64}",
            "AuthorizationHeaderMalformed",
        ),
    ],
)
def test_other_authorization_headers(value: str, code: str) -> None:
    headers = {"Authorization": value, "X-Amz-Date": "20261120T120000Z"}
    assert code_of(signing.unsigned("GET", "/b/k", headers))[0] == code


def test_unsigned() -> None:
    assert code_of(signing.unsigned("GET", "/b/k")) == ("AccessDenied", 403)


def test_two_signatures_at_once() -> None:
    request = signing.signed("GET", "/b/k")
    both = with_header(
        signing.presigned("GET", "/b/k"), b"authorization", request.header(b"authorization") or b""
    )
    assert code_of(both) == ("InvalidArgument", 400)
    twice = with_header(request, b"authorization", request.header(b"authorization") or b"")
    assert code_of(twice) == ("InvalidArgument", 400)


@pytest.mark.parametrize("value", ["", "yesterday", "20261120", "99999999T999999Z"])
def test_bad_dates(value: str) -> None:
    request = signing.signed("GET", "/b/k")
    changed = replace(request, b"20261120T120000Z", value.encode())
    assert code_of(changed)[0] in {"AccessDenied", "AuthorizationHeaderMalformed"}


def test_the_payload_header() -> None:
    for payload in ("", "abc", "STREAMING-ELSE", "0" * 63, "g" * 64):
        request = signing.signed("PUT", "/b/k", payload=payload or " ")
        assert code_of(request) == ("InvalidArgument", 400)


def test_without_the_payload_header() -> None:
    request = signing.signed_without_hash("GET", "/b/k")
    assert request.header(b"x-amz-content-sha256") is None
    assert authenticate(request) == hashlib.sha256(b"").digest()
    request = signing.signed_without_hash("PUT", "/b/k", b"hello")
    server = signing.authenticator()
    found = signing.authenticate(server, request, b"hello")
    assert found.payload_sha256 == hashlib.sha256(b"hello").digest()
    with pytest.raises(S3Error) as caught:
        signing.authenticate(server, request, b"hellx")
    assert caught.value.code.name == "SignatureDoesNotMatch"


def test_no_body_is_asked_for_where_the_key_is_unknown() -> None:
    request = replace(
        signing.signed_without_hash("PUT", "/b/k", b"hello"),
        OWNER.access_key.encode(),
        STRANGER.access_key.encode(),
    )
    with pytest.raises(S3Error) as caught:
        signing.authenticator().claim(request, {})
    assert caught.value.code.name == "InvalidAccessKeyId"


def test_an_open_server_takes_every_request_for_one_identity() -> None:
    server = OpenAuthenticator(OWNER)
    for request in (
        signing.unsigned("GET", "/b/k"),
        signing.signed("GET", "/b/k", identity=FORGER, payload="UNSIGNED-PAYLOAD"),
        signing.presigned("GET", "/b/k", identity=STRANGER),
    ):
        assert server.verify(request, {}, server.claim(request, {})) == (OWNER, None, None, None)
    unsigned = signing.signed("PUT", "/b/k", payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    assert server.verify(unsigned, {}, server.claim(unsigned, {})).chunking is not None
    chunked = signing.signed("PUT", "/b/k", payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    with pytest.raises(S3Error, match="not implemented"):
        server.verify(chunked, {}, server.claim(chunked, {}))
    hashed = signing.signed("PUT", "/b/k", body=b"hello")
    found = server.verify(hashed, {}, server.claim(hashed, {}))
    assert found.payload_sha256 == hashlib.sha256(b"hello").digest()


@pytest.mark.parametrize("payload", [mode.decode() for mode in MODES])
def test_what_chunks_are_signed_with(payload: str) -> None:
    request = signing.signed("PUT", "/b/k", payload=payload)
    found = signing.authenticate(signing.authenticator(), request)
    assert found.payload_sha256 is None
    assert found.chunking is not None
    assert found.chunking.mode == MODES[payload.encode()]
    assert found.chunking.scope == b"20261120/us-east-1/s3/aws4_request"
    header = request.header(b"authorization") or b""
    assert header.endswith(b"Signature=" + found.chunking.signature)
    forged = signing.signed("PUT", "/b/k", payload=payload, identity=FORGER)
    assert code_of(forged) == ("SignatureDoesNotMatch", 403)


@pytest.mark.parametrize(
    "payload",
    [
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
    ],
)
def test_streams_of_version_4a_are_refused_once_the_signature_holds(payload: str) -> None:
    error = refusal(signing.signed("PUT", "/b/k", payload=payload))
    assert (error.code.name, error.code.status) == ("NotImplemented", 501)
    assert payload in error.message
    forged = signing.signed("PUT", "/b/k", payload=payload, identity=FORGER)
    assert code_of(forged) == ("SignatureDoesNotMatch", 403)


@pytest.mark.parametrize("signer", SIGNERS)
def test_session_tokens_are_nobodys(signer: Callable[..., Request]) -> None:
    request = signer("GET", "/b/k", {"X-Amz-Security-Token": "token"})
    assert code_of(request) == ("InvalidToken", 400)


def test_signing_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastobj.core.limits.SIGNING_KEYS_CACHED_MAX", 1)
    server = signing.authenticator()
    for identity in (OWNER, OTHER, OWNER, OWNER):
        request = signing.signed("GET", "/b/k", identity=identity)
        assert signing.authenticate(server, request).identity is identity
        assert len(server._keys) == 1
