"""Tags where there are versions: each version has its own, and answers tell whose they are."""

import pytest

from tests.s3.calls import refused
from tests.s3.test_put_object_tagging import shown, tag_set
from tests.s3.versioned import headers_of, put, set_status

NEVER = "GEp6AAAAAAAAAAAA"  # an id that no version has


@pytest.fixture
def named(s3, bucket):
    """Bucket and key, in a bucket that keeps versions."""
    set_status(s3, bucket, "Enabled")
    return {"Bucket": bucket, "Key": "key"}


def test_each_has_its_own(s3, bucket, named):
    first, second = put(s3, bucket, Tagging="a=1"), put(s3, bucket, Tagging="b=2&c=3")
    assert shown(s3, bucket, VersionId=first) == [("a", "1")]
    assert shown(s3, bucket) == shown(s3, bucket, VersionId=second) == [("b", "2"), ("c", "3")]
    before = s3.get_object(**named, VersionId=first)
    s3.put_object_tagging(**named, VersionId=first, Tagging=tag_set(d="4"))
    assert shown(s3, bucket, VersionId=first) == [("d", "4")]
    assert shown(s3, bucket) == [("b", "2"), ("c", "3")]
    after = s3.get_object(**named, VersionId=first)
    for field in ("LastModified", "ETag", "VersionId"):
        assert after[field] == before[field]
    s3.delete_object_tagging(**named)
    assert (shown(s3, bucket), shown(s3, bucket, VersionId=first)) == ([], [("d", "4")])
    s3.delete_object_tagging(**named, VersionId=first)
    assert shown(s3, bucket, VersionId=first) == []
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2


def test_answers_tell_the_version(s3, bucket, named):
    first, second = put(s3, bucket), put(s3, bucket)
    for version, asked in ((first, {"VersionId": first}), (second, {})):
        tagging = {"Tagging": tag_set(a="1")}
        assert s3.put_object_tagging(**named, **asked, **tagging)["VersionId"] == version
        assert s3.get_object_tagging(**named, **asked)["VersionId"] == version
        assert s3.delete_object_tagging(**named, **asked)["VersionId"] == version


def test_count(s3, bucket, named):
    first, second = put(s3, bucket, Tagging="a=1"), put(s3, bucket, Tagging="b=2&c=3")
    for version, count in ((first, 1), (second, 2)):
        for call in (s3.get_object, s3.head_object):
            assert call(**named, VersionId=version)["TagCount"] == count


def test_the_null_version(s3, bucket):
    named = {"Bucket": bucket, "Key": "key"}
    put(s3, bucket, Tagging="a=1")
    assert "VersionId" not in s3.get_object_tagging(**named)
    set_status(s3, bucket, "Enabled")
    assert s3.put_object_tagging(**named, Tagging=tag_set(b="2"))["VersionId"] == "null"
    put(s3, bucket)
    assert shown(s3, bucket, VersionId="null") == [("b", "2")]
    s3.put_object_tagging(**named, VersionId="null", Tagging=tag_set(c="3"))
    assert (shown(s3, bucket, VersionId="null"), shown(s3, bucket)) == ([("c", "3")], [])


def test_what_is_not_there(s3, bucket, named):
    put(s3, bucket)
    marker = s3.delete_object(**named)["VersionId"]
    calls = [
        (s3.get_object_tagging, {}),
        (s3.delete_object_tagging, {}),
        (s3.put_object_tagging, {"Tagging": tag_set(a="1")}),
    ]
    for call, more in calls:
        assert refused(call, **named, **more) == (404, "NoSuchKey")
        assert headers_of(call, **named, **more)["x-amz-delete-marker"] == "true"
        by_id = refused(call, **named, VersionId=marker, **more)
        assert by_id == (405, "MethodNotAllowed")
        assert refused(call, **named, VersionId=NEVER, **more) == (404, "NoSuchVersion")


def test_copies_take_those_of_the_version(s3, bucket, named):
    first = put(s3, bucket, Tagging="a=1")
    put(s3, bucket, Tagging="b=2")
    source = {**named, "VersionId": first}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert shown(s3, bucket, "copy") == [("a", "1")]
    s3.copy_object(**named, CopySource=source, TaggingDirective="REPLACE", Tagging="c=3")
    assert (shown(s3, bucket), shown(s3, bucket, VersionId=first)) == ([("c", "3")], [("a", "1")])
