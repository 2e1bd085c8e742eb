"""The C kernels, each next to work of its kind. What they return is compared with another code."""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib

import pytest
from blake3 import blake3

from benchmarks.chunked import DATE, KEY, SCOPE, SEED_SIGNATURE, encode
from benchmarks.conftest import Calibrated
from benchmarks.listing import FORMS, value
from fastobj._ext import chunked, crc, digest, rs, segio, sigv4, xmlout
from fastobj._ext.chunked import ChunkedDecoder, Mode

MIB = 1 << 20
CONTENT = os.urandom(MIB)
STREAM_BYTES = 64 << 10
STREAMS = [CONTENT[at : at + STREAM_BYTES] for at in range(0, MIB, STREAM_BYTES)]
RECEIVED_BYTES = 256 << 10
HEADERS = [
    (b"host", b"127.0.0.1:9000"),
    (b"accept-encoding", b"identity"),
    (b"content-md5", b"XrY7u+Ae7tCTyyK7j1rNww=="),
    (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
    (b"x-amz-date", DATE),
    (b"user-agent", b"Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux#6.1 lang/python#3.12"),
]
SIGNED = b"content-md5;host;x-amz-content-sha256;x-amz-date"
DATA_ID = bytes(range(16))
PLACE = (DATA_ID, 7, 1, 3)  # data id, segment, generation, index


def same(left: object, right: object) -> None:
    """The call did its work. Not for -O, but nobody runs these so."""
    assert left == right


@pytest.mark.parametrize("name", ["crc32", "crc32c", "crc64nvme"])
def test_crc(measured: Calibrated, name: str) -> None:
    function = getattr(crc, name)
    total = measured(f"{name} of 1 MiB", "memcpy", function, CONTENT, isa=crc.ISA)
    same(total, function(CONTENT[1000:], function(CONTENT[:1000])))
    same(crc.crc32(CONTENT), zlib.crc32(CONTENT))


def test_blake3(measured: Calibrated) -> None:
    """No kernel of ours: what the setting `integrity` costs beside them."""
    total = measured("blake3 of 1 MiB", "memcpy", lambda: blake3(CONTENT).digest())
    same(len(total), 32)


@pytest.mark.parametrize("count", [1, 8, 16])
def test_md5(measured: Calibrated, count: int) -> None:
    label, isa = f"md5 of {count} x 64 KiB", digest.ISA["md5"]
    found = measured(label, "sha256", digest.md5_many, STREAMS[:count], isa=isa)
    same(found, [hashlib.md5(one).digest() for one in STREAMS[:count]])


@pytest.mark.parametrize("count", [1, 2, 16])
def test_sha256(measured: Calibrated, count: int) -> None:
    label, isa = f"sha256 of {count} x 64 KiB", digest.ISA["sha256"]
    found = measured(label, "sha256", digest.sha256_many, STREAMS[:count], isa=isa)
    same(found, [hashlib.sha256(one).digest() for one in STREAMS[:count]])


def decode(mode: Mode, received: list[bytearray]) -> bool:
    """Decodes a body in place."""
    decoder = ChunkedDecoder(mode, MIB, KEY, DATE, SCOPE, SEED_SIGNATURE)
    for piece in received:
        decoder.feed(piece, len(piece))
    return decoder.complete


@pytest.mark.parametrize(
    ("mode", "calibration"), [(Mode.UNSIGNED_TRAILER, "memcpy"), (Mode.SIGNED, "sha256")]
)
def test_chunked(measured: Calibrated, mode: Mode, calibration: str) -> None:
    body = encode(mode, 64 << 10, CONTENT)

    def received() -> list[bytearray]:
        starts = range(0, len(body), RECEIVED_BYTES)
        return [bytearray(body[at : at + RECEIVED_BYTES]) for at in starts]

    name = "signed" if mode is Mode.SIGNED else "unsigned"
    complete = measured.once_each(
        f"1 MiB in {name} chunks of 64 KiB",
        calibration,
        lambda pieces: decode(mode, pieces),
        received,
        isa=chunked.ISA,
    )
    assert complete


def test_signature(measured: Calibrated) -> None:
    key = sigv4.signing_key(b"secret", DATE[:8], b"us-east-1", b"s3")
    arguments = (b"PUT", b"/bucket/some/key", b"", HEADERS, SIGNED, b"UNSIGNED-PAYLOAD")
    found = measured(
        "signature", "sha256", sigv4.signature, *arguments, DATE, SCOPE, key, isa=sigv4.ISA
    )
    canonical = hashlib.sha256(sigv4.canonical_request(*arguments)).hexdigest().encode()
    text = b"\n".join((b"AWS4-HMAC-SHA256", DATE, SCOPE, canonical))
    same(found, hmac.new(key, text, hashlib.sha256).hexdigest().encode())


def test_signing_key(measured: Calibrated) -> None:
    words = (DATE[:8], b"us-east-1", b"s3")
    key = measured("signing key", "sha256", sigv4.signing_key, b"secret", *words, isa=sigv4.ISA)
    expected = b"AWS4secret"
    for word in (*words, b"aws4_request"):
        expected = hmac.new(expected, word, hashlib.sha256).digest()
    same(key, expected)


def test_encode_piece_head(measured: Calibrated) -> None:
    head = measured(
        "piece head of 1 MiB", "memcpy", segio.encode_piece_head, CONTENT, *PLACE, isa=segio.ISA
    )
    same(segio.check_piece_head(head, *PLACE, MIB), 0)


def test_check_piece_head(measured: Calibrated) -> None:
    head = segio.encode_piece_head(CONTENT, *PLACE)
    status = measured(
        "check of a piece head", "python", segio.check_piece_head, head, *PLACE, MIB, isa=segio.ISA
    )
    same(status, 0)
    same(segio.check_piece_head(head, DATA_ID, 7, 2, 3, MIB), segio.STALE)


def test_entries(measured: Calibrated) -> None:
    rows = [(FORMS["flat"](number), value(number)) for number in range(1000)]
    text = measured(
        "xml of 1,000 entries",
        "sha256",
        xmlout.entries,
        rows,
        b"Contents",
        b"",
        False,
        isa=xmlout.ISA,
    )
    same(text.count(b"<Key>"), 1000)


@pytest.fixture
def codec(request: pytest.FixtureRequest) -> rs.Codec:
    """The layout that the test is asked for. The test group installs a library."""
    return rs.Codec(*request.param)


def stripe_of(codec: rs.Codec) -> tuple[list[bytes], list[bytearray]]:
    """Data shards of 64 KiB, and room for the parity."""
    parity = [bytearray(STREAM_BYTES) for _ in range(codec.parity_count)]
    return STREAMS[: codec.data_count], parity


@pytest.mark.parametrize("codec", [(4, 2), (8, 4)], ids=["4+2", "8+4"], indirect=True)
def test_encode_shards(measured: Calibrated, codec: rs.Codec) -> None:
    data, parity = stripe_of(codec)
    label = f"encode {codec.data_count}+{codec.parity_count} shards of 64 KiB"
    measured(label, "memcpy", codec.encode, data, parity)
    back = {0: bytearray(STREAM_BYTES)}
    codec.reconstruct(dict(enumerate([*data, *parity][1:], 1)), back)
    same(back[0], data[0])


@pytest.mark.parametrize("codec", [(4, 2), (8, 4)], ids=["4+2", "8+4"], indirect=True)
def test_reconstruct_shards(measured: Calibrated, codec: rs.Codec) -> None:
    """As many data shards as there are parity shards."""
    data, parity = stripe_of(codec)
    codec.encode(data, parity)
    lost = codec.parity_count
    there = dict(enumerate([*data, *parity][lost:], lost))
    wanted = {shard: bytearray(STREAM_BYTES) for shard in range(lost)}
    label = f"reconstruct {lost} of {codec.data_count}+{lost} shards of 64 KiB"
    measured(label, "memcpy", codec.reconstruct, there, wanted)
    same(list(wanted.values()), data[:lost])
