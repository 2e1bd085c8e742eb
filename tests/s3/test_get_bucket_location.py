"""GetBucketLocation: none in the first region, as S3 has it."""

import pytest

from tests.s3.calls import refused


def test_first_region(s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_as_minio_clients_ask(send, bucket):
    answer = send("GET", f"/{bucket}/", query="location=")
    assert answer.status == 200
    assert b"<LocationConstraint" in answer.body


@pytest.mark.parametrize("name", ["invalid%20bucket%20name", "UPPER", "a..b", "%C3%BC"])
def test_names_that_no_bucket_has(send, name):
    answer = send("GET", f"/{name}", query="location")
    assert (answer.status, answer.code) == (400, "InvalidBucketName")


def test_not_there(s3, new_name):
    assert refused(s3.get_bucket_location, Bucket=new_name()) == (404, "NoSuchBucket")
