"""Buckets belong to who made them: nobody else sees or touches them, or what is in them."""

import pytest

from tests.s3.calls import refused
from tests.s3.conftest import OTHER


@pytest.fixture
def foreign(other_s3, new_name):
    """A bucket of somebody else, with one object."""
    name = new_name()
    other_s3.create_bucket(Bucket=name)
    other_s3.put_object(Bucket=name, Key="key", Body=b"theirs")
    yield name
    other_s3.delete_object(Bucket=name, Key="key")
    other_s3.delete_bucket(Bucket=name)


def test_each_lists_their_own_buckets(s3, other_s3, bucket, foreign):
    ours, theirs = s3.list_buckets(), other_s3.list_buckets()
    assert bucket in [entry["Name"] for entry in ours["Buckets"]]
    assert foreign not in [entry["Name"] for entry in ours["Buckets"]]
    assert [entry["Name"] for entry in theirs["Buckets"]] == [foreign]
    assert theirs["Owner"] == {"ID": OTHER.id, "DisplayName": OTHER.display_name}


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {"Key": "key"}),
        ("get_object", {"Key": "missing"}),
        ("put_object", {"Key": "key", "Body": b"ours"}),
        ("delete_object", {"Key": "key"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "key"}]}}),
        ("list_objects", {}),
        ("list_objects_v2", {}),
        ("get_bucket_location", {}),
        ("delete_bucket", {}),
        ("get_bucket_acl", {}),
        ("create_multipart_upload", {"Key": "key"}),
    ],
)
def test_nobody_else_may(s3, other_s3, foreign, call, arguments):
    assert refused(getattr(s3, call), Bucket=foreign, **arguments) == (403, "AccessDenied")
    assert other_s3.get_object(Bucket=foreign, Key="key")["Body"].read() == b"theirs"


def test_head_says_403_and_the_region(s3, foreign, send):
    assert refused(s3.head_object, Bucket=foreign, Key="key") == (403, "403")
    answer = send("HEAD", f"/{foreign}")
    assert (answer.status, answer.body) == (403, b"")
    assert answer.headers.get_all("x-amz-bucket-region") == ["us-east-1"]


def test_the_name_of_anothers_bucket_is_taken(s3, foreign):
    assert refused(s3.create_bucket, Bucket=foreign) == (409, "BucketAlreadyExists")


def test_the_expected_owner(s3, other_s3, foreign):
    found = other_s3.get_object(Bucket=foreign, Key="key", ExpectedBucketOwner=OTHER.id)
    assert found["Body"].read() == b"theirs"
    assert refused(
        other_s3.get_object, Bucket=foreign, Key="key", ExpectedBucketOwner="somebody"
    ) == (403, "AccessDenied")


def test_the_owner_in_a_listing(other_s3, foreign):
    listed = other_s3.list_objects_v2(Bucket=foreign, FetchOwner=True)["Contents"]
    assert [entry["Owner"]["ID"] for entry in listed] == [OTHER.id]


def test_unsigned_requests_are_refused(send, bucket):
    for method, path in (("GET", "/"), ("GET", f"/{bucket}"), ("PUT", f"/{bucket}/key")):
        answer = send(method, path, signed=False)
        assert (answer.status, answer.code) == (403, "AccessDenied")
