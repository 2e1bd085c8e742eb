"""Put-BucketRequestPayment, -BucketAccelerateConfiguration, -BucketLogging: what is so anyway."""

import pytest

from tests.s3.calls import refused

LOGGED = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": ""}}
CALLS = {
    "payment": (
        "put_bucket_request_payment",
        {"RequestPaymentConfiguration": {"Payer": "BucketOwner"}},
        {"RequestPaymentConfiguration": {"Payer": "Requester"}},
        {"RequestPaymentConfiguration": {"Payer": "Nobody"}},
    ),
    "acceleration": (
        "put_bucket_accelerate_configuration",
        {"AccelerateConfiguration": {"Status": "Suspended"}},
        {"AccelerateConfiguration": {"Status": "Enabled"}},
        {"AccelerateConfiguration": {"Status": "enabled"}},
    ),
    "logging": (
        "put_bucket_logging",
        {"BucketLoggingStatus": {}},
        {"BucketLoggingStatus": LOGGED},
        None,
    ),
}


@pytest.mark.parametrize(("call", "present", "other", "wrong"), CALLS.values(), ids=CALLS)
def test_what_stands(s3, bucket, new_name, call, present, other, wrong):
    put = getattr(s3, call)
    assert put(Bucket=bucket, **present)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refused(put, Bucket=bucket, **other) == (501, "NotImplemented")
    if wrong is not None:
        assert refused(put, Bucket=bucket, **wrong) == (400, "MalformedXML")
    assert refused(put, Bucket=new_name(), **present) == (404, "NoSuchBucket")
