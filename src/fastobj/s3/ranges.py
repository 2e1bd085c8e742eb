"""Ranges of bytes: the Range header, which S3 heeds or not, and that of a copy, which is exact."""

from __future__ import annotations

import re
from typing import NamedTuple

from fastobj.core import codes
from fastobj.core.errors import S3Error

_RANGE = re.compile(rb"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)
_COPY_RANGE = re.compile(rb"bytes=([0-9]+)-([0-9]+)")
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


class CopyRange(NamedTuple):
    """The bytes of a source that a copy asks for, both ends included; all of them where None."""

    value: bytes | None
    first: int = 0
    last: int = 0

    def resolve(self, size: int) -> ByteRange:
        """The range in a source of `size` bytes. Raises InvalidArgument for one beyond its end."""
        if self.value is None:
            return ByteRange(0, size, size)
        if self.last >= size:
            message = f"Range specified is not valid for source object of size: {size}"
            raise _bad_copy_range(self.value, message)
        return ByteRange(self.first, self.last - self.first + 1, size)


def parse_copy(value: bytes | None) -> CopyRange:
    """The header x-amz-copy-source-range. Raises InvalidArgument where it is malformed."""
    if value is None:
        return CopyRange(None)
    match = _COPY_RANGE.fullmatch(value)
    first, last = map(_number, match.groups()) if match is not None else (1, 0)
    if first > last:
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first"
            " and last are the zero-based offsets of the first and last bytes to copy"
        )
        raise _bad_copy_range(value, message)
    return CopyRange(value, first, last)


def _bad_copy_range(value: bytes, message: str) -> S3Error:
    text = value.decode("latin-1")
    extra = (("ArgumentName", "x-amz-copy-source-range"), ("ArgumentValue", text))
    return S3Error(codes.INVALID_ARGUMENT, message, extra=extra)


def _number(digits: bytes) -> int:
    return int(digits.lstrip(b"0")[:_DIGITS_MAX] or b"0")


def _unsatisfiable(value: bytes, size: int) -> S3Error:
    return S3Error(
        codes.INVALID_RANGE,
        extra=(("ActualObjectSize", str(size)), ("RangeRequested", value.decode("latin-1"))),
        headers=((b"content-range", b"bytes */%d" % size),),
    )
