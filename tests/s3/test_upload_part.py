"""UploadPart."""

import base64
import hashlib
import http.client
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.s3.calls import refused
from tests.s3.uploading import MIB, PART, begin, complete, part


@pytest.mark.parametrize("size", [0, 1, 1000, 64 * 1024, 64 * 1024 + 1, MIB + 1])
def test_sizes(s3, bucket, size):
    body = os.urandom(size)
    named = begin(s3, bucket)
    stored = s3.upload_part(**named, PartNumber=1, Body=body)
    assert stored["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    complete(s3, named, [{"PartNumber": 1, "ETag": stored["ETag"]}])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == body


@pytest.mark.parametrize(
    "number", [0, -1, 10_001, "x", "", "0000010001", "0" * 9 + "1" * 6, "0" * 9 + "1" * 5000]
)
def test_numbers_that_are_none(s3, bucket, send, number):
    named = begin(s3, bucket)
    query = f"partNumber={number}&uploadId={named['UploadId']}"
    answer = send("PUT", f"/{bucket}/key", query=query, body=b"body")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_the_last_number(s3, bucket):
    named = begin(s3, bucket)
    listed = [part(s3, named, number, b"x" * PART) for number in (1, 10_000)]
    complete(s3, named, listed)
    found = s3.head_object(Bucket=bucket, Key="key", PartNumber=10_000)
    assert (found["PartsCount"], found["ContentLength"]) == (2, PART)


def test_more_than_5_gib_is_told_from_the_length(s3, s3v4, bucket):
    """The refusal comes in place of `100 Continue`: nothing of the body is asked for."""
    named = begin(s3, bucket)
    url = urlsplit(s3v4.generate_presigned_url("upload_part", {**named, "PartNumber": 1}))
    with closing(http.client.HTTPConnection(url.netloc, timeout=30)) as connection:
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("Content-Length", str(5 * 1024**3 + 1))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        with connection.sock.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 400 ")
            length = int(http.client.parse_headers(answer)["content-length"])
            assert b"<Code>EntityTooLarge</Code>" in answer.read(length)
    assert "Parts" not in s3.list_parts(**named)


@pytest.mark.parametrize("size", [3, MIB + 3])
def test_a_part_in_unsigned_chunks(s3, bucket, send, size):
    """With its checksum behind it, as SDKs send parts over TLS; the decoded length counts."""
    body, named = os.urandom(size), begin(s3, bucket)
    sum_ = base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))
    coded = b"1\r\n%b\r\n%x\r\n%b\r\n0\r\n" % (body[:1], size - 1, body[1:])
    headers = {
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(size),
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "Content-Encoding": "aws-chunked",
    }
    query = f"partNumber=1&uploadId={named['UploadId']}"
    for promised, status in ((b"AAAAAA==", 400), (sum_, 200)):
        sent = coded + b"x-amz-checksum-crc32:" + promised + b"\r\n\r\n"
        answer = send("PUT", f"/{bucket}/key", query=query, headers=headers, body=sent)
        assert answer.status == status
        assert answer.code == (None if status == 200 else "BadDigest")
    (listed,) = s3.list_parts(**named)["Parts"]
    assert (listed["Size"], listed["ChecksumCRC32"]) == (size, sum_.decode())
    complete(s3, named, [{"PartNumber": 1, "ETag": listed["ETag"]}])
    found = s3.get_object(Bucket=bucket, Key="key")
    assert found["Body"].read() == body
    assert "ContentEncoding" not in found


def test_no_such_upload(s3, bucket):
    named = begin(s3, bucket)
    for wrong in ({"UploadId": "nonsense"}, {"Key": "other"}, {"UploadId": "0" * 32}):
        call = {**named, **wrong, "PartNumber": 1}
        assert refused(s3.upload_part, **call, Body=b"x") == (404, "NoSuchUpload")
        assert refused(s3.upload_part, **call, Body=b"x" * MIB) == (404, "NoSuchUpload")


def test_the_last_one_of_a_number_counts(s3, bucket):
    named = begin(s3, bucket)
    first = part(s3, named, 1, b"first")
    second = part(s3, named, 1, b"second" * 20_000)
    assert refused(complete, s3=s3, named=named, parts=[first]) == (400, "InvalidPart")
    complete(s3, named, [second])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"second" * 20_000


def test_writers_of_one_number(s3, bucket):
    named = begin(s3, bucket)
    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(lambda n: part(s3, named, 1, b"%d" % n * 100_000), range(8)))
    (left,) = s3.list_parts(**named)["Parts"]
    assert left["ETag"] in [one["ETag"] for one in stored]
    complete(s3, named, [{"PartNumber": 1, "ETag": left["ETag"]}])


def test_checksums(s3, bucket, send):
    body = b"some text"
    for algorithm, sum_ in (
        ("sha1", hashlib.sha1(body).digest()),
        ("sha256", hashlib.sha256(body).digest()),
    ):
        named = begin(s3, bucket)  # without an algorithm
        query = f"partNumber=1&uploadId={named['UploadId']}"
        name, text = f"x-amz-checksum-{algorithm}", base64.b64encode(sum_).decode()
        answer = send("PUT", f"/{bucket}/key", query=query, body=body, headers={name: text})
        assert (answer.status, answer.headers[name]) == (200, text)
        (listed,) = s3.list_parts(**named)["Parts"]
        assert listed[f"Checksum{algorithm.upper()}"] == text
        answer = send("PUT", f"/{bucket}/key", query=query, body=b"other", headers={name: text})
        assert (answer.status, answer.code) == (400, "BadDigest")


def test_the_uploads_algorithm(s3, bucket, send):
    """Computed where the client does not send it; another one is refused."""
    named = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    query = f"partNumber=1&uploadId={named['UploadId']}"
    answer = send("PUT", f"/{bucket}/key", query=query, body=b"text")
    wanted = base64.b64encode(hashlib.sha256(b"text").digest()).decode()
    assert answer.headers["x-amz-checksum-sha256"] == wanted
    sha1 = {"x-amz-checksum-sha1": base64.b64encode(hashlib.sha1(b"text").digest()).decode()}
    answer = send("PUT", f"/{bucket}/key", query=query, body=b"text", headers=sha1)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_content_md5(s3, bucket, send):
    named = begin(s3, bucket)
    query = f"partNumber=1&uploadId={named['UploadId']}"
    wrong = {"content-md5": base64.b64encode(bytes(16)).decode()}
    for body in (b"small", b"large" * MIB):
        answer = send("PUT", f"/{bucket}/key", query=query, body=body, headers=wrong)
        assert (answer.status, answer.code) == (400, "BadDigest")
    assert "Parts" not in s3.list_parts(**named)
