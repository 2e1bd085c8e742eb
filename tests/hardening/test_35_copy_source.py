"""Check 35: x-amz-copy-source names exact bytes, or the request is refused; never a crash."""

import hashlib
import os
import re
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
)
from tests.s3.conftest import OTHER, client_of

__all__ = ["named"]

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


@pytest.fixture(params=["CopyObject", "UploadPartCopy"])
def target(request, call, bucket):
    """The query with which a copy is asked for: of an object, or into a part of an upload."""
    if request.param == "CopyObject":
        return ""
    begun = call("POST", bucket, "copy", query="uploads=")
    upload = re.search(rb"<UploadId>(.*?)</UploadId>", begun.body)[1].decode()
    return f"partNumber=1&uploadId={upload}"


@pytest.fixture
def copied(call, bucket, target):
    """Asks for a copy; the answer."""

    def ask(source):
        headers = {"x-amz-copy-source": source}
        return call("PUT", bucket, "copy", query=target, headers=headers)

    return ask


def assert_copied(answer, body):
    """Those bytes were copied, and no others."""
    assert answer.status == 200, answer.body
    assert hashlib.md5(body).hexdigest().encode() in answer.body


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
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("raw", REFUSED, ids=lambda raw: raw[:12])
def test_keys_that_no_object_has(copied, s3, bucket, other, raw):
    answer = copied(f"{other}/{raw}")
    assert answer.status == 400
    assert answer.code == (
        "KeyTooLongError" if REFUSED[raw] == "KeyTooLongError" else "InvalidArgument"
    )
    assert keys_of(s3, bucket) == []


def test_exact_bytes(caller, s3, server, bucket, other, named, target):
    """Each key is copied from itself: never from one that only looks like it."""
    keys = sorted({*KEYS, f"../{other}/key".encode(), f"../{other}".encode()} - {b"copy"})
    for key in keys:
        assert caller("PUT", bucket, quote(key), body=b"body of " + key).status == 200, key
    for number, key in enumerate(keys):
        for encoded in (quote(key), quote(f"/{bucket}/".encode() + key, safe="")):
            source = encoded if encoded.startswith("%2F") else f"{bucket}/{encoded}"
            headers = {"x-amz-copy-source": source}
            answer = caller("PUT", bucket, "copy", query=target, headers=headers)
            assert_copied(answer, b"body of " + key)
        assert caller("DELETE", bucket, quote(key)).status == 204
        if number % 20 == 0:
            assert_nothing_outside(server, named)
    assert keys_of(s3, bucket) == ([] if target else [b"copy"])


@pytest.mark.parametrize("raw", SPELLINGS)
def test_a_source_is_decoded_once_and_never_resolved(caller, s3, bucket, other, target, raw):
    """Like a path, but for the plus sign, which S3 takes for a blank here."""
    key = SPELLINGS[raw].replace(b"+", b" ") if raw == "a+b" else SPELLINGS[raw]
    assert caller("PUT", bucket, quote(key), body=raw.encode()).status == 200
    headers = {"x-amz-copy-source": f"{bucket}/{raw}"}
    answer = caller("PUT", bucket, "copy", query=target, headers=headers)
    assert_copied(answer, raw.encode())


def test_a_file_of_the_machine_is_no_source(copied, bucket):
    for path in ("/etc/passwd", f"/tmp/{ESCAPE}", os.getcwd()):
        assert copied(path).status in (400, 404)
        assert copied(f"{bucket}/{path}").status == 404
        assert copied(f"{bucket}/../../..{path}").status == 404


# Where {theirs} is somebody else's bucket, these are ways to its key `a`, or look like such.
WAYS = [
    *("{theirs}/a", "/{theirs}/a", "{theirs}%2Fa", "%2F{theirs}%2Fa", "{theirs}/%61"),
    *("%{hex}/a", "{theirs}/a?versionId=null", "/{theirs}/a?versionId=null"),
]
LOOKALIKES = ["{bucket}/../{theirs}/a", "{bucket}/..%2F{theirs}/a", "{bucket}//{theirs}/a"]


@pytest.fixture
def theirs(server, new_name):
    """A bucket of somebody else, with an object in it."""
    client, name = client_of(server, OTHER), new_name()
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="a", Body=b"secret")
    yield name
    client.close()


@pytest.mark.parametrize("way", WAYS)
def test_permission_is_decided_on_what_is_read(copied, s3, bucket, theirs, way):
    """However it is spelled, another's object is refused: what is asked is what is read."""
    first = f"{ord(theirs[0]):02x}{theirs[1:]}"
    answer = copied(way.format(theirs=theirs, hex=first))
    assert (answer.status, answer.code) == (403, "AccessDenied"), answer.body
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize("way", LOOKALIKES)
def test_what_only_looks_like_anothers_object(copied, bucket, theirs, way):
    answer = copied(way.format(bucket=bucket, theirs=theirs))
    assert (answer.status, answer.code) == (404, "NoSuchKey"), answer.body
