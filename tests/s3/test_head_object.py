"""HeadObject: what GetObject would say, without its body."""

import time
from datetime import timedelta

import pytest

from tests.s3.calls import refused

# What tells one answer from the next, whatever was asked.
_OWN = {"date", "x-amz-request-id", "x-amz-id-2"}


def headers_of(answer):
    return {name.lower(): value for name, value in answer.headers.items()} | dict.fromkeys(_OWN)


@pytest.mark.parametrize("size", [0, 1000, 200_000])
@pytest.mark.parametrize(
    "asked",
    [{}, {"Range": "bytes=0-0"}, {"If-None-Match": "*"}, {"x-amz-checksum-mode": "ENABLED"}],
)
def test_says_what_get_says(s3, send, bucket, size, asked):
    s3.put_object(Bucket=bucket, Key="key", Body=bytes(size), Metadata={"m": "v"})
    head, get = (send(method, f"/{bucket}/key", headers=asked) for method in ("HEAD", "GET"))
    assert head.body == b""
    assert head.status == get.status
    if get.status < 400:
        assert headers_of(head) == headers_of(get)


def test_length(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=bytes(100_000))
    assert s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == 100_000
    answer = s3.head_object(Bucket=bucket, Key="key", Range="bytes=-10")
    assert answer["ContentLength"] == 10
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_not_there(s3, bucket, new_name):
    assert refused(s3.head_object, Bucket=bucket, Key="key") == (404, "404")
    assert refused(s3.head_object, Bucket=new_name(), Key="key") == (404, "404")


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"x")["ETag"]
    call = {"Bucket": bucket, "Key": "key"}
    modified = s3.head_object(**call, IfMatch=etag)["LastModified"]
    assert refused(s3.head_object, **call, IfMatch='"other"') == (412, "412")
    assert refused(s3.head_object, **call, IfNoneMatch=etag) == (304, "304")
    assert refused(s3.head_object, **call, IfModifiedSince=modified) == (304, "304")
    earlier = modified - timedelta(seconds=1)
    assert refused(s3.head_object, **call, IfUnmodifiedSince=earlier) == (412, "412")


def test_the_same_bytes_again(s3, bucket):
    """An overwrite with the same bytes has the same ETag, and a later date."""
    call = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**call, Body=b"x")
    first = s3.head_object(**call)
    time.sleep(1.001 - time.time() % 1)  # dates count in seconds
    s3.put_object(**call, Body=b"x")
    second = s3.head_object(**call)
    assert first["ETag"] == second["ETag"]
    assert first["LastModified"] < second["LastModified"]
    assert first["ContentLength"] == second["ContentLength"] == 1


def test_range_outside(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert refused(s3.head_object, Bucket=bucket, Key="key", Range="bytes=1-") == (416, "416")


def test_version_ids(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    s3.head_object(Bucket=bucket, Key="key", VersionId="null")
    assert refused(s3.head_object, Bucket=bucket, Key="key", VersionId="other") == (400, "400")
