"""Encrypted uploads in parts: the object's key, ranges over parts, copies into parts."""

import os
import re
from base64 import b64encode

import pytest

from fastobj.objects.frames import PLAIN_BYTES
from tests.s3.calls import refused
from tests.s3.encrypting import (
    ENCRYPTED,
    KEY,
    KINDS,
    OTHER_KEY,
    customers,
    md5_of,
    read,
    told,
)
from tests.s3.uploading import PART, begin, complete, part, random_parts

CUSTOMER = "x-amz-server-side-encryption-customer"
FIELDS = {"algorithm": "AES256", "key": b64encode(KEY).decode(), "key-md5": md5_of(KEY)}


def upload(s3, bucket, kind, bodies, key="key"):
    """A whole upload; what its calls have told of encryption."""
    write, reading, _ = KINDS[kind]
    created = s3.create_multipart_upload(Bucket=bucket, Key=key, **write)
    named = {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}
    answers = [
        s3.upload_part(**named, PartNumber=number, Body=body, **reading)
        for number, body in enumerate(bodies, 1)
    ]
    parts = [{"PartNumber": n, "ETag": answer["ETag"]} for n, answer in enumerate(answers, 1)]
    return created, answers, complete(s3, named, parts, **reading)


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_an_upload_in_parts(s3, bucket, kind):
    bodies, expected = random_parts(), KINDS[kind][2]
    created, answers, completed = upload(s3, bucket, kind, bodies)
    assert told(created) == expected
    assert [told(answer) for answer in answers] == [expected] * 3
    head = s3.head_object(Bucket=bucket, Key="key", **KINDS[kind][1])
    assert told(head) == expected
    assert kind == "customer" or told(completed) == expected  # boto3 does not show it
    assert completed["ETag"] == head["ETag"]
    assert head["ETag"].endswith('-3"')
    whole = b"".join(bodies)
    assert head["ContentLength"] == len(whole)
    assert read(s3, bucket, "key", kind) == whole
    for begins in (0, PLAIN_BYTES, PART - 1, PART, 2 * PART + 1, len(whole) - 1):
        for length in (1, PLAIN_BYTES + 1, PART + 2):
            ends = min(begins + length, len(whole)) - 1
            found = read(s3, bucket, "key", kind, Range=f"bytes={begins}-{ends}")
            assert found == whole[begins : ends + 1]
    for number, body in enumerate(bodies, 1):
        assert read(s3, bucket, "key", kind, PartNumber=number) == body


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_a_part_that_is_sent_again(s3, bucket, kind):
    write, reading, _ = KINDS[kind]
    named = begin(s3, bucket, **write)
    part(s3, named, 1, b"first", **reading)
    again = part(s3, named, 1, b"second", **reading)
    assert part(s3, named, 1, b"second", **reading) == again
    complete(s3, named, [again], **reading)
    assert read(s3, bucket, "key", kind) == b"second"


def test_parts_need_the_key_that_the_upload_began_with(s3, bucket):
    named = begin(s3, bucket, **customers(KEY))
    sent = {**named, "PartNumber": 1, "Body": b"body"}
    assert refused(s3.upload_part, **sent) == (400, "InvalidRequest")
    assert refused(s3.upload_part, **sent, **customers(OTHER_KEY)) == (400, "InvalidRequest")
    assert "Parts" not in s3.list_parts(**named)
    assert s3.upload_part(**sent, **customers(KEY))["ETag"]
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=b"source")
    copied = {**named, "PartNumber": 2, "CopySource": source}
    assert refused(s3.upload_part_copy, **copied) == (400, "InvalidRequest")
    assert refused(s3.upload_part_copy, **copied, **customers(OTHER_KEY)) == (400, "InvalidRequest")


@pytest.mark.parametrize("algorithm", ["", "SHA256"])
def test_whoever_completes_brings_the_key_where_there_is_a_checksum(send, s3, bucket, algorithm):
    """boto3 asks for a checksum by itself, so the upload without one is begun by hand."""
    headers = {f"{CUSTOMER}-{name}": value for name, value in FIELDS.items()}
    if algorithm:
        headers["x-amz-checksum-algorithm"] = algorithm
    begun = send("POST", f"/{bucket}/key", query="uploads", headers=headers)
    upload_id = re.search(rb"<UploadId>(.*?)</UploadId>", begun.body)[1].decode()
    named = {"Bucket": bucket, "Key": "key", "UploadId": upload_id}
    checked = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    stored = [part(s3, named, 1, b"body", **customers(KEY), **checked)]
    call = {"s3": s3, "named": named, "parts": stored}
    assert refused(complete, **call, **customers(OTHER_KEY)) == (400, "InvalidRequest")
    if algorithm:
        assert refused(complete, **call) == (400, "InvalidRequest")
    complete(**call, **(customers(KEY) if algorithm else {}))
    assert read(s3, bucket, "key", "customer") == b"body"


@pytest.mark.parametrize("kind", ["plain", "s3", "kms"])
def test_parts_of_other_uploads_take_no_key(s3, bucket, kind):
    named = begin(s3, bucket, **KINDS[kind][0])
    sent = {**named, "PartNumber": 1, "Body": b"body", **customers(KEY)}
    assert refused(s3.upload_part, **sent) == (400, "InvalidRequest")


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_a_range_is_copied_into_a_part(s3, bucket, source, target):
    body = os.urandom(300_000)
    s3.put_object(Bucket=bucket, Key="source", Body=body, **KINDS[source][0])
    named = begin(s3, bucket, **KINDS[target][0])
    key = customers(KEY, "CopySource") if source == "customer" else {}
    copied = s3.upload_part_copy(
        **named,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "source"},
        CopySourceRange="bytes=100-250000",
        **KINDS[target][1],
        **key,
    )
    assert told(copied) == KINDS[target][2]
    listed = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]
    complete(s3, named, listed, **KINDS[target][1])
    assert read(s3, bucket, "key", target) == body[100:250_001]


def test_a_part_is_copied_with_the_sources_key_only(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"body", **customers(KEY))
    named = begin(s3, bucket)
    copied = {**named, "PartNumber": 1, "CopySource": {"Bucket": bucket, "Key": "source"}}
    assert refused(s3.upload_part_copy, **copied) == (400, "InvalidRequest")
    wrong = customers(OTHER_KEY, "CopySource")
    assert refused(s3.upload_part_copy, **copied, **wrong) == (403, "AccessDenied")
    assert s3.upload_part_copy(**copied, **customers(KEY, "CopySource"))["CopyPartResult"]


def test_an_unknown_key_begins_no_upload(s3, bucket):
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nobody"}
    call = {"Bucket": bucket, "Key": "key", **write}
    assert refused(s3.create_multipart_upload, **call) == (400, "KMS.NotFoundException")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
