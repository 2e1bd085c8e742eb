"""8: trailers absent, wrong, undeclared, too many, badly signed; what is stored is right."""

from base64 import b64encode
from functools import partial
from zlib import crc32

import pytest

from tests.hardening.streaming import WITH_TRAILER, Uploader, crc
from tests.reference.chunked import Mode

BODY = b"trailing checksums" * 1000
SHA1 = (b"x-amz-checksum-sha1", b64encode(bytes(20)))


@pytest.fixture
def upload(server, call, bucket, target):
    """Uploads to where the row stores it."""
    return partial(Uploader(call, server.secret_key), bucket, "key", query=target.query)


@pytest.mark.parametrize("mode", WITH_TRAILER, ids=lambda mode: mode.name)
def test_the_checksum_that_is_stored(upload, target, mode):
    answer = upload(BODY, mode)
    assert answer.status == 200
    wanted = b64encode(crc32(BODY).to_bytes(4, "big")).decode()
    assert answer.headers["x-amz-checksum-crc32"] == wanted
    assert target.crc32() == wanted


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
def test_trailers_that_are_not_right(upload, target, mode, announced, trailers, code):
    answer = upload(BODY, mode, announced=announced, trailers=trailers)
    assert (answer.status, answer.code) == (400, code)
    assert target.is_empty()


@pytest.mark.parametrize("mode", WITH_TRAILER, ids=lambda mode: mode.name)
def test_header_and_trailer_at_once(upload, target, mode):
    name, value = crc(BODY)
    answer = upload(BODY, mode, headers={name.decode(): value.decode()})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert target.is_empty()


def test_a_bad_trailer_signature(upload, target):
    def bend(coded):
        at = coded.index(b"x-amz-trailer-signature:") + len(b"x-amz-trailer-signature:")
        flipped = b"0" if coded[at : at + 1] != b"0" else b"1"
        return coded[:at] + flipped + coded[at + 1 :]

    answer = upload(BODY, Mode.SIGNED_TRAILER, bend=bend)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert target.is_empty()


def test_no_trailer_signature(upload, target):
    def bend(coded):
        start = coded.index(b"x-amz-trailer-signature:")
        return coded[:start] + b"\r\n"

    answer = upload(BODY, Mode.SIGNED_TRAILER, bend=bend)
    assert (answer.status, answer.code) == (400, "MalformedTrailerError")
    assert target.is_empty()
