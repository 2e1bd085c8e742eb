"""Requests as the HTTP layer hands them over, signed by botocore or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest import mock
from urllib.parse import quote, unquote_to_bytes, urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fastobj.core.clock import FixedClock
from fastobj.core.op import Body, Op
from fastobj.http.message import BodyTooLarge, Headers, Request
from fastobj.iam.identity import Identities, Identity
from fastobj.s3.auth import Authenticated, Authenticator, Rules
from fastobj.s3.names import parse_query

REGION = "us-east-1"
HOST = "127.0.0.1:9000"
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
OWNER = Identity("owner-id", "owner", "AKIDEXAMPLE", "very/secret+key")
OTHER = Identity("other-id", "other", "AKIDOTHER", "another-secret")
STRANGER = Identity("nobody", "nobody", "AKIDNOBODY", "no-secret")
FORGER = Identity(OWNER.id, "forger", OWNER.access_key, "a-guess")


Signer = Callable[[str, str, dict[str, str], bytes], Request]


class MemoryBody:
    """A body that is there already. Remembers whether anybody asked for it."""

    def __init__(self, content: bytes = b"", *, is_chunked: bool = False) -> None:
        self._content = content
        self._is_chunked = is_chunked
        self.was_read = False
        self.received = len(content)

    @property
    def length(self) -> int | None:
        """The declared length in bytes."""
        return None if self._is_chunked else len(self._content)

    async def read(self, limit: int) -> bytes:
        """All of it."""
        self.was_read = True
        if len(self._content) > limit:
            raise BodyTooLarge
        return self._content

    async def readinto(self, buffer: memoryview) -> int:
        """The next bytes of it."""
        self.was_read = True
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count


def authenticator(clock: FixedClock | None = None, region: str = REGION) -> Authenticator:
    """One that knows OWNER and OTHER."""
    return Authenticator(Identities([OWNER, OTHER]), Rules(region), clock or FixedClock(NOW_NS))


def authenticate(
    authenticator: Authenticator, request: Request, body: bytes = b""
) -> Authenticated:
    """What dispatch does: the claim, the body's own hash where it is needed, the signature."""
    query = parse_query(request.query)
    claim = authenticator.claim(request, query)
    if claim.payload is None:
        claim = claim.with_body(body)
    return authenticator.verify(request, query, claim)


def unsigned(
    method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Request:
    """A request without a signature."""
    rows: Headers = [(b"host", HOST.encode())]
    rows += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request(method.encode(), target.encode(), rows, MemoryBody(body))


def signed(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    identity: Identity = OWNER,
    region: str = REGION,
    service: str = "s3",
    when: datetime = NOW,
    payload: str | None = None,
) -> Request:
    """A request with an Authorization header. `payload` is what stands for the body's hash."""
    credentials = Credentials(identity.access_key, identity.secret_key)
    signer = _HashSigner(credentials, service, region)
    signer.hash = payload or hashlib.sha256(body).hexdigest()
    made = _sign(signer, method, target, headers or {}, body, when)
    return _request(made, method, target, body)


def signed_without_hash(method: str, target: str, body: bytes = b"") -> Request:
    """As `signed`, by a client that signs the body's hash and does not send it."""
    credentials = Credentials(OWNER.access_key, OWNER.secret_key)
    signer = botocore.auth.SigV4Auth(credentials, "s3", REGION)
    return _request(_sign(signer, method, target, {}, body, NOW), method, target, body)


def presigned(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    identity: Identity = OWNER,
    region: str = REGION,
    expires: int = 3600,
    when: datetime = NOW,
) -> Request:
    """A request whose signature stands in the query."""
    credentials = Credentials(identity.access_key, identity.secret_key)
    signer = botocore.auth.S3SigV4QueryAuth(credentials, "s3", region, expires=expires)
    made = _sign(signer, method, target, headers or {}, b"", when)
    path = target.partition("?")[0]
    return _request(made, method, f"{path}?{urlsplit(made.url).query}", body)


def form(
    target: str,
    fields: Mapping[str, str] | None = None,
    content: bytes = b"",
    *,
    identity: Identity | None = OWNER,
    conditions: Sequence[object] | None = None,
    when: datetime = NOW,
    expires: int = 3600,
) -> Request:
    """A form whose policy `identity` has signed, or nobody. By default it allows what is there."""
    sent = {"key": "key", **(fields or {})}
    if identity is not None:
        allowed = [{name: value} for name, value in sent.items()]
        keys = Credentials(identity.access_key, identity.secret_key)
        request = AWSRequest("POST", f"http://{HOST}/bucket")
        policy = {
            "expiration": (when + timedelta(seconds=expires)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "conditions": [{"bucket": "bucket"}, *(conditions or allowed)],
        }
        request.context.update({"s3-presign-post-fields": sent, "s3-presign-post-policy": policy})
        with mock.patch(
            "botocore.auth.get_current_datetime", return_value=when.replace(tzinfo=None)
        ):
            botocore.auth.S3SigV4PostAuth(keys, "s3", REGION).add_auth(request)
    body = form_body(sent, content)
    kind = {"content-type": "multipart/form-data; boundary=limit"}
    return unsigned("POST", target, kind, body)


def signers(op: Op) -> list[Signer]:
    """The ways in which a request of the row may be signed."""
    if op.body is Body.FORM:
        return [lambda method, target, headers, body: form(target)]
    return [signed, presigned]


def form_body(fields: Mapping[str, str], content: bytes, boundary: str = "limit") -> bytes:
    """The fields, then the file, as browsers write them."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    end = f"\r\n--{boundary}--\r\n".encode()
    return "".join([*parts, head]).encode() + content + end


def signed_v2(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    identity: Identity = OWNER,
    when: datetime = NOW,
    host: str = HOST,
    path: str | None = None,
) -> Request:
    """A request with an Authorization header of Signature Version 2.

    `path` is the full one, with the bucket, where `host` has the bucket in front.
    """
    signer = _HeaderV2(Credentials(identity.access_key, identity.secret_key))
    signer.date = format_datetime(when, usegmt=True)
    made = AWSRequest(method, f"http://{host}{target}", headers=dict(headers or {}))
    made.auth_path = path
    signer.add_auth(made)
    return _request(made, method, target, body, host)


def presigned_v2(
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    identity: Identity = OWNER,
    expires: int | str = 3600,
    when: datetime = NOW,
    host: str = HOST,
    path: str | None = None,
) -> Request:
    """A request whose signature of Version 2 stands in the query; as text, `expires` goes as is."""
    signer = _QueryV2(Credentials(identity.access_key, identity.secret_key))
    is_text = isinstance(expires, str)
    signer.date = str(expires if is_text else int(when.timestamp()) + int(expires))
    made = AWSRequest(method, f"http://{host}{target}", headers=dict(headers or {}))
    made.auth_path = path
    signer.add_auth(made)
    del made.headers["Date"]  # where the time stood while it was signed
    own = ("AWSAccessKeyId=", "Signature=", "Expires=")
    pairs = [pair for pair in urlsplit(made.url).query.split("&") if pair.startswith(own)]
    signed = "&".join([*filter(None, [target.partition("?")[2]]), *pairs])
    return _request(made, method, f"{target.partition('?')[0]}?{signed}", body, host)


class _HeaderV2(botocore.auth.HmacV1Auth):
    """Signs the date that it is told."""

    date = ""

    def _get_date(self) -> str:
        return self.date


class _QueryV2(botocore.auth.HmacV1QueryAuth):
    """Signs the time that it is told."""

    date = ""

    def _get_date(self) -> str:
        return self.date


class _HashSigner(botocore.auth.S3SigV4Auth):
    """Signs whatever it is told to for the body's hash."""

    hash = ""

    def payload(self, request: AWSRequest) -> str:
        """What stands for the body."""
        return self.hash


def _sign(
    signer: botocore.auth.BaseSigner,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    when: datetime,
) -> AWSRequest:
    url = f"http://{HOST}{_canonical(target)}"
    made = AWSRequest(method, url, headers=dict(headers), data=body)
    now = when.replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        signer.add_auth(made)
    return made


def _canonical(target: str) -> str:
    """What clients sign, whatever they write: botocore takes URLs for encoded already."""
    path, mark, query = target.partition("?")
    pairs = [
        "=".join(quote(unquote_to_bytes(half.replace("+", " ")), safe="") for half in pair)
        for pair in (pair.split("=", 1) for pair in query.split("&"))
    ]
    return quote(unquote_to_bytes(path), safe="/") + mark + "&".join(pairs)


def _request(made: AWSRequest, method: str, target: str, body: bytes, host: str = HOST) -> Request:
    rows: Headers = [(b"host", host.encode())]
    rows += [(name.lower().encode(), str(text).encode()) for name, text in made.headers.items()]
    return Request(method.encode(), target.encode(), rows, MemoryBody(body))
