"""ListParts."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.calls import refused
from tests.s3.uploading import begin, part


@pytest.fixture
def named(s3, bucket):
    """An upload with the parts 1, 3, 5, ..., 19."""
    named = begin(s3, bucket, "a b")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: part(s3, named, n, b"%d" % n), range(1, 20, 2)))
    return named


def test_everything(s3, named):
    page = s3.list_parts(**named)
    assert [found["PartNumber"] for found in page["Parts"]] == list(range(1, 20, 2))
    first = page["Parts"][0]
    assert (first["ETag"], first["Size"]) == (f'"{hashlib.md5(b"1").hexdigest()}"', 1)
    assert first["LastModified"]
    assert {name: page[name] for name in named} == named
    assert (page["IsTruncated"], page["MaxParts"], page["PartNumberMarker"]) == (False, 1000, 0)
    assert "NextPartNumberMarker" not in page
    assert page["Owner"] == page["Initiator"]
    assert page["StorageClass"] == "STANDARD"


@pytest.mark.parametrize("most", [1, 3, 10, 11])
def test_pages(s3, named, most):
    pages = s3.get_paginator("list_parts").paginate(**named, MaxParts=most)
    found = [part["PartNumber"] for page in pages for part in page["Parts"]]
    assert found == list(range(1, 20, 2))


def test_markers(s3, named):
    def numbers(marker):
        page = s3.list_parts(**named, PartNumberMarker=marker)
        return [part["PartNumber"] for part in page.get("Parts", [])]

    assert numbers(0) == list(range(1, 20, 2))
    assert numbers(16) == numbers(15 + 1) == [17, 19]
    assert numbers(19) == numbers(10_000) == numbers(2**31 - 1) == []
    assert "Parts" not in s3.list_parts(**named, MaxParts=0)


def test_bad_parameters(s3, named):
    for bad in ({"MaxParts": -1}, {"PartNumberMarker": -1}):
        assert refused(s3.list_parts, **named, **bad) == (400, "InvalidArgument")
    assert refused(s3.list_parts, **{**named, "UploadId": "x"}) == (404, "NoSuchUpload")
    assert refused(s3.list_parts, **{**named, "Key": "x"}) == (404, "NoSuchUpload")


def test_checksums(s3, bucket):
    named = begin(s3, bucket, ChecksumAlgorithm="SHA1")
    part(s3, named, 1, b"body", ChecksumAlgorithm="SHA1")
    page = s3.list_parts(**named)
    assert (page["ChecksumAlgorithm"], page["ChecksumType"]) == ("SHA1", "COMPOSITE")
    assert page["Parts"][0]["ChecksumSHA1"]
