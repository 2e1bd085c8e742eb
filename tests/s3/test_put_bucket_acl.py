"""PutBucketAcl, and lists that are named when a bucket is made: words, headers, XML."""

import pytest

from tests.s3.calls import refused
from tests.s3.conftest import OTHER
from tests.s3.grants import ALL_USERS, BAD, CANNED, HEADERS, malformed, policy, shown


@pytest.fixture
def owner(s3):
    """The id of who makes the buckets."""
    return s3.list_buckets()["Owner"]["ID"]


@pytest.mark.parametrize("word", CANNED)
def test_canned(s3, bucket, new_name, owner, word):
    wanted = [*CANNED[word], (owner, "FULL_CONTROL")]
    s3.put_bucket_acl(Bucket=bucket, ACL=word)
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == wanted
    name = new_name()
    s3.create_bucket(Bucket=name, ACL=word)
    assert shown(s3.get_bucket_acl(Bucket=name)) == wanted


@pytest.mark.parametrize(("named", "wanted"), HEADERS)
def test_headers(s3, bucket, new_name, named, wanted):
    s3.put_bucket_acl(Bucket=bucket, **named)
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == wanted
    name = new_name()
    s3.create_bucket(Bucket=name, **named)
    assert shown(s3.get_bucket_acl(Bucket=name)) == wanted


def test_xml(s3, bucket, owner):
    grants = [(OTHER.id, "READ"), (OTHER.email, "WRITE"), (ALL_USERS, "READ_ACP")]
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy(owner, grants))
    wanted = [(ALL_USERS, "READ_ACP"), (OTHER.id, "READ"), (OTHER.id, "WRITE")]
    found = s3.get_bucket_acl(Bucket=bucket)
    assert shown(found) == wanted
    assert found["Grants"][1]["Grantee"]["DisplayName"] == OTHER.display_name
    again = {"Owner": found["Owner"], "Grants": found["Grants"]}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=again)
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == wanted


def test_nobody_at_all(s3, bucket, owner):
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy(owner, []))
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == []
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")  # the owner may all the same


@pytest.mark.parametrize(("named", "code"), BAD)
def test_what_is_refused(s3, bucket, new_name, owner, named, code):
    assert refused(s3.put_bucket_acl, Bucket=bucket, **named) == (400, code)
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [(owner, "FULL_CONTROL")]
    name = new_name()
    assert refused(s3.create_bucket, Bucket=name, **named) == (400, code)
    assert refused(s3.head_bucket, Bucket=name) == (404, "404")


def test_malformed(send, s3, bucket, owner):
    for document, code in malformed(owner):
        body = f"<AccessControlPolicy>{document}</AccessControlPolicy>".encode()
        answer = send("PUT", f"/{bucket}", query="acl=", body=body)
        assert (answer.code, answer.status) == (code, 403 if code == "AccessDenied" else 400)
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [(owner, "FULL_CONTROL")]


def test_none_and_both(send, s3, bucket, owner):
    answer = send("PUT", f"/{bucket}", query="acl=")
    assert (answer.status, answer.code) == (400, "MissingSecurityHeader")
    both = {"ACL": "private", "AccessControlPolicy": policy(owner, [])}
    assert refused(s3.put_bucket_acl, Bucket=bucket, **both) == (400, "UnexpectedContent")


def test_a_list_gives_nobody_access_yet(s3, other_s3, bucket, send):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert refused(other_s3.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")
    assert send("GET", f"/{bucket}", signed=False).status == 403


def test_objects_are_kept(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"hello"
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    assert len(shown(s3.get_bucket_acl(Bucket=bucket))) == 2


def test_not_there(s3, new_name):
    assert refused(s3.put_bucket_acl, Bucket=new_name(), ACL="private") == (404, "NoSuchBucket")
