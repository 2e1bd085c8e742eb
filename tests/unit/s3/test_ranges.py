"""The Range header: what is heeded, what is passed over, what is outside."""

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.s3.ranges import ByteRange, resolve


@pytest.mark.parametrize(
    ("value", "offset", "length"),
    [
        (b"bytes=0-0", 0, 1),
        (b"bytes=0-9", 0, 10),
        (b"bytes=0-10", 0, 10),
        (b"bytes=3-", 3, 7),
        (b"bytes=-3", 7, 3),
        (b"bytes=-10", 0, 10),
        (b"bytes=-11", 0, 10),
        (b"BYTES=9-9", 9, 1),
        (b" bytes=9-9 ", 9, 1),
        (b"bytes=0-9999999999999999999", 0, 10),
        (b"bytes=5-18446744073709551615", 5, 5),
        (b"bytes=-" + b"9" * 5000, 0, 10),
        (b"bytes=" + b"0" * 5000 + b"7-8", 7, 2),
    ],
)
def test_inside(value, offset, length):
    assert resolve(value, 10) == ByteRange(offset, length, 10)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"bytes=", b"bytes=-", b"bytes=5-4", b"bytes=1-2,4-5", b"bytes=+1-2", b"bytes=1",
     b"bytes= 1-2", b"bytes=1-2x", b"byte=1-2", b"bytes=0x1-2",
     "bytes=١-٢".encode()],
)  # fmt: skip
def test_passed_over(value):
    assert resolve(value, 10) is None


@pytest.mark.parametrize(
    ("value", "size"),
    [(b"bytes=10-", 10), (b"bytes=10-20", 10), (b"bytes=-0", 10), (b"bytes=0-", 0),
     (b"bytes=99999999999999999999-", 10),
     (b"bytes=-1", 0), (b"bytes=0-0", 0)],
)  # fmt: skip
def test_outside(value, size):
    with pytest.raises(S3Error) as caught:
        resolve(value, size)
    assert caught.value.code is codes.INVALID_RANGE
    assert caught.value.headers == ((b"content-range", b"bytes */%d" % size),)


def test_content_range():
    assert ByteRange(3, 4, 10).content_range() == b"bytes 3-6/10"
