"""Locks that come with an object, however it comes; and how it does not go."""

from base64 import b64encode
from hashlib import md5
from urllib.parse import urlsplit
from zlib import crc32

import pytest

from tests.s3.calls import refused
from tests.s3.forms import Poster
from tests.s3.locking import configure, in_days, lock_of, new_locked_bucket, remove
from tests.s3.versioned import put

DENIED = (403, "AccessDenied")
MODE, UNTIL = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"
LATER = "2099-01-01T00:00:00Z"
CRC = b64encode(crc32(b"x").to_bytes(4, "big")).decode()
MD5 = {"content-md5": b64encode(md5(b"x").digest()).decode()}


@pytest.fixture
def locked(s3, new_name):
    return new_locked_bucket(s3, new_name())


def stated(mode="GOVERNANCE", hold="ON"):
    """A lock, as parameters of boto3 and as it is told again."""
    until = in_days(1)
    names = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
    told = (mode, until, hold)
    return dict(zip(names, told, strict=True)), told


def test_put(s3, locked):
    asked, told = stated()
    version = put(s3, locked, **asked)
    assert lock_of(s3, locked) == told
    found = s3.get_object(Bucket=locked, Key="key", Range="bytes=0-0")
    assert (found["ObjectLockMode"], found["Body"].read()) == ("GOVERNANCE", b"x")
    assert refused(remove, s3=s3, bucket=locked, version=version) == DENIED
    put(s3, locked)  # a new version is no change of the old one
    assert lock_of(s3, locked, version=version) == told


def test_put_of_a_large_body(s3, locked):
    asked, told = stated("COMPLIANCE")
    put(s3, locked, body=bytes(300_000), **asked)
    assert lock_of(s3, locked) == told


def test_copies_take_no_lock_along(s3, bucket, locked):
    asked, told = stated()
    version = put(s3, locked, **asked)
    source = {"Bucket": locked, "Key": "key"}
    s3.copy_object(Bucket=locked, Key="copy", CopySource=source)
    assert lock_of(s3, locked) == told  # and it stays where it is
    assert lock_of(s3, locked, "copy") == (None, None, None)
    s3.copy_object(Bucket=locked, Key="copy", CopySource=source, **asked)
    assert lock_of(s3, locked, "copy") == told
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert lock_of(s3, bucket, "copy") == (None, None, None)
    onto_itself = {"CopySource": source, "MetadataDirective": "REPLACE"}
    s3.copy_object(**source, **onto_itself)
    assert lock_of(s3, locked) == (None, None, None)
    assert lock_of(s3, locked, version=version) == told
    assert refused(remove, s3=s3, bucket=locked, version=version) == DENIED
    encrypted = {"ServerSideEncryption": "AES256"}
    s3.copy_object(Bucket=locked, Key="copy", CopySource=source, **encrypted, **asked)
    assert lock_of(s3, locked, "copy") == told


def complete(s3, bucket, **asked):
    named = {"Bucket": bucket, "Key": "key"}
    upload = s3.create_multipart_upload(**named, **asked)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)
    return done["VersionId"]


def test_uploads_in_parts(s3, locked):
    asked, told = stated()
    version = complete(s3, locked, **asked)
    assert lock_of(s3, locked) == told
    bypass = {"BypassGovernanceRetention": True}
    assert refused(remove, s3=s3, bucket=locked, version=version, **bypass) == DENIED


def test_an_upload_that_was_begun_before_the_default(s3, locked):
    named = {"Bucket": locked, "Key": "key"}
    upload = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"part")
    configure(s3, locked, Mode="GOVERNANCE", Days=1)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)
    assert lock_of(s3, locked)[0] == "GOVERNANCE"


def test_the_default_is_for_all_that_state_none(s3, locked):
    configure(s3, locked, Mode="GOVERNANCE", Days=1)
    source = {"Bucket": locked, "Key": "key"}
    put(s3, locked, ObjectLockLegalHoldStatus="ON")
    assert (lock_of(s3, locked)[0], lock_of(s3, locked)[2]) == ("GOVERNANCE", "ON")
    s3.copy_object(Bucket=locked, Key="copy", CopySource=source)
    assert lock_of(s3, locked, "copy")[0] == "GOVERNANCE"
    complete(s3, locked)
    assert lock_of(s3, locked)[0] == "GOVERNANCE"
    asked, told = stated("COMPLIANCE", None)
    del asked["ObjectLockLegalHoldStatus"]
    put(s3, locked, **asked)
    assert lock_of(s3, locked) == told


def test_forms(s3, locked, server):
    post = Poster(server, locked)
    fields = {MODE: "GOVERNANCE", UNTIL: LATER, HOLD: "OFF"}
    answer = post(fields)
    assert answer.status == 204, answer.body
    mode, until, hold = lock_of(s3, locked)
    assert (mode, until.year, hold) == ("GOVERNANCE", 2099, "OFF")
    assert post({**fields, MODE: "governance"}).code == "InvalidArgument"


@pytest.mark.parametrize(
    "headers",
    [
        {MODE: "GOVERNANCE"},
        {UNTIL: LATER},
        {MODE: "governance", UNTIL: LATER},
        {MODE: "STRICT", UNTIL: LATER},
        {MODE: "GOVERNANCE", UNTIL: "2020-01-01T00:00:00Z"},
        {MODE: "GOVERNANCE", UNTIL: "Thu, 01 Jan 2099 00:00:00 GMT"},
        {MODE: "GOVERNANCE", UNTIL: "06/06/2099"},
        {MODE: "GOVERNANCE", UNTIL: "2099-13-01T00:00:00Z"},
        {MODE: "GOVERNANCE", UNTIL: ""},
        {HOLD: "on"},
        {HOLD: ""},
        {MODE: "GOVERNANCE", UNTIL: LATER, HOLD: "perhaps"},
    ],
)
def test_what_is_refused(send, locked, headers):
    for method, path, query in (
        ("PUT", f"/{locked}/key", ""),
        ("POST", f"/{locked}/key", "uploads="),
    ):
        body = b"x" if method == "PUT" else b""
        digest = MD5 if method == "PUT" else {}
        answer = send(method, path, query=query, headers={**headers, **digest}, body=body)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert send("HEAD", f"/{locked}/key").status == 404


@pytest.mark.parametrize(
    "until",
    ["2099-01-01T00:00:00+00:00", "2099-01-01T00:00:00.123456789Z", "20990101T000000Z",
     "2099-01-01T02:00:00+02:00"],
)  # fmt: skip
def test_dates(send, s3, locked, until):
    headers = {MODE: "GOVERNANCE", UNTIL: until, **MD5}
    assert send("PUT", f"/{locked}/key", headers=headers, body=b"x").status == 200
    assert (lock_of(s3, locked)[1].year, lock_of(s3, locked)[1].hour) == (2099, 0)


def test_where_nothing_can_be_locked(send, s3, bucket):
    asked, _ = stated()
    put(s3, bucket)
    without = (400, "InvalidRequest")
    named = {"Bucket": bucket, "Key": "key"}
    assert refused(s3.put_object, **named, **asked) == without
    assert refused(s3.copy_object, **named, CopySource=named, **asked) == without
    assert refused(s3.create_multipart_upload, **named, **asked) == without
    headers = {HOLD: "ON", "x-amz-write-offset-bytes": "1"}
    assert send("PUT", f"/{bucket}/key", headers=headers, body=b"x").code == "InvalidRequest"
    s3.delete_object(**named, BypassGovernanceRetention=True)


def test_what_is_kept_comes_with_a_checksum(send, s3, s3v4, locked):
    """Or with a signature of its body."""

    def put_unsigned(headers, **asked):
        named = {"Bucket": locked, "Key": "key", **asked}
        url = urlsplit(s3v4.generate_presigned_url("put_object", Params=named))
        return send("PUT", url.path, query=url.query, headers=headers, body=b"x", signed=False)

    path = f"/{locked}/key"
    until = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER}
    for headers, asked in (
        ({MODE: "GOVERNANCE", UNTIL: LATER}, until),
        ({HOLD: "OFF"}, {"ObjectLockLegalHoldStatus": "OFF"}),
    ):
        answer = put_unsigned(headers, **asked)
        assert (answer.status, answer.code) == (400, "InvalidRequest")
        assert b"Content-MD5 OR x-amz-checksum-" in answer.body
        for promised in (MD5, {}):
            assert send("PUT", path, headers={**headers, **promised}, body=b"x").status == 200
    assert put_unsigned({}).status == 200
    configure(s3, locked, Mode="GOVERNANCE", Days=1)
    assert put_unsigned({}).code == "InvalidRequest"
    assert send("PUT", path, headers={"x-amz-checksum-crc32": CRC}, body=b"x").status == 200
    assert send("PUT", path, body=b"x").status == 200


def test_of_many_each_is_judged_for_itself(s3, locked):
    asked, _ = stated(hold="OFF")
    kept, free = put(s3, locked, "kept", **asked), put(s3, locked, "free")
    objects = [{"Key": "kept", "VersionId": kept}, {"Key": "free", "VersionId": free}]
    found = s3.delete_objects(Bucket=locked, Delete={"Objects": objects})
    assert [one["Key"] for one in found["Deleted"]] == ["free"]
    (error,) = found["Errors"]
    assert (error["Key"], error["Code"], error["VersionId"]) == ("kept", "AccessDenied", kept)
    found = s3.delete_objects(
        Bucket=locked, Delete={"Objects": objects}, BypassGovernanceRetention=True
    )
    assert "Errors" not in found
    assert len(found["Deleted"]) == 2


@pytest.mark.parametrize("value", ["false", "", "yes"])
def test_a_bypass_says_true(send, s3, locked, value):
    asked, _ = stated(hold="OFF")
    version = put(s3, locked, **asked)
    headers = {"x-amz-bypass-governance-retention": value}
    answer = send("DELETE", f"/{locked}/key", query=f"versionId={version}", headers=headers)
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_marker_hides_what_is_kept(s3, locked):
    asked, told = stated()
    version = put(s3, locked, **asked)
    marker = s3.delete_object(Bucket=locked, Key="key")
    assert marker["DeleteMarker"]
    assert refused(s3.head_object, Bucket=locked, Key="key")[0] == 404
    assert lock_of(s3, locked, version=version) == told
    remove(s3, locked, marker["VersionId"])
    assert lock_of(s3, locked) == told


def test_what_is_said_of_it_may_change(s3, locked):
    """Tags and access control lists are no part of what is kept."""
    asked, told = stated("COMPLIANCE")
    put(s3, locked, **asked)
    named = {"Bucket": locked, "Key": "key"}
    s3.put_object_tagging(**named, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_object_acl(**named, ACL="private")
    assert lock_of(s3, locked) == told
