"""ListObjectVersions: without versioning, each object is the only version of its key."""

import boto3
import pytest

from tests.s3.calls import refused

KEYS = ["a", "a b+c", "dir/1", "dir/2", "dir/sub/3", "ümlaut/键", "z"]


@pytest.fixture
def filled(s3, bucket):
    """A bucket with the keys."""
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def keys_of(page):
    return [version["Key"] for version in page.get("Versions", [])]


def test_a_version(s3, filled):
    page = s3.list_object_versions(Bucket=filled)
    assert keys_of(page) == sorted(KEYS, key=str.encode)
    assert (page["IsTruncated"], page["Name"], page["KeyMarker"]) == (False, filled, "")
    assert "DeleteMarkers" not in page
    listed = s3.list_objects(Bucket=filled)["Contents"]
    for version, entry in zip(page["Versions"], listed, strict=True):
        assert (version.pop("VersionId"), version.pop("IsLatest")) == ("null", True)
        assert version == entry


def test_an_empty_bucket(s3, bucket):
    page = s3.list_object_versions(Bucket=bucket)
    assert (page["IsTruncated"], keys_of(page)) == (False, [])


def test_folders(s3, filled):
    page = s3.list_object_versions(Bucket=filled, Delimiter="/")
    assert keys_of(page) == ["a", "a b+c", "z"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["dir/", "ümlaut/"]
    page = s3.list_object_versions(Bucket=filled, Delimiter="/", Prefix="dir/")
    assert keys_of(page) == ["dir/1", "dir/2"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["dir/sub/"]


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_page_by_page(s3, filled, size, delimiter):
    whole = s3.list_object_versions(Bucket=filled, Delimiter=delimiter)
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=filled, Delimiter=delimiter, PaginationConfig={"PageSize": size}
    )
    keys, prefixes = [], []
    for page in pages:
        found = page.get("CommonPrefixes", [])
        assert len(keys_of(page)) + len(found) <= size
        assert ("NextKeyMarker" in page) == page["IsTruncated"]
        keys += keys_of(page)
        prefixes += found
    assert keys == keys_of(whole)
    assert prefixes == whole.get("CommonPrefixes", [])


def test_markers(s3, filled):
    for more in ({}, {"VersionIdMarker": "null"}):
        page = s3.list_object_versions(Bucket=filled, KeyMarker="dir/2", MaxKeys=1, **more)
        assert keys_of(page) == ["dir/sub/3"]
        assert (page["NextKeyMarker"], page["NextVersionIdMarker"]) == ("dir/sub/3", "null")
    page = s3.list_object_versions(Bucket=filled, Delimiter="/", KeyMarker="a b+c", MaxKeys=1)
    assert page["NextKeyMarker"] == "dir/"
    assert "NextVersionIdMarker" not in page
    assert keys_of(s3.list_object_versions(Bucket=filled, MaxKeys=0)) == []


def test_markers_that_are_none(s3, filled):
    for asked in ({"VersionIdMarker": "null"}, {"KeyMarker": "a", "VersionIdMarker": "other"}):
        assert refused(s3.list_object_versions, Bucket=filled, **asked) == (400, "InvalidArgument")


def test_a_bucket_is_emptied_by_versions(server, s3, filled):
    keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    resource = boto3.resource("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys)
    deleted = resource.Bucket(filled).object_versions.delete()
    assert sorted(entry["Key"] for page in deleted for entry in page["Deleted"]) == sorted(KEYS)
    s3.delete_bucket(Bucket=filled)


def test_the_null_version(s3, bucket):
    named = {"Bucket": bucket, "Key": "key"}
    stored = s3.put_object(**named, Body=b"x")
    assert "VersionId" not in stored
    found = s3.get_object(**named, VersionId="null")
    assert (found["Body"].read(), "VersionId" in found) == (b"x", False)
    assert s3.head_object(**named, VersionId="null")["ContentLength"] == 1
    assert refused(s3.get_object, **named, VersionId="other") == (404, "NoSuchVersion")
    s3.delete_object(**named, VersionId="null")
    assert refused(s3.get_object, **named, VersionId="null") == (404, "NoSuchKey")


def test_not_there(s3, new_name):
    assert refused(s3.list_object_versions, Bucket=new_name()) == (404, "NoSuchBucket")
