"""Who sends a request: whether what it claims in `auth_claim` is true, and signed.

Nothing here looks at what the request wants. A secret is never part of a message.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from fastobj._ext import sigv4
from fastobj._ext.chunked import Mode
from fastobj.core import codes, limits
from fastobj.core.bounded import keep
from fastobj.core.clock import Clock
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.http.message import Headers, Request
from fastobj.iam.identity import Identities, Identity
from fastobj.s3 import auth_claim, auth_v2
from fastobj.s3.auth_claim import (
    CHUNKED_V4A,
    STREAMING,
    UNSIGNED,
    Claim,
    Credential,
    known_payload,
    malformed_claim,
)
from fastobj.s3.auth_session import (
    Authenticated,
    Session,
    Sessions,
    is_signed,
    payload_sha256,
)
from fastobj.s3.chunked_body import MODES, Chunking
from fastobj.s3.dates import instant

_SERVICE: Final = "s3"
_TERMINATOR: Final = "aws4_request"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a server demands of signatures.

    `external_host` is the Host header that clients sign where a proxy sends another one on.
    `signature_v2` says where Version 2 is taken: off, presigned (in the query only) or all; it
    signs the bucket that the host names below one of `domains`.
    """

    region: str
    clock_skew_s_max: int = limits.CLOCK_SKEW_S_MAX
    expires_s_max: int = limits.PRESIGN_EXPIRES_S_MAX
    external_host: bytes = b""
    signature_v2: str = "presigned"
    domains: Sequence[str] = ()


class Authenticator:
    """Verifies requests for one region. Signing keys are cached, a bounded number of them."""

    def __init__(self, identities: Identities, rules: Rules, clock: Clock) -> None:
        self.identities = identities
        self._rules = rules
        self._clock = clock
        # The secret is part of the place, so a changed one never meets the key of the old one.
        self._keys: dict[tuple[str, str, str], bytes] = {}
        self._sessions = Sessions(rules.clock_skew_s_max)

    def recognise(self, request: Request, query: Mapping[str, str]) -> Authenticated | None:
        """The sender of a request like one that was verified before; None: `claim` and `verify`."""
        return self._sessions.recognise(request, query, self._now_s())

    def claim(self, request: Request, query: Mapping[str, str]) -> Claim:
        """What a request whose decoded query is `query` claims, all checked but the signature.

        Raises S3Error: AccessDenied for an unsigned request, else what is wrong with it.
        """
        rules = self._rules
        claim = auth_claim.read(request, query, rules.signature_v2, rules.domains)
        if not claim.texts_v2:
            self._check_credential(claim)
            self._check_time(claim)
            if not sigv4.covers(request.headers, claim.signed_headers):
                raise _uncovered(request, claim)
        elif claim.expires_s is None:
            self._check_time(claim)
        else:
            auth_v2.check_expiry(claim.expires_s, self._now_s(), self._rules.expires_s_max)
        self._signer(claim)
        return claim

    def claim_form(self, request: Request, fields: Mapping[str, str]) -> Claim:
        """What a form claims by its fields, all checked but the signature.

        Nothing signs the headers of its request, so none of S3's may be there. Raises S3Error:
        AccessDenied for an unsigned form, else what is wrong with it.
        """
        rules = self._rules
        claim = auth_claim.read_form(fields, rules.signature_v2, rules.expires_s_max)
        if not claim.texts_v2:
            self._check_credential(claim)
            self._check_time(claim)
        unsigned = [name for name in request.names if name.startswith(b"x-amz-")]
        if unsigned:
            raise _not_signed(unsigned)
        self._signer(claim)
        return claim

    def verify(self, request: Request, query: Mapping[str, str], claim: Claim) -> Authenticated:
        """The sender of a request. The claim's `payload` must be known.

        Raises S3Error: SignatureDoesNotMatch; NotImplemented, once the signature holds, for
        chunks that are signed with Signature Version 4A.
        """
        assert claim.payload is not None
        identity = self._signer(claim)
        if self._is_signed(request, request.headers, claim, identity):
            self._remember(request, claim, identity)
        elif not self._is_signed_outside(request, claim, identity):
            extra = [("AWSAccessKeyId", claim.credential.access_key)]
            raise S3Error(codes.SIGNATURE_DOES_NOT_MATCH, extra=extra)
        _check_no_session(request, query)
        if claim.payload not in STREAMING:
            return Authenticated(identity, payload_sha256(claim.payload))
        mode, session = _mode(claim.payload), self._session(identity, claim)
        chunking = session.chunking(mode, claim.amz_date, claim.signature)
        return Authenticated(identity, None, chunking)

    def _remember(self, request: Request, claim: Claim, identity: Identity) -> None:
        """The signature holds, and so will others of that form."""
        if not claim.texts_v2 and claim.expires_s is None:
            signed_s = _seconds(claim.amz_date, claim.malformed)
            self._sessions.remember(request, self._session(identity, claim), signed_s)

    def _session(self, identity: Identity, claim: Claim) -> Session:
        key = self._signing_key(identity, claim.credential.date)
        return Session(identity, claim.signed_headers, claim.credential.scope, key)

    def _signer(self, claim: Claim) -> Identity:
        identity = self.identities.find(claim.credential.access_key)
        if identity is None:
            extra = [("AWSAccessKeyId", claim.credential.access_key)]
            raise S3Error(codes.INVALID_ACCESS_KEY_ID, extra=extra)
        return identity

    def _is_signed(
        self, request: Request, headers: Headers, claim: Claim, identity: Identity
    ) -> bool:
        if claim.texts_v2:
            return auth_v2.is_signed(claim.texts_v2, claim.signature, identity.secret_key)
        if claim.policy is not None:
            key = self._signing_key(identity, claim.credential.date)
            made = hmac.new(key, claim.policy, hashlib.sha256).hexdigest()
            return hmac.compare_digest(made.encode(), claim.signature)
        session, payload = self._session(identity, claim), claim.payload or b""
        return is_signed(request, headers, session, claim.amz_date, payload, claim.signature)

    def _is_signed_outside(self, request: Request, claim: Claim, identity: Identity) -> bool:
        """Whether it is signed for the host by which clients know us behind a proxy."""
        host = self._rules.external_host
        if not host:
            return False
        headers = [(name, host if name == b"host" else value) for name, value in request.headers]
        return self._is_signed(request, headers, claim, identity)

    def _signing_key(self, identity: Identity, date: str) -> bytes:
        place = (identity.access_key, identity.secret_key, date)
        key = self._keys.get(place)
        if key is None:
            secret, region = identity.secret_key.encode(), self._rules.region.encode()
            key = sigv4.signing_key(secret, date.encode(), region, _SERVICE.encode())
            keep(self._keys, place, key, limits.SIGNING_KEYS_CACHED_MAX)
        return key

    def _check_credential(self, claim: Claim) -> None:
        _, date, region, service, terminator, _ = claim.credential
        if date.encode() != claim.amz_date[:8]:
            reason = f'the credential date "{date}" is not that of the request'
        elif region != self._rules.region:
            raise _wrong_region(claim.malformed, region, self._rules.region)
        elif service != _SERVICE:
            reason = f'incorrect service "{service}"; this endpoint belongs to "{_SERVICE}"'
        elif terminator != _TERMINATOR:
            reason = f'incorrect terminal "{terminator}"; this endpoint uses "{_TERMINATOR}"'
        else:
            return
        raise malformed_claim(claim.malformed, reason)

    def _now_s(self) -> int:
        return self._clock.now_ns() // 1_000_000_000

    def _check_time(self, claim: Claim) -> None:
        now_s = self._now_s()
        signed_s = _seconds(claim.amz_date, claim.malformed)
        skew_s_max = self._rules.clock_skew_s_max
        if claim.expires_s is None:
            if abs(now_s - signed_s) > skew_s_max:
                raise _skewed(signed_s, now_s, skew_s_max)
            return
        if claim.expires_s > self._rules.expires_s_max:
            raise _expires_out_of_range(claim.malformed, self._rules.expires_s_max)
        if signed_s - now_s > skew_s_max:
            raise S3Error(codes.ACCESS_DENIED, "Request is not valid yet")
        if now_s > signed_s + claim.expires_s:
            extra = [
                ("X-Amz-Expires", str(claim.expires_s)),
                ("Expires", instant(signed_s + claim.expires_s)),
                ("ServerTime", instant(now_s)),
            ]
            raise S3Error(codes.ACCESS_DENIED, "Request has expired", extra=extra)


class OpenAuthenticator:
    """Takes every request for one identity's, whatever it is signed with: for tests only."""

    def __init__(self, identity: Identity, others: Iterable[Identity] = ()) -> None:
        self._identity = identity
        self.identities = Identities((*others, identity))

    def recognise(self, request: Request, query: Mapping[str, str]) -> None:
        """Nobody: there is nothing to be recognised by."""

    def claim(self, request: Request, query: Mapping[str, str]) -> Claim:
        """A claim of nothing but what the body hashes to. Raises InvalidArgument."""
        payload = known_payload(request.header(b"x-amz-content-sha256") or UNSIGNED)
        nobody = Credential("")
        return Claim(nobody, b"", b"", b"", payload, codes.ACCESS_DENIED)

    def claim_form(self, request: Request, fields: Mapping[str, str]) -> Claim:
        """A claim of nothing."""
        return Claim(Credential(""), b"", b"", b"", UNSIGNED, codes.ACCESS_DENIED)

    def verify(self, request: Request, query: Mapping[str, str], claim: Claim) -> Authenticated:
        """The identity. Raises NotImplemented for a body in signed chunks: nobody has the key."""
        payload = claim.payload or UNSIGNED
        if payload not in STREAMING:
            return Authenticated(self._identity, payload_sha256(payload))
        if (mode := _mode(payload)) is not Mode.UNSIGNED_TRAILER:
            raise _chunks_not_served(payload)
        return Authenticated(self._identity, None, Chunking(mode))


def _expires_out_of_range(malformed: ErrorCode, most_s: int) -> S3Error:
    return malformed_claim(malformed, f"X-Amz-Expires must be at most {most_s} seconds")


# --- judging it


def _seconds(amz_date: bytes, malformed: ErrorCode) -> int:
    """Seconds since the Unix epoch; the form of `amz_date` has been checked."""
    try:
        return _instant_of(amz_date)
    except ValueError:
        raise malformed_claim(malformed, "the date does not exist") from None


@lru_cache(maxsize=16)  # requests of one second have one date
def _instant_of(amz_date: bytes) -> int:
    text = amz_date.decode()
    day = (int(text[:4]), int(text[4:6]), int(text[6:8]))
    instant = datetime(*day, int(text[9:11]), int(text[11:13]), int(text[13:15]), tzinfo=UTC)
    return int(instant.timestamp())


def _wrong_region(malformed: ErrorCode, region: str, expected: str) -> S3Error:
    """Clients try again with the region that they are told: in the body, or for HEAD a header."""
    reason = f"the region '{region}' is wrong; expecting '{expected}'"
    return S3Error(
        malformed,
        f"{malformed.message} ({reason})",
        extra=[("Region", expected)],
        headers=[(b"x-amz-bucket-region", expected.encode())],
    )


def _skewed(signed_s: int, now_s: int, skew_s_max: int) -> S3Error:
    extra = [
        ("RequestTime", instant(signed_s)),
        ("ServerTime", instant(now_s)),
        ("MaxAllowedSkewMilliseconds", str(skew_s_max * 1000)),
    ]
    return S3Error(codes.REQUEST_TIME_TOO_SKEWED, extra=extra)


def _uncovered(request: Request, claim: Claim) -> S3Error:
    """What `sigv4.covers` has found: a header not signed, or a signed one absent."""
    signed = frozenset(claim.signed_headers.split(b";"))
    unsigned = [name for name in request.names - signed if name.startswith(b"x-amz-")]
    if b"host" not in signed:
        unsigned.append(b"host")
    if not unsigned:
        return S3Error(codes.SIGNATURE_DOES_NOT_MATCH, "A signed header is missing.")
    return _not_signed(unsigned)


def _not_signed(unsigned: Iterable[bytes]) -> S3Error:
    message = "There were headers present in the request which were not signed"
    names = ", ".join(sorted([name.decode("latin-1") for name in unsigned]))
    return S3Error(codes.ACCESS_DENIED, message, extra=[("HeadersNotSigned", names)])


def _check_no_session(request: Request, query: Mapping[str, str]) -> None:
    """There are no temporary credentials, so nobody has a session token."""
    if request.header(b"x-amz-security-token") is not None or "X-Amz-Security-Token" in query:
        raise S3Error(codes.INVALID_TOKEN)


def _mode(payload: bytes) -> Mode:
    if payload in CHUNKED_V4A:
        raise _chunks_not_served(payload)
    return MODES[payload]


def _chunks_not_served(payload: bytes) -> S3Error:
    message = f"The payload mode {payload.decode()} is not implemented"
    return S3Error(codes.NOT_IMPLEMENTED, message, extra=[("Header", "x-amz-content-sha256")])
