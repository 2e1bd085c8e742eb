"""Object lock in requests and answers: headers of what is stored, and who bypasses governance."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.http.message import Headers
from fastobj.iam import access
from fastobj.meta.records import Lock
from fastobj.objects import locking, object_lock, trusted_time
from fastobj.objects.buckets import Bucket
from fastobj.s3.context import Context
from fastobj.s3.dates import instant
from fastobj.s3.headers import LOCK

BYPASS: Final = b"x-amz-bypass-governance-retention"
_MODE: Final = b"x-amz-object-lock-mode"
_UNTIL: Final = b"x-amz-object-lock-retain-until-date"
_LEGAL_HOLD: Final = b"x-amz-object-lock-legal-hold"
STATUS: Final = {"ON": True, "OFF": False}
STATUS_TEXTS: Final = {value: text for text, value in STATUS.items()}
_INSTANT: Final = re.compile(
    r"\d{4}-?\d\d-?\d\dT\d\d:?\d\d(:?\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_S: Final = 1_000_000_000

# --- in


def is_stated(ctx: Context) -> bool:
    """Whether a request says anything of a lock."""
    return not ctx.request.names.isdisjoint(LOCK)


async def stated(ctx: Context) -> Lock | None:
    """The lock that a request asks for whose object is to be; None where it asks for none.

    Raises InvalidRequest where the bucket has no lock configuration, InvalidArgument.
    """
    if not is_stated(ctx):
        return None
    locking.check_enabled(ctx.existing())
    mode, until, hold = (_text(ctx, name) for name in (_MODE, _UNTIL, _LEGAL_HOLD))
    if (mode is None) != (until is None):
        message = f"{_UNTIL.decode()} and {_MODE.decode()} must both be supplied"
        raise S3Error(codes.INVALID_ARGUMENT, message)
    if hold is not None and hold not in STATUS:
        raise _bad(_LEGAL_HOLD, hold, "Legal Hold must be either of 'ON' or 'OFF'")
    is_held = None if hold is None else STATUS[hold]
    if mode is None or until is None:
        return Lock(legal_hold=is_held)
    if mode not in object_lock.MODES:
        raise _bad(_MODE, mode, "Unknown wormMode directive.")
    return Lock(mode, await _future(ctx, until), is_held)


def _text(ctx: Context, name: bytes) -> str | None:
    value = ctx.request.header(name)
    return None if value is None else value.decode("latin-1")


async def _future(ctx: Context, text: str) -> int:
    seconds = parse_instant(text)
    if seconds is None:
        message = "The retain until date must be provided in ISO 8601 format"
        raise _bad(_UNTIL, text, message)
    await check_future(ctx, seconds)
    return seconds


async def check_future(ctx: Context, seconds: int) -> None:
    """Refuses a retention that is over already, by either clock. Raises InvalidArgument."""
    now = await trusted_time.moment(ctx.store)
    if seconds <= now.latest_s:
        message = "The retain until date must be in the future!"
        raise _bad(_UNTIL, instant(seconds), message)


def parse_instant(text: str) -> int | None:
    """Seconds since the Unix epoch of a time in the form of ISO 8601, rounded up; or None."""
    try:
        moment = datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(object_lock.LATEST_S, -(-(moment - _EPOCH) // timedelta(seconds=1)))


def rounded_up(time_ns: int) -> int:
    """The seconds of a time in nanoseconds: a retention is not cut short."""
    return min(object_lock.LATEST_S, -(-time_ns // _NS_PER_S))


def _bad(name: bytes, value: str, message: str) -> S3Error:
    extra = [("ArgumentName", name.decode()), ("ArgumentValue", value[:100])]
    return S3Error(codes.INVALID_ARGUMENT, message, extra=extra)


async def check_digest(ctx: Context, lock: Lock | None, algorithm: str) -> None:
    """Wants a promise of the bytes that will be kept for long, where they may be locked.

    The sender of a form has no way to compute one. A signed SHA-256 is one as well: S3 refuses it,
    and with it all that minio-py puts without TLS. Raises InvalidRequest.
    """
    is_promised = algorithm or ctx.payload_sha256 or b"content-md5" in ctx.request.names
    if is_promised or ctx.form is not None:
        return
    default = await locking.default_of(ctx.store, ctx.existing())
    if lock is not None or (default is not None and default.mode):
        message = (
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with"
            " Object Lock parameters"
        )
        raise S3Error(codes.INVALID_REQUEST, message)


def bypasses(ctx: Context, bucket: Bucket) -> bool:
    """Whether the sender wants to bypass governance, and may."""
    value = ctx.request.header(BYPASS)
    if value is None or value.lower() != b"true":
        return False
    return access.may_bypass_governance(ctx.identity, bucket.record.owner)


# --- out


def headers_of(lock: Lock) -> Headers:
    """What a read shows of a version's lock."""
    found: Headers = []
    if lock.mode:
        found.append((_MODE, lock.mode.encode()))
        found.append((_UNTIL, instant(lock.retain_until_s).encode()))
    if lock.legal_hold is not None:
        found.append((_LEGAL_HOLD, STATUS_TEXTS[lock.legal_hold].encode()))
    return found
