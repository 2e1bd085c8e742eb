"""PutObjectLegalHold and GetObjectLegalHold, which know of no retention."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.locking import in_days, lock_of, new_locked_bucket, remove
from tests.s3.versioned import put

DENIED = (403, "AccessDenied")
ON, OFF = {"Status": "ON"}, {"Status": "OFF"}


@pytest.fixture
def locked(s3, new_name):
    return new_locked_bucket(s3, new_name())


def test_on_and_off(s3, locked):
    version, named = put(s3, locked), {"Bucket": locked, "Key": "key"}
    none = (404, "NoSuchObjectLockConfiguration")
    assert refused(s3.get_object_legal_hold, **named) == none
    for hold in (ON, ON, OFF):
        s3.put_object_legal_hold(**named, LegalHold=hold)
        assert s3.get_object_legal_hold(**named)["LegalHold"] == hold
        if hold is ON:
            bypass = {"BypassGovernanceRetention": True}
            assert refused(remove, s3=s3, bucket=locked, version=version, **bypass) == DENIED
    assert refused(s3.get_object_retention, **named) == none
    remove(s3, locked, version)


def test_it_is_apart_from_retention(s3, locked):
    version, named = put(s3, locked), {"Bucket": locked, "Key": "key"}
    until = in_days(1)
    s3.put_object_legal_hold(**named, LegalHold=ON)
    wanted = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.put_object_retention(**named, Retention=wanted)
    assert lock_of(s3, locked) == ("GOVERNANCE", until, "ON")
    s3.put_object_legal_hold(**named, LegalHold=OFF)
    assert lock_of(s3, locked) == ("GOVERNANCE", until, "OFF")
    s3.put_object_legal_hold(**named, LegalHold=ON)
    s3.put_object_retention(**named, Retention={}, BypassGovernanceRetention=True)
    assert lock_of(s3, locked) == (None, None, "ON")
    assert refused(remove, s3=s3, bucket=locked, version=version) == DENIED


def test_of_a_version(s3, locked):
    first, second = put(s3, locked), put(s3, locked)
    named = {"Bucket": locked, "Key": "key", "VersionId": first}
    s3.put_object_legal_hold(**named, LegalHold=ON)
    assert s3.get_object_legal_hold(**named)["LegalHold"] == ON
    assert lock_of(s3, locked, version=second) == (None, None, None)
    assert refused(s3.delete_object, **named) == DENIED
    remove(s3, locked, second)


@pytest.mark.parametrize(
    "inside", ["", "<Status/>", "<Status>on</Status>", "<Status>ON</Status><Other/>"]
)
def test_what_is_refused(send, s3, locked, inside):
    put(s3, locked)
    body = f"<LegalHold>{inside}</LegalHold>".encode()
    answer = send("PUT", f"/{locked}/key", query="legal-hold=", body=body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert lock_of(s3, locked) == (None, None, None)


def test_where_there_is_nothing_to_hold(s3, bucket, locked):
    asked = {"Key": "key", "LegalHold": ON}
    assert refused(s3.put_object_legal_hold, Bucket=locked, **asked) == (404, "NoSuchKey")
    put(s3, bucket)
    without = (400, "InvalidRequest")
    assert refused(s3.put_object_legal_hold, Bucket=bucket, **asked) == without


def test_of_others(s3, other_s3, locked):
    put(s3, locked)
    named = {"Bucket": locked, "Key": "key"}
    assert refused(other_s3.put_object_legal_hold, **named, LegalHold=OFF) == DENIED
    assert refused(other_s3.get_object_legal_hold, **named) == DENIED


def test_64_who_bypass_race_with_a_hold(s3, locked):
    """Whoever was told that the version is held finds it whole, over all workers."""

    def code_of(call, **arguments):
        try:
            call(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    with ThreadPoolExecutor(65) as threads:
        for turn in range(4):
            version = put(
                s3,
                locked,
                ObjectLockMode="GOVERNANCE",
                ObjectLockRetainUntilDate=in_days(1),
            )
            named = {"Bucket": locked, "Key": "key", "VersionId": version}
            gone = {**named, "BypassGovernanceRetention": True}
            calls = [(s3.delete_object, gone)] * 64
            calls.insert(turn * 2, (s3.put_object_legal_hold, {**named, "LegalHold": ON}))
            begun = [threads.submit(code_of, call, **asked) for call, asked in calls]
            codes = [call.result() for call in begun]
            held = codes.pop(turn * 2)
            if held is None:
                assert set(codes) == {"AccessDenied"}
                assert lock_of(s3, locked, version=version)[2] == "ON"
            else:
                assert held == "NoSuchVersion"
                assert set(codes) == {None}
                assert refused(s3.head_object, **named)[0] == 404
