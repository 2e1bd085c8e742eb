"""Encrypted objects: every kind and size, ranges, what is told, and what is refused."""

import hashlib
import os
import re
from base64 import b64encode

import pytest

from fastobj.core.limits import MIB
from fastobj.objects.frames import PLAIN_BYTES, STORED_BYTES
from tests.s3.calls import refused, with_processes
from tests.s3.encrypting import (
    ENCRYPTED,
    KEY,
    KINDS,
    OTHER_KEY,
    customers,
    md5_of,
    message,
    read,
    told,
)

SIZES = [0, 1, PLAIN_BYTES - 1, PLAIN_BYTES, PLAIN_BYTES + 1, STORED_BYTES, STORED_BYTES + 1]
SIZES += [16 * PLAIN_BYTES, 16 * PLAIN_BYTES + 1, 5 * MIB + 3]
METHOD = "x-amz-server-side-encryption"
CUSTOMER = f"{METHOD}-customer"


def md5(body):
    return hashlib.md5(body).hexdigest()


@pytest.mark.parametrize("kind", ENCRYPTED)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(s3, bucket, kind, size):
    body = os.urandom(size)
    write, reading, expected = KINDS[kind]
    put = s3.put_object(Bucket=bucket, Key="key", Body=body, **write)
    got = s3.get_object(Bucket=bucket, Key="key", **reading)
    head = s3.head_object(Bucket=bucket, Key="key", **reading)
    assert got["Body"].read() == body
    assert told(put) == told(got) == told(head) == expected
    assert got["ContentLength"] == head["ContentLength"] == size
    assert put["ETag"] == got["ETag"] == head["ETag"]
    assert (put["ETag"] == f'"{md5(body)}"') == (kind == "s3")
    assert re.fullmatch('"[0-9a-f]{32}"', put["ETag"])
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["Size"], listed["ETag"]) == (size, put["ETag"])


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_ranges(s3, bucket, kind):
    body = os.urandom(3 * MIB + 17)
    s3.put_object(Bucket=bucket, Key="key", Body=body, **KINDS[kind][0])
    places = [0, 1, PLAIN_BYTES - 1, PLAIN_BYTES, 16 * PLAIN_BYTES, 2 * MIB, len(body) - 1]
    for begin in places:
        for end in (begin, begin + 10, begin + PLAIN_BYTES, len(body) - 1):
            if begin <= end:
                found = read(s3, bucket, "key", kind, Range=f"bytes={begin}-{end}")
                assert found == body[begin : end + 1]
    assert read(s3, bucket, "key", kind, Range="bytes=-5") == body[-5:]


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_checksums_are_of_what_was_sent(s3, bucket, kind):
    """Large bodies of boto3 come in aws-chunked coding, with a trailer."""
    body, (write, reading, _) = os.urandom(2 * MIB), KINDS[kind]
    put = s3.put_object(Bucket=bucket, Key="key", Body=body, ChecksumAlgorithm="SHA256", **write)
    expected = b64encode(hashlib.sha256(body).digest()).decode()
    got = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED", **reading)
    assert got["Body"].read() == body
    assert put["ChecksumSHA256"] == got["ChecksumSHA256"] == expected
    wrong = b64encode(bytes(32)).decode()
    call = {"Bucket": bucket, "Key": "key", "Body": body, "ChecksumSHA256": wrong, **write}
    assert refused(s3.put_object, **call) == (400, "BadDigest")


def test_an_overwrite_takes_nothing_along(s3, bucket):
    for kind in [*KINDS, "plain"]:
        s3.put_object(Bucket=bucket, Key="key", Body=kind.encode(), **KINDS[kind][0])
        assert read(s3, bucket, "key", kind) == kind.encode()
    assert told(s3.head_object(Bucket=bucket, Key="key")) == {}


@with_processes("the store of the server in this process is in memory")
def test_nothing_of_the_body_is_on_the_disk(server, s3, bucket):
    line = b"a line that is easy to find, %d\n"
    body = b"".join([line % number for number in range(20_000)])
    for kind in ENCRYPTED:
        for size in (1000, len(body)):
            s3.put_object(Bucket=bucket, Key=f"{kind}{size}", Body=body[:size], **KINDS[kind][0])
    for path in server.directory.rglob("*"):
        if path.is_file():
            assert b"easy to find" not in path.read_bytes(), path
            assert KEY not in path.read_bytes(), path


# --- customers' keys


def test_a_customers_object_needs_its_key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", **customers(KEY))
    for key in ("key", "empty"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * (key == "key"), **customers(KEY))
        there = {"Bucket": bucket, "Key": key}
        assert refused(s3.get_object, **there) == (400, "InvalidRequest")
        assert refused(s3.head_object, **there) == (400, "400")
        assert refused(s3.get_object, **there, **customers(OTHER_KEY)) == (403, "AccessDenied")
        assert refused(s3.head_object, **there, **customers(OTHER_KEY)) == (403, "403")
    s3.delete_object(Bucket=bucket, Key="key")  # whoever may, needs no key


@pytest.mark.parametrize("kind", ["plain", "s3", "kms"])
def test_other_objects_take_no_key(s3, bucket, kind):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", **KINDS[kind][0])
    there = {"Bucket": bucket, "Key": "key", **customers(KEY)}
    assert refused(s3.get_object, **there) == (400, "InvalidRequest")
    assert refused(s3.head_object, **there) == (400, "400")


GOOD = {
    f"{CUSTOMER}-algorithm": "AES256",
    f"{CUSTOMER}-key": b64encode(KEY).decode(),
    f"{CUSTOMER}-key-md5": md5_of(KEY),
}
SHORT = KEY[:31]
BAD = {
    "no algorithm": ({f"{CUSTOMER}-algorithm": None}, "InvalidArgument"),
    "other algorithm": ({f"{CUSTOMER}-algorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
    "no key": ({f"{CUSTOMER}-key": None}, "InvalidArgument"),
    "no MD5": ({f"{CUSTOMER}-key-md5": None}, "InvalidArgument"),
    "MD5 of another": ({f"{CUSTOMER}-key-md5": md5_of(OTHER_KEY)}, "InvalidArgument"),
    "no MD5 at all": ({f"{CUSTOMER}-key-md5": "x"}, "InvalidArgument"),
    "no base64": ({f"{CUSTOMER}-key": "!" * 44}, "InvalidArgument"),
    "short key": (
        {f"{CUSTOMER}-key": b64encode(SHORT).decode(), f"{CUSTOMER}-key-md5": md5_of(SHORT)},
        "InvalidArgument",
    ),
    "a method too": ({METHOD: "AES256"}, "InvalidArgument"),
    "a key of the service too": ({f"{METHOD}-aws-kms-key-id": "default"}, "InvalidArgument"),
}


@pytest.mark.parametrize("name", BAD)
def test_customers_headers_that_do_not_fit(send, s3, bucket, name):
    changes, code = BAD[name]
    headers = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    answer = send("PUT", f"/{bucket}/key", headers=headers, body=b"body")
    assert (answer.status, answer.code) == (400, code)
    for value in (GOOD[f"{CUSTOMER}-key"], headers.get(f"{CUSTOMER}-key")):
        assert value is None or value.encode() not in answer.body
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert send("PUT", f"/{bucket}/key", headers=GOOD, body=b"body").status == 200


# --- keys of the service


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({METHOD: "AES128"}, 400, "InvalidArgument"),
        ({METHOD: "aes256"}, 400, "InvalidArgument"),
        ({METHOD: ""}, 400, "InvalidArgument"),
        ({METHOD: "aws:kms:dsse"}, 501, "NotImplemented"),
        ({METHOD: "AES256", f"{METHOD}-aws-kms-key-id": "default"}, 400, "InvalidArgument"),
        ({f"{METHOD}-aws-kms-key-id": "default"}, 400, "InvalidArgument"),
        ({f"{METHOD}-context": "e30="}, 400, "InvalidArgument"),
        ({METHOD: "aws:kms", f"{METHOD}-context": "e30"}, 400, "InvalidArgument"),
        ({METHOD: "aws:kms", f"{METHOD}-context": "W10="}, 400, "InvalidArgument"),
        ({METHOD: "aws:kms", f"{METHOD}-context": "eyJhIjoxfQ=="}, 400, "InvalidArgument"),
        ({METHOD: "aws:kms", f"{METHOD}-bucket-key-enabled": "yes"}, 400, "InvalidArgument"),
        ({METHOD: "aws:kms", f"{METHOD}-aws-kms-key-id": "no-key"}, 400, "KMS.NotFoundException"),
    ],
)
def test_headers_that_do_not_fit(send, bucket, headers, status, code):
    answer = send("PUT", f"/{bucket}/key", headers=headers, body=b"body")
    assert (answer.status, answer.code) == (status, code)


def test_a_context_is_kept_and_told(send, s3, bucket):
    context = b64encode(b'{"b": "2", "a": "1"}').decode()
    headers = {METHOD: "aws:kms", f"{METHOD}-context": context}
    headers[f"{METHOD}-bucket-key-enabled"] = "true"
    assert send("PUT", f"/{bucket}/key", headers=headers, body=b"body").status == 200
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["BucketKeyEnabled"] is True
    shown = head["ResponseMetadata"]["HTTPHeaders"][f"{METHOD}-context"]
    assert shown == b64encode(b'{"a":"1","b":"2"}').decode()
    assert read(s3, bucket, "key") == b"body"


def test_an_arn_names_the_key_at_its_end(s3, bucket):
    arn = "arn:aws:kms:us-east-1:123456789012:key/default"
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    assert s3.put_object(Bucket=bucket, Key="key", **write)["SSEKMSKeyId"] == "default"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_does_not_say_a_method(send, s3, bucket, method):
    s3.put_object(Bucket=bucket, Key="key", ServerSideEncryption="AES256")
    assert send(method, f"/{bucket}/key", headers={METHOD: "AES256"}).status == 400


def test_messages_name_the_cure(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", **customers(KEY))
    status, code, text = message(s3.get_object, Bucket=bucket, Key="key")
    assert (status, code) == (400, "InvalidRequest")
    assert "correct parameters must be provided" in text
    write = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "nobody"}
    assert "'nobody' does not exist" in message(s3.put_object, Bucket=bucket, Key="k", **write)[2]


# --- what a user does


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_a_file_is_sent_in_parts_and_fetched_by_ranges(s3, bucket, kind, tmp_path):
    """As boto3 transfers files: several parts at once, and ranges with If-Match."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(21 * MIB + 5))
    s3.upload_file(str(source), bucket, "file", ExtraArgs=KINDS[kind][0])
    s3.download_file(bucket, "file", str(target), ExtraArgs=KINDS[kind][1])
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("attributes", [["ETag"], ["ObjectParts", "ObjectSize"]])
def test_attributes_ask_for_the_customers_key(s3, bucket, attributes):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", **KINDS["customer"][0])
    reading = customers(b64encode(KEY).decode()) | {"SSECustomerKeyMD5": md5_of(KEY)}
    asked = {"Bucket": bucket, "Key": "key", "ObjectAttributes": attributes}
    assert message(s3.get_object_attributes, **asked)[:2] == (400, "InvalidRequest")
    assert set(attributes) & s3.get_object_attributes(**asked, **reading).keys()
