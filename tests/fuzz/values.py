"""Short texts of requests: ranges, dates, names, queries and tokens, against slow readings."""

from __future__ import annotations

import random
import re
from urllib.parse import quote, unquote_to_bytes

from fastobj._ext import sigv4
from fastobj.core import codes, limits
from fastobj.core.op import Scope
from fastobj.s3 import dates, names, paging, ranges
from tests.fuzz.harness import attempt
from tests.fuzz.mutations import NUMBERS, mutate

# --- ranges

RANGES = (b"bytes=0-", b"bytes=0-9", b"bytes=-5", b"bytes=5-5", b"bytes=99-100", b"BYTES=1-2")
RANGE_WORDS = (
    *NUMBERS,
    b"bytes",
    b"=",
    b"-",
    b",",
    b"--",
    b"0-1,2-3",
    b" ",
    b"\t",
    b"=-0",
    b"\x0b",
)
SIZES = (0, 1, 5, 6, 10, 100, 2**31, 2**32, 2**53, 2**63 - 1)


BEYOND = 10**19  # above every size: how such numbers compare with each other does not matter


def _number(digits: bytes) -> int:
    significant = digits.lstrip(b"0")
    return BEYOND if len(significant) > 19 else int(significant or b"0")


def _wanted(value: bytes, size: int) -> range | None:
    """The bytes asked for, position by position; None where the header means nothing."""
    parts = value.strip().lower().removeprefix(b"bytes=").split(b"-")
    if not value.strip().lower().startswith(b"bytes=") or len(parts) != 2 or parts == [b"", b""]:
        return None
    if not all(re.fullmatch(rb"[0-9]*", part) for part in parts):
        return None
    first, last = map(_number, parts)
    if not parts[0]:
        return range(size)[-last:] if last else range(0)
    if not parts[1]:
        return range(size)[first:]
    return range(size)[first : last + 1] if first <= last else None


def _is_beyond(value: bytes) -> bool:
    """Whether the range begins above every size; it may be reversed then, or not."""
    return _number(re.split(rb"[=-]", value)[1]) == BEYOND


def byte_ranges(rng: random.Random) -> None:
    """One Range header."""
    value, size = rng.choice(RANGES), rng.choice(SIZES)
    if rng.random() < 0.8:
        value = mutate(rng, value, RANGE_WORDS)
    wanted = _wanted(value, size)
    found, error = attempt(ranges.resolve, value, size)
    if error is not None:
        assert error.code is codes.INVALID_RANGE
        assert wanted is not None
        assert not wanted
        return
    if found is None:
        assert wanted is None or _is_beyond(value)
        return
    assert wanted == range(found.offset, found.offset + found.length)
    assert found.content_range() == b"bytes %d-%d/%d" % (wanted[0], wanted[-1], size)


# --- dates

DATES = (
    "Fri, 20 Nov 2026 19:16:36 GMT",
    "Friday, 20-Nov-26 19:16:36 GMT",
    "Fri Nov 20 19:16:36 2026",
    "2026-11-20T19:16:36Z",
    "2026-11-20T19:16:36.123456+05:30",
    "20261120T191636Z",
    "2026-W47-5",
)
DATE_WORDS = (
    *NUMBERS,
    b"Fri, ",
    b"GMT",
    b"UTC",
    b"EST",
    b"Z",
    b"T",
    b"-0000",
    b"+2400",
    b"+23:59:59.999999",
    b"9999",
    b"0001",
    b"-",
    b":",
    b",",
    b"(comment)",
    b"Feb 29",
    b"60",
    "²".encode("latin-1"),
)
FIRST_SECOND, LAST_SECOND = -62_135_596_800 - 86_400, 253_402_300_799 + 86_400


def http_dates(rng: random.Random) -> None:
    """One date: ours comes back, any other text is a time or nothing."""
    second = rng.randint(0, LAST_SECOND - 86_400)
    nanoseconds = second * 1_000_000_000 + rng.randrange(1_000_000_000)
    ours = dates.http_date(nanoseconds)
    assert dates.parse_http_date(ours) == second
    text = mutate(rng, rng.choice((*DATES, ours)).encode("latin-1"), DATE_WORDS).decode("latin-1")
    found = dates.parse_http_date(text)
    assert found is None or FIRST_SECOND <= found <= LAST_SECOND


# --- names

PATHS = (b"/", b"/bucket", b"/bucket/", b"/bucket/key", b"/bucket//a/../b", b"/bucket/%2e%2E%2Fx")
WORDS = (
    *NUMBERS,
    *(b"% %4 %zz %41 %2f %2F %25 %00 %0a %ff %C3%BC %ED%A0%80 & = + / // ~ ; ? .. .".split()),
    b"\0",
    b"\xff",
    "ü".encode(),
    "u\u0308".encode(),
    b"k" * limits.KEY_BYTES_MAX,
    b"%6b" * limits.KEY_BYTES_MAX,
)
BUCKETS = (
    "abc",
    "a.b-c",
    "a" * 63,
    "xn--a",
    "192.168.0.1",
    "a..b",
    "a-.b",
    "a-s3alias",
    "sthree-a",
)


def paths(rng: random.Random) -> None:
    """One path: what is stored is what was signed, byte for byte."""
    path = rng.choice(PATHS)
    if rng.random() < 0.85:
        path = mutate(rng, path, WORDS)
    found, error = attempt(names.split_path, path)
    if found is None:
        assert error is not None
        assert error.code in (codes.INVALID_URI, codes.KEY_TOO_LONG)
        return
    assert len(found.key) <= limits.KEY_BYTES_MAX
    assert bool(found.key) == (found.scope is Scope.OBJECT)
    found.key.decode()
    signed = sigv4.canonical_request(b"GET", path, b"", [], b"", b"").split(b"\n")[1]
    if "�" in found.bucket:
        return
    if found.scope is Scope.SERVICE:
        assert signed == b"/"
    elif "/" not in found.bucket:
        tail = b"/" + quote(found.key, safe="/").encode() if found.key else b""
        assert signed.removesuffix(b"" if tail else b"/") == b"/%b%b" % (
            quote(found.bucket).encode(),
            tail,
        )


def _is_bucket_name(name: str) -> bool:
    """The rules of S3, one by one."""
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789")
    labels = name.split(".")
    return (
        3 <= len(name) <= 63
        and set(name) <= letters | set(".-")
        and name[0] in letters
        and name[-1] in letters
        and all(label and label[0] != "-" and label[-1] != "-" for label in labels)
        and not (len(labels) == 4 and all(set(label) <= set("0123456789") for label in labels))
        and not name.startswith(("xn--", "sthree-"))
        and not name.endswith(("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"))
    )


def bucket_names(rng: random.Random) -> None:
    """One name of a bucket."""
    words = (b".", b"-", b"A", b"a", b"..", b"\n", "ü".encode(), b"--x-s3", b".mrap", b"1.2.3.4")
    name = mutate(rng, rng.choice(BUCKETS).encode(), words).decode("utf-8", "replace")
    assert names.is_bucket_name(name) == _is_bucket_name(name)


QUERIES = (b"", b"uploads", b"list-type=2&prefix=a%2Fb", b"a=1&a=2&b", b"x=a+b&y=%C3%BC&&=")


def queries(rng: random.Random) -> None:
    """One query: the handlers see the names and values that were signed."""
    query = rng.choice(QUERIES)
    if rng.random() < 0.85:
        query = mutate(rng, query, WORDS)
    found, error = attempt(names.parse_query, query)
    if found is None:
        assert error is not None
        assert error.code is codes.INVALID_URI
        return
    signed = sigv4.canonical_request(b"GET", b"/", query, [], b"", b"").split(b"\n")[2]
    pairs = [item.partition(b"=")[::2] for item in signed.split(b"&") if item]
    decoded = [(unquote_to_bytes(n).decode(), unquote_to_bytes(v).decode()) for n, v in pairs]
    found.pop("X-Amz-Signature", None)
    assert set(found) == {name for name, _ in decoded}
    assert set(found.items()) <= set(decoded)


# --- parameters of listings


def tokens(rng: random.Random) -> None:
    """One continuation token: ours comes back, of others only exact ones are taken."""
    name = mutate(rng, rng.choice((b"", b"a", b"a/b", "ü".encode() * 300)), WORDS)
    ours = paging.encode_token(name)
    assert paging.decode_token(ours) == name
    token = mutate(rng, ours.encode(), (*WORDS, b"=", b"==", b"-_", b"+/")).decode("latin-1")
    found, error = attempt(paging.decode_token, token)
    if found is None:
        assert error is not None
        assert error.code is codes.INVALID_ARGUMENT
        return
    assert paging.encode_token(found) == token


def counts(rng: random.Random) -> None:
    """One number of entries."""
    text = mutate(rng, rng.choice((b"0", b"1", b"1000", b"2147483647")), NUMBERS).decode("latin-1")
    least = rng.choice((0, 1))
    is_number = re.fullmatch("[0-9]{1,10}", text) is not None
    most = limits.LIST_KEYS_MAX
    found, error = attempt(paging.entries_max, {"max-keys": text}, "max-keys", most, least)
    if error is not None:
        assert error.code is codes.INVALID_ARGUMENT
        assert not is_number or not least <= int(text) < 2**31
        return
    assert found == (min(int(text), most) if text else most)


ALL = (byte_ranges, http_dates, paths, bucket_names, queries, tokens, counts)


def one(rng: random.Random) -> None:
    """One value of each kind."""
    for check in ALL:
        check(rng)
