"""What clients ask for unprompted about a bucket that has no configurations: typed answers."""

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused

# Call -> what it is refused with.
ABSENT = {
    "get_bucket_policy": (404, "NoSuchBucketPolicy"),
    "get_bucket_policy_status": (404, "NoSuchBucketPolicy"),
    "get_bucket_replication": (404, "ReplicationConfigurationNotFoundError"),
    "get_bucket_website": (404, "NoSuchWebsiteConfiguration"),
    "get_object_lock_configuration": (404, "ObjectLockConfigurationNotFoundError"),
    "get_public_access_block": (404, "NoSuchPublicAccessBlockConfiguration"),
}
# Call -> what boto3 makes of the answer.
EMPTY = {
    "get_bucket_accelerate_configuration": {},
    "get_bucket_logging": {},
    "get_bucket_request_payment": {"Payer": "BucketOwner"},
    "get_bucket_versioning": {},
    "list_bucket_analytics_configurations": {"IsTruncated": False},
    "list_bucket_intelligent_tiering_configurations": {"IsTruncated": False},
    "list_bucket_inventory_configurations": {"IsTruncated": False},
    "list_bucket_metrics_configurations": {"IsTruncated": False},
}
BY_ID = [
    "get_bucket_analytics_configuration",
    "get_bucket_intelligent_tiering_configuration",
    "get_bucket_inventory_configuration",
    "get_bucket_metrics_configuration",
]
# Sub-resource of a bucket -> the outermost element of the answer.
ROOTS = {
    "accelerate": "AccelerateConfiguration",
    "analytics": "ListBucketAnalyticsConfigurationResult",
    "intelligent-tiering": "ListBucketIntelligentTieringConfigurationsOutput",
    "inventory": "ListInventoryConfigurationsResult",
    "logging": "BucketLoggingStatus",
    "metrics": "ListMetricsConfigurationsResult",
    "notification": "NotificationConfiguration",
    "requestPayment": "RequestPaymentConfiguration",
    "versioning": "VersioningConfiguration",
}


@pytest.mark.parametrize("call", ABSENT)
def test_absent(s3, bucket, call):
    assert refused(getattr(s3, call), Bucket=bucket) == ABSENT[call]


@pytest.mark.parametrize("call", EMPTY)
def test_empty(s3, bucket, call):
    found = getattr(s3, call)(Bucket=bucket)
    assert found.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    assert found == EMPTY[call]


@pytest.mark.parametrize("call", BY_ID)
def test_by_id(s3, bucket, call):
    assert refused(getattr(s3, call), Bucket=bucket, Id="a") == (404, "NoSuchConfiguration")


@pytest.mark.parametrize("subresource", ROOTS)
def test_on_the_wire(send, bucket, subresource):
    answer = send("GET", f"/{bucket}", query=f"{subresource}=")
    assert answer.status == 200
    assert f"<{ROOTS[subresource]} xmlns=".encode() in answer.body


def test_a_page_that_never_was(s3, bucket):
    for call in EMPTY:
        if call.startswith("list_"):
            asked = {"Bucket": bucket, "ContinuationToken": "a"}
            assert refused(getattr(s3, call), **asked) == (400, "InvalidArgument")


@pytest.mark.parametrize("call", [*ABSENT, *EMPTY])
def test_a_bucket_that_is_not_there(s3, new_name, call):
    assert refused(getattr(s3, call), Bucket=new_name()) == (404, "NoSuchBucket")


@pytest.mark.parametrize("call", ["get_object_legal_hold", "get_object_retention"])
def test_locks_of_an_object(s3, bucket, call):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    with pytest.raises(ClientError, match="Bucket is missing Object Lock Configuration") as caught:
        getattr(s3, call)(Bucket=bucket, Key="key")
    assert caught.value.response["Error"]["Code"] == "InvalidRequest"
