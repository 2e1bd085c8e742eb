"""What answers tell of lifecycle rules: x-amz-expiration, x-amz-abort-date and -rule-id."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import pytest

from tests.s3.test_bucket_lifecycle import matching, put, rule, tag
from tests.s3.versioned import set_status

TOLD = re.compile(r'expiry-date="([^"]+)", rule-id="([^"]+)"')


def expiration(answer):
    """Date and rule that an answer tells, or None."""
    text = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-expiration")
    if text is None:
        return None
    date, id = TOLD.fullmatch(text).groups()
    return parsedate_to_datetime(date), unquote(id)


def in_days(count):
    """When so many days from now have ended: the next midnight."""
    end = datetime.now(UTC) + timedelta(days=count)
    return end.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


@pytest.fixture
def ruled(s3, bucket):
    """A bucket whose objects below `logs/` expire after 3 days."""
    put(s3, bucket, rule("a rule/ü", Expiration={"Days": 3}))
    return bucket


def test_each_answer_about_an_object(s3, ruled):
    expected = (in_days(3), "a rule/ü")
    named = {"Bucket": ruled, "Key": "logs/key"}
    assert expiration(s3.put_object(**named, Body=b"x")) == expected
    assert expiration(s3.get_object(**named)) == expected
    assert expiration(s3.get_object(**named, Range="bytes=0-0")) == expected
    assert expiration(s3.head_object(**named)) == expected
    source = {"Bucket": ruled, "Key": "logs/key"}
    copied = s3.copy_object(Bucket=ruled, Key="logs/copy", CopySource=source)
    assert expiration(copied) == expected
    assert expiration(s3.copy_object(Bucket=ruled, Key="copy", CopySource=source)) is None


def test_none_where_no_rule_applies(s3, bucket, ruled, new_name):
    assert expiration(s3.put_object(Bucket=ruled, Key="other")) is None
    assert expiration(s3.get_object(Bucket=ruled, Key="other")) is None
    other = new_name()
    s3.create_bucket(Bucket=other)
    assert expiration(s3.put_object(Bucket=other, Key="logs/key")) is None


def test_the_earliest_of_the_rules_that_apply(s3, bucket):
    date = datetime(2030, 1, 2, tzinfo=UTC)
    put(
        s3,
        bucket,
        rule("off", status="Disabled", Expiration={"Days": 1}),
        rule("date", where=matching(), Expiration={"Date": date}),
        rule("tag", where=matching(Tag=tag("t", "1")), Expiration={"Days": 2}),
        rule("large", where=matching(ObjectSizeGreaterThan=3), Expiration={"Days": 1}),
        rule("versions", NoncurrentVersionExpiration={"NoncurrentDays": 1}),
    )
    named = {"Bucket": bucket, "Key": "logs/key"}
    assert expiration(s3.put_object(**named, Body=b"123")) == (date, "date")
    assert expiration(s3.put_object(**named, Body=b"1234")) == (in_days(1), "large")
    assert expiration(s3.put_object(**named, Tagging="t=1")) == (in_days(2), "tag")
    s3.delete_object_tagging(**named)
    assert expiration(s3.head_object(**named)) == (date, "date")


def test_of_versions_that_are_named_nothing_is_told(s3, ruled):
    set_status(s3, ruled, "Enabled")
    named = {"Bucket": ruled, "Key": "logs/key"}
    version = s3.put_object(**named)["VersionId"]
    assert expiration(s3.head_object(**named)) == (in_days(3), "a rule/ü")
    assert expiration(s3.head_object(**named, VersionId=version)) is None


def test_uploads(s3, bucket):
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}
    put(s3, bucket, rule("abort it", **abort), rule("expire", Expiration={"Days": 5}))
    named = {"Bucket": bucket, "Key": "logs/key"}
    begun = s3.create_multipart_upload(**named)
    upload = {**named, "UploadId": begun["UploadId"]}
    for answer in (begun, s3.list_parts(**upload)):
        assert (answer["AbortDate"], answer["AbortRuleId"]) == (in_days(2), "abort%20it")
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    listed = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=listed)
    assert expiration(done) == (in_days(5), "expire")
    other = s3.create_multipart_upload(Bucket=bucket, Key="other")
    assert "AbortDate" not in other
    s3.abort_multipart_upload(Bucket=bucket, Key="other", UploadId=other["UploadId"])


def test_appends_and_forms(s3, ruled, post):
    answer = post({"key": "logs/form"})
    assert TOLD.fullmatch(answer.headers["x-amz-expiration"])
    named = {"Bucket": ruled, "Key": "logs/key"}
    s3.put_object(**named, Body=b"12")
    appended = s3.put_object(**named, Body=b"34", WriteOffsetBytes=2)
    assert expiration(appended) == (in_days(3), "a rule/ü")


def test_rules_that_cannot_be_is_no_date(s3, bucket):
    put(s3, bucket, rule("far", Expiration={"Days": 2**31 - 1}))
    assert expiration(s3.put_object(Bucket=bucket, Key="logs/key")) is None
