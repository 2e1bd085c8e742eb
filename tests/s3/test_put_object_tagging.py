"""PutObjectTagging, and tags that are named when an object is stored."""

import threading

import pytest

from tests.s3.calls import refused


def tag_set(**tags):
    """Tags as boto3 names them."""
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def shown(s3, bucket, key="key", **more):
    """The tags of an object: they are told by key."""
    found = s3.get_object_tagging(Bucket=bucket, Key=key, **more)["TagSet"]
    return [(tag["Key"], tag["Value"]) for tag in found]


@pytest.fixture
def named(s3, bucket):
    """Bucket and key of an object that exists."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", Metadata={"a": "b"}, ContentType="a/b")
    return {"Bucket": bucket, "Key": "key"}


def test_replaces_all(s3, bucket, named):
    s3.put_object_tagging(**named, Tagging=tag_set(b="2", a="1"))
    assert shown(s3, bucket) == [("a", "1"), ("b", "2")]
    s3.put_object_tagging(**named, Tagging=tag_set(c=""), VersionId="null")
    assert shown(s3, bucket) == [("c", "")]
    s3.put_object_tagging(**named, Tagging=tag_set())
    assert shown(s3, bucket) == []


def test_nothing_else_changes(s3, bucket, named):
    before = s3.get_object(**named)
    s3.put_object_tagging(**named, Tagging=tag_set(a="1", b="2"))
    after = s3.get_object(**named)
    assert (before.pop("Body").read(), after.pop("Body").read()) == (b"hello", b"hello")
    assert after.pop("TagCount") == s3.head_object(**named)["TagCount"] == 2
    for answer in (before, after):
        del answer["ResponseMetadata"]
    assert before == after
    s3.put_object_acl(**named, ACL="public-read")
    assert shown(s3, bucket) == [("a", "1"), ("b", "2")]


def test_limits(s3, bucket, named):
    most = {f"{number}{'k' * 127}": "v" * 256 for number in range(10)}
    s3.put_object_tagging(**named, Tagging=tag_set(**most))
    assert dict(shown(s3, bucket)) == most
    for bad in (
        {**most, "one more": ""},
        {"k" * 129: ""},
        {"key": "v" * 257},
        {"aws:name": "x"},
        {"a!": "b"},
    ):
        told = refused(s3.put_object_tagging, **named, Tagging=tag_set(**bad))
        assert told == (400, "InvalidTag"), bad
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refused(s3.put_object_tagging, **named, Tagging=twice) == (400, "InvalidTag")
    assert dict(shown(s3, bucket)) == most


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<Tagging/>",
        b"<Other/>",
        b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet></TagSet><TagSet></TagSet></Tagging>",
        b"<Tagging><TagSet>",
    ],
)
def test_malformed(send, s3, bucket, named, document):
    s3.put_object_tagging(**named, Tagging=tag_set(a="1"))
    answer = send("PUT", f"/{bucket}/key", query="tagging=", body=document)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert shown(s3, bucket) == [("a", "1")]


def test_not_there(s3, bucket, new_name):
    asked = {"Key": "none", "Tagging": tag_set(a="1")}
    assert refused(s3.put_object_tagging, Bucket=bucket, **asked) == (404, "NoSuchKey")
    assert refused(s3.put_object_tagging, Bucket=new_name(), **asked) == (404, "NoSuchBucket")
    assert refused(s3.put_object_tagging, Bucket=bucket, VersionId="x", **asked) == (
        (400, "InvalidArgument")
    )


# --- named when an object is stored


@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_with_an_object(s3, bucket, size):
    tags = "a=1&b+b=%C3%BC%2B&c=&d"
    s3.put_object(Bucket=bucket, Key="key", Body=b"x" * size, Tagging=tags)
    assert shown(s3, bucket) == [("a", "1"), ("b b", "ü+"), ("c", ""), ("d", "")]
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 4
    s3.put_object(Bucket=bucket, Key="key", Body=b"x" * size)
    assert shown(s3, bucket) == []
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ("a=1&a=2", "InvalidArgument"),
        ("a=%FF", "InvalidArgument"),
        ("&".join(f"{number}=" for number in range(11)), "InvalidTag"),
        ("a=" + "v" * 257, "InvalidTag"),
        ("=v", "InvalidTag"),
        ("a&&b", "InvalidTag"),
    ],
)
def test_a_bad_header(s3, bucket, tags, code):
    call = {"Bucket": bucket, "Key": "key", "Tagging": tags}
    assert refused(s3.put_object, Body=b"x", **call) == (400, code)
    assert refused(s3.create_multipart_upload, **call) == (400, code)
    assert refused(s3.head_object, Bucket=bucket, Key="key") == (404, "404")


def test_of_an_upload(s3, bucket):
    made = s3.create_multipart_upload(Bucket=bucket, Key="key", Tagging="a=1&b=2")
    call = {"Bucket": bucket, "Key": "key", "UploadId": made["UploadId"]}
    part = s3.upload_part(**call, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**call, MultipartUpload={"Parts": parts})
    assert shown(s3, bucket) == [("a", "1"), ("b", "2")]


def test_of_a_copy(s3, bucket, named):
    s3.put_object_tagging(**named, Tagging=tag_set(a="1"))
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/key"}
    for said in ({}, {"TaggingDirective": "COPY"}, {"Tagging": "b=2"}):
        s3.copy_object(**copy, **said)
        assert shown(s3, bucket, "copy") == [("a", "1")]
    s3.copy_object(**copy, MetadataDirective="REPLACE", Metadata={"x": "y"})
    assert shown(s3, bucket, "copy") == [("a", "1")]
    s3.copy_object(**copy, Tagging="b=2", TaggingDirective="REPLACE")
    assert shown(s3, bucket, "copy") == [("b", "2")]
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"a": "b"}
    s3.copy_object(**copy, TaggingDirective="REPLACE")
    assert shown(s3, bucket, "copy") == []
    assert shown(s3, bucket) == [("a", "1")]


def test_beside_rivals(s3, bucket, named):
    """Each writer's tags stand as a whole, beside whatever else changes of the object."""

    def tag(word):
        for _ in range(10):
            s3.put_object_tagging(**named, Tagging=tag_set(first=word, second=word))

    rivals = [threading.Thread(target=tag, args=(word,)) for word in "abcd"]
    for rival in rivals:
        rival.start()
    for number in range(10):
        s3.put_object_acl(**named, ACL=("private", "public-read")[number % 2])
    for rival in rivals:
        rival.join()
    found = dict(shown(s3, bucket))
    assert found["first"] == found["second"]
    assert len(s3.get_object_acl(**named)["Grants"]) == 2
