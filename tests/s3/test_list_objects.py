"""ListObjects: the first form, with markers that clients may choose freely."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.calls import refused
from tests.s3.listings import LISTED, entries, fill, keys_of, model


@pytest.fixture(scope="module")
def filled(s3):
    """A bucket with the keys of LISTED."""
    return fill(s3, "test-list-objects")


def pages(s3, **call):
    """All entries, page by page as clients of the first form go on."""
    found, marker = [], ""
    while True:
        answer = s3.list_objects(**call, Marker=marker)
        found += entries(answer)
        if not answer["IsTruncated"]:
            assert "NextMarker" not in answer
            return found
        if call.get("Delimiter"):
            marker = answer["NextMarker"]
        else:
            assert "NextMarker" not in answer
            marker = keys_of(answer)[-1]


@pytest.mark.parametrize("max_keys", [1, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "b", "é"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "none"])
def test_pages_are_those_of_the_model(s3, filled, prefix, delimiter, max_keys):
    call = {"Bucket": filled, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": max_keys}
    assert pages(s3, **call) == model(LISTED, prefix, delimiter)


def test_random_markers(s3, filled, rng):
    for _ in range(60):
        prefix, delimiter, marker = (
            "".join(rng.choices("ab/é ", k=rng.randrange(4))) for _ in range(3)
        )
        call = {"Prefix": prefix, "Delimiter": delimiter, "Marker": marker}
        answer = s3.list_objects(Bucket=filled, **call)
        assert entries(answer) == model(LISTED, prefix, delimiter, marker), call
        assert answer["Marker"] == marker


def test_marker_inside_a_common_prefix_skips_it(s3, filled):
    for marker in ("a/", "a/b", "a/zzz"):
        found = entries(s3.list_objects(Bucket=filled, Delimiter="/", Marker=marker))
        assert ("a/", True) not in found
        assert found[0] == ("a0", False)


def test_what_an_entry_says(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    answer = s3.list_objects(Bucket=bucket)
    (found,) = answer["Contents"]
    assert found["Owner"] == s3.list_buckets()["Owner"]
    assert (found["Size"], found["StorageClass"]) == (4, "STANDARD")
    assert (answer["Name"], answer["Prefix"], answer["Marker"]) == (bucket, "", "")
    assert (answer["MaxKeys"], answer["IsTruncated"]) == (1000, False)
    assert "Delimiter" not in answer


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_more_than_a_thousand(s3, bucket, operation):
    """Whole, and 300 at a time: each key once, in order, as boto3 turns the pages."""
    keys = [f"{number % 7}/{number:04}" for number in range(1203)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys))
    for size, counts in ((None, [1000, 203]), (300, [300, 300, 300, 300, 3])):
        config = {} if size is None else {"PaginationConfig": {"PageSize": size}}
        turned = list(s3.get_paginator(operation).paginate(Bucket=bucket, **config))
        assert [len(keys_of(page)) for page in turned] == counts
        assert [key for page in turned for key in keys_of(page)] == sorted(keys)
        below = s3.get_paginator(operation).paginate(Bucket=bucket, Prefix="3/", **config)
        assert [key for page in below for key in keys_of(page)] == sorted(keys[3::7])


def test_empty_bucket(s3, bucket):
    answer = s3.list_objects(Bucket=bucket)
    assert "Contents" not in answer
    assert not answer["IsTruncated"]


@pytest.mark.parametrize("query", ["max-keys=-1", "max-keys=x", "encoding-type=xml"])
def test_bad_parameters(send, filled, query):
    answer = send("GET", f"/{filled}", query=query)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_encoding(send, filled):
    answer = send("GET", f"/{filled}", query="encoding-type=url&marker=b%20b&prefix=b")
    assert b"<Marker>b%20b</Marker>" in answer.body
    assert b"<Key>ba%C3%A9</Key>" in answer.body


def test_no_bucket(s3, new_name):
    assert refused(s3.list_objects, Bucket=new_name()) == (404, "NoSuchBucket")
