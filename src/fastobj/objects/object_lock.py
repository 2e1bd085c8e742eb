"""Object lock: what a lock forbids, and what may become of it. Decides, and reads no row.

Whoever may bypass governance is told by a flag. A mode that nobody knows binds as compliance does.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import VERSIONING_ENABLED, BucketRecord, Lock
from fastobj.objects.trusted_time import Moment, State

KIND: Final = 7  # the number of this configuration: see objects.configs
BIT: Final = 1 << KIND  # of a bucket whose objects may be locked
GOVERNANCE: Final = "GOVERNANCE"
COMPLIANCE: Final = "COMPLIANCE"
MODES: Final = (GOVERNANCE, COMPLIANCE)
LATEST_S: Final = 253_402_300_799  # the end of the year 9999: no later date can be written
_DAYS_MAX: Final = 36_500
_YEARS_MAX: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_LOCK: Final = Lock()
_PROTECTED: Final = "Access Denied because object protected by object lock."
_NOT_SURE: Final[dict[State, str]] = {
    State.AHEAD: (
        " The server's clock has been set ahead, so no retention ends until its operator confirms"
        " the time: `fastobj clock confirm DIR`."
    ),
    State.UNKNOWN: (
        " The server does not know what time to trust, so no retention ends until its operator"
        " confirms the time: `fastobj clock confirm DIR`."
    ),
}


class ObjectLock(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The lock configuration of a bucket: its objects may be locked.

    Those that are put without a retention of their own get one of `mode` for so many `days` or
    `years`; without a `mode` none.
    """

    mode: str = ""
    days: int = 0
    years: int = 0

    def retain_until_s(self, from_s: int) -> int:
        """When the retention of an object ends that is put at that time; seconds of the epoch."""
        try:
            began = _EPOCH + timedelta(seconds=from_s)
            ended = _years_later(began, self.years) + timedelta(days=self.days)
            return min(LATEST_S, int((ended - _EPOCH).total_seconds()))
        except (OverflowError, ValueError):
            return LATEST_S


def _years_later(began: datetime, years: int) -> datetime:
    try:
        return began.replace(year=began.year + years)
    except ValueError:
        if (began.month, began.day) != (2, 29):
            raise
        return began.replace(year=began.year + years, month=3, day=1)


def checked(mode: str | None, days: int | None, years: int | None) -> ObjectLock:
    """The configuration with that default. Raises MalformedXML, InvalidArgument."""
    if mode not in MODES or (days is None) == (years is None):
        raise S3Error(codes.MALFORMED_XML)
    name, value, most = ("Days", days, _DAYS_MAX) if years is None else ("Years", years, _YEARS_MAX)
    assert value is not None, "one of them is there"
    message = ""
    if value <= 0:
        message = "Default retention period must be a positive integer value."
    elif value > most:
        message = f"Default retention period too large: at most {most} {name.lower()}."
    if message:
        extra = [("ArgumentName", name), ("ArgumentValue", str(value))]
        raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
    return ObjectLock(mode, days or 0, years or 0)


def check_versioning(bucket: BucketRecord, versioning: int) -> None:
    """Refuses to keep no versions where objects may be locked. Raises InvalidBucketState."""
    if versioning != VERSIONING_ENABLED and bucket.configs & BIT:
        message = (
            "An Object Lock configuration is present on this bucket, so the versioning state cannot"
            " be changed."
        )
        raise S3Error(codes.INVALID_BUCKET_STATE, message)


# --- what a lock forbids


def check_removal(lock: Lock, now: Moment, *, bypass: bool) -> None:
    """Lets a version go for good, or not. Raises AccessDenied."""
    if lock.legal_hold:
        raise S3Error(codes.ACCESS_DENIED, _PROTECTED)
    _check_bound(lock, now, bypass=bypass)


def _check_bound(lock: Lock, now: Moment, *, bypass: bool) -> None:
    """Raises AccessDenied where the retention binds who asks."""
    if not lock.mode or now.has_come(lock.retain_until_s):
        return
    if lock.mode == GOVERNANCE and bypass:
        return
    is_over = lock.retain_until_s <= now.latest_s  # as the one clock has it
    raise S3Error(
        codes.ACCESS_DENIED, _PROTECTED + (_NOT_SURE.get(now.state, "") if is_over else "")
    )


# --- what may become of a lock


def with_retention(
    lock: Lock | None, mode: str, retain_until_s: int, now: Moment, *, bypass: bool
) -> Lock:
    """The lock with another retention; without a mode there is none any more.

    A retention that binds may only become longer, and keeps its mode. Raises AccessDenied.
    """
    present = lock or _NO_LOCK
    if mode != present.mode or retain_until_s < present.retain_until_s:
        _check_bound(present, now, bypass=bypass)
    return Lock(mode, retain_until_s if mode else 0, present.legal_hold)


def with_legal_hold(lock: Lock | None, is_on: bool) -> Lock:
    """The lock with a legal hold, or without one."""
    present = lock or _NO_LOCK
    return Lock(present.mode, present.retain_until_s, is_on)


def with_default(lock: Lock | None, default: ObjectLock, now: Moment) -> Lock | None:
    """The lock of an object that is put; where it states no retention, that of its bucket."""
    if not default.mode or (lock is not None and lock.mode):
        return lock
    held = None if lock is None else lock.legal_hold
    return Lock(default.mode, default.retain_until_s(now.latest_s), held)
