"""PutObject with a write offset: appends, in order, beside rivals, to objects of every make."""

import os
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.uploading import PART, begin, complete, part
from tests.s3.versioned import set_status

KIB, MIB = 1 << 10, 1 << 20
SIZES = [1, 64 * KIB, 64 * KIB + 1, 3 * MIB + 5]


def append(s3, bucket, offset, body, key="key", **more):
    """One append."""
    return s3.put_object(Bucket=bucket, Key=key, Body=body, WriteOffsetBytes=offset, **more)


def read(s3, bucket, key="key", **more):
    """The bytes of an object."""
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def crc32(body):
    """The checksum as headers have it."""
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("first", [0, *SIZES])
@pytest.mark.parametrize("second", SIZES)
def test_to_an_object_put_as_a_whole(s3, bucket, first, second):
    bodies = [os.urandom(first), os.urandom(second), os.urandom(1000)]
    s3.put_object(
        Bucket=bucket,
        Key="key",
        Body=bodies[0],
        Metadata={"a": "b"},
        ContentType="c/d",
        Tagging="e=f",
        ACL="public-read",
    )
    whole = bodies[0]
    for body in bodies[1:]:
        answer = append(s3, bucket, len(whole), body)
        whole += body
        assert answer["Size"] == len(whole)
        assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (crc32(whole), "FULL_OBJECT")
        found = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        assert found["Body"].read() == whole
        assert (found["ETag"], found["ChecksumCRC32"]) == (answer["ETag"], crc32(whole))
        assert found["Metadata"], found["ContentType"] == ({"a": "b"}, "c/d")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [{"Key": "e", "Value": "f"}]
    assert len(s3.get_object_acl(Bucket=bucket, Key="key")["Grants"]) == 2
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(one["Size"], one["ETag"]) for one in listed] == [(len(whole), answer["ETag"])]


def test_makes_an_object(s3, bucket):
    append(s3, bucket, 0, b"hello", Metadata={"a": "b"}, Tagging="c=d", ContentType="e/f")
    found = s3.head_object(Bucket=bucket, Key="key")
    assert (found["Metadata"], found["ContentType"], found["TagCount"]) == ({"a": "b"}, "e/f", 1)
    assert refused(append, s3=s3, bucket=bucket, offset=0, body=b"x") == (400, "InvalidWriteOffset")
    append(s3, bucket, 5, b" world")
    assert read(s3, bucket) == b"hello world"
    assert read(s3, bucket, Range="bytes=4-6") == b"o w"


def test_many(s3, bucket):
    """More parts than a small manifest lists."""
    body, whole = os.urandom(300), b""
    for number in range(1000):
        piece = body[: number % 300 + 1]
        append(s3, bucket, len(whole), piece)
        whole += piece
    assert read(s3, bucket) == whole
    assert read(s3, bucket, Range="bytes=100000-100999") == whole[100_000:101_000]
    found = s3.get_object(Bucket=bucket, Key="key", PartNumber=700)
    assert (found["Body"].read(), found["PartsCount"]) == (body[: 699 % 300 + 1], 1000)
    found = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert found["ChecksumCRC32"] == crc32(whole)


def test_to_an_object_of_parts(s3, bucket):
    """At once behind its completion, while a part that was left out is still to be let go of."""
    named = begin(s3, bucket)
    bodies = [os.urandom(PART), os.urandom(7)]
    part(s3, named, 1, b"replaced" * (PART // 8))
    parts = [part(s3, named, number, body) for number, body in enumerate(bodies, 1)]
    part(s3, named, 3, b"left out")
    complete(s3, named, parts)
    whole = b"".join(bodies)
    for _ in range(10):
        append(s3, bucket, len(whole), b"more")
        whole += b"more"
    assert read(s3, bucket) == whole
    found = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["ObjectParts", "Checksum"]
    )
    sizes = [one["Size"] for one in found["ObjectParts"]["Parts"]]
    assert sizes == [PART, 7, *[4] * 10]


def test_composite_checksums(s3, bucket):
    said = {"ChecksumAlgorithm": "SHA256"}
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", **said)
    told = append(s3, bucket, 5, b"world", **said)
    assert (told["ChecksumType"], told["ChecksumSHA256"][-2:]) == ("COMPOSITE", "-2")
    answer = append(s3, bucket, 10, b"!", **said)
    assert answer["ChecksumSHA256"].endswith("-3")
    call = {"s3": s3, "bucket": bucket, "offset": 11, "body": b"x"}
    assert refused(append, **call, ChecksumAlgorithm="SHA1") == (400, "InvalidRequest")


@pytest.mark.parametrize("size", [5, 100_000])
@pytest.mark.parametrize("to", ["key", "copy"])
def test_to_a_body_that_others_name(s3, bucket, size, to):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key")
    append(s3, bucket, size, b"more", key=to)
    append(s3, bucket, size + 4, b"!", key=to)
    other = "copy" if to == "key" else "key"
    assert (read(s3, bucket, to), read(s3, bucket, other)) == (body + b"more!", body)
    s3.copy_object(Bucket=bucket, Key="third", CopySource=f"{bucket}/{to}")
    append(s3, bucket, size + 5, b"?", key=to)
    append(s3, bucket, size + 5, b"#", key="third")
    s3.delete_object(Bucket=bucket, Key=to)
    assert read(s3, bucket, "third") == body + b"more!#"
    assert read(s3, bucket, other) == body


@pytest.mark.parametrize("size", [4, 100_000])
def test_one_of_racing_writers(s3, bucket, size):
    """Over all workers: at each offset one wins, and all others are told."""
    whole = b""

    def write(number):
        try:
            append(s3, bucket, len(whole), bytes([number]) * size)
            return number, None
        except ClientError as error:
            return number, error.response["Error"]["Code"]

    for _ in range(2):
        with ThreadPoolExecutor(64) as threads:
            told = list(threads.map(write, range(64)))
        (winner,) = [number for number, code in told if code is None]
        assert {code for _, code in told} == {None, "InvalidWriteOffset"}
        whole += bytes([winner]) * size
        assert read(s3, bucket) == whole


def test_conditions(s3, bucket):
    etag = append(s3, bucket, 0, b"a", IfNoneMatch="*")["ETag"]
    call = {"s3": s3, "bucket": bucket, "offset": 1, "body": b"b"}
    assert refused(append, **call, IfMatch='"other"') == (412, "PreconditionFailed")
    assert refused(append, **call, IfNoneMatch="*") == (412, "PreconditionFailed")
    append(s3, bucket, 1, b"b", IfMatch=etag)
    assert read(s3, bucket) == b"ab"


def test_what_is_refused(s3, bucket, send):
    call = {"s3": s3, "bucket": bucket, "body": b"x"}
    assert refused(append, **call, offset=1) == (400, "InvalidWriteOffset")
    append(s3, bucket, 0, b"12345")
    for offset in (0, 4, 6, 2**62):
        assert refused(append, **call, offset=offset) == (400, "InvalidWriteOffset")
    for more in ({"Metadata": {"a": "b"}}, {"Tagging": "a=b"}, {"ACL": "public-read"}):
        assert refused(append, **call, offset=5, **more) == (400, "InvalidRequest")
    empty = {"s3": s3, "bucket": bucket, "body": b"", "offset": 5}
    assert refused(append, **empty) == (400, "InvalidRequest")
    for value in ("", "x", "-1", "1.0", "9" * 30):
        answer = send(
            "PUT", f"/{bucket}/key", headers={"x-amz-write-offset-bytes": value}, body=b"x"
        )
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    wrong = {"offset": 5, "ChecksumCRC32": crc32(b"y")}
    assert refused(append, **call, **wrong) == (400, "BadDigest")
    assert refused(append, **{**call, "bucket": "not-there-x"}, offset=0) == (404, "NoSuchBucket")
    assert read(s3, bucket) == b"12345"


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_where_there_are_versions(s3, bucket, status):
    """Refused before the body is asked for; what is there stays."""
    set_status(s3, bucket, status)
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    for offset, key in ((4, "key"), (0, "other")):
        call = {"Bucket": bucket, "Key": key, "WriteOffsetBytes": offset, "Body": b"more"}
        assert refused(s3.put_object, **call) == (400, "InvalidRequest")
    assert read(s3, bucket) == b"body"
    assert refused(s3.head_object, Bucket=bucket, Key="other")[0] == 404


def test_what_was_appended_becomes_a_version(s3, bucket):
    append(s3, bucket, 0, b"one ")
    append(s3, bucket, 4, b"two")
    set_status(s3, bucket, "Enabled")
    s3.put_object(Bucket=bucket, Key="key", Body=b"new")
    assert (read(s3, bucket), read(s3, bucket, VersionId="null")) == (b"new", b"one two")
    s3.delete_object(Bucket=bucket, Key="key", VersionId="null")
    assert refused(s3.get_object, Bucket=bucket, Key="key", VersionId="null")[0] == 404
