"""Dates on the wire: that of HTTP headers and that of XML documents. Both are UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from typing import Final

_NS_PER_S: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000


def http_date(time_ns: int) -> str:
    """`Fri, 20 Nov 2026 19:16:36 GMT` from nanoseconds since the Unix epoch, cut to seconds."""
    return _http_date(time_ns // _NS_PER_S)


@lru_cache(maxsize=1024)
def _http_date(time_s: int) -> str:
    return formatdate(time_s, usegmt=True)


def iso_date(time_ns: int) -> str:
    """`2026-11-20T19:16:36.000Z` from nanoseconds since the Unix epoch, cut to milliseconds."""
    time_s, rest_ns = divmod(time_ns, _NS_PER_S)
    return f"{_iso_date(time_s)}.{rest_ns // _NS_PER_MS:03d}Z"


@lru_cache(maxsize=1024)
def _iso_date(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_http_date(text: str) -> int | None:
    """Seconds since the Unix epoch from a date of HTTP or ISO 8601; None where it is neither."""
    try:
        moment = datetime.fromisoformat(text) if text[:1].isdigit() else parsedate_to_datetime(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
