"""PutObjectLockConfiguration, GetObjectLockConfiguration, and buckets that are made with a lock."""

import pytest

from tests.s3.calls import refused
from tests.s3.locking import configure, in_days, lock_of, new_locked_bucket
from tests.s3.versioned import put, set_status

CONFIGURATION = "<ObjectLockConfiguration>{}</ObjectLockConfiguration>"
ENABLED = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
RULE = f"{ENABLED}<Rule><DefaultRetention>{{}}</DefaultRetention></Rule>"
GOVERNED = "<Mode>GOVERNANCE</Mode>"


@pytest.fixture
def locked(s3, new_name):
    return new_locked_bucket(s3, new_name())


def configuration(s3, bucket):
    return s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]


def test_a_bucket_that_is_made_with_a_lock(s3, locked):
    assert configuration(s3, locked) == {"ObjectLockEnabled": "Enabled"}
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    version = put(s3, locked)
    assert version != "null"
    assert lock_of(s3, locked) == (None, None, None)
    s3.delete_object(Bucket=locked, Key="key", VersionId=version)


def test_a_default_is_set_replaced_and_taken_away(s3, locked):
    for default in ({"Mode": "GOVERNANCE", "Days": 3}, {"Mode": "COMPLIANCE", "Years": 100}):
        configure(s3, locked, **default)
        found = configuration(s3, locked)
        assert found["Rule"] == {"DefaultRetention": default}
    configure(s3, locked)
    assert configuration(s3, locked) == {"ObjectLockEnabled": "Enabled"}


def test_a_bucket_that_is_there_already(s3, bucket):
    wanted = {"Bucket": bucket, "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    absent = (404, "ObjectLockConfigurationNotFoundError")
    assert refused(s3.put_object_lock_configuration, **wanted) == (409, "InvalidBucketState")
    before = put(s3, bucket)
    set_status(s3, bucket, "Enabled")
    set_status(s3, bucket, "Suspended")
    assert refused(s3.put_object_lock_configuration, **wanted) == (409, "InvalidBucketState")
    assert refused(s3.get_object_lock_configuration, Bucket=bucket) == absent
    set_status(s3, bucket, "Enabled")
    s3.put_object_lock_configuration(**wanted)
    s3.put_object_legal_hold(Bucket=bucket, Key="key", VersionId=before, LegalHold={"Status": "ON"})
    gone = {"Bucket": bucket, "Key": "key", "VersionId": before}
    assert refused(s3.delete_object, **gone) == (403, "AccessDenied")
    s3.put_object_legal_hold(**gone, LegalHold={"Status": "OFF"})
    s3.delete_object(**gone)


def test_versions_are_kept_from_then_on(s3, locked):
    asked = {"Bucket": locked, "VersioningConfiguration": {"Status": "Suspended"}}
    assert refused(s3.put_bucket_versioning, **asked) == (409, "InvalidBucketState")
    set_status(s3, locked, "Enabled")


def test_there_is_no_way_back(send, s3, locked):
    answer = send("DELETE", f"/{locked}", query="object-lock=")
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert configuration(s3, locked) == {"ObjectLockEnabled": "Enabled"}


def test_a_bucket_of_ones_own_does_not_get_a_lock_in_silence(s3, bucket, locked):
    again = {"Bucket": bucket, "ObjectLockEnabledForBucket": True}
    assert refused(s3.create_bucket, **again) == (409, "BucketAlreadyOwnedByYou")
    s3.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)


@pytest.mark.parametrize(("value", "status"), [("false", 200), ("TRUE", 200), ("yes", 400)])
def test_what_create_bucket_is_told(send, new_name, value, status):
    name, header = new_name(), "x-amz-bucket-object-lock-enabled"
    assert send("PUT", f"/{name}", headers={header: value}).status == status
    answer = send("GET", f"/{name}", query="object-lock=")
    assert answer.status == (200 if value == "TRUE" else 404)


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ("", "MalformedXML"),
        ("<ObjectLockEnabled>Disabled</ObjectLockEnabled>", "MalformedXML"),
        ("<ObjectLockEnabled>enabled</ObjectLockEnabled>", "MalformedXML"),
        (f"{ENABLED}<Rule/>", "MalformedXML"),
        (f"{ENABLED}<Other/>", "MalformedXML"),
        (RULE.format(""), "MalformedXML"),
        (RULE.format(GOVERNED), "MalformedXML"),
        (RULE.format("<Days>1</Days>"), "MalformedXML"),
        (RULE.format("<Mode>governance</Mode><Days>1</Days>"), "MalformedXML"),
        (RULE.format(f"{GOVERNED}<Days>1</Days><Years>1</Years>"), "MalformedXML"),
        (RULE.format(f"{GOVERNED}<Days>many</Days>"), "MalformedXML"),
        (RULE.format(f"{GOVERNED}<Days>0</Days>"), "InvalidArgument"),
        (RULE.format(f"{GOVERNED}<Days>-1</Days>"), "InvalidArgument"),
        (RULE.format(f"{GOVERNED}<Days>36501</Days>"), "InvalidArgument"),
        (RULE.format(f"{GOVERNED}<Years>0</Years>"), "InvalidArgument"),
        (RULE.format(f"{GOVERNED}<Years>101</Years>"), "InvalidArgument"),
        (RULE.format(f"{GOVERNED}<Years>1</Years><DefaultEventHold/>"), "NotImplemented"),
    ],
)
def test_what_is_refused(send, s3, locked, inside, code):
    body = CONFIGURATION.format(inside).encode()
    answer = send("PUT", f"/{locked}", query="object-lock=", body=body)
    assert answer.code == code
    assert configuration(s3, locked) == {"ObjectLockEnabled": "Enabled"}


def test_not_there(s3, new_name):
    named = {"Bucket": new_name()}
    wanted = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    assert refused(s3.get_object_lock_configuration, **named) == (404, "NoSuchBucket")
    assert refused(s3.put_object_lock_configuration, **named, **wanted) == (404, "NoSuchBucket")


def test_of_others(s3, other_s3, locked):
    wanted = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    denied = (403, "AccessDenied")
    assert refused(other_s3.get_object_lock_configuration, Bucket=locked) == denied
    assert refused(other_s3.put_object_lock_configuration, Bucket=locked, **wanted) == denied


def test_a_default_is_for_what_comes_after_it(s3, locked):
    before = put(s3, locked)
    configure(s3, locked, Mode="COMPLIANCE", Days=2)
    after = put(s3, locked)
    mode, until, hold = lock_of(s3, locked, version=after)
    assert (mode, hold) == ("COMPLIANCE", None)
    assert abs((until - in_days(2)).total_seconds()) < 60
    assert lock_of(s3, locked, version=before) == (None, None, None)
    gone = {"Bucket": locked, "Key": "key"}
    s3.delete_object(**gone, VersionId=before)
    bypass = {"VersionId": after, "BypassGovernanceRetention": True}
    assert refused(s3.delete_object, **gone, **bypass) == (403, "AccessDenied")
    assert refused(s3.delete_bucket, Bucket=locked) == (409, "BucketNotEmpty")
