"""ListMultipartUploads."""

import pytest

from tests.s3.calls import refused
from tests.s3.uploading import begin, complete, part

NAMES = ["a", "a", "b/1", "b/2", "b/2", "c d", "d/x/y", "d/z", "é"]


@pytest.fixture
def ids(s3, bucket):
    """Uploads of NAMES, begun in another order; returns key -> ids by their beginning."""
    found = {}
    for name in sorted(NAMES, reverse=True):
        found.setdefault(name, []).append(begin(s3, bucket, name)["UploadId"])
    return found


def pairs(page):
    return [(found["Key"], found["UploadId"]) for found in page.get("Uploads", [])]


def every(ids):
    return [(name, one) for name in sorted(ids) for one in ids[name]]


def test_everything(s3, bucket, ids):
    page = s3.list_multipart_uploads(Bucket=bucket)
    assert pairs(page) == every(ids)
    assert (page["IsTruncated"], page["MaxUploads"], page["Bucket"]) == (False, 1000, bucket)
    first = page["Uploads"][0]
    assert first["Initiated"]
    assert first["Owner"] == first["Initiator"]
    assert "NextKeyMarker" not in page


def test_only_open_ones(s3, bucket, ids):
    named = {"Bucket": bucket, "Key": "a", "UploadId": ids["a"][0]}
    complete(s3, named, [part(s3, named, 1, b"")])
    s3.abort_multipart_upload(Bucket=bucket, Key="é", UploadId=ids["é"][0])
    left = [pair for pair in every(ids) if pair[1] not in (ids["a"][0], ids["é"][0])]
    assert pairs(s3.list_multipart_uploads(Bucket=bucket)) == left


@pytest.mark.parametrize("most", [1, 2, 4, 9])
@pytest.mark.parametrize("asked", [{}, {"Delimiter": "/"}, {"Prefix": "d/", "Delimiter": "/"}])
def test_pages(s3, bucket, ids, most, asked):
    whole = s3.list_multipart_uploads(Bucket=bucket, **asked)
    found, prefixes, markers = [], [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=most, **asked, **markers)
        assert len(pairs(page)) + len(page.get("CommonPrefixes", [])) <= most
        found += pairs(page)
        prefixes += page.get("CommonPrefixes", [])
        if not page["IsTruncated"]:
            break
        markers = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
    assert (found, prefixes) == (pairs(whole), whole.get("CommonPrefixes", []))


def test_delimiter_and_prefix(s3, bucket, ids):
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [key for key, _ in pairs(page)] == ["a", "a", "c d", "é"]
    assert page["CommonPrefixes"] == [{"Prefix": "b/"}, {"Prefix": "d/"}]
    page = s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")
    assert [key for key, _ in pairs(page)] == ["b/1", "b/2", "b/2"]


def test_markers(s3, bucket, ids):
    def keys(**markers):
        return pairs(s3.list_multipart_uploads(Bucket=bucket, **markers))

    every_one = every(ids)
    assert keys(KeyMarker="a") == every_one[2:]
    assert keys(KeyMarker="a", UploadIdMarker=ids["a"][0]) == every_one[1:]
    assert keys(UploadIdMarker=ids["a"][0]) == every_one  # heeded with a key only
    assert keys(KeyMarker="zz") == every_one[-1:]


def test_encoding(s3, bucket, send, ids):
    answer = send("GET", f"/{bucket}", query="encoding-type=url&uploads=&prefix=c%20d")
    assert b"<Key>c%20d</Key>" in answer.body
    assert b"<EncodingType>url</EncodingType><MaxUploads>" in answer.body
    assert b"<Prefix>c%20d</Prefix>" in answer.body


def test_bad_parameters(s3, bucket):
    call = {"Bucket": bucket}
    for bad in ({"MaxUploads": -1}, {"KeyMarker": "a", "UploadIdMarker": "nonsense"}):
        assert refused(s3.list_multipart_uploads, **call, **bad) == (400, "InvalidArgument")
    assert refused(s3.list_multipart_uploads, Bucket="no-such-bucket") == (404, "NoSuchBucket")


def test_checksums(s3, bucket):
    begin(s3, bucket, ChecksumAlgorithm="CRC64NVME")
    (found,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (found["ChecksumAlgorithm"], found["ChecksumType"]) == ("CRC64NVME", "FULL_OBJECT")
