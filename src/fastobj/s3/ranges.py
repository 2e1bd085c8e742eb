"""The Range header: one range of bytes, or none that S3 heeds."""

from __future__ import annotations

import re
from typing import NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error

_RANGE = re.compile(rb"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)
_DIGITS_MAX = 20  # that many are above any size, and more of them say no more


class ByteRange(NamedTuple):
    """A range that lies inside an object of `size` bytes."""

    offset: int
    length: int
    size: int

    def content_range(self) -> bytes:
        """The value of the Content-Range header."""
        return b"bytes %d-%d/%d" % (self.offset, self.offset + self.length - 1, self.size)


def resolve(value: bytes | None, size: int) -> ByteRange | None:
    """The range that the header asks of an object of `size` bytes.

    None where there is no header, or a malformed one, or several ranges: then the whole object
    is the answer. Raises InvalidRange where no byte of the object lies in the range.
    """
    match = _RANGE.fullmatch(value.strip()) if value is not None else None
    first, last = match.groups() if match is not None else (b"", b"")
    if not first and not last:
        return None
    if not first:
        offset, end = max(size - _number(last), 0), size
    else:
        offset = _number(first)
        end = min(_number(last) + 1, size) if last else size
        if last and _number(last) < offset:
            return None
    if offset >= end:
        raise _unsatisfiable(value or b"", size)
    return ByteRange(offset, end - offset, size)


def _number(digits: bytes) -> int:
    return int(digits.lstrip(b"0")[:_DIGITS_MAX] or b"0")


def _unsatisfiable(value: bytes, size: int) -> S3Error:
    return S3Error(
        codes.INVALID_RANGE,
        extra=(("ActualObjectSize", str(size)), ("RangeRequested", value.decode("latin-1"))),
        headers=((b"content-range", b"bytes */%d" % size),),
    )
