"""GetObjectAcl: who is granted what; at first nobody but the owner."""

from tests.s3.calls import refused
from tests.s3.grants import shown


def test_at_first(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    owner = s3.list_buckets()["Owner"]
    for more in ({}, {"VersionId": "null"}):
        found = s3.get_object_acl(Bucket=bucket, Key="key", **more)
        assert found["Owner"] == owner
        assert shown(found) == [(owner["ID"], "FULL_CONTROL")]


def test_not_there(s3, bucket, new_name):
    assert refused(s3.get_object_acl, Bucket=bucket, Key="key") == (404, "NoSuchKey")
    assert refused(s3.get_object_acl, Bucket=new_name(), Key="key") == (404, "NoSuchBucket")
    other = {"Bucket": bucket, "Key": "key", "VersionId": "other"}
    assert refused(s3.get_object_acl, **other) == (400, "InvalidArgument")


def test_an_overwrite_begins_anew(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="public-read")
    assert len(shown(s3.get_object_acl(Bucket=bucket, Key="key"))) == 2
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert len(shown(s3.get_object_acl(Bucket=bucket, Key="key"))) == 1
