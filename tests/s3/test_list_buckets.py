"""ListBuckets: the whole list, pages of it, and bad pages."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.s3.calls import refused


def names_of(answer):
    return [bucket["Name"] for bucket in answer["Buckets"]]


@pytest.fixture
def three(s3, new_name):
    """A prefix, and three buckets whose names start with it."""
    prefix = new_name()
    names = [f"{prefix}-{letter}" for letter in "abc"]
    for name in reversed(names):
        s3.create_bucket(Bucket=name)
    return prefix, names


def test_whole_list(s3, three):
    prefix, names = three
    answer = s3.list_buckets()
    assert [name for name in names_of(answer) if name.startswith(prefix)] == names
    assert names_of(answer) == sorted(names_of(answer))
    assert answer["Owner"]["ID"]
    assert "ContinuationToken" not in answer
    made = next(found for found in answer["Buckets"] if found["Name"] == names[0])
    assert abs(made["CreationDate"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert "BucketRegion" not in made


def test_prefix(s3, three):
    prefix, names = three
    answer = s3.list_buckets(Prefix=prefix + "-")
    assert names_of(answer) == names
    assert answer["Prefix"] == prefix + "-"
    assert {found["BucketRegion"] for found in answer["Buckets"]} == {"us-east-1"}


def test_pages(s3, three):
    prefix, names = three
    first = s3.list_buckets(Prefix=prefix + "-", MaxBuckets=2)
    assert names_of(first) == names[:2]
    token = first["ContinuationToken"]
    second = s3.list_buckets(Prefix=prefix + "-", MaxBuckets=2, ContinuationToken=token)
    assert names_of(second) == names[2:]
    assert "ContinuationToken" not in second


def test_other_region(s3, three):
    assert s3.list_buckets(BucketRegion="eu-west-1").get("Buckets", []) == []
    assert set(three[1]) <= set(names_of(s3.list_buckets(BucketRegion="us-east-1")))


def test_deleted_bucket_is_gone(s3, three):
    prefix, names = three
    s3.delete_bucket(Bucket=names[1])
    assert names_of(s3.list_buckets(Prefix=prefix + "-")) == [names[0], names[2]]


@pytest.mark.parametrize("token", ["x", "not base64!", "AAAA", "é"])
def test_bad_token(s3, token):
    assert refused(s3.list_buckets, ContinuationToken=token) == (400, "InvalidArgument")


@pytest.mark.parametrize("count", ["0", "-1", "many", "99999999999"])
def test_bad_count(send, count):
    answer = send("GET", "/", query=f"max-buckets={count}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_unsigned(send):
    answer = send("GET", "/", signed=False)
    assert (answer.status, answer.code) == (403, "AccessDenied")
