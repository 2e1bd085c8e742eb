"""Checksums of every algorithm in each place that takes one: header, trailer, parts, copies."""

import hashlib
import os
from base64 import b64decode, b64encode

import pytest
import xxhash

from tests.s3.calls import refused
from tests.s3.uploading import PART, begin, complete

SUMS = {
    "SHA512": lambda body: hashlib.sha512(body).digest(),
    "MD5": lambda body: hashlib.md5(body).digest(),
    "XXHASH64": lambda body: xxhash.xxh64(body).digest(),
    "XXHASH3": lambda body: xxhash.xxh3_64(body).digest(),
    "XXHASH128": lambda body: xxhash.xxh3_128(body).digest(),
}
every_algorithm = pytest.mark.parametrize("name", SUMS)


def text(name, body):
    return b64encode(SUMS[name](body)).decode()


@every_algorithm
@pytest.mark.parametrize("size", [5, 70_000])
def test_trailers(s3, bucket, send, name, size):
    body = os.urandom(size)
    header = f"x-amz-checksum-{name.lower()}"
    headers = {
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(size),
        "x-amz-trailer": header,
        "x-amz-sdk-checksum-algorithm": name,
    }
    for value, code in ((text(name, body), None), (text(name, body + b"!"), "BadDigest")):
        coded = b"%x\r\n%b\r\n0\r\n%s:%s\r\n\r\n" % (size, body, header.encode(), value.encode())
        answer = send("PUT", f"/{bucket}/{code}", headers=headers, body=coded)
        assert answer.code == code
    found = s3.head_object(Bucket=bucket, Key="None", ChecksumMode="ENABLED")
    assert found[f"Checksum{name}"] == text(name, body)
    assert refused(s3.head_object, Bucket=bucket, Key="BadDigest") == (404, "404")


@every_algorithm
def test_parts(s3, bucket, name):
    """They are composite: only CRCs of parts make one of the whole."""
    call = {"Bucket": bucket, "Key": "key", "ChecksumAlgorithm": name}
    told = refused(s3.create_multipart_upload, **call, ChecksumType="FULL_OBJECT")
    assert told == (400, "InvalidRequest")
    named = begin(s3, bucket, ChecksumAlgorithm=name)
    bodies, field = [os.urandom(PART), os.urandom(1000)], f"Checksum{name}"
    parts = []
    for number, body in enumerate(bodies, 1):
        sent = {**named, "PartNumber": number, "Body": body}
        assert refused(s3.upload_part, **sent, **{field: text(name, b"other")}) == (
            (400, "BadDigest")
        )
        stored = s3.upload_part(**sent, **{field: text(name, body)})
        assert stored[field] == text(name, body)
        parts.append({"PartNumber": number, "ETag": stored["ETag"], field: stored[field]})
    assert s3.list_parts(**named)["Parts"][1][field] == text(name, bodies[1])
    joined = b"".join(b64decode(one[field]) for one in parts)
    answer = complete(s3, named, parts)
    assert answer[field] == f"{text(name, joined)}-2"
    found = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ObjectParts"]
    )
    assert found["Checksum"] == {field: answer[field], "ChecksumType": "COMPOSITE"}
    assert [one[field] for one in found["ObjectParts"]["Parts"]] == [one[field] for one in parts]


@every_algorithm
def test_computed_where_none_is_sent(send, s3, bucket, name):
    """A part of such an upload, and a copy that asks for one."""
    named = begin(s3, bucket, ChecksumAlgorithm=name)
    query = f"partNumber=1&uploadId={named['UploadId']}"
    answer = send("PUT", f"/{bucket}/key", query=query, body=b"part")
    assert answer.headers[f"x-amz-checksum-{name.lower()}"] == text(name, b"part")
    body = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    copied = s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=f"{bucket}/source", ChecksumAlgorithm=name
    )
    assert copied["CopyObjectResult"][f"Checksum{name}"] == text(name, body)
    (listed,) = s3.list_objects_v2(Bucket=bucket, Prefix="copy")["Contents"]
    assert listed["ChecksumAlgorithm"] == [name]


@every_algorithm
def test_appends(s3, bucket, name):
    field = f"Checksum{name}"
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", **{field: text(name, b"hello")})
    said = {field: text(name, b"world")}
    answer = s3.put_object(Bucket=bucket, Key="key", Body=b"world", WriteOffsetBytes=5, **said)
    joined = SUMS[name](b"hello") + SUMS[name](b"world")
    assert answer[field] == f"{text(name, joined)}-2"


def test_documents(send, bucket):
    """An XML body keeps such a promise too."""
    body = b"<Tagging><TagSet/></Tagging>"
    assert send("PUT", f"/{bucket}/key", body=b"x").status == 200
    for name in SUMS:
        header = f"x-amz-checksum-{name.lower()}"
        for value, status in ((text(name, body), 200), (text(name, b""), 400)):
            sent = {header: value}
            answer = send("PUT", f"/{bucket}/key", query="tagging=", headers=sent, body=body)
            assert answer.status == status
