"""Versions by their ids: read, copied, deleted and granted, and what is told of delete markers."""

import pytest

from tests.s3.calls import refused
from tests.s3.versioned import headers_of, put, read, set_status, stack

NEVER = "GEp6AAAAAAAAAAAA"  # an id that no version has


@pytest.fixture
def kept(s3, bucket):
    """A bucket that keeps versions."""
    set_status(s3, bucket, "Enabled")
    return bucket


def remove(s3, bucket, version=None, key="key"):
    named = {"VersionId": version} if version else {}
    answer = s3.delete_object(Bucket=bucket, Key=key, **named)
    return answer.get("VersionId"), answer.get("DeleteMarker")


# --- read


def test_reads(s3, kept):
    first, second = put(s3, kept, body=b"first"), put(s3, kept, body=b"second")
    assert len({first, second}) == 2
    for version, body in ((first, b"first"), (second, b"second"), (None, b"second")):
        named = {"Bucket": kept, "Key": "key"} | ({"VersionId": version} if version else {})
        for call in (s3.get_object, s3.head_object):
            found = call(**named)
            assert (found["VersionId"], found["ContentLength"]) == (version or second, len(body))
        assert read(s3, kept, version=version) == body
    ranged = {"Bucket": kept, "Key": "key", "VersionId": first, "Range": "bytes=1-2"}
    assert s3.get_object(**ranged)["Body"].read() == b"ir"


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        (NEVER, 404, "NoSuchVersion"),
        ("null", 404, "NoSuchVersion"),
        ("other", 400, "InvalidArgument"),
    ],
)
def test_what_is_no_version(s3, kept, version, status, code):
    put(s3, kept)
    named = {"Bucket": kept, "Key": "key", "VersionId": version}
    for call in (s3.get_object, s3.get_object_acl):
        assert refused(call, **named) == (status, code)
    assert refused(s3.head_object, **named)[0] == status
    copied = {"Bucket": kept, "Key": "copy", "CopySource": {**named}}
    assert refused(s3.copy_object, **copied) == (status, code)


def test_an_id_where_there_never_were_versions(s3, bucket):
    put(s3, bucket)
    named = {"Bucket": bucket, "Key": "key"}
    assert refused(s3.get_object, **named, VersionId=NEVER) == (404, "NoSuchVersion")
    answer = s3.delete_object(**named, VersionId=NEVER)
    assert "VersionId" not in answer
    answer = s3.delete_object(**named, VersionId="null")
    assert "VersionId" not in answer
    assert refused(s3.get_object, **named) == (404, "NoSuchKey")


# --- delete markers


def test_a_delete_marker(s3, kept):
    version = put(s3, kept)
    marker, is_marker = remove(s3, kept)
    assert is_marker
    assert marker not in ("null", version)
    named = {"Bucket": kept, "Key": "key"}
    for call, code in ((s3.get_object, "NoSuchKey"), (s3.head_object, "404")):
        assert refused(call, **named) == (404, code)
        told = headers_of(call, **named)
        assert (told["x-amz-delete-marker"], told["x-amz-version-id"]) == ("true", marker)
    for call, code in ((s3.get_object, "MethodNotAllowed"), (s3.head_object, "405")):
        assert refused(call, **named, VersionId=marker) == (405, code)
        told = headers_of(call, **named, VersionId=marker)
        assert (told["x-amz-delete-marker"], told["x-amz-version-id"]) == ("true", marker)
        assert told["allow"] == "DELETE"
        assert told["last-modified"].endswith("GMT")
    assert refused(s3.get_object_acl, **named, VersionId=marker) == (405, "MethodNotAllowed")
    assert refused(s3.put_object_acl, **named, VersionId=marker, ACL="private") == (
        405,
        "MethodNotAllowed",
    )
    copied = {"Bucket": kept, "Key": "copy", "CopySource": {**named, "VersionId": marker}}
    assert refused(s3.copy_object, **copied) == (400, "InvalidRequest")
    copied["CopySource"] = named
    assert refused(s3.copy_object, **copied) == (404, "NoSuchKey")
    assert read(s3, kept, version=version) == b"x"


def test_a_marker_for_what_was_never_there(s3, kept):
    marker, is_marker = remove(s3, kept)
    assert is_marker
    assert stack(s3.list_object_versions(Bucket=kept)) == [[], [("key", marker, True)]]
    assert remove(s3, kept, marker) == (marker, True)
    assert stack(s3.list_object_versions(Bucket=kept)) == [[], []]
    assert "x-amz-delete-marker" not in headers_of(s3.get_object, Bucket=kept, Key="key")


def test_the_one_before_is_the_latest_again(s3, kept):
    versions = [put(s3, kept, body=b"%d" % number) for number in range(3)]
    markers = [remove(s3, kept)[0] for _ in range(2)]
    listed = stack(s3.list_object_versions(Bucket=kept))
    assert listed == [
        [("key", version, False) for version in reversed(versions)],
        [("key", markers[1], True), ("key", markers[0], False)],
    ]
    assert remove(s3, kept, markers[1]) == (markers[1], True)
    assert refused(s3.get_object, Bucket=kept, Key="key") == (404, "NoSuchKey")
    assert remove(s3, kept, markers[0]) == (markers[0], True)
    assert read(s3, kept) == b"2"
    assert remove(s3, kept, versions[1]) == (versions[1], None)
    assert read(s3, kept) == b"2"
    assert remove(s3, kept, versions[2]) == (versions[2], None)
    assert read(s3, kept) == b"0"
    assert s3.head_object(Bucket=kept, Key="key")["VersionId"] == versions[0]
    assert remove(s3, kept, versions[0]) == (versions[0], None)
    assert remove(s3, kept, versions[0]) == (versions[0], None)  # once more is no error
    assert stack(s3.list_object_versions(Bucket=kept)) == [[], []]


def test_a_null_marker_where_versioning_is_suspended(s3, bucket):
    put(s3, bucket, body=b"null")
    set_status(s3, bucket, "Enabled")
    version = put(s3, bucket, body=b"kept")
    set_status(s3, bucket, "Suspended")
    for _ in range(2):
        assert remove(s3, bucket) == ("null", True)
        listed = stack(s3.list_object_versions(Bucket=bucket))
        assert listed == [[("key", version, False)], [("key", "null", True)]]
    named = {"Bucket": bucket, "Key": "key"}
    assert refused(s3.get_object, **named, VersionId="null") == (405, "MethodNotAllowed")
    put(s3, bucket, body=b"again")
    listed = stack(s3.list_object_versions(Bucket=bucket))
    assert listed == [[("key", "null", True), ("key", version, False)], []]
    remove(s3, bucket)
    assert remove(s3, bucket, "null") == ("null", True)
    assert read(s3, bucket) == b"kept"


# --- many


def test_many_by_version(s3, kept):
    versions = [put(s3, kept, body=b"%d" % number) for number in range(3)]
    other = put(s3, kept, "other")
    wanted = [
        {"Key": "key", "VersionId": versions[2]},
        {"Key": "key", "VersionId": versions[0]},
        {"Key": "other"},
        {"Key": "none", "VersionId": NEVER},
    ]
    answer = s3.delete_objects(Bucket=kept, Delete={"Objects": wanted})
    deleted = answer["Deleted"]
    assert "Errors" not in answer
    assert deleted[:2] == wanted[:2]
    assert deleted[2]["DeleteMarker"] is True
    assert deleted[3] == wanted[3]
    marker = deleted[2]["DeleteMarkerVersionId"]
    assert "VersionId" not in deleted[2]
    assert stack(s3.list_object_versions(Bucket=kept)) == [
        [("key", versions[1], True), ("other", other, False)],
        [("other", marker, True)],
    ]
    wanted = [{"Key": "other", "VersionId": marker}]
    answer = s3.delete_objects(Bucket=kept, Delete={"Objects": wanted})
    assert answer["Deleted"] == [
        {**wanted[0], "DeleteMarker": True, "DeleteMarkerVersionId": marker}
    ]
    assert read(s3, kept, "other") == b"x"


# --- copies


def test_copies_of_versions(s3, kept):
    first, second = put(s3, kept, body=b"first"), put(s3, kept, body=b"second")
    source = {"Bucket": kept, "Key": "key", "VersionId": first}
    copied = s3.copy_object(Bucket=kept, Key="copy", CopySource=source)
    assert copied["CopySourceVersionId"] == first
    assert s3.head_object(Bucket=kept, Key="copy")["VersionId"] == copied["VersionId"]
    assert read(s3, kept, "copy") == b"first"
    restored = s3.copy_object(Bucket=kept, Key="key", CopySource=source)
    assert read(s3, kept) == b"first"
    listed, _ = stack(s3.list_object_versions(Bucket=kept, Prefix="key"))
    assert [version for _, version, _ in listed] == [restored["VersionId"], second, first]
    for version in (restored["VersionId"], first):
        remove(s3, kept, version)
    assert read(s3, kept, "copy") == b"first"
    assert read(s3, kept) == b"second"


def test_parts_from_versions(s3, kept):
    first = put(s3, kept, body=b"first")
    put(s3, kept, body=b"second")
    named = {"Bucket": kept, "Key": "made"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    source = {"Bucket": kept, "Key": "key", "VersionId": first}
    answer = s3.upload_part_copy(**named, UploadId=upload, PartNumber=1, CopySource=source)
    assert answer["CopySourceVersionId"] == first
    parts = {"Parts": [{"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]}
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)
    assert read(s3, kept, "made") == b"first"


def test_copies_onto_itself(s3, bucket):
    put(s3, bucket, body=b"body")
    named = {"Bucket": bucket, "Key": "key"}
    change = {**named, "CopySource": named, "MetadataDirective": "REPLACE"}
    set_status(s3, bucket, "Enabled")
    copied = s3.copy_object(**change, Metadata={"a": "1"})
    assert copied["CopySourceVersionId"] == "null"
    assert s3.head_object(**named)["Metadata"] == {"a": "1"}
    assert s3.head_object(**named, VersionId="null")["Metadata"] == {}
    set_status(s3, bucket, "Suspended")
    answer = s3.copy_object(**change, Metadata={"a": "2"})
    assert "VersionId" not in answer
    s3.copy_object(**change, Metadata={"a": "3"})
    listed, _ = stack(s3.list_object_versions(Bucket=bucket))
    assert listed == [("key", "null", True), ("key", copied["VersionId"], False)]
    for version in ("null", copied["VersionId"]):
        assert read(s3, bucket, version=version) == b"body"
        remove(s3, bucket, version)


# --- access control lists


def test_lists_of_versions(s3, kept):
    first, second = put(s3, kept), put(s3, kept)
    named = {"Bucket": kept, "Key": "key"}
    s3.put_object_acl(**named, VersionId=first, ACL="public-read")
    grants = {
        version: len(s3.get_object_acl(**named, VersionId=version)["Grants"])
        for version in (first, second)
    }
    assert grants == {first: 2, second: 1}
    assert len(s3.get_object_acl(**named)["Grants"]) == 1
    s3.put_object_acl(**named, ACL="public-read")
    assert len(s3.get_object_acl(**named, VersionId=second)["Grants"]) == 2
