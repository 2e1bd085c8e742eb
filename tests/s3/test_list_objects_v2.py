"""ListObjectsV2: against a model, page by page, and every parameter."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.s3.calls import refused
from tests.s3.listings import LISTED, entries, fill, keys_of, model, prefixes_of


@pytest.fixture(scope="module")
def filled(s3):
    """A bucket with the keys of LISTED."""
    return fill(s3, "test-list-objects-v2")


def pages(s3, **call):
    """All entries, and the number of pages that they came in."""
    found, count, token = [], 0, {}
    while True:
        answer = s3.list_objects_v2(**call, **token)
        assert answer["KeyCount"] == len(entries(answer)) <= call.get("MaxKeys", 1000)
        found += entries(answer)
        count += 1
        if not answer["IsTruncated"]:
            assert "NextContinuationToken" not in answer
            return found, count
        token = {"ContinuationToken": answer["NextContinuationToken"]}


@pytest.mark.parametrize("max_keys", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "b", "//", "é"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "b", "ü", "none"])
def test_pages_are_those_of_the_model(s3, filled, prefix, delimiter, max_keys):
    call = {"Bucket": filled, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": max_keys}
    found, count = pages(s3, **call)
    expected = model(LISTED, prefix, delimiter)
    assert found == expected
    assert count == max(1, -(-len(expected) // max_keys))


def test_random_listings(s3, filled, rng):
    for _ in range(60):
        prefix, delimiter, after = (
            "".join(rng.choices("ab/é ", k=rng.randrange(4))) for _ in range(3)
        )
        call = {"Prefix": prefix, "Delimiter": delimiter, "StartAfter": after}
        found, _ = pages(s3, Bucket=filled, MaxKeys=rng.randrange(1, 9), **call)
        assert found == model(LISTED, prefix, delimiter, after), call


def test_what_an_entry_says(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    (found,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    head = s3.head_object(Bucket=bucket, Key="key")
    assert found["ETag"] == put["ETag"]
    assert found["Size"] == 4
    assert found["StorageClass"] == "STANDARD"
    assert found["LastModified"] == head["LastModified"]
    assert found["ChecksumAlgorithm"] == ["CRC32"]
    assert found["ChecksumType"] == "FULL_OBJECT"
    assert "Owner" not in found
    (owned,) = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    assert owned["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]


def test_optional_attributes_are_passed_over(s3, filled):
    """Nothing here was ever archived, so there is nothing to say of its restoring."""
    asked = {"Bucket": filled, "OptionalObjectAttributes": ["RestoreStatus"]}
    plain = s3.list_objects_v2(Bucket=filled)["Contents"]
    assert s3.list_objects_v2(**asked)["Contents"] == plain
    assert s3.list_objects(**asked)["Contents"][0]["Key"] == plain[0]["Key"]


def test_what_the_answer_repeats(s3, filled):
    answer = s3.list_objects_v2(Bucket=filled, Prefix="a", Delimiter="/", StartAfter="a", MaxKeys=1)
    told = {name: answer[name] for name in ("Name", "Prefix", "Delimiter", "StartAfter", "MaxKeys")}
    assert told == {
        "Name": filled, "Prefix": "a", "Delimiter": "/", "StartAfter": "a", "MaxKeys": 1
    }  # fmt: skip
    bare = s3.list_objects_v2(Bucket=filled)
    assert (bare["Prefix"], bare["MaxKeys"]) == ("", 1000)
    assert {"Delimiter", "StartAfter", "ContinuationToken"}.isdisjoint(bare)


def test_token_goes_before_start_after(s3, filled):
    first = s3.list_objects_v2(Bucket=filled, MaxKeys=3)
    token = first["NextContinuationToken"]
    second = s3.list_objects_v2(Bucket=filled, ContinuationToken=token, StartAfter="zzz")
    assert keys_of(first) + keys_of(second) == keys_of(s3.list_objects_v2(Bucket=filled))
    assert (second["ContinuationToken"], second["StartAfter"]) == (token, "zzz")


def test_start_after_need_not_be_there(s3, filled):
    call = {"Bucket": filled, "Delimiter": "/"}
    for after in ("a", "a/", "a/b", "a/zzz", "b0", "\U0001f600", "z"):
        found = entries(s3.list_objects_v2(**call, StartAfter=after))
        assert found == model(LISTED, "", "/", after)


def test_empty_parameters(send, filled):
    query = "list-type=2&prefix=&delimiter=&continuation-token=&start-after=&max-keys="
    answer = send("GET", f"/{filled}", query=query)
    assert answer.status == 200
    assert answer.body.count(b"<Contents>") == len(LISTED)
    assert b"<Delimiter>" not in answer.body


@pytest.mark.parametrize(
    "query",
    ["max-keys=-1", "max-keys=many", "max-keys=1.5", "max-keys=2147483648", "encoding-type=xml",
     "continuation-token=x", "continuation-token=%C3%BC", "continuation-token=AAAA"],
)  # fmt: skip
def test_bad_parameters(send, filled, query):
    answer = send("GET", f"/{filled}", query=f"list-type=2&{query}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_max_keys_at_its_ends(s3, filled):
    none = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"], entries(none)) == (0, False, [])
    many = s3.list_objects_v2(Bucket=filled, MaxKeys=100_000)
    assert (many["KeyCount"], many["MaxKeys"]) == (len(LISTED), 1000)


def test_empty_bucket(s3, bucket):
    for asked in ({}, {"Prefix": "a"}, {"Delimiter": "/"}):
        answer = s3.list_objects_v2(Bucket=bucket, **asked)
        assert (answer["KeyCount"], answer["IsTruncated"], entries(answer)) == (0, False, [])
        assert {"Contents", "CommonPrefixes", "NextContinuationToken"}.isdisjoint(answer)


def test_more_than_a_page(s3, bucket):
    keys = [f"{number % 3}/{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys))
    found, count = pages(s3, Bucket=bucket)
    assert [name for name, _ in found] == sorted(keys)
    assert count == 2
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert prefixes_of(answer) == ["0/", "1/", "2/"]


def test_encoding(send, bucket, s3):
    for key in ("foo+1/bar", "quux ab/thud", "asdf+b", "ü%/x", "new\nline"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    answer = send("GET", f"/{bucket}", query="delimiter=%2F&encoding-type=url&list-type=2")
    for encoded in (b"asdf%2Bb", b"foo%2B1/", b"quux%20ab/", b"%C3%BC%25/", b"new%0Aline"):
        assert b">" + encoded + b"<" in answer.body
    assert b"<EncodingType>url</EncodingType>" in answer.body
    plain = send("GET", f"/{bucket}", query="delimiter=%2F&list-type=2")
    assert "<Prefix>ü%/</Prefix>".encode() in plain.body
    assert b"EncodingType" not in plain.body


def test_no_bucket(s3, new_name):
    assert refused(s3.list_objects_v2, Bucket=new_name()) == (404, "NoSuchBucket")
