"""Encryption where there are versions: each has the key that it was stored with."""

import os
from base64 import b64encode

import pytest

from tests.s3.calls import refused
from tests.s3.encrypting import ENCRYPTED, KEY, KINDS, OTHER_KEY, customers, md5_of, read, told
from tests.s3.test_encryption_of_copies import SIZES
from tests.s3.uploading import upload
from tests.s3.versioned import set_status


@pytest.fixture
def kept(s3, bucket):
    """A bucket that keeps versions."""
    set_status(s3, bucket, "Enabled")
    return bucket


def fill(s3, bucket, size):
    """A version of each kind: kind -> version id, body."""
    found = {}
    for kind, (writing, _, _) in KINDS.items():
        body = os.urandom(size)
        answer = s3.put_object(Bucket=bucket, Key="key", Body=body, **writing)
        assert told(answer) == KINDS[kind][2]
        found[kind] = answer["VersionId"], body
    return found


@pytest.mark.parametrize("size", SIZES)
def test_each_has_its_own(s3, kept, size):
    for kind, (version, body) in fill(s3, kept, size).items():
        named = {"Bucket": kept, "Key": "key", "VersionId": version, **KINDS[kind][1]}
        for call in (s3.get_object, s3.head_object):
            answer = call(**named)
            assert (told(answer), answer["VersionId"]) == (KINDS[kind][2], version)
        assert read(s3, kept, "key", kind, VersionId=version) == body
        if size > 1:
            part = read(s3, kept, "key", kind, VersionId=version, Range=f"bytes=1-{size - 2}")
            assert part == body[1:-1]
        if kind == "customer":  # boto3 does not encode the key for this operation
            named |= customers(b64encode(KEY).decode()) | {"SSECustomerKeyMD5": md5_of(KEY)}
        asked = s3.get_object_attributes(**named, ObjectAttributes=["ObjectSize"])
        assert (asked["ObjectSize"], asked["VersionId"]) == (size, version)


def test_one_key_opens_one_version(s3, kept):
    """The key of the latest opens no older one."""
    named = {"Bucket": kept, "Key": "key"}
    old = s3.put_object(**named, Body=b"old", **customers(OTHER_KEY))["VersionId"]
    new = s3.put_object(**named, Body=b"new", **customers(KEY))["VersionId"]
    for version, key, other, body in ((old, OTHER_KEY, KEY, b"old"), (new, KEY, OTHER_KEY, b"new")):
        by_id = {**named, "VersionId": version}
        assert s3.get_object(**by_id, **customers(key))["Body"].read() == body
        assert refused(s3.get_object, **by_id, **customers(other)) == (403, "AccessDenied")
        assert refused(s3.get_object, **by_id) == (400, "InvalidRequest")


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_copies(s3, kept, source, target):
    """By reference or by bytes; onto another key, and as the latest of the same one."""
    version, body = fill(s3, kept, 300_000)[source]
    s3.delete_object(Bucket=kept, Key="key")
    reading = customers(KEY, "CopySource") if source == "customer" else {}
    place = {"Bucket": kept, "Key": "key", "VersionId": version}
    for key in ("copy", "key"):
        answer = s3.copy_object(
            Bucket=kept, Key=key, CopySource=place, **KINDS[target][0], **reading
        )
        assert answer["CopySourceVersionId"] == version
        assert told(answer) == KINDS[target][2]
        assert (
            s3.head_object(Bucket=kept, Key=key, **KINDS[target][1])["VersionId"]
            == (answer["VersionId"])
        )
    s3.delete_object(**place)
    for key in ("copy", "key"):
        assert read(s3, kept, key, target) == body


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_parts_from_a_version(s3, kept, kind):
    version, body = fill(s3, kept, 300_000)[kind]
    named = {"Bucket": kept, "Key": "made"}
    writing = {} if kind == "kms" else KINDS[kind][0]
    begun = s3.create_multipart_upload(**named, **writing)
    named["UploadId"] = begun["UploadId"]
    more = customers(KEY) if kind == "customer" else {}
    reading = customers(KEY, "CopySource") if kind == "customer" else {}
    answer = s3.upload_part_copy(
        **named,
        PartNumber=1,
        CopySource={"Bucket": kept, "Key": "key", "VersionId": version},
        **more,
        **reading,
    )
    assert answer["CopySourceVersionId"] == version
    parts = {"Parts": [{"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]}
    made = s3.complete_multipart_upload(**named, MultipartUpload=parts, **more)
    assert read(s3, kept, "made", "customer" if more else "plain", VersionId=made["VersionId"]) == (
        body
    )


def test_versions_of_parts(s3, kept):
    """Those of an object that was made of parts are read behind a plain one."""
    bodies = [os.urandom(5 << 20), os.urandom(1000)]
    made = upload(s3, kept, "key", bodies, ServerSideEncryption="AES256")
    s3.put_object(Bucket=kept, Key="key", Body=b"plain")
    named = {"Bucket": kept, "Key": "key", "VersionId": made["VersionId"]}
    assert s3.get_object(**named)["Body"].read() == b"".join(bodies)
    answer = s3.get_object(**named, PartNumber=2)
    assert (answer["Body"].read(), answer["ServerSideEncryption"]) == (bodies[1], "AES256")


def test_a_change_of_tags_keeps_the_key(s3, kept):
    for kind, (version, body) in fill(s3, kept, 1000).items():
        tags = {"TagSet": [{"Key": "a", "Value": kind}]}
        s3.put_object_tagging(Bucket=kept, Key="key", VersionId=version, Tagging=tags)
        assert read(s3, kept, "key", kind, VersionId=version) == body


def test_the_default_of_a_bucket(s3, kept):
    """It is of what comes later; a version stays as it was stored."""
    before = s3.put_object(Bucket=kept, Key="key", Body=b"plain")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=kept, ServerSideEncryptionConfiguration={"Rules": [rule]})
    after = s3.put_object(Bucket=kept, Key="key", Body=b"sealed")
    for answer, kind, body in ((before, "plain", b"plain"), (after, "s3", b"sealed")):
        named = {"Bucket": kept, "Key": "key", "VersionId": answer["VersionId"]}
        assert told(s3.head_object(**named)) == KINDS[kind][2]
        assert read(s3, kept, "key", VersionId=answer["VersionId"]) == body
