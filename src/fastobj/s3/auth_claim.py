"""What a request says about its signature: in the Authorization header, the query or a form.

Version 4 is read here, Version 2 in `auth_v2`. Only the form is checked: whether what a claim says
is true, `auth` decides. A secret is never part of a message.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, NamedTuple

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.s3 import auth_v2
from fastobj.s3.chunked_body import MODES
from fastobj.s3.form import missing_field

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
_PAYLOADS: Final = STREAMING | {UNSIGNED, _EMPTY_SHA256}  # those of most requests

_HEX: Final = b"0123456789abcdef"
_HEX_OF_BOTH_CASES: Final = b"0123456789abcdefABCDEF"
SUM_BYTES: Final = 64  # SHA-256 in hexadecimal
# What stands before the signature: the same in each request of a client and a day.
_FORM_BYTES_MAX: Final = 1024
FORMS_KEPT_MAX: Final = 256
_AMZ_DATE: Final = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_EXPIRES: Final = re.compile(r"-?[0-9]{1,20}")

_QUERY_SIGNS: Final = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})
_QUERY_V2_SIGNS: Final = frozenset({"AWSAccessKeyId", "Signature"})
_QUERY_CLAIMS: Final = _QUERY_SIGNS | _QUERY_V2_SIGNS | {"X-Amz-Security-Token"}
_QUERY_REQUIRED: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)


class Credential(NamedTuple):
    """The parts of `key/date/region/service/terminator`; `scope` is what is signed of it."""

    access_key: str
    date: str = ""
    region: str = ""
    service: str = ""
    terminator: str = ""
    scope: bytes = b""


class Claim(NamedTuple):
    """What a request says about its signature, from either place.

    `signed_headers` are the names of `host;x-amz-date` and the like.
    `payload` stands for the body in what is signed; None where the request leaves it to the
    body's own hash, which has to be set before the claim can be verified. `texts_v2` are what
    Version 2 may have signed, none for Version 4; `expires_s` is a time there, else a duration.
    `policy` is what a form has signed in place of a request, as it was sent.
    """

    credential: Credential
    signed_headers: bytes
    signature: bytes
    amz_date: bytes
    payload: bytes | None
    malformed: ErrorCode
    expires_s: int | None = None
    texts_v2: tuple[bytes, ...] = ()
    policy: bytes | None = None

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
        if request.count(b"authorization") > 1:
            raise S3Error(codes.INVALID_ARGUMENT, "Only one Authorization header is allowed")
        if header.startswith(auth_v2.SCHEME):
            return _v2_claim(request, query, signature_v2, domains, header)
        return _header_claim(request, header)
    if in_query:
        return _query_claim(request, query)
    if is_v2:
        return _v2_claim(request, query, signature_v2, domains)
    raise S3Error(codes.ACCESS_DENIED)


_FORM_V4: Final = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_FORM_V2: Final = ("awsaccesskeyid", "signature")
_FORM_NAMES: Final = {"awsaccesskeyid": "AWSAccessKeyId"}


def read_form(fields: Mapping[str, str], signature_v2: str, expires_s: int) -> Claim:
    """The claim of a form, from its fields by lower-case name.

    It holds for `expires_s` seconds from its date on, if it has one: with Version 2 there is none
    but that in the policy. Raises S3Error: AccessDenied for an unsigned form, else what is wrong.
    """
    is_v4, is_v2 = not fields.keys().isdisjoint(_FORM_V4), not fields.keys().isdisjoint(_FORM_V2)
    if not is_v4 and not is_v2 and "policy" not in fields:
        raise S3Error(codes.ACCESS_DENIED)
    if is_v4 and is_v2:
        message = "Only one auth mechanism allowed; a form has either AWSAccessKeyId or X-Amz-*"
        raise S3Error(codes.INVALID_ARGUMENT, message)
    for name in ("policy", *(_FORM_V4 if is_v4 else _FORM_V2)):
        if name not in fields:
            raise missing_field(_FORM_NAMES.get(name, name))
    if "x-amz-security-token" in fields:  # there are no temporary credentials
        raise S3Error(codes.INVALID_TOKEN)
    policy = fields["policy"].encode()
    if is_v2:
        auth_v2.check_taken(b"", signature_v2)
        keys, signature = Credential(fields["awsaccesskeyid"]), fields["signature"].encode()
        found = Claim(keys, b"", signature, b"", UNSIGNED, codes.INVALID_ARGUMENT)
        return found._replace(texts_v2=(policy,), policy=policy)
    malformed = codes.INVALID_ARGUMENT
    _check_algorithm(fields["x-amz-algorithm"].encode(), malformed)
    amz_date = fields["x-amz-date"].encode()
    if not _AMZ_DATE.fullmatch(amz_date):
        raise malformed_claim(malformed, "X-Amz-Date must be in the ISO8601 Long Format")
    credential = _credential(fields["x-amz-credential"], malformed)
    signature = fields["x-amz-signature"].encode()
    _check_signature(signature)
    return Claim(
        credential, b"", signature, amz_date, UNSIGNED, malformed, expires_s, policy=policy
    )


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
    keys = Credential(signed.access_key)
    found = Claim(keys, b"", signed.signature, amz_date, payload, codes.ACCESS_DENIED)
    return found._replace(expires_s=signed.expires_s, texts_v2=signed.texts)


def _header_claim(request: Request, header: bytes) -> Claim:
    form, signature = form_of(header), header[-SUM_BYTES:]
    if form and _is_sum(signature, _HEX):
        credential, signed_headers, _ = _read_again(form)
    else:
        credential, signed_headers, signature = _read_header(header)
        _check_signature(signature)
    return Claim(
        credential,
        signed_headers,
        signature,
        _header_date(request),
        _header_payload(request),
        codes.AUTHORIZATION_HEADER_MALFORMED,
    )


def _read_header(header: bytes) -> tuple[Credential, bytes, bytes]:
    """The credential, the signed headers and the signature, whose form is not checked yet."""
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
    text = credential.decode("utf-8", "replace")
    return _credential(text, malformed), signed_headers, signature


_read_again = lru_cache(FORMS_KEPT_MAX)(_read_header)


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
    credential = _credential(query["X-Amz-Credential"], malformed)
    signature = query["X-Amz-Signature"].encode()
    _check_signature(signature)
    return Claim(
        credential,
        query["X-Amz-SignedHeaders"].encode(),
        signature,
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
    access_key, *scope = parts
    date, region, service, terminator = scope
    return Credential(access_key, date, region, service, terminator, "/".join(scope).encode())


def form_of(header: bytes) -> bytes:
    """An Authorization header up to its signature, alike in many requests; b"" for none such."""
    form = header[:-SUM_BYTES]
    return form if form.endswith(b"Signature=") and len(form) <= _FORM_BYTES_MAX else b""


def claims_in_query(query: Mapping[str, str]) -> bool:
    """Whether anything in the query is about who sends the request."""
    return not _QUERY_CLAIMS.isdisjoint(query)


def is_claimed(request: Request, query: Mapping[str, str]) -> bool:
    """Whether header or query say who sends the request."""
    return bool(request.header(b"authorization")) or claims_in_query(query)


def _is_sum(value: bytes, digits: bytes) -> bool:
    """Whether it is a SHA-256 in hexadecimal: a pass in C, where a pattern takes ten times that."""
    return len(value) == SUM_BYTES and not value.translate(None, digits)


def _check_signature(signature: bytes) -> None:
    if not _is_sum(signature, _HEX):
        raise S3Error(codes.SIGNATURE_DOES_NOT_MATCH)


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
    if value in _PAYLOADS or is_payload_sum(value):
        return value
    known = ", ".join(name.decode() for name in (UNSIGNED, *sorted(STREAMING)))
    message = f"x-amz-content-sha256 must be {known} or a valid sha256 value."
    raise S3Error(codes.INVALID_ARGUMENT, message)


def is_payload_sum(value: bytes) -> bool:
    """Whether a payload word is the SHA-256 of the body."""
    return _is_sum(value, _HEX_OF_BOTH_CASES)


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
