"""HeadBucket: there or not, and where."""

import pytest

from tests.s3.calls import refused


def test_there(s3, bucket):
    answer = s3.head_bucket(Bucket=bucket)
    assert answer["BucketRegion"] == "us-east-1"


def test_not_there(s3, new_name):
    assert refused(s3.head_bucket, Bucket=new_name()) == (404, "404")


@pytest.mark.parametrize("name", ["%24extremelyunlikelytoexist%24", "%C3%BC", "UPPER"])
def test_names_that_no_bucket_has(send, name):
    answer = send("HEAD", f"/{name}")
    assert (answer.status, answer.body) == (404, b"")


def test_with_a_slash_behind(send, bucket):
    assert send("HEAD", f"/{bucket}/").status == 200


def test_unsigned(send, bucket, new_name):
    """So SDKs ask for the region; they are not told whether the bucket is there."""
    for name in (bucket, new_name(), "%24odd%24"):
        answer = send("HEAD", f"/{name}", signed=False)
        assert (answer.status, answer.body) == (403, b"")
        assert answer.headers.get_all("x-amz-bucket-region") == ["us-east-1"]


def test_unexpected_owner(s3, bucket):
    call = {"Bucket": bucket, "ExpectedBucketOwner": "somebody-else"}
    assert refused(s3.head_bucket, **call) == (403, "403")
