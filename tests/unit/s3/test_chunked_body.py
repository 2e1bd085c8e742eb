"""Bodies in aws-chunked coding are read as their payload, whatever the pieces they come in."""

from __future__ import annotations

import pytest

from fastobj.core.errors import S3Error
from fastobj.http.message import BodyTooLarge, BytesBody, Request
from fastobj.s3.chunked_body import ChunkedBody, Chunking
from tests.reference.chunked import Chain, Mode, encode

KEY, DATE, SCOPE, SEED = b"k" * 32, b"20261120T120000Z", b"20261120/r/s3/aws4_request", b"0" * 64
TRAILER = (b"x-amz-checksum-crc32", b"AAAAAA==")


def body_of(payload: bytes, mode: Mode, *, length: str | None = None, cut: int = 0) -> ChunkedBody:
    """A body that reads what the slow reference encodes, but for its last `cut` bytes."""
    chunks = [payload[at : at + 1000] for at in range(0, len(payload), 1000)]
    trailers = [TRAILER] if mode != Mode.SIGNED else []
    coded = encode(mode, Chain(KEY, DATE, SCOPE, SEED), chunks, trailers)
    declared = str(len(payload)) if length is None else length
    headers = [(b"x-amz-decoded-content-length", declared.encode())] if declared else []
    request = Request(b"PUT", b"/b/k", headers, BytesBody(coded[: len(coded) - cut]))
    return ChunkedBody(request, Chunking(mode, KEY, DATE, SCOPE, SEED))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 70_000])
@pytest.mark.parametrize("piece", [1, 7, 4096, 100_000])
async def test_payloads_of_any_size_in_pieces_of_any_size(
    mode: Mode, size: int, piece: int
) -> None:
    if size // piece > 2000:
        piece = size // 500
    payload = bytes(range(251)) * (size // 251 + 1)
    body = body_of(payload[:size], mode)
    assert body.length == size
    found, buffer = bytearray(), bytearray(piece)
    while count := await body.readinto(memoryview(buffer)):
        found += buffer[:count]
    assert found == payload[:size]
    assert body.trailers.get(b"x-amz-checksum-crc32") == (
        None if mode == Mode.SIGNED else TRAILER[1]
    )


@pytest.mark.parametrize("mode", list(Mode))
async def test_the_whole_payload_at_once(mode: Mode) -> None:
    body = body_of(b"x" * 5000, mode)
    with pytest.raises(BodyTooLarge):
        await body.read(4999)
    assert await body.read(5000) == b"x" * 5000


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_body_that_is_cut_off_never_looks_whole(mode: Mode) -> None:
    whole = body_of(b"x" * 2500, mode)
    await whole.read(2500)
    for cut in range(3, 400, 7):
        with pytest.raises(S3Error) as caught:
            await body_of(b"x" * 2500, mode, cut=cut).read(2500)
        assert caught.value.code.name in {"IncompleteBody", "MalformedTrailerError"}


@pytest.mark.parametrize(
    ("length", "code"),
    [("", "MissingContentLength"), ("-1", "InvalidArgument"), ("9" * 19, "InvalidArgument")],
)
def test_lengths_that_are_none(length: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        body_of(b"x", Mode.SIGNED, length=length)
    assert caught.value.code.name == code
