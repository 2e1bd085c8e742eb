"""CreateBucket: names, locations, and the same name again."""

from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from fastobj.testing.server import InProcessServer, new_identity
from tests.s3.calls import refused


def test_create(s3, new_name):
    name = new_name()
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    s3.head_bucket(Bucket=name)


def test_own_bucket_again_keeps_what_is_in_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    s3.create_bucket(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"


def test_many_at_once(s3, new_name):
    name = new_name()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: s3.create_bucket(Bucket=name), range(8)))
    assert len(s3.list_buckets(Prefix=name)["Buckets"]) == 1


@pytest.mark.parametrize("name", ["abc", "a.b-c", "0" * 63, "my.bucket.name"])
def test_good_names(s3, name):
    s3.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    "name", ["ab", "A-capital", "under_score", "-dash", "dash-", "a..b", "10.0.0.1", "a" * 64]
)
def test_bad_names(send, name):
    answer = send("PUT", f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName")


def create_in(constraint):
    return {"CreateBucketConfiguration": {"LocationConstraint": constraint}}


def test_location_of_this_store(s3, new_name):
    s3.create_bucket(Bucket=new_name(), **create_in("us-east-1"))


@pytest.mark.parametrize(
    ("constraint", "code"),
    [
        ("eu-west-1", "IllegalLocationConstraintException"),
        ("EU", "IllegalLocationConstraintException"),
        ("nowhere", "InvalidLocationConstraint"),
    ],
)
def test_other_location(s3, new_name, constraint, code):
    name = new_name()
    assert refused(s3.create_bucket, Bucket=name, **create_in(constraint)) == (400, code)
    assert refused(s3.head_bucket, Bucket=name) == (404, "404")


def test_empty_location(send, new_name):
    body = b"<CreateBucketConfiguration><LocationConstraint/></CreateBucketConfiguration>"
    assert send("PUT", f"/{new_name()}", body=body).status == 200


def test_malformed_document(send, new_name):
    answer = send("PUT", f"/{new_name()}", body=b"<CreateBucketConfiguration>")
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_wrong_method(send, bucket):
    answer = send("PATCH", f"/{bucket}")
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")


def test_bucket_of_somebody_else():
    ann, bob = new_identity("ann"), new_identity("bob")
    with InProcessServer(identities=(ann, bob)) as server:
        of_ann, of_bob = (
            boto3.client("s3", **server.boto3_options(identity)) for identity in (ann, bob)
        )
        of_ann.create_bucket(Bucket="taken")
        assert refused(of_bob.create_bucket, Bucket="taken") == (409, "BucketAlreadyExists")
        assert of_bob.list_buckets()["Buckets"] == []
        assert of_ann.list_buckets()["Owner"] == {"ID": ann.id, "DisplayName": "ann"}
        of_ann.delete_bucket(Bucket="taken")
        of_bob.create_bucket(Bucket="taken")
        of_ann.close()
        of_bob.close()
