"""GetObjectAttributes: etag, checksum, parts, class and size, and which of them are asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.s3.calls import refused
from tests.s3.uploading import begin, complete, part, random_parts
from tests.s3.versioned import headers_of, set_status

ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
BODIES = random_parts()
KINDS = [("COMPOSITE", "CRC32"), ("COMPOSITE", "SHA256"), ("FULL_OBJECT", "CRC32")]
PARTED = "COMPOSITE SHA256"


@pytest.fixture(scope="module")
def place(s3):
    """A bucket with objects of parts, one for each algorithm, and one put as a whole."""
    bucket = "attributes"
    s3.create_bucket(Bucket=bucket)
    for kind, algorithm in KINDS:
        said = {"ChecksumAlgorithm": algorithm}
        named = begin(s3, bucket, f"{kind} {algorithm}", ChecksumType=kind, **said)
        complete(s3, named, [part(s3, named, *one, **said) for one in enumerate(BODIES, 1)])
    s3.put_object(Bucket=bucket, Key="whole", Body=b"hello", ChecksumAlgorithm="SHA1")
    return bucket


def attributes(s3, bucket, key, asked=ALL, **more):
    """The answer without what boto3 adds."""
    found = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=asked, **more)
    del found["ResponseMetadata"]
    return found


def test_an_object_put_as_a_whole(s3, place):
    head = s3.head_object(Bucket=place, Key="whole", ChecksumMode="ENABLED")
    assert attributes(s3, place, "whole") == {
        "ETag": head["ETag"].strip('"'),
        "LastModified": head["LastModified"],
        "Checksum": {"ChecksumSHA1": head["ChecksumSHA1"], "ChecksumType": "FULL_OBJECT"},
        "StorageClass": "STANDARD",
        "ObjectSize": 5,
    }
    assert attributes(s3, place, "whole", VersionId="null")["ObjectSize"] == 5


@pytest.mark.parametrize(("kind", "algorithm"), KINDS)
def test_an_object_of_parts(s3, place, kind, algorithm):
    field, key = f"Checksum{algorithm}", f"{kind} {algorithm}"
    head = s3.head_object(Bucket=place, Key=key, ChecksumMode="ENABLED")
    found = attributes(s3, place, key)
    assert found["Checksum"] == {field: head[field], "ChecksumType": kind}
    assert (found["ETag"], found["ObjectSize"]) == (head["ETag"].strip('"'), head["ContentLength"])
    parts = found["ObjectParts"]
    assert (parts["TotalPartsCount"], parts["MaxParts"], parts["PartNumberMarker"]) == (3, 1000, 0)
    assert (parts["IsTruncated"], "NextPartNumberMarker" in parts) == (False, False)
    assert [one["Size"] for one in parts["Parts"]] == list(map(len, BODIES))
    for number, one in enumerate(parts["Parts"], 1):
        alone = s3.head_object(Bucket=place, Key=key, PartNumber=number, ChecksumMode="ENABLED")
        assert (one["PartNumber"], one[field]) == (number, alone[field])
        assert set(one) == {"PartNumber", "Size", field}


def test_pages(s3, bucket):
    """Numbers with gaps, a part that was stored twice, and an empty last one."""
    said = {"ChecksumAlgorithm": "SHA256"}
    named = begin(s3, bucket, **said)
    numbers, size = [3, 7, 8, 9000], 5 << 20
    part(s3, named, 7, b"x" * size, **said)
    listed = [part(s3, named, number, b"y" * size, **said) for number in numbers[:-1]]
    listed.append(part(s3, named, numbers[-1], b"", **said))
    with_sums = [
        {**one, "ChecksumSHA256": stored["ChecksumSHA256"]}
        for one, stored in zip(listed, s3.list_parts(**named)["Parts"], strict=True)
    ]
    complete(s3, named, with_sums)
    seen, marker = [], 0
    while True:
        found = attributes(s3, bucket, "key", MaxParts=1, PartNumberMarker=marker)["ObjectParts"]
        assert (found["MaxParts"], found["PartNumberMarker"]) == (1, marker)
        assert found["TotalPartsCount"] == 4
        seen += found["Parts"]
        if not found["IsTruncated"]:
            break
        marker = found["NextPartNumberMarker"]
    assert [one["PartNumber"] for one in seen] == numbers
    assert [one["Size"] for one in seen] == [size, size, size, 0]
    assert [one["ChecksumSHA256"] for one in seen] == [one["ChecksumSHA256"] for one in with_sums]
    past = attributes(s3, bucket, "key", PartNumberMarker=2**31 - 1)["ObjectParts"]
    assert (past["IsTruncated"], "Parts" in past) == (False, False)
    none = attributes(s3, bucket, "key", MaxParts=0)["ObjectParts"]
    assert (none["MaxParts"], none["IsTruncated"], "Parts" in none) == (0, False, False)


@pytest.mark.parametrize("asked", [[name] for name in ALL] + [["ETag", "ObjectSize"]])
def test_only_what_is_asked(s3, place, asked):
    assert set(attributes(s3, place, PARTED, asked)) == {*asked, "LastModified"}


def test_text(send, place):
    """The etag has no quotes here; several headers count as one."""
    answer = send(
        "GET",
        f"/{place}/whole",
        query="attributes=",
        headers={"x-amz-object-attributes": " ETag ,ObjectSize,,"},
    )
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert b"<GetObjectAttributesResponse" in answer.body
    assert b"<ETag>5d41402abc4b2a76b9719d911017c592</ETag>" in answer.body
    assert b"<ObjectSize>5</ObjectSize>" in answer.body


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "InvalidRequest"),
        ({"x-amz-object-attributes": ""}, "InvalidRequest"),
        ({"x-amz-object-attributes": " , "}, "InvalidRequest"),
        ({"x-amz-object-attributes": "ETag,Owner"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "etag"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "ETag", "x-amz-max-parts": "-1"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "ETag", "x-amz-max-parts": "some"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "ETag", "x-amz-part-number-marker": "x"}, "InvalidArgument"),
    ],
)
def test_bad_headers(send, place, headers, code):
    answer = send("GET", f"/{place}/whole", query="attributes=", headers=headers)
    assert (answer.status, answer.code) == (400, code)


def test_conditions(send, s3, place):
    head = s3.head_object(Bucket=place, Key="whole")
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    for name, value, status in (
        ("if-match", head["ETag"], 200),
        ("if-match", '"other"', 412),
        ("if-none-match", '"other"', 200),
        ("if-none-match", head["ETag"], 304),
        ("if-modified-since", later, 304),
        ("if-unmodified-since", later, 200),
    ):
        headers = {"x-amz-object-attributes": "ETag", name: value}
        answer = send("GET", f"/{place}/whole", query="attributes=", headers=headers)
        assert answer.status == status, (name, value)


def test_not_there(s3, place, new_name):
    asked = {"Key": "none", "ObjectAttributes": ALL}
    assert refused(s3.get_object_attributes, Bucket=place, **asked) == (404, "NoSuchKey")
    assert refused(s3.get_object_attributes, Bucket=new_name(), **asked) == (404, "NoSuchBucket")
    assert refused(s3.get_object_attributes, Bucket=place, VersionId="x", **asked) == (
        (400, "InvalidArgument")
    )


def test_by_version(s3, bucket, place):
    """The parts and checksums of a version that is not current are its own."""
    set_status(s3, bucket, "Enabled")
    said = {"ChecksumAlgorithm": "SHA256"}
    named = begin(s3, bucket, "key", ChecksumType="COMPOSITE", **said)
    made = complete(s3, named, [part(s3, named, *one, **said) for one in enumerate(BODIES, 1)])
    whole = s3.put_object(Bucket=bucket, Key="key", Body=b"hello", ChecksumAlgorithm="SHA1")
    found = attributes(s3, bucket, "key", VersionId=made["VersionId"])
    assert found["VersionId"] == made["VersionId"]
    assert found["Checksum"]["ChecksumSHA256"] == made["ChecksumSHA256"]
    assert found["ObjectSize"] == sum(map(len, BODIES))
    assert [one["Size"] for one in found["ObjectParts"]["Parts"]] == list(map(len, BODIES))
    for more in ({}, {"VersionId": whole["VersionId"]}):
        found = attributes(s3, bucket, "key", **more)
        assert (found["VersionId"], found["ObjectSize"]) == (whole["VersionId"], 5)
        assert "ObjectParts" not in found
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    asked = {"Bucket": bucket, "Key": "key", "ObjectAttributes": ALL}
    assert refused(s3.get_object_attributes, **asked) == (404, "NoSuchKey")
    told = headers_of(s3.get_object_attributes, **asked)
    assert (told["x-amz-delete-marker"], told["x-amz-version-id"]) == ("true", marker)
    by_id = refused(s3.get_object_attributes, **asked, VersionId=marker)
    assert by_id == (405, "MethodNotAllowed")
    assert "VersionId" not in attributes(s3, place, "whole")
