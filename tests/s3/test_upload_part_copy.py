"""UploadPartCopy: whole sources and ranges, conditions, checksums, owners, races, nothing left."""

import base64
import hashlib
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
from boto3.s3.transfer import TransferConfig

from fastobj._ext.crc import crc32c
from tests.s3.calls import refused
from tests.s3.conftest import OTHER
from tests.s3.uploading import MIB, PART, begin, complete, part, random_parts, upload

KIB = 1024
SIZES = [0, 1, 64 * KIB, 64 * KIB + 1, MIB, MIB + 1, 5 * MIB + 3]
# Of a source of 3 MiB and 5 bytes: inside a piece, over pieces, whole, its ends.
RANGES = [
    (0, 0),
    (5, 70_000),
    (1000, 2 * MIB),
    (MIB - 1, MIB),
    (0, 3 * MIB + 4),
    (3 * MIB + 4,) * 2,
]
MALFORMED = [
    "", "0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5",
    "bytes=-2", "bytes=2-", "bytes=2-1", "bytes= 0-1", "bytes=0 - 1", "Bytes=0-1", "bytes 0-1",
    "bytes=+0-1", "bytes=0x0-0x1", "bytes=0-1;", "bytes=-1-2", "bytes=1e1-2e1",
]  # fmt: skip
BEYOND = ["bytes=0-10", "bytes=9-10", "bytes=10-10", "bytes=100-200", f"bytes=0-{10**30}"]
KEYS = ["a b", "a+b", "a%2Bb", "?versionId=null", "/a", "..", "ü", "\U0001f600/é", "new\nline"]


def read(s3, bucket, key="key"):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def copied(s3, named, number, source, **arguments):
    """Copies a part; how to list it, and the answer."""
    answer = s3.upload_part_copy(**named, PartNumber=number, CopySource=source, **arguments)
    return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}, answer


@pytest.fixture
def source(s3, bucket):
    """The name of an object of ten bytes."""
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    return f"{bucket}/source"


@pytest.fixture
def refusal(s3, bucket, source):
    """What such a copy into a new upload is refused with."""

    def call(**arguments):
        named = begin(s3, bucket)
        arguments = {"PartNumber": 1, "CopySource": source} | arguments
        found = refused(s3.upload_part_copy, **named, **arguments)
        assert s3.list_parts(**named).get("Parts", []) == []
        s3.abort_multipart_upload(**named)
        return found

    return call


@pytest.mark.parametrize("size", SIZES)
def test_whole_sources(s3, bucket, size):
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    named = begin(s3, bucket)
    before = datetime.now(UTC) - timedelta(seconds=2)
    listed, answer = copied(s3, named, 1, f"{bucket}/source")
    assert listed["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert before < answer["CopyPartResult"]["LastModified"] <= datetime.now(UTC)
    assert set(answer["CopyPartResult"]) == {"ETag", "LastModified"}
    (shown,) = s3.list_parts(**named)["Parts"]
    assert (shown["Size"], shown["ETag"]) == (size, listed["ETag"])
    complete(s3, named, [listed])
    assert read(s3, bucket) == body


@pytest.mark.parametrize(("first", "last"), RANGES)
def test_ranges(s3, bucket, first, last):
    body = os.urandom(3 * MIB + 5)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    named = begin(s3, bucket)
    wanted = f"bytes={first}-{last}"
    listed, _ = copied(s3, named, 1, f"{bucket}/source", CopySourceRange=wanted)
    complete(s3, named, [listed])
    assert read(s3, bucket) == body[first : last + 1]


def test_parts_copied_and_uploaded_make_one_object(s3, bucket):
    """From an object made of parts, over the edges of its parts, in any order."""
    parts = random_parts()
    whole = b"".join(parts)
    upload(s3, bucket, "source", parts)
    named = begin(s3, bucket)
    source = f"{bucket}/source"
    late = f"bytes={PART + 7}-{len(whole) - 1}"
    third, _ = copied(s3, named, 3, source, CopySourceRange=late)
    first, _ = copied(s3, named, 1, source, CopySourceRange=f"bytes=3-{PART + 9}")
    second = part(s3, named, 2, b"m" * PART)
    complete(s3, named, [first, second, third])
    assert read(s3, bucket) == whole[3 : PART + 10] + b"m" * PART + whole[PART + 7 :]


def test_an_object_as_a_part_of_its_own_successor(s3, bucket):
    body = os.urandom(PART)
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    named = begin(s3, bucket)
    first, _ = copied(s3, named, 1, f"{bucket}/key")
    complete(s3, named, [first, part(s3, named, 2, b"appended")])
    assert read(s3, bucket) == body + b"appended"


@pytest.mark.parametrize("key", KEYS)
def test_spellings_of_sources(s3, send, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    named = begin(s3, bucket)
    query = f"partNumber=1&uploadId={named['UploadId']}"
    for spelled in (
        f"/{bucket}/{quote(key)}", f"{bucket}/{quote(key, safe='')}",
        quote(f"{bucket}/{key}", safe=""), f"{bucket}/{quote_plus(key)}",
    ):  # fmt: skip
        headers = {"x-amz-copy-source": spelled}
        answer = send("PUT", f"/{bucket}/key", query=query, headers=headers)
        assert answer.status == 200, answer.body
        assert hashlib.md5(key.encode()).hexdigest().encode() in answer.body


def test_the_document(send, s3, bucket, source):
    named = begin(s3, bucket)
    query = f"partNumber=1&uploadId={named['UploadId']}"
    headers = {"x-amz-copy-source": source}
    answer = send("PUT", f"/{bucket}/key", query=query, headers=headers)
    assert answer.headers["Content-Type"] == "application/xml"
    etag = hashlib.md5(b"0123456789").hexdigest()
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<CopyPartResult')
    assert f"<ETag>&quot;{etag}&quot;</ETag>".encode() in answer.body


@pytest.mark.parametrize("value", MALFORMED)
def test_ranges_that_are_malformed(refusal, value):
    assert refusal(CopySourceRange=value) == (400, "InvalidArgument")


@pytest.mark.parametrize("value", BEYOND)
def test_ranges_beyond_the_end(refusal, value):
    assert refusal(CopySourceRange=value) == (400, "InvalidArgument")


def test_a_range_of_an_empty_source(s3, bucket, refusal):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    wanted = {"CopySource": f"{bucket}/empty", "CopySourceRange": "bytes=0-0"}
    assert refusal(**wanted) == (400, "InvalidArgument")


def test_what_is_missing(refusal, s3, bucket, source, new_name):
    assert refusal(CopySource=f"{bucket}/none") == (404, "NoSuchKey")
    assert refusal(CopySource=f"{new_name()}/key") == (404, "NoSuchBucket")
    assert refusal(CopySource=f"{source}?versionId=abc") == (400, "InvalidArgument")
    named = begin(s3, bucket)
    for wrong in ({"UploadId": "nonsense"}, {"Key": "other"}, {"UploadId": "0" * 32}):
        call = {**named, **wrong, "PartNumber": 1, "CopySource": source}
        assert refused(s3.upload_part_copy, **call) == (404, "NoSuchUpload")
    for number in (0, 10_001):
        call = {**named, "PartNumber": number, "CopySource": source}
        assert refused(s3.upload_part_copy, **call) == (400, "InvalidArgument")


def test_the_null_version_is_the_object(s3, bucket, source):
    named = begin(s3, bucket)
    listed, _ = copied(s3, named, 1, f"{source}?versionId=null")
    complete(s3, named, [listed])
    assert read(s3, bucket) == b"0123456789"


def test_conditions(s3, bucket, source, refusal):
    etag = s3.head_object(Bucket=bucket, Key="source")["ETag"]
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    failed = (412, "PreconditionFailed")
    assert refusal(CopySourceIfMatch='"other"') == failed
    assert refusal(CopySourceIfNoneMatch=etag) == failed
    assert refusal(CopySourceIfModifiedSince=datetime.now(UTC)) == failed
    assert refusal(CopySourceIfUnmodifiedSince=past) == failed
    named = begin(s3, bucket)
    for holds in (
        {"CopySourceIfMatch": etag}, {"CopySourceIfNoneMatch": '"other"'},
        {"CopySourceIfModifiedSince": past}, {"CopySourceIfUnmodifiedSince": future},
        {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": past},
    ):  # fmt: skip
        copied(s3, named, 1, source, **holds)


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"])
def test_checksums_of_the_upload_are_computed(s3, bucket, algorithm, size):
    body = os.urandom(size)
    sums = {
        "CRC32": zlib.crc32(body).to_bytes(4, "big"),
        "CRC32C": crc32c(body).to_bytes(4, "big"),
        "SHA1": hashlib.sha1(body).digest(),
        "SHA256": hashlib.sha256(body).digest(),
    }
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    named = begin(s3, bucket, ChecksumAlgorithm=algorithm)
    listed, answer = copied(s3, named, 1, f"{bucket}/source")
    found = answer["CopyPartResult"][f"Checksum{algorithm}"]
    if algorithm in sums:
        assert found == base64.b64encode(sums[algorithm]).decode()
    (shown,) = s3.list_parts(**named)["Parts"]
    assert shown[f"Checksum{algorithm}"] == found
    made = complete(s3, named, [{**listed, f"Checksum{algorithm}": found}])
    assert f"Checksum{algorithm}" in made


def test_other_owners(s3, other_s3, bucket, new_name, source, refusal):
    theirs, named = new_name(), begin(s3, bucket)
    other_s3.create_bucket(Bucket=theirs)
    other_s3.put_object(Bucket=theirs, Key="key", Body=b"theirs")
    assert refusal(CopySource=f"{theirs}/key") == (403, "AccessDenied")
    call = {**named, "PartNumber": 1, "CopySource": f"{theirs}/key"}
    assert refused(other_s3.upload_part_copy, **call) == (403, "AccessDenied")
    own = begin(other_s3, theirs)
    call = {**own, "PartNumber": 1, "CopySource": source}
    assert refused(other_s3.upload_part_copy, **call) == (403, "AccessDenied")
    for expected in ("ExpectedBucketOwner", "ExpectedSourceBucketOwner"):
        assert refusal(**{expected: OTHER.id}) == (403, "AccessDenied")
    other_s3.abort_multipart_upload(**own)
    other_s3.delete_object(Bucket=theirs, Key="key")
    other_s3.delete_bucket(Bucket=theirs)  # other tests list what somebody else has


def test_a_source_in_another_bucket(s3, bucket, new_name):
    elsewhere = new_name()
    s3.create_bucket(Bucket=elsewhere)
    s3.put_object(Bucket=elsewhere, Key="a/b", Body=b"from there")
    named = begin(s3, bucket)
    listed, _ = copied(s3, named, 1, {"Bucket": elsewhere, "Key": "a/b"})
    complete(s3, named, [listed])
    assert read(s3, bucket) == b"from there"


def test_boto3_copies_large_objects_in_parts(s3, bucket):
    """Its managed copy: parts side by side, of ranges."""
    body = os.urandom(17 * MIB + 3)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    source = {"Bucket": bucket, "Key": "source"}
    s3.copy(source, bucket, "key", Config=TransferConfig(multipart_threshold=8 * MIB))
    found = s3.get_object(Bucket=bucket, Key="key")
    assert found["ETag"].endswith('-3"')
    assert found["Body"].read() == body


# --- races


def test_sources_that_are_overwritten_and_deleted_meanwhile(server, s3, bucket):
    """Each copy has one state of the source, whole; and nothing of all that is left."""
    bodies = [b"%d" % number * (2 * MIB + 3) for number in range(3)]
    etags = {hashlib.md5(body).hexdigest() for body in bodies}
    s3.put_object(Bucket=bucket, Key="source", Body=bodies[0])
    named = begin(s3, bucket)

    def write(turn):
        s3.put_object(Bucket=bucket, Key="source", Body=bodies[turn % 3])
        if turn % 4 == 3:
            s3.delete_object(Bucket=bucket, Key="source")

    def copy(turn):
        try:
            listed, _ = copied(s3, named, turn % 5 + 1, f"{bucket}/source")
        except s3.exceptions.NoSuchKey:
            return
        assert listed["ETag"].strip('"') in etags

    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(write if n % 2 else copy, n // 2) for n in range(60)]
        for one in done:
            one.result()
    s3.abort_multipart_upload(**named)
    s3.delete_object(Bucket=bucket, Key="source")
    assert server.differences() == []


def test_parts_that_are_replaced_while_the_upload_completes(server, s3, bucket):
    body = os.urandom(MIB + 1)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    for _ in range(4):
        named = begin(s3, bucket)
        listed, _ = copied(s3, named, 1, f"{bucket}/source")
        with ThreadPoolExecutor(5) as threads:
            again = [threads.submit(copied, s3, named, 1, f"{bucket}/source") for _ in range(4)]
            complete(s3, named, [listed])
        codes = [one.exception() and one.exception().response["Error"]["Code"] for one in again]
        assert set(codes) <= {None, "NoSuchUpload"}
        assert read(s3, bucket) == body
    assert server.differences() == []
