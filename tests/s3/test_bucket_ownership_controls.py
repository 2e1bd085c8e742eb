"""GetBucketOwnershipControls, PutBucketOwnershipControls, DeleteBucketOwnershipControls.

What they decide about access control lists, too.
"""

import pytest

from tests.s3.calls import refused
from tests.s3.grants import ALL_USERS, policy, shown

CHOICES = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]
NONE = (404, "OwnershipControlsNotFoundError")
NOT_SUPPORTED = (400, "AccessControlListNotSupported")
CONTRADICTS = (400, "InvalidBucketAclWithObjectOwnership")


def asked(bucket, *choices):
    rules = [{"ObjectOwnership": choice} for choice in choices]
    return {"Bucket": bucket, "OwnershipControls": {"Rules": rules}}


def told(s3, bucket):
    found = s3.get_bucket_ownership_controls(Bucket=bucket)
    return [rule["ObjectOwnership"] for rule in found["OwnershipControls"]["Rules"]]


@pytest.fixture
def owner(s3):
    """The id of who makes the buckets."""
    return s3.list_buckets()["Owner"]["ID"]


@pytest.fixture
def enforced(s3, bucket):
    """A bucket in which lists do not count."""
    s3.put_object(Bucket=bucket, Key="old", Body=b"x")
    s3.put_bucket_ownership_controls(**asked(bucket, "BucketOwnerEnforced"))
    return bucket


@pytest.mark.parametrize("choice", CHOICES)
def test_put_get_delete(s3, bucket, choice):
    assert refused(s3.get_bucket_ownership_controls, Bucket=bucket) == NONE
    s3.put_bucket_ownership_controls(**asked(bucket, choice))
    assert told(s3, bucket) == [choice]
    for _ in range(2):
        answer = s3.delete_bucket_ownership_controls(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refused(s3.get_bucket_ownership_controls, Bucket=bucket) == NONE


@pytest.mark.parametrize("choice", CHOICES)
def test_a_bucket_that_is_made_so(s3, new_name, choice):
    name = new_name()
    s3.create_bucket(Bucket=name, ObjectOwnership=choice)
    assert told(s3, name) == [choice]


def test_what_is_refused(s3, bucket, send, new_name):
    for choices in ([], ["Nobody"], CHOICES[:2]):
        call = asked(bucket, *choices)
        assert refused(s3.put_bucket_ownership_controls, **call) == (400, "MalformedXML")
    answer = send("PUT", f"/{new_name()}", headers={"x-amz-object-ownership": "Nobody"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_lists_are_refused(s3, enforced, owner):
    named = {"Bucket": enforced, "Key": "key"}
    for word in ("private", "public-read", "bucket-owner-read"):
        assert refused(s3.put_object, ACL=word, **named) == NOT_SUPPORTED
        assert refused(s3.create_multipart_upload, ACL=word, **named) == NOT_SUPPORTED
        copied = {"CopySource": f"{enforced}/old", "ACL": word, **named}
        assert refused(s3.copy_object, **copied) == NOT_SUPPORTED
        old = {"Bucket": enforced, "Key": "old", "ACL": word}
        assert refused(s3.put_object_acl, **old) == NOT_SUPPORTED
        assert refused(s3.put_bucket_acl, Bucket=enforced, ACL=word) == NOT_SUPPORTED
        if word != "bucket-owner-read":
            assert refused(s3.create_bucket, Bucket=enforced, ACL=word) == NOT_SUPPORTED
    public = policy(owner, [(ALL_USERS, "READ")])
    for call, thing in ((s3.put_bucket_acl, {}), (s3.put_object_acl, {"Key": "old"})):
        given = {"Bucket": enforced, "AccessControlPolicy": public, **thing}
        assert refused(call, **given) == NOT_SUPPORTED
    assert refused(s3.put_object, GrantRead=f'uri="{ALL_USERS}"', **named) == NOT_SUPPORTED
    assert refused(s3.head_object, **named) == (404, "404")


def test_lists_that_say_what_holds_anyway(s3, enforced, owner):
    named = {"Bucket": enforced, "Key": "key"}
    s3.put_object(**named)
    s3.put_object(ACL="bucket-owner-full-control", **named)
    s3.put_object(GrantFullControl=f'id="{owner}"', **named)
    s3.put_object_acl(AccessControlPolicy=policy(owner, [(owner, "FULL_CONTROL")]), **named)
    s3.put_bucket_acl(Bucket=enforced, ACL="bucket-owner-full-control")
    assert shown(s3.get_object_acl(**named)) == [(owner, "FULL_CONTROL")]


def test_a_list_that_contradicts(s3, bucket, new_name):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    call = asked(bucket, "BucketOwnerEnforced")
    assert refused(s3.put_bucket_ownership_controls, **call) == CONTRADICTS
    s3.put_bucket_ownership_controls(**asked(bucket, "ObjectWriter"))
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_bucket_ownership_controls(**call)
    assert told(s3, bucket) == ["BucketOwnerEnforced"]
    made = {"Bucket": new_name(), "ACL": "public-read", "ObjectOwnership": "BucketOwnerEnforced"}
    assert refused(s3.create_bucket, **made) == CONTRADICTS
    assert refused(s3.head_bucket, Bucket=made["Bucket"]) == (404, "404")


def test_lists_count_elsewhere(s3, bucket, owner):
    s3.put_bucket_ownership_controls(**asked(bucket, "BucketOwnerPreferred"))
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [(ALL_USERS, "READ"), (owner, "FULL_CONTROL")]
