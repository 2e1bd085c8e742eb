"""ListObjectVersions: versions and delete markers, by key and then the newest first."""

import re

import boto3
import pytest

from tests.s3.calls import refused
from tests.s3.versioned import put, set_status

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
    assert refused(s3.get_object, **named, VersionId="other") == (400, "InvalidArgument")
    s3.delete_object(**named, VersionId="null")
    assert refused(s3.get_object, **named, VersionId="null") == (404, "NoSuchKey")


def test_not_there(s3, new_name):
    assert refused(s3.list_object_versions, Bucket=new_name()) == (404, "NoSuchBucket")


# --- with versions


@pytest.fixture
def stacked(s3, bucket):
    """A bucket with versions and delete markers, and all of them in the order of a listing."""
    listed = []
    for key in ("b", "dir/1"):
        put(s3, bucket, key)
    set_status(s3, bucket, "Enabled")
    for round in range(3):
        for key in ("a", "a/b", "b", "dir/1", "dir/2", "z&<"):
            put(s3, bucket, key, b"%d" % round)
    for key in ("a", "dir/2", "gone", "gone"):
        s3.delete_object(Bucket=bucket, Key=key)
    listed = whole(s3, bucket, 1000)
    return bucket, listed


def entries(page):
    """Versions and delete markers of a page: boto3 takes them apart, the dates bring them together
    only by second; so they are told by key, and by their place in the whole."""
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [(one["Key"], one["VersionId"], one["IsLatest"]) for one in found]


def whole(s3, bucket, size, **asked):
    """All entries, page by page, and the common prefixes."""
    found, prefixes, marker = [], [], {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, **marker, **asked)
        common = [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        assert len(entries(page)) + len(common) <= size
        found += entries(page)
        prefixes += common
        if not page["IsTruncated"]:
            return sorted(found), prefixes
        assert len(entries(page)) + len(common) == size
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]


def test_all_of_them(s3, stacked):
    _, (listed, _) = stacked
    counts = {}
    for key, _, is_latest in listed:
        number, latest = counts.get(key, (0, 0))
        counts[key] = number + 1, latest + is_latest
    assert counts == {
        "a": (4, 1), "a/b": (3, 1), "b": (4, 1), "dir/1": (4, 1), "dir/2": (4, 1), "gone": (2, 1),
        "z&<": (3, 1),
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_pages_of_versions(s3, stacked, size):
    bucket, listed = stacked
    assert whole(s3, bucket, size) == listed


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_folders_of_versions(s3, stacked, size):
    bucket, (listed, _) = stacked
    flat = [entry for entry in listed if "/" not in entry[0]]
    assert whole(s3, bucket, size, Delimiter="/") == (flat, ["a/", "dir/"])
    under = [entry for entry in listed if entry[0].startswith("dir/")]
    assert whole(s3, bucket, size, Delimiter="/", Prefix="dir/") == (under, [])
    assert whole(s3, bucket, size, Prefix="dir/2") == (
        [entry for entry in listed if entry[0] == "dir/2"],
        [],
    )


def test_markers_among_versions(send, stacked):
    """On the wire versions and delete markers stand among each other."""
    bucket, _ = stacked
    answer = send("GET", f"/{bucket}", query="versions=&prefix=dir%2F")
    found = re.findall(rb"<(Version|DeleteMarker)>", answer.body)
    assert found == [b"Version"] * 4 + [b"DeleteMarker"] + [b"Version"] * 3


def test_encoded_keys(s3, send, stacked):
    bucket, _ = stacked
    s3.delete_object(Bucket=bucket, Key="z&<")
    plain = send("GET", f"/{bucket}", query="versions=&prefix=z").body
    assert plain.count(b"<Key>z&amp;&lt;</Key>") == 4
    encoded = send("GET", f"/{bucket}", query="encoding-type=url&versions=&prefix=z").body
    assert encoded.count(b"<Key>z%26%3C</Key>") == 4


def test_behind_a_version_that_has_gone(s3, stacked):
    bucket, _ = stacked
    page = s3.list_object_versions(Bucket=bucket, Prefix="b", MaxKeys=2)
    marker = {"KeyMarker": "b", "VersionIdMarker": page["NextVersionIdMarker"]}
    rest = entries(s3.list_object_versions(Bucket=bucket, Prefix="b", **marker))
    for one in page["Versions"]:
        s3.delete_object(Bucket=bucket, Key="b", VersionId=one["VersionId"])
    found = entries(s3.list_object_versions(Bucket=bucket, Prefix="b", **marker))
    assert [version for _, version, _ in found] == [version for _, version, _ in rest]
