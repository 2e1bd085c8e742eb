"""Check 35: x-amz-copy-source names exact bytes, or the request is refused; never a crash."""

import os
from urllib.parse import quote

import pytest

from tests.hardening.test_34_keys import (
    ESCAPE,
    KEYS,
    REFUSED,
    SPELLINGS,
    assert_nothing_outside,
    keys_of,
    named,
    other,
)

__all__ = ["named", "other"]

# {bucket} exists, and {other} too; each of these names no object that a copy could be made of.
BAD = [
    *("", "/", "//", "///", "?", "%", "%2F", "%2F%2F", "{bucket}", "/{bucket}", "{bucket}/"),
    *("/{bucket}/", "%2F{bucket}%2F", "//{bucket}/a", "../{other}/a", "./{other}/a", "../../a"),
    *("..", ".", "%2e%2e/{other}/a", "{bucket}%00/a", "\\{other}\\a", "{bucket}\\a"),
    *("http://localhost/{other}/a", "file:///etc/passwd", "arn:aws:s3:::{other}/a"),
    *("{bucket}/a?", "{bucket}/a?versionId", "{bucket}/a?versionId=", "{bucket}/a?other=null"),
    *("{bucket}/a?versionid=null", "{bucket}/a?uploads", "{bucket}/a?x&versionId=null"),
    *("{BUCKET}/a", "a/a", "a" * 64 + "/a", "{bucket}..{other}/a", "127.0.0.1/a", "é/a", "%ff/a"),
]
NO_VERSION = ["abc", "NULL", "null+", "null&a", "..", "%6eull", "a" * 5000, "0" * 32, "\u00e9"]


@pytest.fixture
def copied(call, bucket):
    """Asks for a copy; the answer."""

    def ask(source):
        headers = {"x-amz-copy-source": source}
        return call("PUT", bucket, "copy", headers=headers)

    return ask


@pytest.mark.parametrize("value", BAD)
def test_what_names_no_object(copied, s3, server, bucket, other, named, value):
    s3.put_object(Bucket=bucket, Key="a", Body=b"body")
    value = value.format(bucket=bucket, other=other, BUCKET=bucket.upper())
    answer = copied(value)
    assert answer.status == 400, answer.body
    assert answer.code == "InvalidArgument"
    assert keys_of(s3, bucket) == [b"a"]
    assert_nothing_outside(server, named)


@pytest.mark.parametrize("version", NO_VERSION, ids=lambda version: version[:12])
def test_versions_that_are_not_there(copied, s3, bucket, version):
    s3.put_object(Bucket=bucket, Key="a", Body=b"body")
    answer = copied(f"{bucket}/a?versionId={version}")
    assert (answer.status, answer.code) == (404, "NoSuchVersion")


@pytest.mark.parametrize("raw", REFUSED, ids=lambda raw: raw[:12])
def test_keys_that_no_object_has(copied, s3, bucket, other, raw):
    answer = copied(f"{other}/{raw}")
    assert answer.status == 400
    assert answer.code == (
        "KeyTooLongError" if REFUSED[raw] == "KeyTooLongError" else "InvalidArgument"
    )
    assert keys_of(s3, bucket) == []


def test_exact_bytes(caller, s3, server, bucket, other, named):
    """Each key is copied from itself: never from one that only looks like it."""
    keys = sorted({*KEYS, f"../{other}/key".encode(), f"../{other}".encode()} - {b"copy"})
    for key in keys:
        assert caller("PUT", bucket, quote(key), body=b"body of " + key).status == 200, key
    for number, key in enumerate(keys):
        for encoded in (quote(key), quote(f"/{bucket}/".encode() + key, safe="")):
            source = encoded if encoded.startswith("%2F") else f"{bucket}/{encoded}"
            headers = {"x-amz-copy-source": source}
            assert caller("PUT", bucket, "copy", headers=headers).status == 200, key
            assert caller("GET", bucket, "copy").body == b"body of " + key
        assert caller("DELETE", bucket, quote(key)).status == 204
        if number % 20 == 0:
            assert_nothing_outside(server, named)
    assert keys_of(s3, bucket) == [b"copy"]


@pytest.mark.parametrize("raw", SPELLINGS)
def test_a_source_is_decoded_once_and_never_resolved(caller, s3, bucket, other, raw):
    """Like a path, but for the plus sign, which S3 takes for a blank here."""
    key = SPELLINGS[raw].replace(b"+", b" ") if raw == "a+b" else SPELLINGS[raw]
    assert caller("PUT", bucket, quote(key), body=raw.encode()).status == 200
    headers = {"x-amz-copy-source": f"{bucket}/{raw}"}
    assert caller("PUT", bucket, "copy", headers=headers).status == 200
    assert caller("GET", bucket, "copy").body == raw.encode()


def test_a_file_of_the_machine_is_no_source(copied, bucket):
    for path in ("/etc/passwd", f"/tmp/{ESCAPE}", os.getcwd()):
        assert copied(path).status in (400, 404)
        assert copied(f"{bucket}/{path}").status == 404
        assert copied(f"{bucket}/../../..{path}").status == 404
