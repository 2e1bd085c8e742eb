"""DeleteObject: gone is gone, and asking twice is no error."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.s3.calls import refused
from tests.s3.versioned import put, set_status, stack


def test_delete(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    answer = s3.delete_object(Bucket=bucket, Key="key")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "VersionId" not in answer
    assert "DeleteMarker" not in answer
    assert refused(s3.get_object, Bucket=bucket, Key="key") == (404, "NoSuchKey")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_idempotent(s3, bucket):
    for _ in range(2):
        s3.delete_object(Bucket=bucket, Key="never")
    s3.delete_object(Bucket=bucket, Key="never", VersionId="null")


def test_only_that_key(s3, bucket):
    for key in ("a", "a/", "a/b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="a/")
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["a", "a/b"]


def test_conditions(s3, bucket):
    call = {"Bucket": bucket, "Key": "key"}
    etag = s3.put_object(**call, Body=b"x")["ETag"]
    assert refused(s3.delete_object, **call, IfMatch='"other"') == (412, "PreconditionFailed")
    s3.delete_object(**call, IfMatch=etag)
    assert refused(s3.delete_object, **call, IfMatch=etag) == (404, "NoSuchKey")
    s3.put_object(**call, Body=b"x")
    s3.delete_object(**call, IfMatch="*")
    assert refused(s3.delete_object, **call, IfMatch="*") == (404, "NoSuchKey")


def test_no_bucket(s3, new_name):
    assert refused(s3.delete_object, Bucket=new_name(), Key="key") == (404, "NoSuchBucket")


def test_race_with_writers(s3, bucket):
    def work(number):
        if number % 2:
            s3.put_object(Bucket=bucket, Key="key", Body=bytes(number * 3000))
        else:
            s3.delete_object(Bucket=bucket, Key="key")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(64)))
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)


def test_date_and_size(s3, bucket, send):
    call = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**call, Body=b"12345")
    head = s3.head_object(**call)
    date, size = head["LastModified"], head["ContentLength"]
    for wrong in (
        {"IfMatchSize": 4},
        {"IfMatchLastModifiedTime": date - timedelta(seconds=1)},
        {"IfMatchLastModifiedTime": date, "IfMatchSize": 4},
        {"IfMatch": '"other"', "IfMatchLastModifiedTime": date, "IfMatchSize": size},
    ):
        assert refused(s3.delete_object, **call, **wrong) == (412, "PreconditionFailed"), wrong
    for name in ("x-amz-if-match-size", "x-amz-if-match-last-modified-time"):
        for value in ("x", "-1", "9" * 40):
            answer = send("DELETE", f"/{bucket}/key", headers={name: value})
            assert (answer.status, answer.code) == (400, "InvalidArgument")
    conditions = {"IfMatch": head["ETag"], "IfMatchLastModifiedTime": date, "IfMatchSize": size}
    s3.delete_object(**call, **conditions)
    assert refused(s3.head_object, **call) == (404, "404")
    s3.delete_object(**call, IfMatchSize=5, IfMatchLastModifiedTime=date)  # nothing is there


def test_conditions_on_a_version(s3, bucket):
    set_status(s3, bucket, "Enabled")
    old, new = put(s3, bucket, body=b"old one"), put(s3, bucket, body=b"new")
    call = {"Bucket": bucket, "Key": "key", "VersionId": old}
    head = s3.head_object(**call)
    etag = s3.head_object(Bucket=bucket, Key="key")["ETag"]
    for condition in (
        {"IfMatch": etag},
        {"IfMatchSize": 3},
        {"IfMatchLastModifiedTime": head["LastModified"] - timedelta(seconds=1)},
    ):
        assert refused(s3.delete_object, **call, **condition) == (412, "PreconditionFailed")
    answer = s3.delete_object(
        **call,
        IfMatch=head["ETag"],
        IfMatchSize=7,
        IfMatchLastModifiedTime=head["LastModified"],
    )
    assert answer["VersionId"] == old
    assert stack(s3.list_object_versions(Bucket=bucket)) == [[("key", new, True)], []]
