"""GetBucketAcl: who is granted what; at first nobody but the owner."""

from tests.s3.calls import refused
from tests.s3.grants import shown


def test_at_first(s3, bucket):
    owner = s3.list_buckets()["Owner"]
    found = s3.get_bucket_acl(Bucket=bucket)
    assert found["Owner"] == owner
    [grant] = found["Grants"]
    assert grant == {"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}


def test_on_the_wire(send, bucket):
    answer = send("GET", f"/{bucket}", query="acl=")
    assert answer.status == 200
    xsi = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    assert b"<Grant><Grantee " + xsi + b' xsi:type="CanonicalUser"><ID>' in answer.body


def test_not_there(s3, new_name):
    assert refused(s3.get_bucket_acl, Bucket=new_name()) == (404, "NoSuchBucket")


def test_a_bucket_made_again_names_its_list_again(s3, bucket):
    s3.create_bucket(Bucket=bucket, ACL="public-read")
    assert len(shown(s3.get_bucket_acl(Bucket=bucket))) == 2
    s3.create_bucket(Bucket=bucket)
    assert len(shown(s3.get_bucket_acl(Bucket=bucket))) == 2
    s3.create_bucket(Bucket=bucket, ACL="private")
    assert len(shown(s3.get_bucket_acl(Bucket=bucket))) == 1
