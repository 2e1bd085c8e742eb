"""Who sends a request that is signed like one before: most requests, told in a few steps.

Clients sign request after request with one key, day, region and list of headers. What of a
request's signature depends on these alone has been checked with the first one. All else is checked
here each time; where any of it does not hold, nothing is said, and `auth` tells what is wrong.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Mapping
from typing import Final, NamedTuple

from fastobj._ext import sigv4
from fastobj._ext.chunked import Mode
from fastobj.core.bounded import keep
from fastobj.http.message import Headers, Request
from fastobj.iam.identity import Identity
from fastobj.s3.auth_claim import (
    FORMS_KEPT_MAX,
    SUM_BYTES,
    UNSIGNED,
    claims_in_query,
    form_of,
    is_payload_sum,
)
from fastobj.s3.chunked_body import MODES, Chunking
from fastobj.s3.form import Form

_DATES_KEPT_MAX: Final = 64  # clients of one moment have few


class Authenticated(NamedTuple):
    """Who sent a request, and how they signed its body.

    `payload_sha256` is the hash of the body, None where it is unsigned or in aws-chunked coding;
    then `chunking` says how that is to be read. `form` is what they signed in place of the request.
    """

    identity: Identity
    payload_sha256: bytes | None
    chunking: Chunking | None = None
    form: Form | None = None


class Session(NamedTuple):
    """What requests have in common whose Authorization header is the same up to the signature.

    `scope` begins with the day; `key` is the signing key for it.
    """

    identity: Identity
    signed_headers: bytes
    scope: bytes
    key: bytes

    def chunking(self, mode: Mode, date: bytes, signature: bytes) -> Chunking:
        """How the body is coded of a request with that date and signature."""
        return Chunking(mode, self.key, date, self.scope, signature)


class Sessions:
    """The sessions whose requests were verified last, a bounded number of them."""

    def __init__(self, clock_skew_s_max: int) -> None:
        self._clock_skew_s_max = clock_skew_s_max
        self._sessions: dict[bytes, Session] = {}  # by auth_claim.form_of
        self._dates: dict[bytes, int] = {}  # x-amz-date: seconds since the Unix epoch

    def remember(self, request: Request, session: Session, signed_s: int) -> None:
        """A request has been verified that was signed at that time."""
        form = form_of(request.header(b"authorization") or b"")
        date = request.header(b"x-amz-date")
        if form and date:
            keep(self._sessions, form, session, FORMS_KEPT_MAX)
            keep(self._dates, date, signed_s, _DATES_KEPT_MAX)

    def recognise(
        self, request: Request, query: Mapping[str, str], now_s: int
    ) -> Authenticated | None:
        """The sender, where all is as it must be. `query` is decoded."""
        header = request.header
        authorization = header(b"authorization") or b""
        session = self._sessions.get(form_of(authorization))
        date, payload = header(b"x-amz-date"), header(b"x-amz-content-sha256")
        if session is None or date is None or payload is None:
            return None
        signature = authorization[-SUM_BYTES:]
        if (
            not self._is_timely(date, session, now_s)
            or request.count(b"authorization") != 1
            or header(b"x-amz-security-token") is not None
            or (query and claims_in_query(query))
            or not sigv4.covers(request.headers, session.signed_headers)
            or not is_signed(request, request.headers, session, date, payload, signature)
        ):
            return None
        return _authenticated(session, date, payload, signature)

    def _is_timely(self, date: bytes, session: Session, now_s: int) -> bool:
        signed_s = self._dates.get(date)
        if signed_s is None or date[:8] != session.scope[:8]:
            return False
        return abs(now_s - signed_s) <= self._clock_skew_s_max


def is_signed(
    request: Request,
    headers: Headers,
    session: Session,
    date: bytes,
    payload: bytes,
    signature: bytes,
) -> bool:
    """Whether the signature is that of the request with these headers."""
    return sigv4.verify(
        request.method,
        request.path,
        request.query,
        headers,
        session.signed_headers,
        payload,
        date,
        session.scope,
        session.key,
        signature,
    )


def _authenticated(
    session: Session, date: bytes, payload: bytes, signature: bytes
) -> Authenticated | None:
    """None for a payload word that is for `auth` to refuse."""
    mode = MODES.get(payload)
    if mode is not None:
        return Authenticated(session.identity, None, session.chunking(mode, date, signature))
    if payload == UNSIGNED or is_payload_sum(payload):
        return Authenticated(session.identity, payload_sha256(payload))
    return None


def payload_sha256(payload: bytes) -> bytes | None:
    """The hash that the payload word is, None for an unsigned one."""
    return None if payload == UNSIGNED else unhexlify(payload)
