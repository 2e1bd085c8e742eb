"""What the tests of the chunked kernel share: one upload, and what decodes it."""

import pytest

from tests.reference import chunked as reference
from tests.reference import sigv4
from tests.reference.chunked import Chain, Code, Decoded, Malformed, Mode

SECRET = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the one of the AWS documents
KEY = sigv4.signing_key(SECRET, b"20130524", b"us-east-1", b"s3")
DATE = b"20130524T000000Z"
SCOPE = b"20130524/us-east-1/s3/aws4_request"
SEED = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER = Mode
CHECKSUM = (b"x-amz-checksum-crc32c", b"sOO8/Q==")

each_mode = pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name.lower())


def chain(seed=SEED, key=KEY):
    """The signatures of one upload, from its start."""
    return Chain(key, DATE, SCOPE, seed)


def decoder(kernel, mode, length, seed=SEED):
    """A decoder for such an upload."""
    if mode == UNSIGNED_TRAILER:
        return kernel.ChunkedDecoder(mode, length)
    return kernel.ChunkedDecoder(mode, length, KEY, DATE, SCOPE, seed)


def feed_all(one, pieces):
    """The payload of all pieces, each in a buffer of its own size and one byte."""
    payload = b""
    for piece in pieces:
        buffer = bytearray(piece) + b"!"
        consumed, produced = one.feed(buffer, len(piece))
        assert consumed == len(piece)
        assert buffer[-1:] == b"!"
        payload += buffer[:produced]
    return payload


def cut(body, cuts):
    """The body in pieces."""
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def decode(kernel, mode, length, body, cuts=(), seed=SEED):
    """What the kernel makes of a body, in the reference's words."""
    one = decoder(kernel, mode, length, seed)
    try:
        payload = feed_all(one, cut(body, cuts))
    except kernel.ChunkedError as error:
        assert not one.complete
        assert one.trailers == []
        return Code(error.code)
    return Decoded(payload, one.trailers, one.complete)


def expected(mode, length, body, seed=SEED):
    """What the reference makes of it."""
    try:
        return reference.decode(mode, length, chain(seed), body)
    except Malformed as error:
        return error.code


def encode(mode, chunks, trailers=None):
    """A body as the documents have it; with a checksum where there are trailers."""
    if trailers is None and mode != SIGNED:
        trailers = [CHECKSUM]
    return reference.encode(mode, chain(), chunks, trailers)


def minio_go(mode, chunks, trailers):
    """minio-go and mc: trailers end by LF, their list by CRLF."""
    one = chain()
    body = b"".join(reference.encode_chunk(mode, one, payload) for payload in [*chunks, b""])
    text = b"".join(name + b":" + value + b"\n" for name, value in trailers)
    body += text + b"\r\n"
    if mode == SIGNED_TRAILER:
        body += b"x-amz-trailer-signature:" + one.trailers(text) + b"\r\n"
    return body + b"\r\n"
