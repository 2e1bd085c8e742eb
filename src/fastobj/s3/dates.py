"""Dates in HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from typing import Final

_NS_PER_S: Final = 1_000_000_000


def http_date(time_ns: int) -> str:
    """`Fri, 20 Nov 2026 19:16:36 GMT` from nanoseconds since the Unix epoch, cut to seconds."""
    return _http_date(time_ns // _NS_PER_S)


@lru_cache(maxsize=1024)
def _http_date(time_s: int) -> str:
    return formatdate(time_s, usegmt=True)


def parse_http_date(text: str) -> int | None:
    """Seconds since the Unix epoch from a date of HTTP or ISO 8601; None where it is neither."""
    try:
        moment = datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def instant(seconds: int) -> str:
    """A time in seconds since the Unix epoch, in the form of ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
