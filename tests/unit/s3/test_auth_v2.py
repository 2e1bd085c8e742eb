"""Version 2 signatures made by botocore hold; what they do not cover is refused."""

import hmac
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj.core.clock import FixedClock
from fastobj.core.errors import S3Error
from fastobj.core.op import Scope
from fastobj.http.message import Request
from fastobj.iam.identity import Identities
from fastobj.s3.auth import Authenticator, OpenAuthenticator, Rules
from fastobj.s3.names import parse_query
from fastobj.s3.router import SUBRESOURCES
from tests.unit.s3 import signing
from tests.unit.s3.signing import FORGER, NOW, NOW_NS, OTHER, OWNER, STRANGER

DOMAIN = "s3.test"
TARGETS = [
    "/",
    "/bucket",
    "/bucket/",
    "/bucket/?list-type=2&prefix=a%2Fb&delimiter=%2F",
    "/bucket?uploads",
    "/bucket?uploads=",
    "/bucket?acl",
    "/bucket?max-keys=3&acl&prefix=a",
    "/bucket/key?x-id=PutObject",
    "/bucket/key?partNumber=2&uploadId=b%2Bc&Zed=1&alpha=2",
    "/bucket/key?versionId=null&response-content-type=text%2Fplain",
    "/bucket/key?response-content-disposition=attachment%3B%20filename%3D%22a%26b%22",
    "/bucket/key?response-expires=Thu%2C%2001%20Dec&response-cache-control=no-cache",
    "/bucket/a//b",
    "/bucket//a",
    "/bucket/../x/./y",
    "/bucket/a+b",
    "/bucket/a%2Bb%20c",
    "/bucket/%C3%A9/e%CC%81",
    "/bucket/~*'()",
]
SIGNERS: list[Callable[..., Request]] = [signing.signed_v2, signing.presigned_v2]
HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "X-Amz-Meta-Note": "two  blanks",
    "x-amz-acl": "public-read",
    "Cache-Control": "none",
}


def server(mode: str = "all", clock: FixedClock | None = None, **more: object) -> Authenticator:
    rules = Rules(signing.REGION, signature_v2=mode, domains=(DOMAIN,), **more)  # type: ignore[arg-type]
    return Authenticator(Identities([OWNER, OTHER]), rules, clock or FixedClock(NOW_NS))


def code_of(request: Request, authenticator: Authenticator | None = None) -> str:
    with pytest.raises(S3Error) as caught:
        signing.authenticate(authenticator or server(), request)
    for secret in (OWNER.secret_key, FORGER.secret_key):
        assert secret not in caught.value.message + str(caught.value.extra)
    return caught.value.code.name


def changed(request: Request, old: bytes, new: bytes) -> Request:
    target = request.target.replace(old, new)
    headers = [(name, value.replace(old, new)) for name, value in request.headers]
    assert target != request.target or headers != request.headers
    return Request(request.method, target, headers, request.body)


def with_header(request: Request, name: bytes, value: bytes) -> Request:
    return Request(request.method, request.target, [*request.headers, (name, value)], request.body)


def with_query(request: Request, query: str) -> Request:
    mark = "&" if request.query else "?"
    target = request.target + f"{mark}{query}".encode()
    return Request(request.method, target, request.headers, request.body)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("headers", [{}, HEADERS])
def test_what_botocore_signs_holds(
    target: str, signer: Callable[..., Request], method: str, headers: dict[str, str]
) -> None:
    found = signing.authenticate(server(), signer(method, target, headers))
    assert (found.identity, found.payload_sha256) == (OWNER, None)


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("target", ["/", "/key", "/a%20b/c?versionId=null"])
def test_a_bucket_in_front_of_the_host(signer: Callable[..., Request], target: str) -> None:
    host, path = f"bucket.{DOMAIN}:9000", "/bucket" + target.partition("?")[0]
    request = signer("GET", target, host=host, path=path)
    signing.authenticate(server(), request)
    assert code_of(changed(request, b"bucket.", b"racket.")) == "SignatureDoesNotMatch"
    assert code_of(signer("GET", target, host=host)) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_slash_behind_a_bucket_that_is_not_sent(signer: Callable[..., Request]) -> None:
    signing.authenticate(server(), signer("GET", "/bucket?acl", path="/bucket/"))
    for target, path in (("/bucket/", "/bucket"), ("/bucket/a", "/bucket/a/")):
        assert code_of(signer("GET", target, path=path)) == "SignatureDoesNotMatch"


SAFE = st.text("abcXYZ019-_.~", max_size=8)
ESCAPES = st.binary(min_size=1, max_size=4).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw))
PARTS = st.lists(SAFE | ESCAPES, max_size=4).map("".join)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="&"), max_size=8)
KEYS = st.sampled_from(["acl", "versionId", "response-content-type", "prefix", "marker"])


@given(path=PARTS, pairs=st.lists(st.tuples(KEYS, TEXTS), max_size=4))
def test_any_path_and_query(path: str, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    for signer in SIGNERS:
        signing.authenticate(server(), signer("GET", f"/bucket/{path}?{query}"))


@pytest.mark.parametrize("signer", SIGNERS)
def test_wrong_secret_and_unknown_key(signer: Callable[..., Request]) -> None:
    assert code_of(signer("GET", "/b/k", identity=FORGER)) == "SignatureDoesNotMatch"
    assert code_of(signer("GET", "/b/k", identity=STRANGER)) == "InvalidAccessKeyId"
    other = signer("GET", "/b/k", identity=OTHER)
    ours = changed(other, OTHER.access_key.encode(), OWNER.access_key.encode())
    assert code_of(ours) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("signer", SIGNERS)
def test_whatever_is_changed_breaks_the_signature(signer: Callable[..., Request]) -> None:
    good = signer("GET", "/b/key?versionId=null", HEADERS)
    signing.authenticate(server(), good)
    for other in (
        Request(b"PUT", good.target, good.headers, good.body),
        changed(good, b"/b/key", b"/b/kez"),
        changed(good, b"/b/key", b"/b/./key"),
        changed(good, b"/b/key", b"/b/%6Bey"),
        changed(good, b"versionId=null", b"versionId=nulL"),
        changed(good, b"versionId=null", b"versionId"),
        changed(good, b"versionId=null&", b"")
        if b"null&" in good.target
        else changed(good, b"?versionId=null", b""),
        changed(good, b"versionId=null", b"versionId=null&versionId=2"),
        changed(good, b"public-read", b"private"),
        changed(good, b"text/plain", b"text/html"),
        changed(good, b"1B2M2Y8", b"1B2M2Y9"),
        with_header(good, b"x-amz-meta-note", b"more"),
        with_header(good, b"x-amz-copy-source", b"/b/k"),
        with_header(good, b"x-amz-expected-bucket-owner", b"somebody"),
    ):
        assert code_of(other) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("key", sorted({*SUBRESOURCES[Scope.OBJECT], "partNumber"}))
@pytest.mark.parametrize("signer", SIGNERS)
def test_an_added_key_that_chooses_an_operation(signer: Callable[..., Request], key: str) -> None:
    good = signer("GET", "/b/key")
    disguised = "".join(f"%{ord(letter):02X}" for letter in key)
    for query in (key, f"{key}=1", disguised):
        assert code_of(with_query(good, query)) == "SignatureDoesNotMatch"
    for name in ("response-content-type", "response%2Dexpires"):
        assert code_of(with_query(good, f"{name}=a")) == "SignatureDoesNotMatch"


def test_a_value_that_reads_like_further_keys() -> None:
    two = signing.presigned_v2("GET", "/b/k?response-content-type=a&versionId=1")
    one = changed(two, b"=a&versionId=1", b"=a%26versionId%3D1")
    signing.authenticate(server(), two)
    assert code_of(one) == "InvalidArgument"


# --- time


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(0, None), (900, None), (-900, None), (901, "R"), (-901, "R")],
)
def test_dates_in_headers(seconds: int, code: str | None) -> None:
    request = signing.signed_v2("GET", "/b/k", when=NOW + timedelta(seconds=seconds))
    if code is None:
        signing.authenticate(server(), request)
    else:
        assert code_of(request) == "RequestTimeTooSkewed"


def by_hand(date: str, *headers: tuple[bytes, bytes]) -> Request:
    """A request with these headers, of which `date` is what is signed as the date."""
    amz = "".join(
        f"{name.decode()}:{value.decode()}\n" for name, value in headers if name[:6] == b"x-amz-"
    )
    text = f"GET\n\n\n{date}\n{amz}/b/k"
    made = hmac.new(OWNER.secret_key.encode(), text.encode(), "sha1").digest()
    authorization = f"AWS {OWNER.access_key}:{b64encode(made).decode()}".encode()
    rows = [(b"host", b"h"), *headers, (b"authorization", authorization)]
    return Request(b"GET", b"/b/k", rows, signing.MemoryBody())


GOOD, BAD = "Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 13:00:00 GMT"


def test_a_date_of_its_own_stands_for_the_other() -> None:
    signing.authenticate(server(), by_hand("", (b"x-amz-date", GOOD.encode())))
    signing.authenticate(server(), by_hand("", (b"x-amz-date", b"20261120T120000Z")))
    both = ((b"date", BAD.encode()), (b"x-amz-date", GOOD.encode()))
    signing.authenticate(server(), by_hand("", *both))
    assert code_of(by_hand(BAD, *both)) == "SignatureDoesNotMatch"
    old = ((b"date", GOOD.encode()), (b"x-amz-date", BAD.encode()))
    assert code_of(by_hand("", *old)) == "RequestTimeTooSkewed"
    assert code_of(by_hand("")) == "AccessDenied"


def test_a_presigned_url_is_no_header() -> None:
    """The time of a URL stands where a date does; it must not pass for one."""
    query = parse_query(signing.presigned_v2("GET", "/b/k").query)
    authorization = f"AWS {OWNER.access_key}:{query['Signature']}".encode()
    rows = [(b"date", query["Expires"].encode()), (b"authorization", authorization)]
    assert code_of(Request(b"GET", b"/b/k", rows, signing.MemoryBody())) == "AccessDenied"


WEEK_S = 7 * 24 * 3600


@pytest.mark.parametrize("expires", [0, 1, 3600, WEEK_S])
def test_urls_that_are_good(expires: int) -> None:
    signing.authenticate(server(), signing.presigned_v2("GET", "/b/k", expires=expires))


@pytest.mark.parametrize(
    "expires", [-1, -WEEK_S, WEEK_S + 1, "99999999999", "9" * 12, "-1", "", "1e9", "1.5", "٣"]
)
def test_urls_that_are_not(expires: int | str) -> None:
    assert code_of(signing.presigned_v2("GET", "/b/k", expires=expires)) == "AccessDenied"


def test_a_shorter_life_may_be_demanded() -> None:
    strict = server(expires_s_max=60)
    signing.authenticate(strict, signing.presigned_v2("GET", "/b/k", expires=60))
    assert code_of(signing.presigned_v2("GET", "/b/k", expires=61), strict) == "AccessDenied"


def test_a_url_without_its_end() -> None:
    request = signing.presigned_v2("GET", "/b/k")
    assert code_of(changed(request, b"Expires=", b"expires=")) == "AccessDenied"


# --- where it is taken


@pytest.mark.parametrize(("mode", "header", "query"), [("off", 0, 0), ("all", 1, 1)])
def test_the_setting(mode: str, header: int, query: int) -> None:
    for signer, taken in ((signing.signed_v2, header), (signing.presigned_v2, query)):
        request = signer("GET", "/b/k")
        if taken:
            signing.authenticate(server(mode), request)
        else:
            assert code_of(request, server(mode)) == "InvalidRequest"


def test_only_urls_by_default() -> None:
    default = signing.authenticator()
    signing.authenticate(default, signing.presigned_v2("GET", "/b/k"))
    assert code_of(signing.signed_v2("GET", "/b/k"), default) == "InvalidRequest"


@pytest.mark.parametrize("value", [b"AWS ", b"AWS  key", b"AWS :c2ln", b"AWS key"])
def test_malformed_headers(value: bytes) -> None:
    rows = [(b"authorization", value), (b"date", GOOD.encode())]
    assert code_of(Request(b"GET", b"/", rows, signing.MemoryBody())) == "InvalidArgument"


def test_two_signatures() -> None:
    header, query = signing.signed_v2("GET", "/b/k"), signing.presigned_v2("GET", "/b/k")
    v4 = signing.signed("GET", "/b/k")
    twice = with_header(header, b"authorization", header.header(b"authorization") or b"")
    for request in (
        Request(b"GET", query.target, header.headers, header.body),
        Request(b"GET", query.target, v4.headers, v4.body),
        Request(b"GET", signing.presigned("GET", "/b/k").target, header.headers, header.body),
        twice,
    ):
        assert code_of(request) == "InvalidArgument"


@pytest.mark.parametrize("signer", SIGNERS)
def test_bodies(signer: Callable[..., Request]) -> None:
    hashed = {"x-amz-content-sha256": "ab" * 32}
    found = signing.authenticate(server(), signer("PUT", "/b/k", hashed, b"hello"))
    assert found.payload_sha256 == b"\xab" * 32
    for mode in ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        request = signer("PUT", "/b/k", {"x-amz-content-sha256": mode})
        assert code_of(request) == "InvalidRequest"
    assert code_of(signer("PUT", "/b/k", {"x-amz-security-token": "a"})) == "InvalidToken"


@pytest.mark.parametrize("signer", SIGNERS)
def test_no_signature_is_looked_at_where_there_are_none(signer: Callable[..., Request]) -> None:
    request = signer("GET", "/b/k", identity=FORGER)
    anybody = OpenAuthenticator(OWNER)
    query = parse_query(request.query)
    assert anybody.verify(request, query, anybody.claim(request, query)).identity is OWNER
