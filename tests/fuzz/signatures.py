"""Canonical requests and signatures: the sigv4 kernel against its slow reference, on any bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from fastobj._ext import sigv4
from tests.fuzz.mutations import NUMBERS, mutate
from tests.reference import sigv4 as reference

Header = tuple[bytes, bytes]

PATHS = (b"/", b"/b/k", b"/b//k/../%2e", b"/b/a%20b+c~d", b"/b/%2F%252F", "/b/ü€".encode(), b"")
QUERIES = (
    b"",
    b"uploads",
    b"list-type=2&prefix=a%2Fb&delimiter=/",
    b"partNumber=1&uploadId=abc%3D%3D",
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261120T101112Z&X-Amz-Signature=00",
    b"a=1&a=&a&b=x+y&&=",
)
NAMES = (b"host", b"x-amz-date", b"x-amz-content-sha256", b"x-amz-meta-a", b"range", b"")
VALUES = (
    b"localhost:9000",
    b"20261120T101112Z",
    b"UNSIGNED-PAYLOAD",
    b"  a   b\t c ",
    b"",
    b"\xff",
)
WORDS = (
    *NUMBERS,
    *(b"% %4 %zz %41 %2f %2F %25 & = + / // ~ ; %0a %0A %00 ? # %e2%82%ac %C3%BC".split()),
    b"X-Amz-Signature",
    b"&X-Amz-Signature=1",
    b"X%2DAmz-Signature=1",
    b"\0",
    b"\t",
    b" ",
    b"\n",
    b"\r",
    b"\xff",
    b"host;x-amz-date",
    b"&" * 5000,
    b"a=b&" * 2000,
    b"%" * 20_000,
)
# What the kernel may ask for at most before it refuses.
PATH_OR_QUERY_FACTOR = 3


def request(rng: random.Random) -> list[Any]:
    """The nine arguments of `signature`, each whole or damaged."""

    def text(choices: tuple[bytes, ...], rate: float = 0.4) -> bytes:
        chosen = rng.choice(choices)
        return mutate(rng, chosen, WORDS) if rng.random() < rate else chosen

    count = rng.choice((1, 3, 6, 6, 63, 64, 65, 130))
    headers = [(text(NAMES, 0.1), text(VALUES)) for _ in range(rng.randint(0, count))]
    named = [name for name, _ in headers] or [b"host"]
    signed = b";".join(rng.choices(named, k=rng.randint(0, min(count, 8))))
    return [
        text((b"GET", b"PUT", b"DELETE"), 0.05),
        text(PATHS, 0.7),
        text(QUERIES, 0.7),
        headers,
        mutate(rng, signed, WORDS) if rng.random() < 0.1 else signed,
        text((b"UNSIGNED-PAYLOAD", b"0" * 64), 0.05),
        text((b"20261120T101112Z",), 0.05),
        text((b"20261120/us-east-1/s3/aws4_request",), 0.05),
        rng.randbytes(rng.choice((0, 32, 32, 63, 64, 65, 200))),
    ]


def _size_max(arguments: list[Any]) -> int:
    """At most how long the canonical request is, as the kernel reckons before it writes."""
    method, path, query, headers, signed, payload = arguments[:6]
    lengths: dict[bytes, int] = {}
    for name, value in headers:
        lengths[name] = lengths.get(name, 0) + len(value) + 1
    names = sum(len(name) + 2 + lengths.get(name, 0) for name in signed.split(b";"))
    items = query.count(b"&") + 1
    encoded = PATH_OR_QUERY_FACTOR * (len(path) + len(query)) + 2 * items
    return 6 + len(method) + encoded + names + len(signed) + len(payload)


def _result(function: Callable[..., bytes], arguments: list[Any]) -> bytes | None:
    try:
        return function(*arguments)
    except ValueError:
        return None


def one(rng: random.Random) -> None:
    """One request: same text and signature as the reference, and nothing else verifies."""
    arguments = request(rng)
    if _size_max(arguments) > reference.CANONICAL_BYTES_MAX:
        assert _result(sigv4.canonical_request, arguments[:6]) is None
        assert not sigv4.verify(*arguments, b"0" * 64)
        return
    canonical = _result(sigv4.canonical_request, arguments[:6])
    assert canonical == _result(reference.canonical_request, arguments[:6])
    expected = _result(reference.signature, arguments)
    assert _result(sigv4.signature, arguments) == expected
    assert sigv4.verify(*arguments, expected or b"0" * 64) is (expected is not None)
    wrong = mutate(rng, expected or b"0" * 64, ())
    assert sigv4.verify(*arguments, wrong) is (wrong == expected)
    if canonical is not None:
        _check_parts(canonical, arguments)


def _check_parts(canonical: bytes, arguments: list[Any]) -> None:
    """Path and query stand on their lines, and encoding what is encoded changes nothing."""
    _, path, query = canonical.split(b"\n")[:3]
    assert path == (quote(unquote_to_bytes(arguments[1]), safe="/").encode() or b"/")
    again = arguments[:6]
    again[1], again[2] = path, query
    if _size_max(again) > reference.CANONICAL_BYTES_MAX:
        return  # what is encoded is longer
    assert sigv4.canonical_request(*again) == canonical


def keys(rng: random.Random) -> None:
    """Signing keys, digests and HMACs of any bytes."""
    parts = [rng.randbytes(rng.choice((0, 1, 31, 55, 56, 63, 64, 65, 119, 300))) for _ in range(4)]
    assert sigv4.signing_key(*parts) == reference.signing_key(*parts)
    content = rng.randbytes(rng.choice((0, 55, 56, 64, 4095, 4097, rng.randrange(20_000))))
    at = rng.randrange(64)
    view = memoryview(bytearray(at) + content)[at:]
    assert sigv4.sha256(view) == reference.sha256(content)
    assert sigv4.hmac_sha256(parts[0], view) == reference.hmac_sha256(parts[0], content)
