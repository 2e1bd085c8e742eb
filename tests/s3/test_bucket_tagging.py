"""GetBucketTagging, PutBucketTagging, DeleteBucketTagging, and tags named when a bucket is made."""

import pytest

from tests.s3.calls import refused

PAIRS = [("Project", "one"), ("aws", ""), ("spaced key", "Zürich + - = . _ : / @")]


def tag_set(pairs):
    return [{"Key": key, "Value": value} for key, value in pairs]


def put(s3, bucket, pairs):
    return s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_set(pairs)})


def test_put_get_delete(s3, bucket):
    answer = put(s3, bucket, PAIRS)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(PAIRS)
    put(s3, bucket, [("other", "tag")])
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set([("other", "tag")])
    for _ in range(2):
        answer = s3.delete_bucket_tagging(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")


def test_an_empty_set_is_none(s3, bucket):
    put(s3, bucket, PAIRS)
    put(s3, bucket, [])
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")


def test_as_many_as_there_may_be(s3, bucket):
    most = [(f"{number:02}" + "k" * 126, "v" * 256) for number in range(50)]
    put(s3, bucket, most)
    widest = [(f"{number:02}" + "語" * 126, "語" * 256) for number in range(50)]
    put(s3, bucket, widest)
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(widest)


@pytest.mark.parametrize(
    "pairs",
    [
        [(str(number), "") for number in range(51)],
        [("k" * 129, "")],
        [("key", "v" * 257)],
        [("aws:key", "value")],
        [("key", "a"), ("key", "b")],
        [("key!", "")],
    ],
)
def test_what_is_no_set_of_tags(s3, bucket, pairs):
    put(s3, bucket, PAIRS)
    named = {"Bucket": bucket, "Tagging": {"TagSet": tag_set(pairs)}}
    assert refused(s3.put_bucket_tagging, **named) == (400, "InvalidTag")
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(PAIRS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Tagging/>",
        b"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet/><TagSet/></Tagging>",
        b"<Tagging><TagSet/><Unknown/></Tagging>",
        b"<Tags><TagSet/></Tags>",
    ],
)
def test_malformed(send, bucket, body):
    answer = send("PUT", f"/{bucket}", query="tagging=", body=body)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_a_bucket_that_is_made_with_tags(s3, new_name):
    name = new_name()
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": tag_set(PAIRS)})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tag_set(PAIRS)
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert refused(s3.get_bucket_tagging, Bucket=name) == (404, "NoSuchTagSet")
    other = {"Bucket": new_name(), "CreateBucketConfiguration": {"Tags": tag_set([("aws:", "")])}}
    assert refused(s3.create_bucket, **other) == (400, "InvalidTag")
    assert refused(s3.head_bucket, Bucket=other["Bucket"]) == (404, "404")


def test_of_others_and_of_nothing(s3, other_s3, bucket, new_name):
    named = {"Tagging": {"TagSet": tag_set(PAIRS)}}
    assert refused(other_s3.put_bucket_tagging, Bucket=bucket, **named) == (403, "AccessDenied")
    assert refused(s3.put_bucket_tagging, Bucket=new_name(), **named) == (404, "NoSuchBucket")
    assert refused(s3.delete_bucket_tagging, Bucket=new_name()) == (404, "NoSuchBucket")


def test_objects_are_left_alone(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    put(s3, bucket, PAIRS)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"
    assert refused(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tag_set(PAIRS)
