"""RenameObject: another key at once, everything else the same; conditions, tokens, rivals."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.uploading import begin, complete, part
from tests.s3.versioned import set_status


@pytest.fixture
def rename(s3, bucket):
    """Renames `old`, or what is named, to `new`."""

    def call(source="old", key="new", **more):
        return s3.rename_object(Bucket=bucket, Key=key, RenameSource=source, **more)

    return call


@pytest.fixture
def refusal(s3, bucket):
    """What a rename is refused with."""

    def call(source="old", key="new", **more):
        return refused(s3.rename_object, Bucket=bucket, Key=key, RenameSource=source, **more)

    return call


def keys_of(s3, bucket):
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def shown(s3, bucket, key):
    """All that is told of an object."""
    found = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    del found["ResponseMetadata"]
    tags = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    grants = s3.get_object_acl(Bucket=bucket, Key=key)["Grants"]
    return {**found, "Body": found["Body"].read(), "Tags": tags, "Grants": grants}


@pytest.mark.parametrize("size", [0, 5, 100_000])
@pytest.mark.parametrize("is_there", [False, True])
def test_all_goes_with_it(s3, bucket, rename, size, is_there):
    s3.put_object(
        Bucket=bucket,
        Key="old",
        Body=os.urandom(size),
        Metadata={"a": "b"},
        ContentType="c/d",
        Tagging="e=f",
        ACL="public-read",
    )
    if is_there:
        s3.put_object(Bucket=bucket, Key="new", Body=b"replaced" * 20_000)
    before = shown(s3, bucket, "old")
    rename()
    assert keys_of(s3, bucket) == ["new"]
    assert shown(s3, bucket, "new") == before
    assert refused(s3.head_object, Bucket=bucket, Key="old") == (404, "404")
    s3.delete_object(Bucket=bucket, Key="new")
    s3.delete_bucket(Bucket=bucket)


def test_parts_and_copies(s3, bucket, rename):
    named = begin(s3, bucket, "old")
    complete(s3, named, [part(s3, named, 1, b"of parts")])
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/old")
    rename()
    rename("new", "copy")  # onto a copy of itself
    assert keys_of(s3, bucket) == ["copy"]
    assert shown(s3, bucket, "copy")["Body"] == b"of parts"
    s3.put_object(Bucket=bucket, Key="copy", Body=b" and more", WriteOffsetBytes=8)
    assert shown(s3, bucket, "copy")["Body"] == b"of parts and more"


@pytest.mark.parametrize("key", ["a b", "ü", "a+b", "a%2Fb", "/a", "dir/", "a/b/c"])
def test_names(s3, bucket, send, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    coded = "".join(f"%{byte:02X}" for byte in key.encode())
    answer = send(
        "PUT", f"/{bucket}/new", query="renameObject=", headers={"x-amz-rename-source": coded}
    )
    assert (answer.status, answer.body) == (200, b"")
    assert keys_of(s3, bucket) == ["new"]


def test_a_slash_before_the_source(s3, bucket, rename):
    s3.put_object(Bucket=bucket, Key="a/old", Body=b"x")
    rename("/a/old")
    assert keys_of(s3, bucket) == ["new"]


def test_conditions(s3, bucket, rename, refusal):
    failed = (412, "PreconditionFailed")
    etag = s3.put_object(Bucket=bucket, Key="old", Body=b"old")["ETag"]
    date = s3.head_object(Bucket=bucket, Key="old")["LastModified"]
    hour = timedelta(hours=1)
    for more in (
        {"SourceIfMatch": '"other"'},
        {"SourceIfNoneMatch": etag},
        {"SourceIfNoneMatch": "*"},
        {"SourceIfModifiedSince": date + hour},
        {"SourceIfUnmodifiedSince": date - hour},
        {"DestinationIfMatch": "*"},
        {"DestinationIfModifiedSince": date - hour},
    ):
        assert refusal(**more) == failed, more
    other = s3.put_object(Bucket=bucket, Key="new", Body=b"new")["ETag"]
    for more in (
        {"DestinationIfNoneMatch": "*"},
        {"DestinationIfMatch": etag},
        {"DestinationIfModifiedSince": date + hour},
        {"DestinationIfUnmodifiedSince": date - hour},
    ):
        assert refusal(**more) == failed, more
    assert keys_of(s3, bucket) == ["new", "old"]
    rename(
        SourceIfMatch=etag,
        SourceIfUnmodifiedSince=date + hour,
        DestinationIfMatch=other,
        DestinationIfUnmodifiedSince=date + hour,
    )
    assert shown(s3, bucket, "new")["Body"] == b"old"


def test_what_is_refused(s3, bucket, refusal, send, new_name):
    assert refusal() == (404, "NoSuchKey")
    s3.put_object(Bucket=bucket, Key="old", Body=b"x")
    assert refusal(key="old") == (400, "InvalidRequest")
    assert refusal(ClientToken="a b") == (400, "InvalidArgument")
    for coded in ("", "/", "%zz", "%FF"):
        headers = {"x-amz-rename-source": coded}
        answer = send("PUT", f"/{bucket}/new", query="renameObject=", headers=headers)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert send("PUT", f"/{bucket}/new", query="renameObject=").code == "InvalidRequest"
    assert refusal("x" * 1025) == (400, "KeyTooLongError")
    call = {"Bucket": new_name(), "Key": "new", "RenameSource": "old"}
    assert refused(s3.rename_object, **call) == (404, "NoSuchBucket")
    assert keys_of(s3, bucket) == ["old"]


def test_asked_again(s3, bucket, rename, refusal):
    s3.put_object(Bucket=bucket, Key="old", Body=b"1")
    for _ in range(2):
        rename(ClientToken="token")
    s3.put_object(Bucket=bucket, Key="old", Body=b"2")
    rename(ClientToken="token")  # it has been done: nothing happens
    assert keys_of(s3, bucket) == ["new", "old"]
    told = refusal(ClientToken="token", SourceIfMatch="*")
    assert told == (400, "IdempotencyParameterMismatch")
    rename(ClientToken="other")
    assert shown(s3, bucket, "new")["Body"] == b"2"


def attempt(rename, *args, **more):
    try:
        rename(*args, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_one_source_goes_to_one_place(s3, bucket, rename):
    s3.put_object(Bucket=bucket, Key="old", Body=b"x")
    with ThreadPoolExecutor(64) as threads:
        told = list(threads.map(lambda number: attempt(rename, key=f"{number}"), range(64)))
    assert told.count(None) == 1
    assert set(told) <= {None, "NoSuchKey"}
    assert keys_of(s3, bucket) == [str(told.index(None))]


def test_one_of_64_wins_a_place(s3, bucket, rename):
    for number in range(64):
        s3.put_object(Bucket=bucket, Key=f"from/{number}", Body=bytes([number]))

    def move(number):
        return attempt(rename, f"from/{number}", DestinationIfNoneMatch="*")

    with ThreadPoolExecutor(64) as threads:
        told = list(threads.map(move, range(64)))
    assert told.count(None) == 1
    assert set(told) <= {None, "PreconditionFailed"}
    assert shown(s3, bucket, "new")["Body"] == bytes([told.index(None)])
    assert len(keys_of(s3, bucket)) == 64


def test_to_and_fro(s3, bucket, rename):
    """Whoever crosses whom, the object is under one of the keys."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")

    def move(number):
        return attempt(rename, *(("a", "b") if number % 2 else ("b", "a")))

    with ThreadPoolExecutor(16) as threads:
        told = set(threads.map(move, range(64)))
    assert None in told
    assert told <= {None, "NoSuchKey"}
    assert len(keys_of(s3, bucket)) == 1


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_where_there_are_versions(s3, bucket, refusal, status):
    s3.put_object(Bucket=bucket, Key="old", Body=b"body")
    set_status(s3, bucket, status)
    assert refusal() == (400, "InvalidRequest")
    assert refusal("none") == (400, "InvalidRequest")
    assert keys_of(s3, bucket) == ["old"]
