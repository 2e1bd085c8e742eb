"""GetObjectTagging: the tags of an object, at first none."""

from tests.s3.calls import refused


def test_at_first(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for more in ({}, {"VersionId": "null"}):
        assert s3.get_object_tagging(Bucket=bucket, Key="key", **more)["TagSet"] == []


def test_markup(s3, bucket, send):
    """A value that has markup in it comes from nobody; what has none is written as it is."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="k%C3%A9y=a+%2B+b")
    answer = send("GET", f"/{bucket}/key", query="tagging=")
    assert "<Tag><Key>kéy</Key><Value>a + b</Value></Tag>".encode() in answer.body


def test_not_there(s3, bucket, new_name):
    assert refused(s3.get_object_tagging, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert refused(s3.get_object_tagging, Bucket=new_name(), Key="none") == (404, "NoSuchBucket")
    other = {"Bucket": bucket, "Key": "none", "VersionId": "other"}
    assert refused(s3.get_object_tagging, **other) == (400, "InvalidArgument")
