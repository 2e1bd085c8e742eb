"""Heads of requests: split anywhere, damaged, and against a strict reading of RFC 9112."""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from fastobj.core import limits
from fastobj.http.head import HeadParser, HeadRefused
from tests.fuzz.mutations import NUMBERS, mutate

STATUSES = {400, 414, 431, 501, 505}
EVERY_SPLIT_BYTES_MAX = 160
SPLITS = 6

METHODS = (b"GET", b"PUT", b"HEAD", b"POST", b"DELETE", b"OPTIONS")
PATHS = (b"/", b"/b", b"/b/k", b"/b/k%20%2F", b"/b//k/../x", b"/b/" + b"k" * 300, b"/\xc3\xbc")
QUERIES = (b"", b"?", b"?uploads", b"?list-type=2&prefix=a%2Fb", b"?x=a+b&y=?&&=")
HEADERS = (
    (b"Host", b"localhost:9000"),
    (b"x-amz-date", b"20261120T101112Z"),
    (b"X-Amz-Content-SHA256", b"UNSIGNED-PAYLOAD"),
    (b"Authorization", b"AWS4-HMAC-SHA256 Credential=A/b/c/s3/aws4_request, Signature=00"),
    (b"Range", b"bytes=0-9"),
    (b"x-amz-meta-\xc3", b"\xc3\xbc  inner  "),
    (b"x-empty", b""),
    (b"Connection", b"close"),
    (b"Connection", b"keep-alive"),
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"h2c"),
    (b"Expect", b"100-continue"),
    (b"Content-Length", b"0"),
    (b"Content-Length", b"5"),
    (b"Transfer-Encoding", b"chunked"),
)
WORDS = (
    *NUMBERS,
    *(name + b": " + value + b"\r\n" for name, value in HEADERS),
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\n\n",
    b"\r\n ",
    b"\r\n\t",
    b" :",
    b": ",
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"http://other/",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"x" * (limits.HEAD_BYTES_MAX - 100),
    b"/" * (limits.TARGET_BYTES_MAX - 3),
    b"h: v\r\n" * (limits.HEADERS_MAX - 4),
)


class Head(NamedTuple):
    """What a head comes to; `size` is how many bytes it took."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    length: int | None
    keep_alive: bool
    expects_continue: bool
    size: int


Outcome = Head | int | None  # a refusal's status; None: more bytes are wanted


def same(left: Outcome, right: Outcome) -> bool:
    """Whether two outcomes are one; a head with two faults is refused for either of them."""
    return left == right or (isinstance(left, int) and isinstance(right, int))


def parse(content: bytes, cuts: list[int]) -> Outcome:
    """What a parser makes of `content`, received in pieces that end at `cuts`."""
    parser = HeadParser()
    start = 0
    try:
        for end in (*cuts, len(content)):
            piece = bytearray(content[start:end])
            taken = parser.feed(piece, len(piece))
            assert 0 <= taken <= len(piece)
            start += taken
            if parser.complete:
                return Head(
                    parser.method,
                    parser.target,
                    parser.headers,
                    parser.length,
                    parser.keep_alive,
                    parser.expects_continue,
                    start,
                )
            assert start == end
    except HeadRefused as refusal:
        return refusal.status
    finally:
        parser.close()
    assert parser.begun == bool(content)
    return None


# --- the strict reading

# Empty lines before a request line, and more than one space in it, are what RFC 9112 (2.2, 3)
# allows to be read over; RTSP and ICE share the grammar and fail later, for want of an operation.
_REQUEST_LINE = re.compile(
    rb"([A-Z$%&'*+.^_`|~a-z0-9!#-]+) +([^\x00-\x20\x7f]+) +(?:HTTP|RTSP|ICE)/([0-9])\.([0-9])"
)
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")


def strict(content: bytes) -> Head | None:
    """The head at the start of `content` where a strict reading has just one; else None."""
    skipped = len(content) - len(content.lstrip(b"\r\n"))
    end = content.find(b"\r\n\r\n", skipped)
    if end < 0:
        return None
    first, *lines = content[skipped:end].split(b"\r\n")
    request_line = _REQUEST_LINE.fullmatch(first)
    matches = [_HEADER.fullmatch(line) for line in lines]
    if request_line is None or None in matches:
        return None
    headers = [(m[1].lower(), m[2].strip(b" \t")) for m in matches if m]
    method, target, *version = request_line.groups()
    if not target.startswith(b"/") or version not in ([b"1", b"0"], [b"1", b"1"]):
        return None
    newest = version == [b"1", b"1"]
    framing = _framing(headers, newest)
    if framing is None:
        return None
    tokens = b",".join(_all(headers, b"connection")).lower().split(b",")
    keep_alive = newest and b"close" not in [token.strip(b" \t") for token in tokens]
    expects = [value.lower() == b"100-continue" for value in _all(headers, b"expect")]
    expects_continue = newest and bool(expects) and expects[-1]
    size = end + 4
    return Head(method, target, headers, framing[0], keep_alive, expects_continue, size)


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for other, value in headers if other == name]


def _framing(headers: list[tuple[bytes, bytes]], newest: bool) -> tuple[int | None] | None:
    """The body's length, in a tuple; None where it is not clear."""
    hosts, lengths = _all(headers, b"host"), _all(headers, b"content-length")
    codings = _all(headers, b"transfer-encoding")
    if len(hosts) > 1 or (newest and not hosts) or len(lengths) > 1:
        return None
    if codings:
        fits = newest and not lengths and [coding.lower() for coding in codings] == [b"chunked"]
        return (None,) if fits else None
    if not lengths:
        return (0,)
    return (int(lengths[0]),) if re.fullmatch(rb"[0-9]+", lengths[0]) else None


# --- the fuzzer


def valid(rng: random.Random) -> bytes:
    """A head that any server takes, but for what its framing headers ask."""
    method, path, query = rng.choice(METHODS), rng.choice(PATHS), rng.choice(QUERIES)
    chosen = [HEADERS[0], *rng.choices(HEADERS[1:], k=rng.randrange(8))]
    rng.shuffle(chosen)
    lines = [b"%b %b%b HTTP/1.1" % (method, path, query)]
    lines += [b"%b:%b%b" % (name, rng.choice((b" ", b"", b"\t")), value) for name, value in chosen]
    return b"\r\n".join([*lines, b"", b""])


def one(rng: random.Random) -> None:
    """One head, valid or damaged, in one piece and in many."""
    content = valid(rng)
    if rng.random() < 0.85:
        content = mutate(rng, content, WORDS)
    content += rng.choice((b"", b"hello", b"GET /next HTTP/1.1\r\nhost: h\r\n\r\n", b"\r\n\r\n"))
    whole = parse(content, [])
    for cuts in _cuts(rng, len(content)):
        assert same(parse(content, cuts), whole), (whole, cuts)
    if isinstance(whole, int):
        assert whole in STATUSES
    elif whole is not None:
        assert whole == strict(content)
        _check_bounds(whole)


def _cuts(rng: random.Random, length: int) -> list[list[int]]:
    """Ways to cut: at each single place where there are few, at some, and everywhere."""
    places = range(1, length)
    if length <= EVERY_SPLIT_BYTES_MAX and rng.random() < 0.1:
        singles = [[at] for at in places]
    else:
        singles = [[rng.choice(places)] for _ in range(SPLITS) if places]
    several = sorted(rng.choices(places, k=4)) if places else []
    bytewise = [list(places)] if length < 2000 and rng.random() < 0.1 else []
    return [*singles, several, *bytewise]


def _check_bounds(head: Head) -> None:
    assert head.size <= limits.HEAD_BYTES_MAX
    assert len(head.target) <= limits.TARGET_BYTES_MAX
    assert len(head.headers) <= limits.HEADERS_MAX
