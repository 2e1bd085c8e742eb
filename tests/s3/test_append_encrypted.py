"""Appends to encrypted objects: with their own key, in ranges, beside copies and defaults."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.encrypting import ENCRYPTED, KEY, KINDS, OTHER_KEY, customers, read, told
from tests.s3.test_append import append, crc32
from tests.s3.uploading import PART, begin, complete, part

KIB = 1 << 10
SIZES = (1, 65_519, 65_520, 65_521, 3 << 20)


@pytest.mark.parametrize("kind", ENCRYPTED)
@pytest.mark.parametrize("first", [None, 0, 64 * KIB + 1])
def test_each_kind_grows(s3, bucket, kind, first):
    """An object that is put, or made by its first append; ranges go over what was appended."""
    write, _, said = KINDS[kind]
    whole, asked = os.urandom(first or 0), write
    if first is not None:
        s3.put_object(Bucket=bucket, Key="key", Body=whole, **write)
        asked = write if kind == "customer" else {}
    for size in SIZES:
        body = os.urandom(size)
        answer = append(s3, bucket, len(whole), body, **asked)
        whole += body
        assert (answer["Size"], told(answer)) == (len(whole), said)
        assert answer["ChecksumCRC32"] == crc32(whole)
    found = s3.get_object(Bucket=bucket, Key="key", **KINDS[kind][1])
    assert found["Body"].read() == whole
    assert told(found) == said
    first = first or 0
    for start in (0, first, first + 65_519, len(whole) - 70_000, len(whole) - 1):
        end = min(start + 66_000, len(whole)) - 1
        there = read(s3, bucket, "key", kind, Range=f"bytes={start}-{end}")
        assert there == whole[start : end + 1]


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_to_an_object_of_parts(s3, bucket, kind):
    write, reading, _ = KINDS[kind]
    upload = begin(s3, bucket, "key", **write)
    again = write if kind == "customer" else {}
    body = os.urandom(PART)
    listed = [part(s3, upload, 1, body, **again), part(s3, upload, 2, b"last", **again)]
    complete(s3, upload, listed)
    append(s3, bucket, PART + 4, b"more", **again)
    assert read(s3, bucket, "key", kind) == body + b"lastmore"
    assert s3.head_object(Bucket=bucket, Key="key", PartNumber=3, **reading)["ContentLength"] == 4


@pytest.mark.parametrize("kind", ENCRYPTED)
@pytest.mark.parametrize("size", [100, 200 * KIB])
def test_beside_a_copy_that_shares_the_body(s3, bucket, kind, size):
    write, _, _ = KINDS[kind]
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="key", Body=body, **write)
    source = customers(KEY, "CopySource") if kind == "customer" else {}
    s3.copy_object(
        Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "key"}, **write, **source
    )
    append(s3, bucket, size, b"more", **(write if kind == "customer" else {}))
    assert read(s3, bucket, "key", kind) == body + b"more"
    assert read(s3, bucket, "copy", kind) == body
    s3.delete_object(Bucket=bucket, Key="key")
    assert read(s3, bucket, "copy", kind) == body


def test_what_does_not_fit_the_object_is_refused(s3, bucket):
    for kind, (write, _, _) in KINDS.items():
        s3.put_object(Bucket=bucket, Key=kind, Body=b"body", **write)
    for kind in KINDS:
        for other, (write, _, _) in KINDS.items():
            if other not in (kind, "plain"):
                call = {"key": kind, "s3": s3, "bucket": bucket, "offset": 4, "body": b"x"}
                assert refused(append, **call, **write) == (400, "EncryptionTypeMismatch")
    call = {"s3": s3, "bucket": bucket, "offset": 4, "body": b"x"}
    assert refused(append, key="customer", **call) == (400, "InvalidRequest")
    other = customers(OTHER_KEY)
    assert refused(append, key="customer", **call, **other) == (403, "AccessDenied")
    named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "another"}
    assert refused(append, key="kms", **call, **named) == (400, "EncryptionTypeMismatch")
    append(s3, bucket, 4, b"x", key="kms", **(named | {"SSEKMSKeyId": "default"}))
    for kind in KINDS:
        assert read(s3, bucket, kind, kind) == b"body" + (b"x" if kind == "kms" else b"")


def test_the_etag_tells_of_the_bytes_no_more_than_before(s3, bucket):
    """The same bytes appended to two objects of one kind have other ETags where they must."""
    for kind in ("kms", "customer"):
        etags = set()
        for name in ("a", "b"):
            write = KINDS[kind][0]
            append(s3, bucket, 0, b"same", key=kind + name, **write)
            again = write if kind == "customer" else {}
            etags.add(append(s3, bucket, 4, b"same", key=kind + name, **again)["ETag"])
        assert len(etags) == 2


@pytest.mark.parametrize("kind", ["s3", "kms"])
def test_where_the_bucket_encrypts(s3, bucket, kind):
    """What a first append makes is encrypted; a plain object from before stays what it is."""
    append(s3, bucket, 0, b"plain", key="old")
    default = {"SSEAlgorithm": KINDS[kind][0]["ServerSideEncryption"]}
    rule = {"ApplyServerSideEncryptionByDefault": default}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert told(append(s3, bucket, 5, b"more", key="old")) == {}
    assert read(s3, bucket, "old") == b"plainmore"
    for body, offset in ((b"hello", 0), (b" world", 5)):
        assert told(append(s3, bucket, offset, body, key="new")) == KINDS[kind][2]
    assert read(s3, bucket, "new") == b"hello world"


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_one_of_many_writers_wins_and_all_is_read(s3, bucket, kind):
    """Also those that make the object: each has made a key for it, and one is kept."""
    write = KINDS[kind][0]

    def attempt(number):
        try:
            append(s3, bucket, 0, b"%02d" % number, **write)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return number

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(attempt, range(16)))
    won = [result for result in results if isinstance(result, int)]
    assert len(won) == 1
    assert {*results} - {*won} <= {"InvalidWriteOffset", "ConditionalRequestConflict"}
    assert read(s3, bucket, "key", kind) == b"%02d" % won[0]


def test_many_small_ones(s3, bucket):
    whole = b""
    for number in range(60):
        body = os.urandom(number + 1)
        append(s3, bucket, len(whole), body, **(KINDS["s3"][0] if not whole else {}))
        whole += body
    assert read(s3, bucket, "key") == whole
    copied = s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource={"Bucket": bucket, "Key": "key"},
        ServerSideEncryption="aws:kms",
    )
    assert copied["SSEKMSKeyId"] == "default"
    assert read(s3, bucket, "copy") == whole
    append(s3, bucket, len(whole), b"end", key="copy")
    assert read(s3, bucket, "copy") == whole + b"end"
