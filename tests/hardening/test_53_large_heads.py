"""Check 53: heads that are too large are refused, and none is ever cut to one that fits."""

import pytest

from fastobj.core import limits
from fastobj.s3 import headers
from fastobj.s3.operations import OPERATIONS
from tests.hardening.processes import MIB, workers_stay_below
from tests.hardening.raw import AUTHS, Caller, Connection, Entry
from tests.hardening.rows import SERVED, minimal, place

GROWTH_BYTES_MAX = 32 * MIB
SIZES = (65_535, 65_536, 65_537, 131_071, 131_072, 1_000_000)
LARGE = {
    "one header": (431, b"x-a: " + b"a" * MIB + b"\r\n"),
    "one name": (431, b"a" * MIB + b": a\r\n"),
    "headers of a megabyte": (431, b"x-a: aaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 32_768),
    "100,000 headers": (431, b"a:b\r\n" * 100_000),
    "100,000 names": (431, b"".join(b"a%d:b\r\n" % number for number in range(100_000))),
    "headers one above": (431, b"a:b\r\n" * limits.HEADERS_MAX),
    "blanks": (431, b"x-a: " + b" \t" * 50_000 + b"a\r\n"),
}
ODD = ["", "-1", "a", ",", '"', "%", "9" * 5000, "a" * 20_000, "\xff\xfe"]
DATES = [
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 01 Jan 2026 00:00:00 +99999999999999",
    "Mon, 01 Jan 99999999999 00:00:00 GMT",
    "99991231T235959Z",
    "00010101T000000Z",
    "20260231T000000Z",
    "20261120T256161Z",
    "1" * 5000,
    "Mon " * 5000,
    "(" * 10_000,
]


@pytest.mark.parametrize("name", LARGE)
def test_large_heads_are_refused(caller, server, s3, bucket, name):
    status, lines = LARGE[name]
    head = caller.head("PUT", bucket, "key", lines=lines + b"Content-Length: 0\r\n")
    with workers_stay_below(server, GROWTH_BYTES_MAX), Connection(server.port) as connection:
        connection.send(head)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert connection.rest() == b""
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_path_is_never_wrapped(caller, server, s3, bucket, size):
    """At either end of what a 16-bit length leaves of it, the path would name another key."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    _, short = caller.place(bucket, "key")
    for target in (
        short + "a" * (size - len(short)),
        short + "?" + "a" * (size - len(short) - 1),
        "/" + "a" * (size - len(short) - 1) + short,
        "a" * 65_536 + short,
    ):
        head = caller.head("DELETE", bucket, "key")
        _, _, rest = head.partition(b" HTTP/1.1\r\n")
        with Connection(server.port) as connection:
            connection.send(f"DELETE {target} HTTP/1.1\r\n".encode() + rest)
            answer = connection.answer()
            assert answer.status in (414, 400)
            assert connection.rest() == b""
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"kept"


def test_the_longest_target_is_taken_whole(caller, bucket):
    longest = caller.head("GET", bucket, "key", query="a=").split(b" ")[1]
    room = limits.TARGET_BYTES_MAX - len(longest)
    assert caller("GET", bucket, "key", query=f"a={'a' * room}").status == 404
    assert caller("GET", bucket, "key", query=f"a={'a' * (room + 1)}").status == 414


@pytest.mark.parametrize(("size", "status"), [(2048, 200), (2049, 400), (20_000, 400)])
@pytest.mark.parametrize("count", [1, 50])
def test_metadata_is_bounded(caller, s3, bucket, size, status, count):
    names = [f"{number:02}" for number in range(count)]
    values = ["a" * (size // count - 2) for _ in names]
    values[0] += "a" * (size - sum(len(text) + 2 for text in values))
    pairs = {f"x-amz-meta-{name}": text for name, text in zip(names, values, strict=True)}
    answer = caller("PUT", bucket, "key", headers=pairs, body=b"body")
    assert answer.status == status
    assert answer.code == (None if status == 200 else "MetadataTooLarge")
    if status == 200:
        found = s3.head_object(Bucket=bucket, Key="key")["Metadata"]
        assert found == dict(zip(names, values, strict=True))


@pytest.mark.parametrize("auth", AUTHS)
def test_no_value_of_a_known_header_is_a_fault(server, bucket, auth):
    """Each header of the table, on each served row, with values that it was not made for."""
    caller = Caller(server, Entry(auth, "path"))
    common = {*headers.USED_BY_ALL, *headers.HARMLESS, b"x-amz-security-token", b"range"}
    for op in SERVED:
        known = {*common, *headers.USED.get(op.name, ()), *headers.REFUSED.get(op.name, ())}
        names = [name.decode() for name in sorted(known - {b"content-length"})]
        for name in names:
            where, asked = place(op, bucket, "key"), minimal(op)
            for text in ODD:
                sent = {**asked.headers, name: text} if auth == "header" else {}
                lines = b"" if sent else f"{name}: {text}\r\n".encode("latin-1")
                answer = caller(op.method, *where, query=asked.query, headers=sent, lines=lines)
                assert answer.status < 500 or answer.status == 501, (op.name, name, text[:20])
            caller("DELETE", bucket, "key")
    caller.close()


def test_no_date_is_a_fault(server, call, bucket):
    scope = f"{server.access_key}/20261120/us-east-1/s3/aws4_request"
    claim = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
    for date in DATES:
        for name in ("Date", "x-amz-date"):
            text = (
                f"GET /{bucket} HTTP/1.1\r\nHost: a\r\nAuthorization: {claim}\r\n{name}: {date}\r\n"
            )
            with Connection(server.port) as connection:
                connection.send(text.encode() + b"\r\n")
                assert connection.answer().status in (400, 403), date
        for name in ("if-modified-since", "if-unmodified-since"):
            assert call("GET", bucket, "key", lines=f"{name}: {date}\r\n".encode()).status == 404


def test_every_row_bounds_its_head(caller, server, bucket):
    for op in OPERATIONS:
        asked = minimal(op)
        head = caller.head(
            *(op.method, *place(op, bucket, "key")),
            query=asked.query,
            headers=asked.headers,
            lines=b"x-a: " + b"a" * limits.HEAD_BYTES_MAX + b"\r\n",
        )
        with Connection(server.port) as connection:
            connection.send(head)
            assert connection.answer(op.method).status == 431, op.name
