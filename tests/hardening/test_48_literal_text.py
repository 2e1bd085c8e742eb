"""Check 48: prefixes, markers, delimiters and tokens are text, whatever they mean to a database."""

import itertools
import re
from urllib.parse import quote, unquote, urlencode

import pytest

from fastobj.s3.paging import encode_token
from tests.hardening.test_40_listed_keys import NO_XML

TEXTS = [
    *("%", "_", "%%", "a%", "%a", "_a", "a_b", "a%b", "\\", "\\%", "\\_", "a\\b"),
    *(
        "*",
        "?",
        "[a]",
        "[a-c]",
        "[^a]",
        "[",
        "]",
        "{a,b}",
        "**",
        "a*",
        "a?b",
        ".*",
        "^a",
        "a$",
        "(a)",
    ),
    *(
        "'",
        "''",
        '"',
        '""',
        "`",
        "a'b",
        "' OR '1'='1",
        "'; DROP TABLE kv; --",
        "--",
        ";",
        "/*",
        "*/",
    ),
    *("\0", "a\0", "a\0b", "\0\0", "\x01", "\x7f", "\x80", "\uffff", "😀", "é", "e\u0301", "É"),
    *(
        "a",
        "ab",
        "abc",
        "b",
        "c",
        "A",
        "/",
        "a/b",
        "a//b",
        " ",
        "\t",
        "\n",
        "NULL",
        "null",
        "0",
        "x'00'",
    ),
    *("?1", ":a", "@a", "$a", "||", "a=b", "&", "<", "+", "\U0010ffff", "\U0010ffffa"),
]
KEYS = sorted({*TEXTS, *(f"{a}{b}" for a, b in itertools.product(TEXTS, "a'"))}, key=str.encode)


@pytest.fixture(scope="session")
def full(s3, call):
    """A bucket with all these keys, filled once and only read."""
    name = "hardening-literal-text"
    s3.create_bucket(Bucket=name)
    for key in KEYS:
        assert call("PUT", name, quote(key)).status == 200
    return name


def listed(call, bucket, **arguments):
    """The keys and the common prefixes of a page that holds all of them."""
    sent = {"encoding-type": "url", **{x.replace("_", "-"): arguments[x] for x in arguments}}
    body = call("GET", bucket, query=urlencode(sent, quote_via=quote)).body.decode()
    assert "<IsTruncated>false<" in body
    keys = re.findall("<Contents><Key>(.*?)</Key>", body)
    prefixes = re.findall("<CommonPrefixes><Prefix>(.*?)</Prefix>", body)
    return list(map(unquote, keys)), list(map(unquote, prefixes))


def folded(keys, prefix, delimiter):
    """Keys and common prefixes as S3 defines them."""
    alone, common = [], []
    for key in keys:
        head, found, _ = key[len(prefix) :].partition(delimiter)
        if found:
            common.append(prefix + head + found)
        else:
            alone.append(key)
    return alone, list(dict.fromkeys(common))


def behind(text):
    return [key for key in KEYS if key.encode() > text.encode()]


def test_prefixes(call, full):
    for text in TEXTS:
        wanted = [key for key in KEYS if key.startswith(text)]
        assert listed(call, full, prefix=text, list_type=2) == (wanted, [])
        assert listed(call, full, prefix=text) == (wanted, [])


def test_markers(call, full):
    for text in TEXTS:
        assert listed(call, full, start_after=text, list_type=2) == (behind(text), [])
        assert listed(call, full, marker=text) == (behind(text), [])


def test_delimiters(call, full):
    for text in TEXTS:
        assert listed(call, full, delimiter=text, list_type=2) == folded(KEYS, "", text)
        prefix = text[:1]
        wanted = folded([key for key in KEYS if key.startswith(prefix)], prefix, text)
        assert listed(call, full, delimiter=text, prefix=prefix) == wanted


def test_tokens(call, full):
    """A token is a place, not a query: one that was made up leads to no more than a marker does."""
    for text in TEXTS:
        token = encode_token(text.encode())
        assert listed(call, full, continuation_token=token, list_type=2) == (behind(text), [])


def test_made_up_tokens_are_refused(caller, full):
    for token in ("%27", "%25", "*", "AA", "AWE%3D", "%00", "a" * 4000, "AQ==", "'%20OR%201=1"):
        answer = caller("GET", full, query=f"list-type=2&continuation-token={token}")
        assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_prefixes_of_buckets(s3, call, full):
    names = [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    for text in [*TEXTS, "h", "hardening-literal", "hardening-literal%", "hardening_literal", full]:
        answer = call("GET", query=f"prefix={quote(text)}")
        found = re.findall("<Name>(.*?)</Name>", answer.body.decode())
        assert (answer.status, found) == (200, [x for x in names if x.startswith(text)])


def test_keys_of_deletes(s3, call, bucket):
    texts = [text for text in TEXTS if not NO_XML.search(text)]
    for text in texts:
        for key in (text, f"{text}x"):
            assert call("PUT", bucket, quote(key)).status == 200
    wishes = [{"Key": text} for text in texts]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": wishes, "Quiet": True})
    left = listed(call, bucket)[0]
    assert left == sorted({f"{text}x" for text in texts} - set(texts), key=str.encode)
