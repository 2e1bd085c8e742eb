"""CreateMultipartUpload."""

import pytest

from tests.s3.calls import refused
from tests.s3.uploading import begin, complete, part


def test_what_it_says_is_the_objects(s3, bucket):
    told = {
        "ContentType": "text/plain",
        "CacheControl": "no-store",
        "ContentDisposition": "inline",
        "Metadata": {"name": "value"},
    }
    named = begin(s3, bucket, **told)
    complete(s3, named, [part(s3, named, 1, b"body")])
    found = s3.head_object(Bucket=bucket, Key="key")
    assert {name: found[name] for name in told} == told


def test_the_answer(s3, bucket):
    answer = s3.create_multipart_upload(Bucket=bucket, Key="a/b c", ChecksumAlgorithm="SHA1")
    assert (answer["Bucket"], answer["Key"]) == (bucket, "a/b c")
    assert (answer["ChecksumAlgorithm"], answer["ChecksumType"]) == ("SHA1", "COMPOSITE")
    other = s3.create_multipart_upload(Bucket=bucket, Key="a/b c")
    assert other["UploadId"] > answer["UploadId"]


@pytest.mark.parametrize(
    ("algorithm", "kind", "becomes"),
    [
        ("CRC32", None, "COMPOSITE"),
        ("CRC32", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE", "COMPOSITE"),
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("CRC64NVME", "COMPOSITE", None),
        ("SHA1", "FULL_OBJECT", None),
        ("SHA256", "FULL_OBJECT", None),
        ("SHA256", "COMPOSITE", "COMPOSITE"),
    ],
)
def test_checksum_types(s3, bucket, algorithm, kind, becomes):
    asked = {"Bucket": bucket, "Key": "key", "ChecksumAlgorithm": algorithm}
    asked |= {"ChecksumType": kind} if kind else {}
    if becomes is None:
        assert refused(s3.create_multipart_upload, **asked) == (400, "InvalidRequest")
    else:
        assert s3.create_multipart_upload(**asked)["ChecksumType"] == becomes


def test_what_is_refused(s3, bucket, send):
    call = {"Bucket": bucket, "Key": "key"}
    assert refused(s3.create_multipart_upload, **call, ACL="nonsense") == (400, "InvalidArgument")
    assert refused(s3.create_multipart_upload, **call, Tagging="a=b&a=c") == (
        (400, "InvalidArgument")
    )
    assert refused(s3.create_multipart_upload, **call, Metadata={"a": "b" * 3000}) == (
        (400, "MetadataTooLarge")
    )
    missing = {"Bucket": "no-such-bucket", "Key": "key"}
    assert refused(s3.create_multipart_upload, **missing) == (404, "NoSuchBucket")
    for headers in (
        {"x-amz-checksum-algorithm": "MD4"},
        {"x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "HALF"},
    ):
        answer = send("POST", f"/{bucket}/key", query="uploads=", headers=headers)
        assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_an_open_upload_is_no_object(s3, bucket):
    named = begin(s3, bucket)
    part(s3, named, 1, b"body")
    assert refused(s3.get_object, Bucket=bucket, Key="key") == (404, "NoSuchKey")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_the_object_keeps_the_list_that_its_beginning_names(s3, bucket):
    names = {"Bucket": bucket, "Key": "key"}
    upload = s3.create_multipart_upload(**names, ACL="public-read")["UploadId"]
    part = s3.upload_part(**names, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**names, UploadId=upload, MultipartUpload=parts)
    grants = s3.get_object_acl(**names)["Grants"]
    assert sorted(grant["Permission"] for grant in grants) == ["FULL_CONTROL", "READ"]
