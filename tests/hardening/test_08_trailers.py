"""8: trailers absent, wrong, undeclared, too many, badly signed; what is stored is right."""

from base64 import b64encode
from zlib import crc32

import pytest

from tests.hardening.streaming import WITH_TRAILER, Uploader, crc
from tests.reference.chunked import Mode

BODY = b"trailing checksums" * 1000
SHA1 = (b"x-amz-checksum-sha1", b64encode(bytes(20)))


@pytest.fixture
def upload(server, call):
    return Uploader(call, server.secret_key)


def nothing_stored(s3, bucket):
    return "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("mode", WITH_TRAILER, ids=lambda mode: mode.name)
def test_the_checksum_that_is_stored(upload, s3, bucket, mode):
    answer = upload(bucket, "key", BODY, mode)
    assert answer.status == 200
    wanted = b64encode(crc32(BODY).to_bytes(4, "big")).decode()
    assert answer.headers["x-amz-checksum-crc32"] == wanted
    assert s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["ChecksumCRC32"] == (
        wanted
    )


@pytest.mark.parametrize("mode", WITH_TRAILER, ids=lambda mode: mode.name)
@pytest.mark.parametrize(
    ("announced", "trailers", "code"),
    [
        ("x-amz-checksum-crc32", [], "MalformedTrailerError"),
        ("x-amz-checksum-crc32", [crc(b"other")], "BadDigest"),
        ("x-amz-checksum-crc32", [(b"x-amz-checksum-crc32", b"nonsense")], "InvalidRequest"),
        ("x-amz-checksum-crc32", [SHA1], "MalformedTrailerError"),
        ("x-amz-checksum-crc32", [crc(BODY), SHA1], "MalformedTrailerError"),
        ("x-amz-checksum-crc32,x-amz-checksum-sha1", [crc(BODY), SHA1], "InvalidRequest"),
        ("x-amz-checksum-crc16", [(b"x-amz-checksum-crc16", b"AAA=")], "InvalidRequest"),
        ("host", [(b"host", b"evil")], "InvalidRequest"),
        ("", [crc(BODY)], "MalformedTrailerError"),
    ],
)
def test_trailers_that_are_not_right(upload, s3, bucket, mode, announced, trailers, code):
    answer = upload(bucket, "key", BODY, mode, announced=announced, trailers=trailers)
    assert (answer.status, answer.code) == (400, code)
    assert nothing_stored(s3, bucket)


@pytest.mark.parametrize("mode", WITH_TRAILER, ids=lambda mode: mode.name)
def test_header_and_trailer_at_once(upload, s3, bucket, mode):
    name, value = crc(BODY)
    answer = upload(bucket, "key", BODY, mode, headers={name.decode(): value.decode()})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert nothing_stored(s3, bucket)


def test_a_bad_trailer_signature(upload, s3, bucket):
    def bend(coded):
        at = coded.index(b"x-amz-trailer-signature:") + len(b"x-amz-trailer-signature:")
        flipped = b"0" if coded[at : at + 1] != b"0" else b"1"
        return coded[:at] + flipped + coded[at + 1 :]

    answer = upload(bucket, "key", BODY, Mode.SIGNED_TRAILER, bend=bend)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert nothing_stored(s3, bucket)


def test_no_trailer_signature(upload, s3, bucket):
    def bend(coded):
        start = coded.index(b"x-amz-trailer-signature:")
        return coded[:start] + b"\r\n"

    answer = upload(bucket, "key", BODY, Mode.SIGNED_TRAILER, bend=bend)
    assert (answer.status, answer.code) == (400, "MalformedTrailerError")
    assert nothing_stored(s3, bucket)
