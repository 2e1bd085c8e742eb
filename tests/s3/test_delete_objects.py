"""DeleteObjects: a result for each key, quiet or not, and documents that are refused."""

import hashlib
import zlib
from base64 import b64decode, b64encode
from datetime import timedelta

import pytest

from tests.s3.calls import refused
from tests.s3.versioned import put, read, set_status, stack

ONE = b"<Delete><Object><Key>a</Key></Object></Delete>"


def delete(s3, bucket, *keys, **more):
    return s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], **more}
    )


def keys_of(answer, name="Deleted"):
    return [found["Key"] for found in answer.get(name, [])]


def listed(s3, bucket):
    return keys_of(s3.list_objects_v2(Bucket=bucket), "Contents")


def fill(s3, bucket, *keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def test_delete(s3, bucket):
    keys = ["a", "a/b", "ü", " x ", "a&b<c>", "..", "new\nline", "stays"]
    fill(s3, bucket, *keys)
    answer = delete(s3, bucket, *keys[:-1], "never")
    assert keys_of(answer) == [*keys[:-1], "never"]
    assert "Errors" not in answer
    assert listed(s3, bucket) == ["stays"]


def test_quiet(s3, bucket):
    fill(s3, bucket, "a", "b")
    answer = delete(s3, bucket, "a", "b", Quiet=True)
    assert "Deleted" not in answer
    assert listed(s3, bucket) == []


def test_thousand_and_one_more(s3, bucket):
    keys = [f"key-{number:04}" for number in range(1001)]
    fill(s3, bucket, *keys[::100])
    document = {"Objects": [{"Key": key} for key in keys]}
    assert refused(s3.delete_objects, Bucket=bucket, Delete=document) == (400, "MalformedXML")
    assert len(listed(s3, bucket)) == 11
    assert keys_of(delete(s3, bucket, *keys[:1000])) == keys[:1000]
    assert listed(s3, bucket) == ["key-1000"]


def test_repeated_key(s3, bucket):
    fill(s3, bucket, "a")
    assert keys_of(delete(s3, bucket, "a", "b", "a")) == ["a", "b", "a"]


def test_results_differ_by_key(s3, bucket):
    fill(s3, bucket, "right", "wrong")
    etag = hashlib.md5(b"right").hexdigest()
    objects = [
        {"Key": "right", "ETag": f'"{etag}"'},
        {"Key": "wrong", "ETag": etag},
        {"Key": "none", "ETag": etag},
        {"Key": "null", "VersionId": "null"},
        {"Key": "version", "VersionId": "other"},
        {"Key": "x" * 1025},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": False})
    assert keys_of(answer) == ["right", "null"]
    assert {found["Key"][:7]: found["Code"] for found in answer["Errors"]} == {
        "wrong": "PreconditionFailed",
        "none": "NoSuchKey",
        "version": "NoSuchVersion",
        "x" * 7: "KeyTooLongError",
    }
    assert listed(s3, bucket) == ["wrong"]


def test_date_and_size(s3, bucket):
    keys = ["size", "other size", "date", "other date", "all", "none"]
    fill(s3, bucket, *keys[:-1])
    date = {key: s3.head_object(Bucket=bucket, Key=key)["LastModified"] for key in keys[:-1]}
    objects = [
        {"Key": "size", "Size": 4},
        {"Key": "other size", "Size": 4},
        {"Key": "date", "LastModifiedTime": date["date"]},
        {"Key": "other date", "LastModifiedTime": date["other date"] - timedelta(seconds=1)},
        {
            "Key": "all",
            "ETag": hashlib.md5(b"all").hexdigest(),
            "Size": 3,
            "LastModifiedTime": date["all"],
        },
        {"Key": "none", "Size": 9, "LastModifiedTime": date["all"]},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert keys_of(answer) == ["size", "date", "all", "none"]
    failed = [(found["Key"], found["Code"]) for found in answer["Errors"]]
    assert failed == [(key, "PreconditionFailed") for key in ("other size", "other date")]


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ("<LastModifiedTime>yesterday</LastModifiedTime>", "MalformedXML"),
        ("<Size>x</Size>", "MalformedXML"),
        ("<Size>1</Size>", None),
        ("<LastModifiedTime>2020-01-01T00:00:00.000Z</LastModifiedTime>", None),
    ],
)
def test_text_of_date_and_size(send, s3, bucket, element, code):
    fill(s3, bucket, "key")
    body = f"<Delete><Object><Key>key</Key>{element}</Object></Delete>".encode()
    sent = {"Content-MD5": b64encode(hashlib.md5(body).digest()).decode()}
    answer = send("POST", f"/{bucket}", query="delete=", headers=sent, body=body)
    assert answer.code == (code or "PreconditionFailed")
    assert listed(s3, bucket) == ["key"]


def post(send, bucket, body, **headers):
    sent = {"Content-MD5": b64encode(hashlib.md5(body).digest()).decode(), **headers}
    return send("POST", f"/{bucket}", query="delete=", headers=sent, body=body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Delete></Delete>",
        b"<Delete><Object></Object></Delete>",
        b"<Delete><Object><Key></Key></Object></Delete>",
        b"<Other><Object><Key>a</Key></Object></Other>",
        b"not XML",
        b'<!DOCTYPE d [<!ENTITY e "a">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    ],
)
def test_malformed(send, bucket, body):
    answer = post(send, bucket, body)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_as_other_clients_write_it(send, s3, bucket):
    fill(s3, bucket, "a", "b")
    body = b"<?xml version='1.0'?>\n<Delete>\n <Quiet>false</Quiet>\n"
    body += b"<Object><Key>a</Key><Unknown>1</Unknown></Object>\n</Delete>"
    answer = post(send, bucket, body)
    assert answer.status == 200
    assert b"<Key>a</Key>" in answer.body
    assert listed(s3, bucket) == ["b"]


CRC = b64encode(zlib.crc32(ONE).to_bytes(4, "big")).decode()
SHA1, SHA256 = (b64encode(made(ONE).digest()).decode() for made in (hashlib.sha1, hashlib.sha256))
MD5 = b64encode(hashlib.md5(ONE).digest()).decode()


@pytest.mark.parametrize(
    "digests",
    [
        {"content-md5": MD5},
        {"x-amz-checksum-crc32": CRC},
        {"x-amz-checksum-sha1": SHA1},
        {"x-amz-checksum-sha256": SHA256},
        {"x-amz-checksum-sha256": SHA256, "content-md5": MD5},
        {"x-amz-checksum-crc32": CRC, "x-amz-sdk-checksum-algorithm": "CRC32"},
    ],
    ids="+".join,
)
def test_any_digest_will_do(send, s3, bucket, digests):
    """And each that is sent must be right."""
    fill(s3, bucket, "a")
    for name in digests:
        if name != "x-amz-sdk-checksum-algorithm":
            raw = b64decode(digests[name])
            wrong = {**digests, name: b64encode(bytes(len(raw))).decode()}
            answer = send("POST", f"/{bucket}", query="delete=", headers=wrong, body=ONE)
            assert (answer.status, answer.code) == (400, "BadDigest")
            assert listed(s3, bucket) == ["a"]
    answer = send("POST", f"/{bucket}", query="delete=", headers=digests, body=ONE)
    assert answer.status == 200
    assert listed(s3, bucket) == []


def test_body_that_breaks_its_promise(send, s3, bucket):
    fill(s3, bucket, "a")
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    wrong = b64encode(hashlib.md5(b"other").digest()).decode()
    answer = post(send, bucket, body, **{"Content-MD5": wrong})
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert listed(s3, bucket) == ["a"]


def test_no_bucket(s3, new_name):
    document = {"Objects": [{"Key": "a"}]}
    call = {"Bucket": new_name(), "Delete": document}
    assert refused(s3.delete_objects, **call) == (404, "NoSuchBucket")


def test_conditions_on_versions(s3, bucket):
    """They are on the version that is named, and on the current object where none is."""
    set_status(s3, bucket, "Enabled")
    old, new = put(s3, bucket, body=b"old one"), put(s3, bucket, body=b"new")
    etags = {body: hashlib.md5(body).hexdigest() for body in (b"old one", b"new")}
    date = s3.head_object(Bucket=bucket, Key="key", VersionId=old)["LastModified"]
    refusals = [
        {"Key": "key", "VersionId": old, "ETag": etags[b"new"]},
        {"Key": "key", "VersionId": old, "Size": 3},
        {"Key": "key", "VersionId": old, "LastModifiedTime": date - timedelta(seconds=1)},
        {"Key": "key", "ETag": etags[b"old one"]},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": refusals})
    assert [found["Code"] for found in answer["Errors"]] == ["PreconditionFailed"] * 4
    assert [found.get("VersionId") for found in answer["Errors"]] == [old, old, old, None]
    assert read(s3, bucket) == b"new"
    wanted = [
        {"Key": "key", "VersionId": old, "ETag": etags[b"old one"], "Size": 7},
        {"Key": "key", "ETag": etags[b"new"]},
        {"Key": "key", "ETag": etags[b"new"]},  # by then a delete marker is the latest
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    deleted = answer["Deleted"]
    assert [(found.get("VersionId"), found.get("DeleteMarker")) for found in deleted] == [
        (old, None),
        (None, True),
    ]
    assert [found["Code"] for found in answer["Errors"]] == ["NoSuchKey"]
    assert stack(s3.list_object_versions(Bucket=bucket)) == [
        [("key", new, False)],
        [("key", deleted[1]["DeleteMarkerVersionId"], True)],
    ]
