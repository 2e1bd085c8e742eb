"""GetBucketNotificationConfiguration, PutBucketNotificationConfiguration."""

import pytest
from botocore.exceptions import ClientError

from tests.s3.calls import refused
from tests.s3.conftest import WEBHOOKS

ARNS = [f"arn:fastobj:sqs::{hook['id']}:webhook" for hook in WEBHOOKS]


def queue(id="one", arn=ARNS[0], events=("s3:ObjectCreated:*",), **filter):
    rules = [{"Name": name, "Value": value} for name, value in filter.items()]
    filtered = {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}
    return {"Id": id, "QueueArn": arn, "Events": list(events), **filtered}


def asked(bucket, *rows, **more):
    return {"Bucket": bucket, "NotificationConfiguration": {"QueueConfigurations": rows, **more}}


def shown(s3, bucket):
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    del found["ResponseMetadata"]
    return found


def test_put_get_clear(s3, bucket):
    assert shown(s3, bucket) == {}
    rows = [
        queue(Prefix="a/", Suffix=".jpg"),
        queue("two", ARNS[1], ["s3:ObjectRemoved:*", "s3:ObjectTagging:Put"], Prefix=""),
        queue("three", Prefix="b/"),
    ]
    s3.put_bucket_notification_configuration(**asked(bucket, *rows))
    assert shown(s3, bucket) == {"QueueConfigurations": rows}
    for _ in range(2):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        assert shown(s3, bucket) == {}


def test_names_of_filters_in_any_case_and_ids_that_are_missing(s3, bucket):
    row = queue(prefix="a", SUFFIX="b")
    s3.put_bucket_notification_configuration(**asked(bucket, {**row, "Id": ""}))
    (found,) = shown(s3, bucket)["QueueConfigurations"]
    assert found == {**queue(Prefix="a", Suffix="b"), "Id": found["Id"]}
    assert found["Id"]


@pytest.mark.parametrize(
    "rows",
    [
        [queue(arn="arn:fastobj:sqs::unknown:webhook")],
        [queue(arn="arn:aws:sqs:us-east-1:123456789012:queue")],
        [queue(arn="one")],
        [queue(events=["s3:Unknown"])],
        [queue(Middle="a")],
        [queue(Prefix="a", prefix="b")],
        [queue(), queue("two", ARNS[1])],
        [queue(), queue("one", events=["s3:ObjectRemoved:*"])],
    ],
)
def test_what_is_refused(s3, bucket, rows):
    s3.put_bucket_notification_configuration(**asked(bucket, queue("kept")))
    refusal = refused(s3.put_bucket_notification_configuration, **asked(bucket, *rows))
    assert refusal == (400, "InvalidArgument")
    assert shown(s3, bucket) == {"QueueConfigurations": [queue("kept")]}


def test_an_unknown_target_is_named(s3, bucket):
    arn = "arn:fastobj:sqs::unknown:webhook"
    with pytest.raises(ClientError, match="Unable to validate the following dest") as caught:
        s3.put_bucket_notification_configuration(**asked(bucket, queue(arn=arn)))
    assert caught.value.response["Error"]["ArgumentName"] == arn


def test_other_kinds_of_targets(s3, bucket):
    events = ["s3:ObjectCreated:*"]
    put = s3.put_bucket_notification_configuration
    topic = {"TopicArn": "arn:aws:sns:us-east-1:1:topic", "Events": events}
    function = {"LambdaFunctionArn": "arn:aws:lambda:us-east-1:1:function:f", "Events": events}
    call = asked(bucket, TopicConfigurations=[topic])
    assert refused(put, **call) == (400, "InvalidArgument")
    call = asked(bucket, LambdaFunctionConfigurations=[function])
    assert refused(put, **call) == (400, "InvalidArgument")
    call = asked(bucket, EventBridgeConfiguration={})
    assert refused(put, **call) == (501, "NotImplemented")
    call = asked(bucket, queue()) | {"SkipDestinationValidation": True}
    assert refused(put, **call) == (501, "NotImplemented")
    put(**asked(bucket, queue()), SkipDestinationValidation=False)


@pytest.mark.parametrize(
    "inner",
    [
        f"<QueueConfiguration><Queue>{ARNS[0]}</Queue></QueueConfiguration>",
        "<QueueConfiguration><Event>s3:ObjectCreated:*</Event></QueueConfiguration>",
        "<Unknown/>",
    ],
)
def test_malformed(send, bucket, inner):
    body = f"<NotificationConfiguration>{inner}</NotificationConfiguration>".encode()
    answer = send("PUT", f"/{bucket}", query="notification=", body=body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
