"""Who sends a request that is signed like one before: most requests, told in a few steps.

Clients sign request after request with one key, day, region and list of headers. What of a
request's signature depends on these alone has been checked with the first one. All else is checked
here each time; where any of it does not hold, nothing is said, and `auth` tells what is wrong.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

from fastobj._ext import sigv4
from fastobj.core.clock import Clock
from fastobj.http.message import Request
from fastobj.iam.identity import Identity
from fastobj.s3.auth_claim import (
    FORMS_KEPT_MAX,
    SUM_BYTES,
    UNSIGNED,
    claims_in_query,
    is_payload_sum,
    signed_form,
)
from fastobj.s3.chunked_body import MODES, Chunking

_DATES_KEPT_MAX: Final = 64  # clients of one moment have few
_NS_PER_S: Final = 1_000_000_000

Value = TypeVar("Value")


class Authenticated(NamedTuple):
    """Who sent a request, and how they signed its body.

    `payload_sha256` is the hash of the body, None where it is unsigned or in aws-chunked coding;
    then `chunking` says how that is to be read.
    """

    identity: Identity
    payload_sha256: bytes | None
    chunking: Chunking | None = None


class Session(NamedTuple):
    """What requests have in common whose Authorization header is the same up to the signature.

    `scope` begins with the day; `key` is the signing key for it.
    """

    identity: Identity
    signed_headers: bytes
    scope: bytes
    key: bytes


class Sessions:
    """The sessions whose requests were verified last, a bounded number of them."""

    def __init__(self, clock: Clock, clock_skew_s_max: int) -> None:
        self._clock = clock
        self._clock_skew_s_max = clock_skew_s_max
        self._sessions: dict[bytes, Session] = {}  # by auth_claim.signed_form
        self._dates: dict[bytes, int] = {}  # x-amz-date: seconds since the Unix epoch

    def remember(self, request: Request, session: Session, signed_s: int) -> None:
        """A request has been verified that was signed at that time."""
        form, date = signed_form(request), request.header(b"x-amz-date")
        if form and date:
            _keep(self._sessions, form, session, FORMS_KEPT_MAX)
            _keep(self._dates, date, signed_s, _DATES_KEPT_MAX)

    def recognise(self, request: Request, query: Mapping[str, str]) -> Authenticated | None:
        """The sender, where all is as it must be. `query` is decoded."""
        header = request.header
        session = self._sessions.get(signed_form(request))
        date, payload = header(b"x-amz-date"), header(b"x-amz-content-sha256")
        if session is None or date is None or payload is None:
            return None
        signature = (header(b"authorization") or b"")[-SUM_BYTES:]
        if (
            not self._is_timely(date, session)
            or request.count(b"authorization") != 1
            or header(b"x-amz-security-token") is not None
            or (query and claims_in_query(query))
            or not sigv4.covers(request.headers, session.signed_headers)
            or not _is_signed(request, session, date, payload, signature)
        ):
            return None
        return _authenticated(session, date, payload, signature)

    def _is_timely(self, date: bytes, session: Session) -> bool:
        signed_s = self._dates.get(date)
        if signed_s is None or date[:8] != session.scope[:8]:
            return False
        return abs(self._clock.now_ns() // _NS_PER_S - signed_s) <= self._clock_skew_s_max


def _is_signed(
    request: Request, session: Session, date: bytes, payload: bytes, signature: bytes
) -> bool:
    return sigv4.verify(
        request.method,
        request.path,
        request.query,
        request.headers,
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
        chunking = Chunking(mode, session.key, date, session.scope, signature)
        return Authenticated(session.identity, None, chunking)
    if payload == UNSIGNED or is_payload_sum(payload):
        return Authenticated(session.identity, payload_sha256(payload))
    return None


def payload_sha256(payload: bytes) -> bytes | None:
    """The hash that the payload word is, None for an unsigned one."""
    return None if payload == UNSIGNED else unhexlify(payload)


def _keep(kept: dict[bytes, Value], key: bytes, value: Value, most: int) -> None:
    """Sets a value; where there are too many, the oldest goes."""
    if len(kept) >= most and key not in kept:
        del kept[next(iter(kept))]
    kept[key] = value
