"""DeleteBucket: empty ones go, others stay, and writers in between get a clear answer."""

from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from tests.s3.calls import refused


def test_delete(s3, bucket):
    answer = s3.delete_bucket(Bucket=bucket)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.head_bucket, Bucket=bucket) == (404, "404")
    assert refused(s3.delete_bucket, Bucket=bucket) == (404, "NoSuchBucket")


def test_not_empty(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.put_object(Bucket=bucket, Key="key", Body=b"still writable")
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)


def test_never_there(s3, new_name):
    assert refused(s3.delete_bucket, Bucket=new_name()) == (404, "NoSuchBucket")


def test_made_again_it_is_empty(s3, bucket):
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_operations_on_what_is_gone(s3, bucket):
    s3.delete_bucket(Bucket=bucket)
    gone = (404, "NoSuchBucket")
    assert refused(s3.put_object, Bucket=bucket, Key="key", Body=b"x") == gone
    assert refused(s3.put_object, Bucket=bucket, Key="key", Body=bytes(1 << 20)) == gone
    assert refused(s3.get_object, Bucket=bucket, Key="key") == gone
    assert refused(s3.delete_object, Bucket=bucket, Key="key") == gone
    assert refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": "k"}]}) == gone
    assert refused(s3.list_objects, Bucket=bucket) == gone
    assert refused(s3.list_objects_v2, Bucket=bucket) == gone
    assert refused(s3.get_bucket_location, Bucket=bucket) == gone


def test_race_with_writers(s3, bucket):
    """Whoever is acknowledged is right: never a deleted bucket with an object in it."""

    def attempt(number):
        try:
            if number % 4:
                s3.put_object(Bucket=bucket, Key=f"key-{number}", Body=b"x")
            else:
                s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "deleted" if number % 4 == 0 else "put"

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(attempt, range(48)))
    assert set(results) <= {"put", "deleted", "BucketNotEmpty", "NoSuchBucket", "OperationAborted"}
    if "deleted" in results:
        assert "put" not in results
        assert refused(s3.head_bucket, Bucket=bucket) == (404, "404")
    else:
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == results.count("put")
