"""Check 34: any key that S3 allows is kept by its exact bytes; any other is refused as S3 does."""

import os
import re
import unicodedata
from urllib.parse import quote
from xml.sax.saxutils import unescape

import pytest

from tests.hardening.rows import OF_OBJECTS, minimal

ESCAPE = f"fastobj-escape-{os.getpid()}"
NUMBERED = re.compile(r"[0-9a-f]{16}(-[0-9]+)?(\.[a-z]+)?")
NFC, NFD = (unicodedata.normalize(form, "Å/é/한") for form in ("NFC", "NFD"))
KEYS = [
    *(b"a", b"a/", b"a/b", b"a//b", b"a/b/", b"A", b"/", b"//", b"///", b"/a", b"//a"),
    *(b".", b"..", b"./", b"../", b"./a", b"../a", b"a/.", b"a/..", b"a/../b", b"a/./b", b"..."),
    *(f"{'../' * depth}{ESCAPE}".encode() for depth in (0, 1, 2, 3, 4, 5, 6, 12)),
    f"/{ESCAPE}".encode(),
    f"/tmp/{ESCAPE}".encode(),
    f"..\\..\\{ESCAPE}".encode(),
    *(
        b"%",
        b"%2e",
        b"%2E",
        b"%2e%2e%2f",
        b"%2f",
        b"%00",
        b"%0a",
        b"%25",
        b"%zz",
        b"+",
        b" ",
        b"a b",
    ),
    *(b"\\", b"a\\b", b"\0", b"a\0", b"a\0b", b"\n", b"\r\n", b"a\nb", b"\x1b[31m", b"\x7f"),
    *(b"store", b"meta.db", b"-rf", b"~", b"~root", b"a.", b"a ", b" a", b"null", b"con", b"NUL"),
    *(b"?", b"a?b", b"#", b"a#b", b"a&b=c", b"a;b", b"a=b", b":", b"*", b"<a>", b"\"'", b"]]>"),
    *(NFC.encode(), NFD.encode()),
    *(c.encode() for c in "\x80\x85\xa0ßKİ\u2028\u202e\ufeff\ufffd\ufffe\uffff😀\U0010ffff"),
    *(bytes([code]) + b"x" for code in range(128)),
    b"a" * 1024,
    b"\0" * 1024,
    b"../" * 341 + b"a",
    "é".encode() * 512,
    "😀".encode() * 256,
]
SPELLINGS = {
    ".": b".",
    "..": b"..",
    "../a": b"../a",
    "./../a/..": b"./../a/..",
    "%2e%2e%2fa": b"../a",
    "%2E%2E/a": b"../a",
    "/a": b"/a",
    "//": b"//",
    "%2F": b"/",
    "%5C": b"\\",
    "a+b": b"a+b",
    "a%2Bb": b"a+b",
    "a%20b": b"a b",
    "%61%62": b"ab",
    "%252e%252e%252f": b"%2e%2e%2f",
    "%25zz": b"%zz",
    "a;b=c": b"a;b=c",
    "a%3Fb": b"a?b",
    "a%23b": b"a#b",
    "a%00b": b"a\0b",
    "%0D%0Aa:%20b": b"\r\na: b",
}
REFUSED = {
    "%": "InvalidURI",
    "%2": "InvalidURI",
    "%zz": "InvalidURI",
    "a%u0041": "InvalidURI",
    "%ff": "InvalidURI",
    "%80": "InvalidURI",
    "a%c3": "InvalidURI",
    "%c0%af": "InvalidURI",  # a slash, written longer than it is
    "%c0%80": "InvalidURI",
    "%ed%a0%80": "InvalidURI",  # half of a surrogate pair
    "%f4%90%80%80": "InvalidURI",  # behind the last character
    "a" * 1025: "KeyTooLongError",
    "%00" * 1025: "KeyTooLongError",
    "%c3%a9" * 512 + "a": "KeyTooLongError",
    "../" * 342: "KeyTooLongError",
}


def keys_of(s3, bucket):
    """The keys of a bucket, as boto3 lists them."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [entry["Key"].encode() for page in pages for entry in page.get("Contents", [])]


def keys_written(call, bucket, keys):
    """The keys of a listing without an encoding: each character that XML lacks is a reference."""
    answer = call("GET", bucket, query="list-type=2")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", answer.body)
    texts = re.findall(rb"<Key>([^<]*)</Key>", answer.body)
    assert len(texts) == len(keys)
    return [
        re.sub(
            "&#x([0-9A-F]+);",
            lambda found: chr(int(found[1], 16)),
            unescape(text.decode(), {"&quot;": '"', "&amp;": "&"}),
        ).encode()
        for text in texts
    ]


def assert_nothing_outside(server, named):
    """No key has become a name on the disk."""
    around = server.directory.parent
    assert {path.name for path in around.iterdir()} == {"store", "store.log"}
    assert {path.name for path in server.directory.iterdir()} <= named | {"meta.db-wal"}
    for path in server.directory.glob("*/**/*"):
        assert path.parent.name in ("log", "extents")
        assert NUMBERED.fullmatch(path.name), path
    names = [path.name for path in server.directory.rglob("*")]
    assert not [name for name in names if ESCAPE in name]
    for folder in (*server.directory.parents, "/tmp", os.getcwd()):
        assert ESCAPE not in os.listdir(folder)


@pytest.fixture(scope="session")
def named(server):
    """What stands in the directory of the store before any of these keys is used."""
    return {path.name for path in server.directory.iterdir()}


def test_exact_bytes_are_kept_apart(caller, s3, server, bucket, other, named):
    keys = sorted({*KEYS, f"../{other}/key".encode(), f"../{other}".encode()})
    for key in keys:
        assert caller("PUT", bucket, quote(key), body=b"body of " + key).status == 200, key
    for key in keys:
        answer = caller("GET", bucket, quote(key, safe=""))
        assert (answer.status, answer.body) == (200, b"body of " + key), key
    assert keys_of(s3, bucket) == keys
    assert keys_written(caller, bucket, keys) == keys
    assert_nothing_outside(server, named)
    for key in keys:
        assert caller("DELETE", bucket, quote(key)).status == 204
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize("raw", SPELLINGS)
def test_a_path_is_decoded_once_and_never_resolved(caller, s3, bucket, raw):
    assert caller("PUT", bucket, raw, body=raw.encode()).status == 200
    assert keys_of(s3, bucket) == [SPELLINGS[raw]]
    assert caller("GET", bucket, quote(SPELLINGS[raw])).body == raw.encode()
    assert caller("DELETE", bucket, raw).status == 204
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize("raw", REFUSED, ids=lambda raw: raw[:12])
def test_no_row_takes_another_key(caller, s3, server, bucket, other, named, raw):
    for op in OF_OBJECTS:
        asked = minimal(op)
        answer = caller(
            op.method, bucket, raw, query=asked.query, headers=asked.headers, body=asked.body
        )
        assert answer.status == 400, op.name
        assert op.method == "HEAD" or answer.code == REFUSED[raw], op.name
    assert keys_of(s3, bucket) == []
    assert_nothing_outside(server, named)
