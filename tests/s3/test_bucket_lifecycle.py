"""Get-, PutBucketLifecycleConfiguration, DeleteBucketLifecycle: rules, and what is none."""

from datetime import UTC, datetime

import pytest

from tests.s3.calls import refused

EXPIRY = {"Expiration": {"Days": 1}}
MIDNIGHT = datetime(2030, 1, 2, tzinfo=UTC)


def rule(id="one", where=None, status="Enabled", **actions):
    where = {"Filter": {"Prefix": "logs/"}} if where is None else where
    return {"ID": id, "Status": status, **where, **(actions or EXPIRY)}


def matching(**filter):
    return {"Filter": filter}


def tag(key, value=""):
    return {"Key": key, "Value": value}


GOOD = {
    "days": rule(),
    "date": rule(Expiration={"Date": MIDNIGHT}),
    "disabled": rule(status="Disabled"),
    "markers": rule(Expiration={"ExpiredObjectDeleteMarker": True}),
    "noncurrent": rule(NoncurrentVersionExpiration={"NoncurrentDays": 3}),
    "noncurrent and kept": rule(
        NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 100}
    ),
    "abort": rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}),
    "all of it": rule(
        Expiration={"Days": 2**31 - 1},
        NoncurrentVersionExpiration={"NoncurrentDays": 1},
        AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
    ),
    "long id": rule(id="i" * 255),
    "legacy prefix": rule(where={"Prefix": "logs/"}),
    "legacy prefix of nothing": rule(where={"Prefix": ""}),
    "empty filter": rule(where=matching()),
    "empty prefix": rule(where=matching(Prefix="")),
    "longest prefix": rule(where=matching(Prefix="é" * 512)),
    "tag": rule(where=matching(Tag=tag("key", "value"))),
    "larger": rule(where=matching(ObjectSizeGreaterThan=0)),
    "smaller": rule(where=matching(ObjectSizeLessThan=1)),
    "all conditions": rule(
        where=matching(
            And={
                "Prefix": "logs/",
                "Tags": [tag("a", "1"), tag("b")],
                "ObjectSizeGreaterThan": 500,
                "ObjectSizeLessThan": 502,
            }
        )
    ),
    "tags alone": rule(where=matching(And={"Tags": [tag("a"), tag("b")]})),
}


def put(s3, bucket, *rules, **more):
    return s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}, **more
    )


def shown(s3, bucket):
    return s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]


def test_put_get_delete(s3, bucket):
    none = (404, "NoSuchLifecycleConfiguration")
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == none
    put(s3, bucket, rule("one"), rule("two"))
    assert shown(s3, bucket) == [rule("one"), rule("two")]
    put(s3, bucket, rule("three"))
    assert shown(s3, bucket) == [rule("three")]
    for _ in range(2):
        answer = s3.delete_bucket_lifecycle(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == none


def test_rules_come_back_as_they_were(s3, bucket):
    rules = [{**row, "ID": row["ID"][:-1] + chr(97 + at)} for at, row in enumerate(GOOD.values())]
    put(s3, bucket, *rules)
    assert shown(s3, bucket) == rules


@pytest.mark.parametrize("row", GOOD.values(), ids=GOOD)
def test_each_alone(s3, bucket, row):
    put(s3, bucket, row)
    assert shown(s3, bucket) == [row]


def test_rules_without_an_id_get_one(s3, bucket):
    put(s3, bucket, *[{**rule(), "ID": ""}, {key: rule()[key] for key in rule() if key != "ID"}])
    found = shown(s3, bucket)
    assert len({row["ID"] for row in found} - {""}) == 2
    assert shown(s3, bucket) == found


def test_a_thousand_rules(s3, bucket):
    rules = [rule(id=f"rule {number}") for number in range(1000)]
    put(s3, bucket, *rules)
    assert shown(s3, bucket) == rules


KEPT = "NoncurrentVersionExpiration"
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
MARKERS = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
BAD = {
    "long id": (rule(id="i" * 256), "InvalidArgument"),
    "status": (rule(status="enabled"), "MalformedXML"),
    "no filter": (rule(where={}), "MalformedXML"),
    "filter and prefix": (rule(where={"Prefix": "a", "Filter": {"Prefix": "a"}}), "MalformedXML"),
    "two conditions": (rule(where=matching(Prefix="a", Tag=tag("a"))), "MalformedXML"),
    "nothing in And": (rule(where=matching(And={})), "MalformedXML"),
    "long prefix": (rule(where=matching(Prefix="é" * 512 + "e")), "InvalidRequest"),
    "tag twice": (rule(where=matching(And={"Tags": [tag("a"), tag("a")]})), "InvalidRequest"),
    "bad tag": (rule(where=matching(Tag=tag("a!"))), "InvalidTag"),
    "negative size": (rule(where=matching(ObjectSizeGreaterThan=-1)), "InvalidRequest"),
    "below nothing": (rule(where=matching(ObjectSizeLessThan=0)), "InvalidRequest"),
    "sizes that none has": (
        rule(where=matching(And={"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 6})),
        "InvalidRequest",
    ),
    "no action": ({**rule(), "Expiration": {}}, "MalformedXML"),
    "no action at all": (rule(Transitions=[]), "InvalidRequest"),
    "no days": (rule(Expiration={"Days": 0}), "InvalidArgument"),
    "negative days": (rule(Expiration={"Days": -1}), "InvalidArgument"),
    "many days": (rule(Expiration={"Days": 2**31}), "InvalidArgument"),
    "days and date": (rule(Expiration={"Days": 1, "Date": MIDNIGHT}), "MalformedXML"),
    "noon": (rule(Expiration={"Date": MIDNIGHT.replace(hour=12)}), "InvalidArgument"),
    "a second late": (rule(Expiration={"Date": MIDNIGHT.replace(second=1)}), "InvalidArgument"),
    "markers and days": (
        rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True}),
        "MalformedXML",
    ),
    "markers with a tag": (rule(where=matching(Tag=tag("a")), **MARKERS), "InvalidRequest"),
    "markers of a size": (
        rule(where=matching(ObjectSizeLessThan=9), **MARKERS),
        "InvalidRequest",
    ),
    "abort with a tag": (rule(where=matching(Tag=tag("a")), **ABORT), "InvalidRequest"),
    "abort of a size": (rule(where=matching(ObjectSizeGreaterThan=9), **ABORT), "InvalidRequest"),
    "abort at once": (
        rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0}),
        "InvalidArgument",
    ),
    "noncurrent at once": (rule(**{KEPT: {"NoncurrentDays": 0}}), "InvalidArgument"),
    "kept without days": (rule(**{KEPT: {"NewerNoncurrentVersions": 1}}), "MalformedXML"),
    "none kept": (
        rule(**{KEPT: {"NoncurrentDays": 1, "NewerNoncurrentVersions": 0}}),
        "InvalidArgument",
    ),
    "too many kept": (
        rule(**{KEPT: {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}),
        "InvalidArgument",
    ),
    "kept without a filter": (
        rule(where={"Prefix": "a"}, **{KEPT: {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}}),
        "InvalidRequest",
    ),
    "transition": (
        rule(Transitions=[{"Days": 30, "StorageClass": "GLACIER"}]),
        "InvalidStorageClass",
    ),
    "transition beside another action": (
        rule(Transitions=[{"Date": MIDNIGHT, "StorageClass": "STANDARD_IA"}], **EXPIRY),
        "InvalidStorageClass",
    ),
    "noncurrent transition": (
        rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]),
        "InvalidStorageClass",
    ),
    "transition to no class": (
        rule(Transitions=[{"Days": 30, "StorageClass": "STANDARD"}]),
        "MalformedXML",
    ),
    "transition at no time": (rule(Transitions=[{"StorageClass": "GLACIER"}]), "MalformedXML"),
    "transition before": (
        rule(Transitions=[{"Days": -1, "StorageClass": "GLACIER"}]),
        "InvalidArgument",
    ),
    "transition at noon": (
        rule(Transitions=[{"Date": MIDNIGHT.replace(hour=12), "StorageClass": "GLACIER"}]),
        "InvalidArgument",
    ),
}


@pytest.mark.parametrize(("row", "code"), BAD.values(), ids=BAD)
def test_what_is_refused(s3, bucket, row, code):
    put(s3, bucket, rule("kept"))
    for rules in ([row], [rule("other"), row]):
        named = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": rules}}
        assert refused(s3.put_bucket_lifecycle_configuration, **named) == (400, code)
    assert shown(s3, bucket) == [rule("kept")]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([rule(str(number)) for number in range(1001)], "MalformedXML"),
        ([rule("one"), rule("two"), rule("one")], "InvalidArgument"),
    ],
)
def test_what_no_rule_can_tell(s3, bucket, rules, code):
    named = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": rules}}
    assert refused(s3.put_bucket_lifecycle_configuration, **named) == (400, code)


@pytest.mark.parametrize(
    "inner",
    [
        "<Expiration><Date>20300102</Date></Expiration>",
        "<Expiration><Days>one</Days></Expiration>",
        "<Expiration><Days>1</Days></Expiration><Unknown/>",
        "<Expiration><Days>1</Days><Days>2</Days></Expiration>",
        "<AbortIncompleteMultipartUpload/>",
        "<NoncurrentVersionExpiration/>",
    ],
)
def test_malformed(send, bucket, inner):
    row = f"<Rule><Prefix/><Status>Enabled</Status>{inner}</Rule>"
    body = f"<LifecycleConfiguration>{row}</LifecycleConfiguration>".encode()
    answer = send("PUT", f"/{bucket}", query="lifecycle=", body=body)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_the_smallest_object_that_would_move(s3, bucket):
    name = "TransitionDefaultMinimumObjectSize"
    default, other = "all_storage_classes_128K", "varies_by_storage_class"
    assert put(s3, bucket, rule())[name] == default
    assert put(s3, bucket, rule(), **{name: other})[name] == other
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)[name] == other
    put(s3, bucket, rule())
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)[name] == default
    named = {"LifecycleConfiguration": {"Rules": [rule()]}, name: "none"}
    call = s3.put_bucket_lifecycle_configuration
    assert refused(call, Bucket=bucket, **named) == (400, "InvalidArgument")
