"""DeleteObjectTagging: takes all tags, and nothing else."""

from tests.s3.calls import refused


def test_takes_all(s3, bucket):
    named = {"Bucket": bucket, "Key": "key"}
    etag = s3.put_object(**named, Body=b"x", Tagging="a=1&b=2")["ETag"]
    for more in ({}, {"VersionId": "null"}):
        answer = s3.delete_object_tagging(**named, **more)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert s3.get_object_tagging(**named)["TagSet"] == []
    found = s3.get_object(**named)
    assert (found["Body"].read(), found["ETag"], found.get("TagCount")) == (b"x", etag, None)


def test_not_there(s3, bucket, new_name):
    assert refused(s3.delete_object_tagging, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refused(s3.delete_object_tagging, Bucket=new_name(), Key="none") == (404, "NoSuchBucket")
    other = {"Bucket": bucket, "Key": "none", "VersionId": "other"}
    assert refused(s3.delete_object_tagging, **other) == (400, "InvalidArgument")
