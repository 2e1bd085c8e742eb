"""PutBucketVersioning: enabled and suspended, never back; MFA delete is refused."""

import pytest

from tests.s3.calls import refused
from tests.s3.versioned import put, read, set_status, stack


def status(s3, bucket):
    return s3.get_bucket_versioning(Bucket=bucket).get("Status")


def test_on_and_off(s3, bucket):
    assert status(s3, bucket) is None
    for wanted in ("Suspended", "Enabled", "Enabled", "Suspended"):
        set_status(s3, bucket, wanted)
        assert status(s3, bucket) == wanted


def test_mfa_delete(s3, bucket):
    off = {"Status": "Enabled", "MFADelete": "Disabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=off)
    on = {"Bucket": bucket, "VersioningConfiguration": {**off, "MFADelete": "Enabled"}}
    assert refused(s3.put_bucket_versioning, **on) == (501, "NotImplemented")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "MalformedXML"),
        ("<VersioningConfiguration/>", "IllegalVersioningConfigurationException"),
        ("<VersioningConfiguration><Status>On</Status></VersioningConfiguration>", "MalformedXML"),
        ("<VersioningConfiguration><Status/></VersioningConfiguration>", "MalformedXML"),
        ("<Versioning><Status>Enabled</Status></Versioning>", "MalformedXML"),
        (
            "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>on</MfaDelete>"
            "</VersioningConfiguration>",
            "MalformedXML",
        ),
    ],
)
def test_what_is_refused(send, s3, bucket, body, code):
    answer = send("PUT", f"/{bucket}", query="versioning=", body=body.encode())
    assert (answer.status, answer.code) == (400, code)
    assert status(s3, bucket) is None


def test_not_there(s3, new_name):
    asked = {"Bucket": new_name(), "VersioningConfiguration": {"Status": "Enabled"}}
    assert refused(s3.put_bucket_versioning, **asked) == (404, "NoSuchBucket")


def test_of_others(s3, other_s3, bucket):
    asked = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    assert refused(other_s3.put_bucket_versioning, **asked) == (403, "AccessDenied")


def test_what_was_there_before_is_the_null_version(s3, bucket):
    put(s3, bucket, body=b"before")
    set_status(s3, bucket, "Enabled")
    assert s3.head_object(Bucket=bucket, Key="key")["VersionId"] == "null"
    version = put(s3, bucket, body=b"after")
    assert version != "null"
    assert read(s3, bucket) == read(s3, bucket, version=version) == b"after"
    assert read(s3, bucket, version="null") == b"before"
    listed, markers = stack(s3.list_object_versions(Bucket=bucket))
    assert listed == [("key", version, True), ("key", "null", False)]
    assert markers == []


def test_suspended_writes_replace_the_null_version_wherever_it_is(s3, bucket):
    put(s3, bucket, body=b"first null")
    set_status(s3, bucket, "Enabled")
    version = put(s3, bucket, body=b"kept")
    set_status(s3, bucket, "Suspended")
    for body in (b"second null", b"third null"):
        assert "VersionId" not in s3.put_object(Bucket=bucket, Key="key", Body=body)
        listed, markers = stack(s3.list_object_versions(Bucket=bucket))
        assert listed == [("key", "null", True), ("key", version, False)]
        assert markers == []
        assert read(s3, bucket) == read(s3, bucket, version="null") == body
    assert read(s3, bucket, version=version) == b"kept"
    assert s3.get_object(Bucket=bucket, Key="key")["VersionId"] == "null"


def test_uploads_in_parts_make_versions(s3, bucket):
    set_status(s3, bucket, "Enabled")
    first = put(s3, bucket, body=b"whole")
    named = {"Bucket": bucket, "Key": "key"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"in parts")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    second = s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)
    assert second["VersionId"] not in ("null", first)
    assert read(s3, bucket, version=second["VersionId"]) == read(s3, bucket) == b"in parts"
    assert read(s3, bucket, version=first) == b"whole"
    s3.delete_object(**named, VersionId=second["VersionId"])
    assert read(s3, bucket) == b"whole"


def test_a_bucket_with_versions_is_not_empty(s3, bucket):
    set_status(s3, bucket, "Enabled")
    version = put(s3, bucket)
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="key", VersionId=version)
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="key", VersionId=marker)
    s3.delete_bucket(Bucket=bucket)


def test_conditions_take_a_delete_marker_for_nothing(s3, bucket):
    set_status(s3, bucket, "Enabled")
    named = {"Bucket": bucket, "Key": "key"}
    put(s3, bucket, IfNoneMatch="*")
    assert refused(s3.put_object, **named, IfNoneMatch="*") == (412, "PreconditionFailed")
    s3.delete_object(**named)
    assert refused(s3.put_object, **named, IfMatch="*") == (404, "NoSuchKey")
    assert refused(s3.delete_object, **named, IfMatch="*") == (404, "NoSuchKey")
    put(s3, bucket, IfNoneMatch="*")


def test_beside_configurations(s3, bucket):
    """Both stand in the bucket's row; a bucket with versions keeps all, and then loses all."""
    tags = [{"Key": "a", "Value": "1"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    set_status(s3, bucket, "Enabled")
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    version = put(s3, bucket)
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_bucket_tagging(Bucket=bucket)
    assert status(s3, bucket) == "Enabled"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    set_status(s3, bucket, "Suspended")
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    for one in (version, marker):
        s3.delete_object(Bucket=bucket, Key="key", VersionId=one)
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert status(s3, bucket) is None
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")
