"""Reads of objects that were uploaded in parts: whole, by range, by part."""

import pytest

from tests.s3.calls import refused
from tests.s3.uploading import PART, begin, complete, part, random_parts, upload

BODIES = random_parts()
WHOLE = b"".join(BODIES)
STARTS = [0, PART, 2 * PART + 1]


@pytest.fixture(scope="module")
def place(s3):
    """A bucket with such an object."""
    bucket = "objects-of-parts"
    s3.create_bucket(Bucket=bucket)
    upload(s3, bucket, "key", BODIES, ChecksumAlgorithm="CRC32")
    return {"Bucket": bucket, "Key": "key"}


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 0),
        (PART - 1, PART),
        (PART, PART),
        (10, 2 * PART + 500),
        (PART - 100_000, PART + 100_000),
        (0, len(WHOLE) - 1),
        (len(WHOLE) - 1001, len(WHOLE) + 7),
    ],
)
def test_ranges(s3, place, first, last):
    found = s3.get_object(**place, Range=f"bytes={first}-{last}", ChecksumMode="ENABLED")
    assert found["Body"].read() == WHOLE[first : last + 1]
    assert "ChecksumCRC32" not in found
    assert "PartsCount" not in found


def test_the_end(s3, place):
    assert s3.get_object(**place, Range="bytes=-70000")["Body"].read() == WHOLE[-70000:]
    past = f"bytes={len(WHOLE)}-"
    assert refused(s3.get_object, **place, Range=past) == (416, "InvalidRange")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_parts(s3, place, number):
    start, body = STARTS[number - 1], BODIES[number - 1]
    for call in (s3.get_object, s3.head_object):
        found = call(**place, PartNumber=number)
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert found["PartsCount"] == 3
        assert found["ContentLength"] == len(body)
        told = found["ResponseMetadata"]["HTTPHeaders"]["content-range"]
        assert told == f"bytes {start}-{start + len(body) - 1}/{len(WHOLE)}"
        if call is s3.get_object:
            assert found["Body"].read() == body


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
@pytest.mark.parametrize("copied", [False, True])
def test_checksums_of_parts(s3, bucket, kind, copied):
    named = begin(s3, bucket, "made", ChecksumAlgorithm="CRC32", ChecksumType=kind)
    part(s3, named, 2, b"replaced", ChecksumAlgorithm="CRC32")
    sums, listed = [], []
    for number, body in enumerate(BODIES, 1):
        stored = s3.upload_part(**named, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
        sums.append(stored["ChecksumCRC32"])
        listed.append({"PartNumber": number, "ETag": stored["ETag"], "ChecksumCRC32": sums[-1]})
    complete(s3, named, listed)
    if copied:
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/made")
    place = {"Bucket": bucket, "Key": "copy" if copied else "made"}
    for number, sum in enumerate(sums, 1):
        for call in (s3.get_object, s3.head_object):
            found = call(**place, PartNumber=number, ChecksumMode="ENABLED")
            assert (found["ChecksumCRC32"], found["ChecksumType"]) == (sum, kind)
    unasked = s3.head_object(**place, PartNumber=1)
    assert "ChecksumCRC32" not in unasked
    assert "ChecksumType" not in unasked


def test_an_empty_part(s3, bucket):
    upload(s3, bucket, "key", [BODIES[0], b""])
    for call in (s3.get_object, s3.head_object):
        found = call(Bucket=bucket, Key="key", PartNumber=2)
        assert (found["ContentLength"], found["PartsCount"]) == (0, 2)
        assert found["ResponseMetadata"]["HTTPStatusCode"] == 200
    found = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    assert found["Body"].read() == b""
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == BODIES[0]


def test_the_only_part_has_the_checksums_of_the_object(s3, bucket):
    stored = s3.put_object(Bucket=bucket, Key="key", Body=b"hello", ChecksumAlgorithm="SHA256")
    asked = {"Bucket": bucket, "Key": "key", "PartNumber": 1, "ChecksumMode": "ENABLED"}
    for call in (s3.get_object, s3.head_object):
        found = call(**asked)
        assert found["ChecksumSHA256"] == stored["ChecksumSHA256"]
        assert found["ChecksumType"] == "FULL_OBJECT"


def test_parts_that_are_none(s3, place):
    assert refused(s3.get_object, **place, PartNumber=4) == (416, "InvalidPartNumber")
    assert refused(s3.head_object, **place, PartNumber=4) == (416, "416")
    both = {"PartNumber": 1, "Range": "bytes=0-1"}
    assert refused(s3.get_object, **place, **both) == (400, "InvalidRequest")
    missing = {**place, "Key": "missing"}
    assert refused(s3.get_object, **missing, PartNumber=1) == (404, "NoSuchKey")


def test_conditions_on_parts(s3, place):
    etag = s3.head_object(**place)["ETag"]
    assert s3.get_object(**place, PartNumber=3, IfMatch=etag)["Body"].read() == BODIES[2]
    other = {"PartNumber": 1, "IfMatch": '"other"'}
    assert refused(s3.get_object, **place, **other) == (412, "PreconditionFailed")
    assert refused(s3.get_object, **place, PartNumber=1, IfNoneMatch=etag) == (304, "304")


def test_head_says_what_get_does(s3, place):
    found = s3.head_object(**place, ChecksumMode="ENABLED")
    assert (found["ContentLength"], found["ChecksumType"]) == (len(WHOLE), "COMPOSITE")
    assert "PartsCount" not in found
