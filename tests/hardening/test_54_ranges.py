"""Check 54: any Range header has S3's answer: one range, the whole object, or InvalidRange."""

import pytest

from tests.hardening.processes import MIB, workers_stay_below

BODY = bytes(range(256)) * 400
SIZE = len(BODY)
GROWTH_BYTES_MAX = 16 * MIB
# What is one range, and its first and last byte.
ONE = {
    "bytes=0-0": (0, 0),
    "bytes=0-": (0, SIZE - 1),
    "bytes=5-": (5, SIZE - 1),
    "bytes=5-9": (5, 9),
    "BYTES=5-9": (5, 9),
    "bytes=-5": (SIZE - 5, SIZE - 1),
    f"bytes=-{SIZE}": (0, SIZE - 1),
    f"bytes=-{SIZE + 1}": (0, SIZE - 1),
    f"bytes=-{2**64}": (0, SIZE - 1),
    f"bytes=-{'9' * 4300}": (0, SIZE - 1),
    f"bytes={SIZE - 1}-": (SIZE - 1, SIZE - 1),
    f"bytes={SIZE - 1}-{SIZE}": (SIZE - 1, SIZE - 1),
    f"bytes=0-{2**31}": (0, SIZE - 1),
    f"bytes=0-{2**63 - 1}": (0, SIZE - 1),
    f"bytes=0-{2**63}": (0, SIZE - 1),
    f"bytes=0-{2**64 - 1}": (0, SIZE - 1),
    f"bytes=0-{2**64}": (0, SIZE - 1),
    f"bytes=0-{'9' * 5000}": (0, SIZE - 1),
    f"bytes={'0' * 5000}7-{'0' * 5000}9": (7, 9),
}
BEYOND = [
    "bytes=-0",
    f"bytes=-{'0' * 5000}",
    f"bytes={SIZE}-",
    f"bytes={SIZE}-{SIZE}",
    f"bytes={SIZE}-{2**64}",
    f"bytes={2**32}-",
    f"bytes={2**63}-",
    f"bytes={2**64}-",
    f"bytes={2**64}-{2**64}",
    f"bytes={2**64 + 1}-{2**65}",
    f"bytes={'9' * 5000}-",
]
# What is no range at all, more than one, or one that runs backwards: S3 sends the whole object.
WHOLE = [
    *("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0x0-0x5", "bytes=+1-2", "bytes=--1"),
    *("bytes=1", "bytes=1-2-3", "bytes=1.0-2", "bytes 1-2", "items=0-1", "0-1", "bytes=1_0-20"),
    *("bytes=0-0,2-2", "bytes=0-0, 5-9", "bytes=0-5,3-8", "bytes=-5,0-", "bytes=0-,", "bytes=,0-"),
    *("bytes=9-5", f"bytes={SIZE}-0", f"bytes={2**64}-1", "bytes=1-0", "bytes= 1-2", "bytes=1 -2"),
    "bytes=" + ",".join(["0-"] * 10_000),
    "bytes=" + ",".join(["0-9"] * 7000),
    "bytes=" + "-" * 20_000,
    "bytes=" + "9" * 25_000,
    "bytes=" + "1-" * 12_000,
]


@pytest.fixture(scope="session")
def full(s3):
    """A bucket with an object of some size and an empty one, made once and only read."""
    name = "hardening-ranges"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="key", Body=BODY)
    s3.put_object(Bucket=name, Key="empty", Body=b"")
    return name


def ask(caller, bucket, method, value, key="key"):
    return caller(method, bucket, key, lines=f"Range: {value}\r\n".encode())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_one_range(caller, full, method):
    for value, (first, last) in ONE.items():
        answer = ask(caller, full, method, value)
        assert answer.status == 206, value[:40]
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.headers["content-length"] == str(last - first + 1)
        assert answer.body == (BODY[first : last + 1] if method == "GET" else b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_range_beyond_the_object(caller, full, method):
    for value in BEYOND:
        answer = ask(caller, full, method, value)
        assert answer.status == 416, value[:40]
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
        assert method == "HEAD" or answer.code == "InvalidRange"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_all_else_is_the_whole_object(caller, server, full, method):
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        for value in WHOLE:
            answer = ask(caller, full, method, value)
            assert answer.status == 200, value[:40]
            assert "content-range" not in answer.headers
            assert answer.headers["content-length"] == str(SIZE)
            assert answer.body == (BODY if method == "GET" else b"")


def test_an_empty_object_has_no_range(caller, full):
    for value in (*ONE, *BEYOND):
        assert ask(caller, full, "GET", value, "empty").status == 416
    for value in WHOLE:
        answer = ask(caller, full, "GET", value, "empty")
        assert (answer.status, answer.body) == (200, b"")


def test_two_headers_are_no_more_than_one(caller, full):
    answer = caller("GET", full, "key", lines=b"Range: bytes=0-0\r\nRange: bytes=5-9\r\n")
    assert answer.status in (200, 206)
    assert answer.body in (BODY, BODY[:1])
