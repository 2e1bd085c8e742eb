"""GetBucketVersioning: nothing until it was ever set."""

from tests.s3.calls import refused
from tests.s3.versioned import set_status


def test_status(s3, send, bucket):
    answer = send("GET", f"/{bucket}", query="versioning=")
    assert b"Status" not in answer.body
    for status in ("Enabled", "Suspended"):
        set_status(s3, bucket, status)
        answer = send("GET", f"/{bucket}", query="versioning=")
        assert f"<Status>{status}</Status>".encode() in answer.body
        assert b"MfaDelete" not in answer.body


def test_not_there(s3, new_name):
    assert refused(s3.get_bucket_versioning, Bucket=new_name()) == (404, "NoSuchBucket")
