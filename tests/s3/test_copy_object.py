"""CopyObject: sizes, spellings of the source, headers, checksums, conditions, owners, races."""

import base64
import hashlib
import os
import random
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
from botocore.exceptions import ClientError

from fastobj._ext.crc import crc32c
from tests.s3.calls import refused
from tests.s3.conftest import OTHER, client_of

KIB, MIB = 1024, 1024 * 1024
SIZES = [0, 1, 64 * KIB, 64 * KIB + 1, 5 * MIB + 3, 65 * MIB]
KEYS = [
    "a b", "a+b", "a%2Bb", "%", "a?b#c&d=e", "?versionId=null", "/a", "//", "..", "../x/a", "ü",
    "\U0001f600/é", "new\nline", "x" * 1024, "'\"<>&", "~!@$^*()_=-", " ", "+",
]  # fmt: skip
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def b64(raw):
    return base64.b64encode(raw).decode()


def read(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.fixture
def source(s3, bucket):
    """An object with all that a copy takes along; its ETag."""
    answer = s3.put_object(
        Bucket=bucket, Key="source", Body=b"body", Metadata={"n": "v"}, CacheControl="max-age=1",
        ContentType="text/plain", ContentEncoding="gzip",
    )  # fmt: skip
    return answer["ETag"]


@pytest.fixture
def copy(s3, bucket, source):
    """Copies that object to the key `copy`, or to another one."""

    def call(**arguments):
        arguments = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/source"} | arguments
        return s3.copy_object(**arguments)

    return call


@pytest.fixture
def refusal(s3, bucket, source):
    """What such a copy is refused with."""

    def call(**arguments):
        arguments = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/source"} | arguments
        return refused(s3.copy_object, **arguments)

    return call


@pytest.mark.parametrize("size", SIZES)
def test_sizes(s3, bucket, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="source", Body=body)
    answer = s3.copy_object(
        Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "source"}
    )
    found = answer["CopyObjectResult"]
    assert found["ETag"] == put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert found["ChecksumCRC32"] == b64(zlib.crc32(body).to_bytes(4, "big"))
    assert found["ChecksumType"] == "FULL_OBJECT"
    assert "VersionId" not in answer
    assert "CopySourceVersionId" not in answer
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["ETag"], head["ContentLength"]) == (put["ETag"], size)
    assert head["LastModified"] == found["LastModified"].replace(microsecond=0)
    s3.delete_object(Bucket=bucket, Key="source")
    assert read(s3, bucket, "copy") == body
    if size:
        ranged = s3.get_object(Bucket=bucket, Key="copy", Range="bytes=-1")
        assert ranged["Body"].read() == body[-1:]


@pytest.mark.parametrize("key", KEYS)
def test_keys(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for source in (
        {"Bucket": bucket, "Key": key},
        {"Bucket": bucket, "Key": key, "VersionId": "null"},
    ):
        s3.copy_object(Bucket=bucket, Key="copy of it", CopySource=source)
        assert read(s3, bucket, "copy of it") == key.encode()
        s3.delete_object(Bucket=bucket, Key="copy of it")


SPELLINGS = [
    "{bucket}/{key}", "/{bucket}/{key}", "%2F{bucket}%2F{key}", "{bucket}%2f{key}",
    "{bucket}/{key}?versionId=null", "/{bucket}/{key}?versionId=null",
]  # fmt: skip
ENCODINGS = [quote, quote_plus, lambda key: "".join(f"%{byte:02x}" for byte in key.encode())]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("encode", ENCODINGS)
def test_spellings(s3, send, bucket, spelling, encode):
    key = "d e/ü+&?=%41"
    s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    value = spelling.format(bucket=bucket, key=encode(key))
    answer = send("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": value})
    assert answer.status == 200, answer.body
    assert read(s3, bucket, "copy") == b"body"


def test_the_answer(send, s3, bucket, source):
    answer = send("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": f"{bucket}/source"})
    assert answer.headers["content-type"] == "application/xml"
    text = answer.body.decode()
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert re.search(
        '<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<ETag>&quot;[0-9a-f]{32}&quot;</ETag><LastModified>[^<]*Z</LastModified>", text,
    )  # fmt: skip


def test_across_buckets(s3, bucket, new_name, source):
    other = new_name()
    s3.create_bucket(Bucket=other)
    s3.copy_object(Bucket=other, Key="copy", CopySource=f"{bucket}/source")
    s3.delete_object(Bucket=bucket, Key="source")
    s3.delete_bucket(Bucket=bucket)
    assert read(s3, other, "copy") == b"body"
    s3.create_bucket(Bucket=bucket)


# --- headers


def test_metadata_is_copied(s3, bucket, copy):
    copy(Metadata={"other": "1"}, ContentType="a/b")  # without REPLACE these count for nothing
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert head["Metadata"] == {"n": "v"}
    assert (head["ContentType"], head["CacheControl"]) == ("text/plain", "max-age=1")
    assert head["ContentEncoding"] == "gzip"
    copy(MetadataDirective="COPY")


def test_metadata_is_replaced(s3, bucket, copy):
    copy(MetadataDirective="REPLACE", Metadata={"other": "1"}, ContentType="a/b")
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert head["Metadata"] == {"other": "1"}
    assert head["ContentType"] == "a/b"
    assert "CacheControl" not in head
    copy(MetadataDirective="REPLACE")
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["Metadata"], head["ContentType"]) == ({}, "binary/octet-stream")


def test_onto_itself(s3, bucket, copy, refusal):
    assert refusal(Key="source") == (400, "InvalidRequest")
    assert refusal(Key="source", MetadataDirective="COPY") == (400, "InvalidRequest")
    copy(Key="source", MetadataDirective="REPLACE", Metadata={"mode": "33188", "mtime": "1"})
    head = s3.head_object(Bucket=bucket, Key="source")
    assert head["Metadata"] == {"mode": "33188", "mtime": "1"}
    assert read(s3, bucket, "source") == b"body"
    copy(Key="source", StorageClass="STANDARD")
    assert s3.head_object(Bucket=bucket, Key="source")["Metadata"]["mtime"] == "1"


def test_refused_headers(refusal):
    assert refusal(MetadataDirective="KEEP") == (400, "InvalidArgument")
    assert refusal(TaggingDirective="KEEP") == (400, "InvalidArgument")
    assert refusal(StorageClass="GLACIER") == (400, "InvalidStorageClass")
    assert refusal(ChecksumAlgorithm="MD4") == (400, "InvalidRequest")
    wrong = {"TaggingDirective": "REPLACE", "Tagging": "a=b&a=c"}
    assert refusal(**wrong) == (400, "InvalidArgument")
    assert refusal(ACL="everybody") == (400, "InvalidArgument")
    assert refusal(ServerSideEncryption="aws:kms:dsse") == (501, "NotImplemented")
    large = {"MetadataDirective": "REPLACE", "Metadata": {"x": "y" * 2048}}
    assert refusal(**large) == (400, "MetadataTooLarge")


def test_harmless_headers(copy):
    for directive in ("COPY", "REPLACE"):
        copy(TaggingDirective=directive, StorageClass="STANDARD", ACL="private")


def test_a_copy_takes_no_access_control_list_along(s3, bucket, copy):
    s3.put_object_acl(Bucket=bucket, Key="source", ACL="public-read")
    for named, grants in (({}, 1), ({"ACL": "authenticated-read"}, 2)):
        copy(**named)
        assert len(s3.get_object_acl(Bucket=bucket, Key="copy")["Grants"]) == grants
    s3.put_object_acl(Bucket=bucket, Key="copy", ACL="public-read-write")  # of a shared body
    assert read(s3, bucket, "copy") == read(s3, bucket, "source") == b"body"
    assert len(s3.get_object_acl(Bucket=bucket, Key="source")["Grants"]) == 2


# --- checksums


def test_a_checksum_that_is_stored_is_kept(s3, bucket, copy):
    stored = b64(zlib.crc32(b"body").to_bytes(4, "big"))
    assert copy()["CopyObjectResult"]["ChecksumCRC32"] == stored
    assert copy(ChecksumAlgorithm="CRC32")["CopyObjectResult"]["ChecksumCRC32"] == stored
    head = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == stored


@pytest.mark.parametrize("size", [0, 4, 70 * KIB, 3 * MIB + 1])
def test_another_checksum_is_computed(s3, bucket, size):
    body = os.urandom(size)
    etag = s3.put_object(Bucket=bucket, Key="source", Body=body)["ETag"]
    wanted = {
        "SHA256": hashlib.sha256(body).digest(),
        "SHA1": hashlib.sha1(body).digest(),
        "CRC32C": crc32c(body).to_bytes(4, "big"),
    }
    for name, value in wanted.items():
        arguments = {"CopySource": f"{bucket}/source", "ChecksumAlgorithm": name}
        found = s3.copy_object(Bucket=bucket, Key="copy", **arguments)["CopyObjectResult"]
        assert (found["ETag"], found[f"Checksum{name}"]) == (etag, b64(value))
        assert "ChecksumCRC32" not in found
        head = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
        assert head[f"Checksum{name}"] == b64(value)
    s3.copy_object(
        Bucket=bucket, Key="source", CopySource=f"{bucket}/copy", ChecksumAlgorithm="CRC64NVME"
    )
    assert read(s3, bucket, "source") == body


# --- conditions


@pytest.mark.parametrize(
    ("match", "unmodified", "is_copied"),
    [
        ("same", None, True), ("other", None, False), ("*", None, True),
        (None, "later", True), (None, "past", False),
        ("same", "past", True), ("other", "later", False),
    ],
)  # fmt: skip
def test_source_if_match(copy, refusal, source, match, unmodified, is_copied):
    later = datetime.now(UTC) + timedelta(minutes=5)
    sent = {}
    if match:
        sent["CopySourceIfMatch"] = {"same": source, "other": '"other"'}.get(match, match)
    if unmodified:
        sent["CopySourceIfUnmodifiedSince"] = {"later": later, "past": PAST}[unmodified]
    if is_copied:
        copy(**sent)
    else:
        assert refusal(**sent) == (412, "PreconditionFailed")


@pytest.mark.parametrize(
    ("none_match", "modified", "is_copied"),
    [
        ("other", None, True), ("same", None, False), ("*", None, False),
        (None, "past", True), (None, "now", False),
        ("same", "past", False), ("other", "now", True),
    ],
)  # fmt: skip
def test_source_if_none_match(s3, bucket, copy, refusal, source, none_match, modified, is_copied):
    now = s3.head_object(Bucket=bucket, Key="source")["LastModified"]
    sent = {}
    if none_match:
        sent["CopySourceIfNoneMatch"] = {"same": source, "other": '"other"'}.get(
            none_match, none_match
        )
    if modified:
        sent["CopySourceIfModifiedSince"] = {"now": now, "past": PAST}[modified]
    if is_copied:
        copy(**sent)
    else:
        assert refusal(**sent) == (412, "PreconditionFailed")


def test_conditions_on_the_destination(s3, bucket, copy, refusal):
    assert refusal(IfMatch="*") == (404, "NoSuchKey")
    etag = copy(IfNoneMatch="*")["CopyObjectResult"]["ETag"]
    assert refusal(IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refusal(IfMatch='"other"') == (412, "PreconditionFailed")
    copy(IfMatch=etag)
    copy(Key="source", IfMatch=etag, MetadataDirective="REPLACE")


def test_one_conditional_copy_wins(s3, bucket, source):
    def attempt(number):
        try:
            s3.copy_object(
                Bucket=bucket, Key="lock", CopySource=f"{bucket}/source", IfNoneMatch="*",
                MetadataDirective="REPLACE", Metadata={"winner": str(number)},
            )  # fmt: skip
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]
        return 200

    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(attempt, range(64)))
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 412}
    head = s3.head_object(Bucket=bucket, Key="lock")
    assert head["Metadata"] == {"winner": str(statuses.index(200))}


# --- what is not there, or somebody else's


def test_missing(s3, bucket, refusal, new_name):
    assert refusal(CopySource=f"{bucket}/missing") == (404, "NoSuchKey")
    assert refusal(CopySource=f"{new_name()}/source") == (404, "NoSuchBucket")
    assert refusal(Bucket=new_name()) == (404, "NoSuchBucket")
    assert refusal(CopySource=f"{bucket}/source?versionId=abc") == (400, "InvalidArgument")


@pytest.fixture
def theirs(other_s3, new_name):
    """A bucket of somebody else, with one object."""
    name = new_name()
    other_s3.create_bucket(Bucket=name)
    other_s3.put_object(Bucket=name, Key="source", Body=b"secret")
    yield name
    for key in ("source", "copy"):
        other_s3.delete_object(Bucket=name, Key=key)
    other_s3.delete_bucket(Bucket=name)


def test_owners(s3, other_s3, bucket, source, theirs):
    denied = (403, "AccessDenied")
    for key in ("source", "missing"):
        for client, mine, others in ((s3, bucket, theirs), (other_s3, theirs, bucket)):
            arguments = {"Key": "copy", "CopySource": f"{others}/{key}"}
            assert refused(client.copy_object, Bucket=mine, **arguments) == denied
            arguments["CopySource"] = f"{mine}/{key}"
            assert refused(client.copy_object, Bucket=others, **arguments) == denied
    both = {"Bucket": theirs, "Key": "copy", "CopySource": f"{theirs}/source"}
    for name in ("ExpectedBucketOwner", "ExpectedSourceBucketOwner"):
        assert refused(other_s3.copy_object, **both, **{name: "somebody"}) == denied
        other_s3.copy_object(**both, **{name: OTHER.id})


def test_managed_copy(s3, bucket, source):
    """As boto3's `copy` does it: HEAD, then one request."""
    s3.copy({"Bucket": bucket, "Key": "source"}, bucket, "copy")
    assert read(s3, bucket, "copy") == b"body"


# --- races


def test_races(server, s3, bucket):
    """16 clients copy, overwrite and delete a few keys, on all workers: no body is lost."""
    names = [f"k{number}" for number in range(6)]
    bodies = [random.Random(number).randbytes(size) for number, size in enumerate((9, 70_000, 0))]
    etags = {f'"{hashlib.md5(body).hexdigest()}"': body for body in bodies}
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=bodies[0])

    def client(number):
        rng = random.Random(number)
        own = client_of(server)
        for _ in range(25):
            key, other, choice = rng.choice(names), rng.choice(names), rng.random()
            try:
                if choice < 0.6:
                    own.copy_object(
                        Bucket=bucket, Key=other, CopySource=f"{bucket}/{key}",
                        MetadataDirective="REPLACE", Metadata={"by": str(number)},
                    )  # fmt: skip
                elif choice < 0.75:
                    own.delete_object(Bucket=bucket, Key=key)
                elif choice < 0.85:
                    own.put_object(Bucket=bucket, Key=key, Body=rng.choice(bodies))
                else:
                    found = own.get_object(Bucket=bucket, Key=key)
                    assert found["Body"].read() == etags[found["ETag"]]
            except own.exceptions.NoSuchKey:
                continue
        own.close()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(client, range(16)))
    for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        assert read(s3, bucket, entry["Key"]) == etags[entry["ETag"]]
    assert server.differences() == []
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names]})
    assert server.differences() == []


def test_many_copies_are_deleted_at_once(server, s3, bucket, source):
    names = [f"copy-{number}" for number in range(250)]
    with ThreadPoolExecutor(16) as threads:
        wanted = {"Bucket": bucket, "CopySource": f"{bucket}/source"}
        list(threads.map(lambda name: s3.copy_object(Key=name, **wanted), names))
    listed = {"Objects": [{"Key": name} for name in names]}
    answer = s3.delete_objects(Bucket=bucket, Delete=listed)
    assert (len(answer["Deleted"]), answer.get("Errors")) == (250, None)
    assert read(s3, bucket, "source") == b"body"
    assert server.differences() == []
