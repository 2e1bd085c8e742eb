"""GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption."""

import pytest

from tests.s3.calls import refused

NONE = (404, "ServerSideEncryptionConfigurationNotFoundError")


def rule(bucket_key=False, **default):
    return {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}


def asked(bucket, *rules):
    return {"Bucket": bucket, "ServerSideEncryptionConfiguration": {"Rules": list(rules)}}


@pytest.mark.parametrize(
    "row",
    [
        rule(SSEAlgorithm="AES256"),
        rule(SSEAlgorithm="aws:kms"),
        rule(SSEAlgorithm="aws:kms", KMSMasterKeyID="a-key"),
        rule(bucket_key=True, SSEAlgorithm="aws:kms", KMSMasterKeyID="a-key"),
    ],
)
def test_put_get_delete(s3, bucket, row):
    assert refused(s3.get_bucket_encryption, Bucket=bucket) == NONE
    s3.put_bucket_encryption(**asked(bucket, row))
    found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert found["Rules"] == [row]
    for _ in range(2):
        answer = s3.delete_bucket_encryption(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refused(s3.get_bucket_encryption, Bucket=bucket) == NONE


@pytest.mark.parametrize(
    ("rules", "status", "code"),
    [
        ([], 400, "MalformedXML"),
        ([rule(SSEAlgorithm="AES256")] * 2, 400, "MalformedXML"),
        ([{"BucketKeyEnabled": True}], 400, "MalformedXML"),
        ([rule(SSEAlgorithm="aes256")], 400, "MalformedXML"),
        ([rule(SSEAlgorithm="AES256", KMSMasterKeyID="a-key")], 400, "InvalidArgument"),
        ([rule(SSEAlgorithm="AES256") | {"BlockedEncryptionTypes": {}}], 501, "NotImplemented"),
    ],
)
def test_what_is_refused(s3, bucket, rules, status, code):
    assert refused(s3.put_bucket_encryption, **asked(bucket, *rules)) == (status, code)
    assert refused(s3.get_bucket_encryption, Bucket=bucket) == NONE
