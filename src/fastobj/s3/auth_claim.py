"""What a request says about its signature: in the Authorization header or in the query.

Version 4 is read here, Version 2 in `auth_v2`. Only the form is checked: whether what a claim says
is true, `auth` decides. A secret is never part of a message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.s3 import auth_v2
from fastobj.s3.chunked_body import MODES

_ALGORITHM: Final = b"AWS4-HMAC-SHA256"
_ALGORITHM_V4A: Final = b"AWS4-ECDSA-P256-SHA256"
UNSIGNED: Final = b"UNSIGNED-PAYLOAD"
_EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest().encode()
# Chunks signed with Signature Version 4A, which is not served.
CHUNKED_V4A: Final = frozenset(
    {
        b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
    }
)
STREAMING: Final = CHUNKED_V4A.union(MODES)

_SHA256_HEX: Final = re.compile(rb"[0-9a-fA-F]{64}")
_SIGNATURE: Final = re.compile(rb"[0-9a-f]{64}")
_AMZ_DATE: Final = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_EXPIRES: Final = re.compile(r"-?[0-9]{1,20}")

_QUERY_SIGNS: Final = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})
_QUERY_V2_SIGNS: Final = frozenset({"AWSAccessKeyId", "Signature"})
_QUERY_REQUIRED: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)


class Credential(NamedTuple):
    """The parts of `key/date/region/service/terminator`."""

    access_key: str
    date: str
    region: str
    service: str
    terminator: str

    @property
    def scope(self) -> bytes:
        """What is signed of it."""
        return "/".join(self[1:]).encode()


class Claim(NamedTuple):
    """What a request says about its signature, from either place.

    `payload` stands for the body in what is signed; None where the request leaves it to the
    body's own hash, which has to be set before the claim can be verified. `texts_v2` are what
    Version 2 may have signed, none for Version 4; `expires_s` is a time there, else a duration.
    """

    credential: Credential
    signed_headers: bytes
    signature: bytes
    amz_date: bytes
    payload: bytes | None
    malformed: ErrorCode
    expires_s: int | None = None
    texts_v2: tuple[bytes, ...] = ()

    def with_body(self, body: bytes) -> Claim:
        """The claim over the hash of this body."""
        return self._replace(payload=hashlib.sha256(body).hexdigest().encode())


def read(
    request: Request, query: Mapping[str, str], signature_v2: str, domains: Sequence[str]
) -> Claim:
    """The claim of a request whose decoded query is `query`; for the others see auth.Rules.

    Raises S3Error: AccessDenied for an unsigned request, else what is wrong with its form.
    """
    header = request.header(b"authorization")
    in_query = bool(query) and not _QUERY_SIGNS.isdisjoint(query)
    is_v2 = bool(query) and _QUERY_V2_SIGNS.issubset(query)
    if header and (in_query or is_v2):
        message = (
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter,"
            " Signature query string parameter or the Authorization header should be specified"
        )
        raise S3Error(codes.INVALID_ARGUMENT, message)
    if header:
        if sum(name == b"authorization" for name, _ in request.headers) > 1:
            raise S3Error(codes.INVALID_ARGUMENT, "Only one Authorization header is allowed")
        if header.startswith(auth_v2.SCHEME):
            return _v2_claim(request, query, signature_v2, domains, header)
        return _header_claim(request, header)
    if in_query:
        return _query_claim(request, query)
    if is_v2:
        return _v2_claim(request, query, signature_v2, domains)
    raise S3Error(codes.ACCESS_DENIED)


def _v2_claim(
    request: Request,
    query: Mapping[str, str],
    signature_v2: str,
    domains: Sequence[str],
    header: bytes = b"",
) -> Claim:
    """A claim with Signature Version 2: the body is unsigned, unless its hash is sent."""
    signed = auth_v2.read(request, query, header, signature_v2, domains)
    payload = known_payload(request.header(b"x-amz-content-sha256") or UNSIGNED)
    if payload in STREAMING:
        message = "Signature Version 2 does not sign a body in chunks"
        raise S3Error(codes.INVALID_REQUEST, message)
    amz_date = _header_date(request) if header else b""
    keys = Credential(signed.access_key, "", "", "", "")
    found = Claim(keys, b"", signed.signature, amz_date, payload, codes.ACCESS_DENIED)
    return found._replace(expires_s=signed.expires_s, texts_v2=signed.texts)


def _header_claim(request: Request, header: bytes) -> Claim:
    malformed = codes.AUTHORIZATION_HEADER_MALFORMED
    algorithm, _, rest = header.partition(b" ")
    _check_algorithm(algorithm, malformed)
    parts: dict[bytes, bytes] = {}
    for part in rest.split(b","):
        name, _, value = part.strip().partition(b"=")
        if name in parts:
            raise malformed_claim(malformed, "a part stands twice")
        parts[name] = value
    try:
        credential, signed_headers = parts[b"Credential"], parts[b"SignedHeaders"]
        signature = parts[b"Signature"]
    except KeyError as missing:
        raise malformed_claim(malformed, f"{missing.args[0].decode()} is missing") from None
    return Claim(
        _credential(credential.decode("utf-8", "replace"), malformed),
        signed_headers,
        _checked_signature(signature),
        _header_date(request),
        _header_payload(request),
        malformed,
    )


def _query_claim(request: Request, query: Mapping[str, str]) -> Claim:
    malformed = codes.AUTHORIZATION_QUERY_PARAMETERS_ERROR
    if (algorithm := query.get("X-Amz-Algorithm")) is not None:
        _check_algorithm(algorithm.encode(), malformed)
    if any(name not in query for name in _QUERY_REQUIRED):
        raise malformed_claim(malformed, f"all of {', '.join(_QUERY_REQUIRED)} are needed")
    if request.query.count(b"X-Amz-Signature=") > 1:
        raise malformed_claim(malformed, "X-Amz-Signature stands twice")
    amz_date = query["X-Amz-Date"].encode()
    if not _AMZ_DATE.fullmatch(amz_date):
        raise malformed_claim(malformed, "X-Amz-Date must be in the ISO8601 Long Format")
    payload = query.get("X-Amz-Content-Sha256", "").encode()
    return Claim(
        _credential(query["X-Amz-Credential"], malformed),
        query["X-Amz-SignedHeaders"].encode(),
        _checked_signature(query["X-Amz-Signature"].encode()),
        amz_date,
        known_payload(payload or request.header(b"x-amz-content-sha256") or UNSIGNED),
        malformed,
        _expires(query["X-Amz-Expires"], malformed),
    )


def _check_algorithm(algorithm: bytes, malformed: ErrorCode) -> None:
    if algorithm == _ALGORITHM:
        return
    if algorithm == _ALGORITHM_V4A:
        raise S3Error(codes.NOT_IMPLEMENTED, "Signature Version 4A is not implemented")
    if malformed is codes.AUTHORIZATION_HEADER_MALFORMED:
        raise S3Error(codes.INVALID_ARGUMENT, "Unsupported Authorization Type")
    raise malformed_claim(malformed, f'X-Amz-Algorithm only supports "{_ALGORITHM.decode()}"')


def _credential(text: str, malformed: ErrorCode) -> Credential:
    parts = text.rsplit("/", 4)  # an access key may hold slashes
    if len(parts) != 5 or not parts[0]:
        example = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
        raise malformed_claim(malformed, f"the Credential is mal-formed; expecting {example}")
    return Credential(*parts)


def _checked_signature(signature: bytes) -> bytes:
    if not _SIGNATURE.fullmatch(signature):
        raise S3Error(codes.SIGNATURE_DOES_NOT_MATCH)
    return signature


def _header_date(request: Request) -> bytes:
    value = request.header(b"x-amz-date") or request.header(b"date") or b""
    if _AMZ_DATE.fullmatch(value):
        return value
    try:
        instant = parsedate_to_datetime(value.decode("latin-1"))
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    except (ValueError, OverflowError):  # the latter for the zones of years 1 and 9999
        message = "AWS authentication requires a valid Date or x-amz-date header"
        raise S3Error(codes.ACCESS_DENIED, message) from None


def _header_payload(request: Request) -> bytes | None:
    value = request.header(b"x-amz-content-sha256")
    if value is not None:
        return known_payload(value)
    return _EMPTY_SHA256 if request.body.length == 0 else None


def known_payload(value: bytes) -> bytes:
    """The payload word of a request, if it is one. Raises InvalidArgument."""
    if _SHA256_HEX.fullmatch(value) or value == UNSIGNED or value in STREAMING:
        return value
    known = ", ".join(name.decode() for name in (UNSIGNED, *sorted(STREAMING)))
    message = f"x-amz-content-sha256 must be {known} or a valid sha256 value."
    raise S3Error(codes.INVALID_ARGUMENT, message)


def _expires(text: str, malformed: ErrorCode) -> int:
    if not _EXPIRES.fullmatch(text):
        raise malformed_claim(malformed, "X-Amz-Expires should be a number")
    seconds = int(text)
    if seconds < 1:
        raise malformed_claim(malformed, "X-Amz-Expires must be at least 1 second")
    return seconds


def malformed_claim(code: ErrorCode, reason: str) -> S3Error:
    """The error of a claim that is not as it must be, and why."""
    return S3Error(code, f"{code.message} ({reason})")
