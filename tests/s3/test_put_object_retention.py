"""PutObjectRetention and GetObjectRetention: what may become longer, shorter, and who may."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.locking import in_days, lock_of, new_locked_bucket, remove
from tests.s3.versioned import put
from tests.unit.node.running import wait_until

DENIED = (403, "AccessDenied")
NONE = (404, "NoSuchObjectLockConfiguration")
BYPASS = {"BypassGovernanceRetention": True}
RETENTION = "<Retention>{}</Retention>"
GOVERNED = "<Mode>GOVERNANCE</Mode>"
DATE = "<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>"


@pytest.fixture
def locked(s3, new_name):
    return new_locked_bucket(s3, new_name())


def asked(bucket, mode=None, until=None, **more):
    wanted = {"Mode": mode, "RetainUntilDate": until} if mode else {}
    return {"Bucket": bucket, "Key": "key", "Retention": wanted, **more}


def retention(s3, bucket, **more):
    found = s3.get_object_retention(Bucket=bucket, Key="key", **more)["Retention"]
    return found["Mode"], found["RetainUntilDate"]


def test_governance_is_made_longer_by_all_and_else_by_who_bypasses(s3, locked):
    version = put(s3, locked)
    first, second = in_days(2), in_days(3)
    s3.put_object_retention(**asked(locked, "GOVERNANCE", first))
    for other in (("GOVERNANCE", in_days(1)), ("COMPLIANCE", second), ()):
        assert refused(s3.put_object_retention, **asked(locked, *other)) == DENIED
    assert retention(s3, locked) == ("GOVERNANCE", first)
    s3.put_object_retention(**asked(locked, "GOVERNANCE", second))
    assert retention(s3, locked) == ("GOVERNANCE", second)
    s3.put_object_retention(**asked(locked, "GOVERNANCE", first, **BYPASS))
    assert retention(s3, locked) == ("GOVERNANCE", first)
    assert refused(remove, s3=s3, bucket=locked, version=version) == DENIED
    s3.put_object_retention(**asked(locked, **BYPASS))
    assert refused(s3.get_object_retention, Bucket=locked, Key="key") == NONE
    remove(s3, locked, version)


def test_compliance_is_only_made_longer(s3, locked):
    version = put(s3, locked)
    first, second = in_days(2), in_days(3)
    s3.put_object_retention(**asked(locked, "COMPLIANCE", first))
    for other in (("COMPLIANCE", in_days(1)), ("GOVERNANCE", second), ()):
        assert refused(s3.put_object_retention, **asked(locked, *other, **BYPASS)) == DENIED
    s3.put_object_retention(**asked(locked, "COMPLIANCE", second))
    assert retention(s3, locked) == ("COMPLIANCE", second)
    assert refused(remove, s3=s3, bucket=locked, version=version, **BYPASS) == DENIED


def test_a_retention_ends(s3, locked):
    """By the second, and rounded up: not before its date."""
    version = put(s3, locked)
    until = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=500_000)
    s3.put_object_retention(**asked(locked, "COMPLIANCE", until))
    told = retention(s3, locked)[1]
    assert told == (until + timedelta(seconds=1)).replace(microsecond=0)
    removed = []

    def is_removed():
        if "VersionId" in _answer(remove, s3=s3, bucket=locked, version=version):
            removed.append(datetime.now(UTC))
        return removed

    wait_until(is_removed, "the end of the retention")
    assert removed[0] >= told


def _answer(call, **arguments):
    try:
        return call(**arguments)
    except ClientError as error:
        return error.response["Error"]


def test_of_a_version(s3, locked):
    first, second = put(s3, locked), put(s3, locked)
    until = in_days(1)
    s3.put_object_retention(**asked(locked, "GOVERNANCE", until, VersionId=first))
    assert retention(s3, locked, VersionId=first) == ("GOVERNANCE", until)
    assert refused(s3.get_object_retention, Bucket=locked, Key="key") == NONE
    remove(s3, locked, second)
    assert refused(remove, s3=s3, bucket=locked, version=first) == DENIED
    assert lock_of(s3, locked) == ("GOVERNANCE", until, None)
    remove(s3, locked, first, **BYPASS)


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (GOVERNED, "MalformedXML"),
        (DATE, "MalformedXML"),
        (f"<Mode>governance</Mode>{DATE}", "MalformedXML"),
        (f"<Mode></Mode>{DATE}", "MalformedXML"),
        (f"{GOVERNED}<RetainUntilDate>tomorrow</RetainUntilDate>", "MalformedXML"),
        (f"{GOVERNED}{DATE}{DATE}", "MalformedXML"),
        (f"{GOVERNED}{DATE}<Other/>", "MalformedXML"),
        (f"{GOVERNED}{DATE}<EventHold>ON</EventHold>", "NotImplemented"),
        (f"{GOVERNED}<RetainUntilDate>2020-01-01T00:00:00Z</RetainUntilDate>", "InvalidArgument"),
    ],
)
def test_what_is_refused(send, s3, locked, inside, code):
    put(s3, locked)
    body = RETENTION.format(inside).encode()
    answer = send("PUT", f"/{locked}/key", query="retention=", body=body)
    assert answer.code == code
    assert lock_of(s3, locked) == (None, None, None)


def test_a_date_of_the_day(send, s3, locked):
    put(s3, locked)
    body = RETENTION.format(f"{GOVERNED}<RetainUntilDate>2099-01-01</RetainUntilDate>").encode()
    assert send("PUT", f"/{locked}/key", query="retention=", body=body).status == 200
    assert retention(s3, locked)[1] == datetime(2099, 1, 1, tzinfo=UTC)


def test_where_there_is_nothing_to_keep(s3, bucket, locked):
    wanted = asked(locked, "GOVERNANCE", in_days(1))
    assert refused(s3.put_object_retention, **wanted) == (404, "NoSuchKey")
    marker = s3.delete_object(Bucket=locked, Key="key")["VersionId"]
    assert refused(s3.put_object_retention, **wanted)[1] in ("NoSuchKey", "MethodNotAllowed")
    of_marker = (405, "MethodNotAllowed")
    assert refused(s3.put_object_retention, **wanted, VersionId=marker) == of_marker
    put(s3, bucket)
    wanted["Bucket"] = bucket
    assert refused(s3.put_object_retention, **wanted) == (400, "InvalidRequest")


def test_of_others(s3, other_s3, locked):
    put(s3, locked)
    wanted = asked(locked, "GOVERNANCE", in_days(1))
    assert refused(other_s3.put_object_retention, **wanted, **BYPASS) == DENIED
    assert refused(other_s3.get_object_retention, Bucket=locked, Key="key") == DENIED
