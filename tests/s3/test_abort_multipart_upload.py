"""AbortMultipartUpload."""

from datetime import timedelta

from tests.s3.calls import refused
from tests.s3.uploading import begin, complete, part


def test_it_ends_the_upload(s3, bucket):
    named = begin(s3, bucket)
    parts = [part(s3, named, 1, b"x" * 100_000)]
    answer = s3.abort_multipart_upload(**named)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.abort_multipart_upload, **named) == (404, "NoSuchUpload")
    assert refused(s3.list_parts, **named) == (404, "NoSuchUpload")
    assert refused(complete, s3=s3, named=named, parts=parts) == (404, "NoSuchUpload")
    assert refused(s3.upload_part, **named, PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_an_upload_that_is_complete(s3, bucket):
    named = begin(s3, bucket)
    complete(s3, named, [part(s3, named, 1, b"body")])
    assert refused(s3.abort_multipart_upload, **named) == (404, "NoSuchUpload")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"


def test_uploads_of_one_key(s3, bucket):
    first, second = begin(s3, bucket), begin(s3, bucket)
    s3.abort_multipart_upload(**first)
    complete(s3, second, [part(s3, second, 1, b"second")])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"second"


def test_what_names_no_upload(s3, bucket):
    call = {"Bucket": bucket, "Key": "key"}
    for text in ("nonsense", "0" * 32):
        assert refused(s3.abort_multipart_upload, **call, UploadId=text) == (404, "NoSuchUpload")


def test_a_bucket_with_open_uploads_can_be_deleted(s3, bucket):
    named = begin(s3, bucket)
    part(s3, named, 1, b"x" * 100_000)
    s3.delete_bucket(Bucket=bucket)
    assert refused(s3.upload_part, **named, PartNumber=1, Body=b"") == (404, "NoSuchBucket")
    s3.create_bucket(Bucket=bucket)
    assert refused(s3.list_parts, **named) == (404, "NoSuchUpload")


def test_only_one_that_was_begun_then(s3, bucket, send):
    named = begin(s3, bucket)
    begun = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["Initiated"]
    wrong = {**named, "IfMatchInitiatedTime": begun + timedelta(seconds=1)}
    assert refused(s3.abort_multipart_upload, **wrong) == (412, "PreconditionFailed")
    path, query = f"/{bucket}/key", f"uploadId={named['UploadId']}"
    answer = send("DELETE", path, query=query, headers={"x-amz-if-match-initiated-time": "then"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
    for _ in range(2):  # the second time there is none to end
        s3.abort_multipart_upload(**named, IfMatchInitiatedTime=begun)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refused(s3.abort_multipart_upload, **named) == (404, "NoSuchUpload")
