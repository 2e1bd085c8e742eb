"""GetObject: ranges, conditions, what the answer says, and presigned reads."""

import os
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from tests.s3.calls import refused

KIB, MIB = 1024, 1024 * 1024
BODY = os.urandom(3 * MIB + 7)


@pytest.fixture(scope="module")
def bucket(s3):
    """One bucket for the whole file: `large`, `small` and `empty` in it."""
    name = f"test-get-object-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="large", Body=BODY)
    s3.put_object(Bucket=name, Key="small", Body=BODY[:1000], Metadata={"m": "v"})
    s3.put_object(Bucket=name, Key="empty", Body=b"")
    return name


def test_answer(s3, bucket):
    answer = s3.get_object(Bucket=bucket, Key="small")
    assert answer["Body"].read() == BODY[:1000]
    assert answer["ContentLength"] == 1000
    assert answer["AcceptRanges"] == "bytes"
    assert answer["Metadata"] == {"m": "v"}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert abs(answer["LastModified"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert "VersionId" not in answer
    assert "ContentRange" not in answer


def test_empty(s3, bucket):
    answer = s3.get_object(Bucket=bucket, Key="empty")
    assert (answer["ContentLength"], answer["Body"].read()) == (0, b"")


def test_not_there(s3, bucket, new_name):
    assert refused(s3.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refused(s3.get_object, Bucket=new_name(), Key="small") == (404, "NoSuchBucket")


# --- ranges

PIECE, FRAME, SIZE = MIB, 64 * KIB, len(BODY)
EDGES = [
    (0, 0), (0, 1), (1, 1), (FRAME - 1, FRAME), (FRAME, 2 * FRAME - 1), (PIECE - 1, PIECE),
    (PIECE, PIECE), (PIECE - 1, 2 * PIECE), (0, SIZE - 1), (1, SIZE - 2), (SIZE - 1, SIZE - 1),
    (3 * PIECE, SIZE - 1), (PIECE - FRAME, PIECE + FRAME),
]  # fmt: skip


@pytest.mark.parametrize(("first", "last"), EDGES)
def test_ranges(s3, bucket, first, last):
    answer = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={first}-{last}")
    assert answer["Body"].read() == BODY[first : last + 1]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentLength"] == last + 1 - first
    assert answer["ContentRange"] == f"bytes {first}-{last}/{SIZE}"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=10-", 10, 999),
        ("bytes=990-2000", 990, 999),
        ("bytes=0-99999999999999999999", None, None),
        ("bytes=-1", 999, 999),
        ("bytes=-1000", 0, 999),
        ("bytes=-262144", 0, 999),
        ("Bytes=5-6", 5, 6),
    ],
)
def test_open_ranges(s3, bucket, asked, first, last):
    answer = s3.get_object(Bucket=bucket, Key="small", Range=asked)
    if first is None:
        assert answer["Body"].read() == BODY[:1000]
    else:
        assert answer["Body"].read() == BODY[first : last + 1]
        assert answer["ContentRange"] == f"bytes {first}-{last}/1000"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes 0-1", "items=0-1", "0-1"]
)
def test_ranges_that_are_passed_over(s3, bucket, asked):
    answer = s3.get_object(Bucket=bucket, Key="small", Range=asked)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Body"].read() == BODY[:1000]


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
def test_ranges_outside(send, bucket, asked):
    answer = send("GET", f"/{bucket}/small", headers={"Range": asked})
    assert (answer.status, answer.code) == (416, "InvalidRange")
    assert answer.headers["content-range"] == "bytes */1000"


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_ranges_of_nothing(s3, bucket, asked):
    call = {"Bucket": bucket, "Key": "empty", "Range": asked}
    assert refused(s3.get_object, **call) == (416, "InvalidRange")


def test_part_number(s3, bucket):
    answer = s3.get_object(Bucket=bucket, Key="small", PartNumber=1)
    assert answer["Body"].read() == BODY[:1000]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == "bytes 0-999/1000"
    call = {"Bucket": bucket, "Key": "small"}
    assert refused(s3.get_object, **call, PartNumber=2) == (416, "InvalidPartNumber")
    both = {**call, "PartNumber": 1, "Range": "bytes=0-1"}
    assert refused(s3.get_object, **both) == (400, "InvalidRequest")
    assert s3.get_object(Bucket=bucket, Key="empty", PartNumber=1)["Body"].read() == b""


# --- conditions


def moments(s3, bucket):
    modified = s3.head_object(Bucket=bucket, Key="small")["LastModified"]
    return modified - timedelta(seconds=1), modified


def test_conditions(s3, bucket):
    call = {"Bucket": bucket, "Key": "small"}
    etag = s3.head_object(**call)["ETag"]
    before, modified = moments(s3, bucket)
    failed, unmodified = (412, "PreconditionFailed"), (304, "304")
    for passes in (
        {"IfMatch": etag},
        {"IfMatch": etag.strip('"')},
        {"IfMatch": f'"other", {etag}'},
        {"IfMatch": "*"},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": before},
        {"IfUnmodifiedSince": modified},
        {"IfMatch": etag, "IfUnmodifiedSince": before},
        {"IfNoneMatch": '"other"', "IfModifiedSince": modified},
    ):
        assert s3.get_object(**call, **passes)["Body"].read() == BODY[:1000]
    for fails in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": before}):
        assert refused(s3.get_object, **call, **fails) == failed
    for nothing_new in (
        {"IfNoneMatch": etag},
        {"IfNoneMatch": "*"},
        {"IfModifiedSince": modified},
        {"IfNoneMatch": etag, "IfModifiedSince": before},
    ):
        assert refused(s3.get_object, **call, **nothing_new) == unmodified


def test_not_modified_carries_the_etag(send, bucket):
    etag = send("HEAD", f"/{bucket}/small").headers["etag"]
    answer = send("GET", f"/{bucket}/small", headers={"If-None-Match": etag})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)


def test_conditions_come_before_the_range(s3, bucket):
    call = {"Bucket": bucket, "Key": "small", "Range": "bytes=5000-", "IfMatch": '"other"'}
    assert refused(s3.get_object, **call) == (412, "PreconditionFailed")


def test_range_with_its_etag(s3, bucket):
    etag = s3.head_object(Bucket=bucket, Key="large")["ETag"]
    answer = s3.get_object(Bucket=bucket, Key="large", Range="bytes=1-2", IfMatch=etag)
    assert answer["Body"].read() == BODY[1:3]


# --- what the answer says


def test_checksum_of_the_whole_object_only(send, bucket):
    def checksum(**headers):
        answer = send("GET", f"/{bucket}/small", headers=headers)
        return answer.headers["x-amz-checksum-crc32"], answer.headers["x-amz-checksum-type"]

    assert checksum() == (None, None)
    value, kind = checksum(**{"x-amz-checksum-mode": "ENABLED"})
    assert value
    assert kind == "FULL_OBJECT"
    assert checksum(**{"x-amz-checksum-mode": "enabled"}) == (value, kind)
    assert checksum(**{"x-amz-checksum-mode": "ENABLED", "Range": "bytes=0-1"}) == (None, None)


@pytest.mark.parametrize("key", ["empty", "small", "large"])
def test_bytes_go_out_as_they_are(send, bucket, key):
    """With their length, and in no coding that nobody stored, whatever the client would take."""
    for asked in ({}, {"Accept-Encoding": "gzip, br", "TE": "trailers, chunked"}):
        answer = send("GET", f"/{bucket}/{key}", headers=asked)
        head = send("HEAD", f"/{bucket}/{key}", headers=asked)
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert head.headers["content-length"] == answer.headers["content-length"]
        for one in (answer, head):
            assert "transfer-encoding" not in one.headers
            assert "content-encoding" not in one.headers
            assert "x-amz-version-id" not in one.headers
            assert one.headers["server"] == "fastobj"


def test_response_parameters(s3, bucket):
    asked = {
        "ResponseCacheControl": "no-cache",
        "ResponseContentDisposition": 'attachment; filename="ü.txt"',
        "ResponseContentEncoding": "identity",
        "ResponseContentLanguage": "de",
        "ResponseContentType": "text/plain",
    }
    answer = s3.get_object(Bucket=bucket, Key="small", **asked)
    assert answer["Body"].read() == BODY[:1000]
    found = {name: answer[name.removeprefix("Response")] for name in asked}
    disposition = found["ResponseContentDisposition"]
    found["ResponseContentDisposition"] = disposition.encode("latin-1").decode()
    assert found == asked


@pytest.mark.parametrize("value", ["a%0D%0Ax-injected%3A1", "a%0A", "%00", "a%7F"])
def test_response_parameters_with_control_characters(send, bucket, value):
    answer = send("GET", f"/{bucket}/small", query=f"response-content-type={value}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_version_ids(s3, bucket):
    call = {"Bucket": bucket, "Key": "small"}
    assert s3.get_object(**call, VersionId="null")["Body"].read() == BODY[:1000]
    assert refused(s3.get_object, **call, VersionId="other") == (400, "InvalidArgument")


# --- presigned


def test_presigned(s3v4, bucket):
    params = {"Bucket": bucket, "Key": "large", "ResponseContentType": "text/x"}
    url = s3v4.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == BODY
        assert answer.headers["content-type"] == "text/x"
    request = urllib.request.Request(url, headers={"Range": "bytes=5-9"})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read()) == (206, BODY[5:10])


def test_presigned_and_changed(s3v4, bucket):
    params = {"Bucket": bucket, "Key": "small"}
    url = s3v4.generate_presigned_url("get_object", Params=params)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("small", "large"))
    with caught.value as error:
        assert error.status == 403
        assert b"SignatureDoesNotMatch" in error.read()
