"""Copies from each kind of encryption to each: by reference where the body may be shared."""

import hashlib
import os

import pytest

from tests.s3.calls import refused
from tests.s3.encrypting import KEY, KINDS, OTHER_KEY, customers, read, told
from tests.s3.uploading import random_parts, upload

# Kinds whose copy names the source's body; between others the bytes are read and written.
SHARED = {("plain", "plain"), ("s3", "s3"), ("s3", "kms"), ("s3", "customer")}
SHARED |= {(one, other) for one in ("kms", "customer") for other in ("kms", "customer")}
SIZES = [0, 1, 300_000]


def copy(s3, bucket, source, target, key="copy", **arguments):
    """Copies `source` as `target` has it."""
    reading = customers(KEY, "CopySource") if source == "customer" else {}
    return s3.copy_object(
        Bucket=bucket,
        Key=key,
        CopySource={"Bucket": bucket, "Key": "source"},
        **KINDS[target][0],
        **reading,
        **arguments,
    )


def md5(body):
    return hashlib.md5(body).hexdigest()


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_copies(s3, bucket, source, target, size):
    body = os.urandom(size)
    described = {"Metadata": {"a": "b"}, "ContentType": "text/plain"}
    s3.put_object(Bucket=bucket, Key="source", Body=body, **described, **KINDS[source][0])
    copied = copy(s3, bucket, source, target)
    assert told(copied) == KINDS[target][2]
    got = s3.get_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED", **KINDS[target][1])
    assert got["Body"].read() == body
    assert told(got) == KINDS[target][2]
    assert (got["Metadata"], got["ContentType"]) == ({"a": "b"}, "text/plain")
    assert got["ChecksumCRC32"] == copied["CopyObjectResult"]["ChecksumCRC32"]
    assert got["ETag"] == copied["CopyObjectResult"]["ETag"]
    assert (got["ETag"] == f'"{md5(body)}"') == (target in ("plain", "s3"))
    s3.delete_object(Bucket=bucket, Key="source")
    assert read(s3, bucket, "copy", target) == body


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_copies_of_objects_of_parts(s3, bucket, source, target):
    bodies = random_parts()
    if source == "customer":
        named = s3.create_multipart_upload(Bucket=bucket, Key="source", **customers(KEY))
        named = {"Bucket": bucket, "Key": "source", "UploadId": named["UploadId"]}
        parts = [
            {
                "PartNumber": n,
                "ETag": s3.upload_part(**named, PartNumber=n, Body=body, **customers(KEY))["ETag"],
            }
            for n, body in enumerate(bodies, 1)
        ]
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts}, **customers(KEY))
    else:
        upload(s3, bucket, "source", bodies, **KINDS[source][0])
    etag = copy(s3, bucket, source, target)["CopyObjectResult"]["ETag"]
    assert read(s3, bucket, "copy", target) == b"".join(bodies)
    if target in ("plain", "s3"):
        is_shared = (source, target) in SHARED
        assert etag.endswith('-3"') if is_shared else etag == f'"{md5(b"".join(bodies))}"'


def test_a_copy_onto_itself_changes_the_key(s3, bucket):
    """In each step the object is encrypted in another way, and read with what that takes."""
    body = os.urandom(200_000)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    before = "plain"
    for kind in ("s3", "kms", "customer", "kms", "s3", "customer", "s3"):
        copy(s3, bucket, before, kind, key="source")
        assert read(s3, bucket, "source", kind) == body
        assert told(s3.head_object(Bucket=bucket, Key="source", **KINDS[kind][1])) == KINDS[kind][2]
        before = kind
    assert refused(copy, s3=s3, bucket=bucket, source="s3", target="plain", key="source") == (
        400,
        "InvalidRequest",
    )


def test_another_customers_key_after_a_copy(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"body", **customers(KEY))
    there = {"Bucket": bucket, "Key": "source"}
    old = customers(KEY, "CopySource")
    s3.copy_object(**there, CopySource=there, **customers(OTHER_KEY), **old)
    assert refused(s3.get_object, **there, **customers(KEY)) == (403, "AccessDenied")
    assert s3.get_object(**there, **customers(OTHER_KEY))["Body"].read() == b"body"


def test_the_source_needs_its_key_and_no_other(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"body", **customers(KEY))
    s3.put_object(Bucket=bucket, Key="plain", Body=b"body")
    call = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "source"}}
    for target in ("plain", "s3", "customer"):
        write = KINDS[target][0]
        assert refused(s3.copy_object, **call, **write) == (400, "InvalidRequest")
        wrong = customers(OTHER_KEY, "CopySource")
        assert refused(s3.copy_object, **call, **write, **wrong) == (403, "AccessDenied")
        call["CopySource"]["Key"] = "plain"
        right = customers(KEY, "CopySource")
        assert refused(s3.copy_object, **call, **write, **right) == (400, "InvalidRequest")
        call["CopySource"]["Key"] = "source"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [
        "plain",
        "source",
    ]


def test_conditions_hold_where_bytes_are_copied(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="source", Body=b"body")["ETag"]
    s3.put_object(Bucket=bucket, Key="copy", Body=b"there")
    for wrong in ({"CopySourceIfNoneMatch": etag}, {"IfNoneMatch": "*"}):
        arguments = {"s3": s3, "bucket": bucket, "source": "plain", "target": "kms", **wrong}
        assert refused(copy, **arguments) == (412, "PreconditionFailed")
    assert read(s3, bucket, "copy") == b"there"
    copy(s3, bucket, "plain", "kms", CopySourceIfMatch=etag)
    assert read(s3, bucket, "copy") == b"body"


def test_a_checksum_that_is_asked_for(s3, bucket):
    for source in KINDS:
        s3.put_object(Bucket=bucket, Key="source", Body=b"body", **KINDS[source][0])
        for target in KINDS:
            copied = copy(s3, bucket, source, target, ChecksumAlgorithm="SHA256")
            assert copied["CopyObjectResult"]["ChecksumSHA256"]
