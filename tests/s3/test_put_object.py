"""PutObject: keys, sizes, headers, promises about the body, conditions and races."""

import base64
import hashlib
import http.client
import itertools
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from email.header import Header, decode_header
from urllib.parse import quote, urlsplit

import pytest
import xxhash
from botocore.exceptions import ClientError

from fastobj._ext.crc import crc32c, crc64nvme
from fastobj.core.limits import OBJECT_BYTES_MAX, USER_METADATA_BYTES_MAX
from fastobj.s3.chunked_body import MODES
from tests.s3.calls import refused
from tests.s3.uploading import begin

KIB, MIB = 1024, 1024 * 1024
SIZES = [0, 1, 64 * KIB, 64 * KIB + 1, MIB, 5 * MIB + 3]
KEYS = [
    "a", "a/", "a/b", "..", "../../etc/passwd", "//x", "/", "%2e", "%2E%2e/x", "ü", "a b", " ",
    "a+b", "a?b#c&d=e", "\U0001f600/é", "new\nline", "tab\t", "x" * 1024, "'\"<>&", "~!@$^*()_=-",
]  # fmt: skip


def md5(body):
    return hashlib.md5(body).hexdigest()


def b64(raw):
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("size", SIZES)
def test_sizes(s3, bucket, size):
    body = os.urandom(size)
    answer = s3.put_object(Bucket=bucket, Key="key", Body=body)
    assert answer["ETag"] == f'"{md5(body)}"'
    assert answer["ChecksumCRC32"] == b64(zlib.crc32(body).to_bytes(4, "big"))
    assert answer["ChecksumType"] == "FULL_OBJECT"
    assert "VersionId" not in answer
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == body


@pytest.mark.parametrize("key", KEYS)
def test_keys(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_keys_that_look_alike_are_different(s3, bucket):
    keys = ["a", "a/", "a/b", "a//b", "a/./b", "a/../a", ".", "..", "%2e", "A", "a ", "a+", "/a"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in keys:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    listed = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(keys, key=str.encode)


def test_bad_keys(s3, send, bucket):
    too_long = {"Bucket": bucket, "Key": "x" * 1025, "Body": b""}
    assert refused(s3.put_object, **too_long) == (400, "KeyTooLongError")
    for path in ("%ff", "%zz", "%C3"):
        answer = send("PUT", f"/{bucket}/{path}")
        assert (answer.status, answer.code) == (400, "InvalidURI")


@pytest.mark.parametrize(("before", "after"), [(5, 100_000), (100_000, 5), (0, 7), (9, 0)])
def test_overwrite(s3, bucket, before, after):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x" * before, Metadata={"old": "1"})
    s3.put_object(Bucket=bucket, Key="key", Body=b"y" * after, ContentType="text/plain")
    answer = s3.get_object(Bucket=bucket, Key="key")
    assert answer["Body"].read() == b"y" * after
    assert answer["Metadata"] == {}
    assert answer["ContentType"] == "text/plain"


# --- headers


def test_headers_come_back(s3, bucket):
    headers = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de, en",
        "ContentType": "text/plain; charset=utf-8",
    }
    s3.put_object(
        Bucket=bucket, Key="key", Body=b"x", Expires="Thu, 01 Dec 2033 16:00:00 GMT", **headers
    )
    answer = s3.head_object(Bucket=bucket, Key="key")
    assert {name: answer[name] for name in headers} == headers
    assert answer["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Thu, 01 Dec 2033 16:00:00 GMT"


def test_default_content_type(s3, send, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="key")["ContentType"] == "binary/octet-stream"
    send("PUT", f"/{bucket}/key", headers={"Content-Type": ""})
    assert s3.head_object(Bucket=bucket, Key="key")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("aws-chunked", None),
        ("aws-chunked, aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("aws-chunked , gzip", "gzip"),
        ("gzip, AWS-Chunked", "gzip"),
        ("deflate, gzip,aws-chunked", "deflate, gzip"),
        ("deflate, aws-chunked, gzip", "deflate, gzip"),
    ],
)
def test_transfer_coding_is_not_stored(send, bucket, sent, stored):
    send("PUT", f"/{bucket}/key", headers={"Content-Encoding": sent}, body=b"x")
    assert send("HEAD", f"/{bucket}/key").headers["content-encoding"] == stored


def test_metadata(s3, bucket):
    metadata = {"plain": "value", "empty": "", "s3cmd-attrs": "uid:0/gname:root", "x": "=?<>"}
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Metadata={**metadata, "UPPER": "Case"})
    expected = {**metadata, "upper": "Case"}
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == expected


def test_metadata_beyond_ascii(s3, bucket):
    text = "Grüße, 世界"
    encoded = Header(text, "utf-8", maxlinelen=1000).encode()
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Metadata={"greeting": encoded})
    found = s3.head_object(Bucket=bucket, Key="key")["Metadata"]["greeting"]
    raw, charset = decode_header(found)[0]
    assert raw.decode(charset) == text


def test_metadata_in_bare_utf8(send, bucket):
    send("PUT", f"/{bucket}/key", headers={"x-amz-meta-greeting": "Grüße"})
    found = send("HEAD", f"/{bucket}/key").headers["x-amz-meta-greeting"]
    assert found.encode("latin-1").decode() == "Grüße"


def test_metadata_size(s3, bucket):
    fits = {"n" * 48: "v" * (USER_METADATA_BYTES_MAX - 48)}
    s3.put_object(Bucket=bucket, Key="key", Body=b"", Metadata=fits)
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == fits
    too_large = {"Bucket": bucket, "Key": "key", "Metadata": {**fits, "x": ""}}
    assert refused(s3.put_object, **too_large) == (400, "MetadataTooLarge")


@pytest.mark.parametrize(
    "headers",
    [
        {"ServerSideEncryption": "aws:kms:dsse"},
        {"WebsiteRedirectLocation": "/other"},
    ],
)
def test_what_is_not_implemented_is_refused(s3, bucket, headers):
    call = {"Bucket": bucket, "Key": "key", "Body": b"x", **headers}
    assert refused(s3.put_object, **call) == (501, "NotImplemented")
    assert refused(s3.head_object, Bucket=bucket, Key="key") == (404, "404")


def test_values_that_say_no_more_than_the_default(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="private", StorageClass="STANDARD")


# --- promises about the body

CHECKSUMS = {
    "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "CRC32C": lambda body: crc32c(body).to_bytes(4, "big"),
    "CRC64NVME": lambda body: crc64nvme(body).to_bytes(8, "big"),
    "SHA1": lambda body: hashlib.sha1(body).digest(),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
    "SHA512": lambda body: hashlib.sha512(body).digest(),
    "MD5": lambda body: hashlib.md5(body).digest(),
    "XXHASH64": lambda body: xxhash.xxh64(body).digest(),
    "XXHASH3": lambda body: xxhash.xxh3_64(body).digest(),
    "XXHASH128": lambda body: xxhash.xxh3_128(body).digest(),
}


@pytest.mark.parametrize("size", [0, 1000, MIB + 1])
@pytest.mark.parametrize("name", CHECKSUMS)
def test_checksums(s3, bucket, name, size):
    body = os.urandom(size)
    field, right = f"Checksum{name}", b64(CHECKSUMS[name](body))
    answer = s3.put_object(Bucket=bucket, Key="key", Body=body, **{field: right})
    assert answer[field] == right
    found = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (found[field], found["ChecksumType"]) == (right, "FULL_OBJECT")
    wrong = {field: b64(CHECKSUMS[name](body + b"!"))}
    call = {"Bucket": bucket, "Key": "other", "Body": body, **wrong}
    assert refused(s3.put_object, **call) == (400, "BadDigest")
    assert refused(s3.head_object, Bucket=bucket, Key="other") == (404, "404")


@pytest.mark.parametrize("size", [5, MIB + 1])
def test_content_md5(s3, bucket, size):
    body = os.urandom(size)
    right, wrong = (b64(hashlib.md5(content).digest()) for content in (body, body + b"!"))
    s3.put_object(Bucket=bucket, Key="key", Body=body, ContentMD5=right)
    call = {"Bucket": bucket, "Key": "other", "Body": body}
    assert refused(s3.put_object, ContentMD5=wrong, **call) == (400, "BadDigest")
    assert refused(s3.put_object, ContentMD5="x", **call) == (400, "InvalidDigest")
    assert refused(s3.head_object, Bucket=bucket, Key="other") == (404, "404")


@pytest.mark.parametrize("size", [5, MIB + 1])
def test_signed_hash_of_another_body(send, bucket, size):
    headers = {"X-Amz-Content-SHA256": hashlib.sha256(b"other").hexdigest()}
    answer = send("PUT", f"/{bucket}/key", headers=headers, body=bytes(size))
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert send("HEAD", f"/{bucket}/key").status == 404


def test_unsigned_payload(send, bucket):
    headers = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    assert send("PUT", f"/{bucket}/key", headers=headers, body=b"body").status == 200
    assert send("GET", f"/{bucket}/key").body == b"body"


def chunked(mode, length="3"):
    return {"X-Amz-Content-SHA256": mode, "X-Amz-Decoded-Content-Length": length}


def test_chunks_signed_with_version_4a_are_refused(send, bucket):
    headers = chunked("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
    answer = send("PUT", f"/{bucket}/key", headers=headers, body=b"0\r\n\r\n")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert send("HEAD", f"/{bucket}/key").status == 404


def test_a_body_in_unsigned_chunks(send, bucket):
    headers = {**chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "Content-Encoding": "aws-chunked,x"}
    body = b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
    assert send("PUT", f"/{bucket}/key", headers=headers, body=body).status == 200
    found = send("GET", f"/{bucket}/key")
    assert (found.body, found.headers["content-encoding"]) == (b"abc", "x")


@pytest.mark.parametrize("size", [3, 64 * KIB + 1, 3 * MIB + 5])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_body_that_follows_an_invitation(send, bucket, size, is_chunked):
    """The head has arrived alone, so the request begins before any of the body is there."""
    body, headers, coded = os.urandom(size), {}, b""
    if is_chunked:
        headers = chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", str(size))
        pieces = [body[at : at + 100_000] for at in range(0, size, 100_000)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        coded += b"0\r\n\r\n"
    answer = send("PUT", f"/{bucket}/key", headers=headers, body=coded or body, waits=True)
    assert answer.status == 200
    assert send("GET", f"/{bucket}/key").body == body


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("POST", "", "delete"),
        ("PUT", "", "acl"),
        ("PUT", "/key", "acl"),
        ("GET", "", "list-type=2"),
        ("GET", "/key", ""),
        ("DELETE", "/key", ""),
        ("POST", "/key", "uploads"),
        ("POST", "/key", "uploadId=0"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_only_bodies_that_are_stored_come_in_chunks(s3, send, bucket, mode, method, path, query):
    s3.put_object(Bucket=bucket, Key="key", Body=b"stays")
    headers, body = chunked(mode.decode(), "0"), b"0\r\n\r\n"
    answer = send(method, f"/{bucket}{path}", query=query, headers=headers, body=body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"stays"


def test_one_checksum_at_most(s3, bucket, send):
    """Of two that are both right, neither is taken for the other."""
    body = b"123456789"
    sums = {f"x-amz-checksum-{name.lower()}": b64(made(body)) for name, made in CHECKSUMS.items()}
    assert sums["x-amz-checksum-crc64nvme"] == b64(bytes.fromhex("AE8B14860A799888"))
    named = begin(s3, bucket)
    part = f"partNumber=1&uploadId={named['UploadId']}"
    for one, other in itertools.combinations(sums, 2):
        headers = {one: sums[one], other: sums[other]}
        for query in ("", part):
            answer = send("PUT", f"/{bucket}/key", query=query, headers=headers, body=body)
            assert (answer.status, answer.code) == (400, "InvalidRequest"), (one, other)
    assert "Parts" not in s3.list_parts(**named)
    assert refused(s3.head_object, Bucket=bucket, Key="key") == (404, "404")


def head_only(s3v4, bucket, headers):
    """Sends a presigned PUT whose body never comes; the answer to its head."""
    params = {"Bucket": bucket, "Key": "key"}
    url = urlsplit(s3v4.generate_presigned_url("put_object", Params=params))
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_too_large_is_refused_before_the_body(s3v4, bucket):
    status, body = head_only(s3v4, bucket, {"Content-Length": str(OBJECT_BYTES_MAX + 1)})
    assert status == 400
    assert b"EntityTooLarge" in body


def test_length_is_needed(s3v4, bucket):
    status, body = head_only(s3v4, bucket, {"Transfer-Encoding": "chunked"})
    assert status == 411
    assert b"MissingContentLength" in body


@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_client_that_leaves_stores_nothing(s3, s3v4, bucket, size):
    params = {"Bucket": bucket, "Key": "key"}
    url = urlsplit(s3v4.generate_presigned_url("put_object", Params=params))
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(size))
    connection.endheaders(bytes(size // 2))
    connection.close()
    s3.put_object(Bucket=bucket, Key="other", Body=bytes(size))
    assert refused(s3.head_object, Bucket=bucket, Key="key") == (404, "404")


# --- presigned


@pytest.mark.parametrize("size", [5, MIB + 1])
def test_presigned(s3v4, bucket, size):
    body = os.urandom(size)
    params = {"Bucket": bucket, "Key": "a b/ü", "ContentType": "text/x"}
    url = urlsplit(s3v4.generate_presigned_url("put_object", Params=params, ExpiresIn=60))
    assert quote("a b/ü") in url.path
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    headers = {"Content-Type": "text/x"}
    connection.request("PUT", f"{url.path}?{url.query}", body=body, headers=headers)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"")
    connection.close()
    answer = s3v4.get_object(Bucket=bucket, Key="a b/ü")
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "text/x"


# --- conditions


@pytest.mark.parametrize("size", [4, 200 * KIB])
def test_if_none_match(s3, bucket, size):
    body = bytes(size)
    call = {"Bucket": bucket, "Key": "key", "IfNoneMatch": "*"}
    etag = s3.put_object(**call, Body=body)["ETag"]
    failed = (412, "PreconditionFailed")
    assert refused(s3.put_object, **call, Body=b"other") == failed
    assert refused(s3.put_object, **{**call, "IfNoneMatch": etag}, Body=body) == failed
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key="key")
    s3.put_object(**call, Body=b"again")


@pytest.mark.parametrize("size", [4, 200 * KIB])
def test_if_match(s3, bucket, size):
    call = {"Bucket": bucket, "Key": "key"}
    missing = (404, "NoSuchKey")
    assert refused(s3.put_object, **call, Body=bytes(size), IfMatch='"etag"') == missing
    first = s3.put_object(**call, Body=b"first")["ETag"]
    s3.put_object(**call, Body=b"x" * size, IfMatch=first)
    failed = (412, "PreconditionFailed")
    assert refused(s3.put_object, **call, Body=b"third", IfMatch=first) == failed
    s3.put_object(**call, Body=b"fourth", IfMatch=md5(b"x" * size))
    s3.put_object(**call, Body=b"fifth", IfMatch="*")
    assert s3.get_object(**call)["Body"].read() == b"fifth"


def test_malformed_etag_list(send, bucket):
    answer = send("PUT", f"/{bucket}/key", headers={"If-Match": '"open'})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("size", [1 * KIB, 100 * KIB])
def test_one_of_64_wins(s3, bucket, size):
    def attempt(number):
        body = bytes([number]) * size
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=body, IfNoneMatch="*")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return number

    with ThreadPoolExecutor(64) as pool:
        results = list(pool.map(attempt, range(64)))
    winners = [result for result in results if isinstance(result, int)]
    assert len(winners) == 1
    assert set(results) - set(winners) == {"PreconditionFailed"}
    found = s3.get_object(Bucket=bucket, Key="lock")["Body"].read()
    assert found == bytes(winners) * size


def test_compare_and_swap_loses_no_step(s3, bucket):
    s3.put_object(Bucket=bucket, Key="counter", Body=b"0")

    def swap(found):
        """The code that one more is refused with, or None."""
        body = b"%d" % (int(found["Body"].read()) + 1)
        try:
            s3.put_object(Bucket=bucket, Key="counter", Body=body, IfMatch=found["ETag"])
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    def step(_):
        while code := swap(s3.get_object(Bucket=bucket, Key="counter")):
            assert code == "PreconditionFailed"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, range(32)))
    assert s3.get_object(Bucket=bucket, Key="counter")["Body"].read() == b"32"


def test_writers_on_one_key_and_readers_see_whole_bodies(s3, bucket):
    bodies = [bytes([number]) * (40 * KIB + number * 9000) for number in range(8)]
    whole = {md5(body) for body in bodies}
    s3.put_object(Bucket=bucket, Key="key", Body=bodies[0])

    def work(number):
        if number % 2:
            s3.put_object(Bucket=bucket, Key="key", Body=bodies[number % 8])
            return None
        answer = s3.get_object(Bucket=bucket, Key="key")
        digest = md5(answer["Body"].read())
        assert answer["ETag"] == f'"{digest}"'
        return digest

    with ThreadPoolExecutor(16) as pool:
        seen = set(pool.map(work, range(160)))
    assert seen <= whole | {None}


def test_64_writers_of_one_key_are_all_served(s3, bucket):
    """Nobody is turned away, and the last one to be answered is the one that is read."""

    def put(number):
        return s3.put_object(Bucket=bucket, Key="hot", Body=b"%d" % number)["ETag"]

    with ThreadPoolExecutor(64) as pool:
        etags = list(pool.map(put, range(256)))
    assert len(set(etags)) == 256
    found = s3.get_object(Bucket=bucket, Key="hot")
    assert found["ETag"] == f'"{hashlib.md5(found["Body"].read()).hexdigest()}"'
    assert found["ETag"] in etags
