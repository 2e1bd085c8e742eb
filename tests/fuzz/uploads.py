"""Bodies in aws-chunked coding: the kernel against its slow reference, cut anywhere, damaged."""

from __future__ import annotations

import random
from typing import Any

from fastobj._ext import chunked
from tests.fuzz.mutations import NUMBERS, mutate
from tests.reference import chunked as reference
from tests.reference.chunked import Chain, Code, Decoded, Mode

DATE, SCOPE = b"20261120T101112Z", b"20261120/us-east-1/s3/aws4_request"
TRAILERS = [(b"x-amz-checksum-crc32", b"AAAAAA=="), (b"a", b""), (b"b", b"c d")]
WORDS = (
    *NUMBERS,
    b"\r\n",
    b"\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"5\r\nhello\r\n",
    b"0x5\r\n",
    b"140000000\r\n",
    b"140000001\r\n",
    b"ffffffffffffffff\r\n",
    b"00000000000000005\r\n",
    b";chunk-signature=",
    b";chunk-signature=" + b"0" * 64 + b"\r\n",
    b"x-amz-trailer-signature:",
    b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n",
    b"a:b\r\n",
    b"a:b\n",
    b"A : b\r\n",
    b"a:" + b"v" * reference.TRAILER_BYTES_MAX,
)


def _chain(key: bytes, seed: bytes) -> Chain:
    return Chain(key, DATE, SCOPE, seed)


def _expected(mode: Mode, length: int, chain: Chain, body: bytes) -> Decoded | Code:
    try:
        return reference.decode(mode, length, chain, body)
    except reference.Malformed as error:
        return error.code


def _found(mode: Mode, length: int, chain: Chain, pieces: list[bytes]) -> Decoded | Code:
    """What the kernel makes of a body in pieces, in the words of the reference."""
    decoder = chunked.ChunkedDecoder(mode, length, chain.key, DATE, SCOPE, chain.previous)
    payload = b""
    try:
        for piece in pieces:
            buffer = bytearray(piece)
            consumed, produced = decoder.feed(buffer, len(piece))
            assert consumed == len(piece)
            payload += buffer[:produced]
    except chunked.ChunkedError as error:
        assert not decoder.complete
        assert not decoder.trailers
        return Code(error.code)
    return Decoded(payload, decoder.trailers, decoder.complete)


def _same(found: Decoded | Code, expected: Decoded | Code) -> bool:
    if not isinstance(expected, Decoded) or expected.complete:
        return found == expected
    assert isinstance(found, Decoded)  # cut short: its payload is not vouched for
    return not found.complete and found.payload == expected.payload


def one(rng: random.Random) -> None:
    """One upload, as it was made or damaged, in one piece and in many."""
    mode: Any = rng.choice(list(Mode))
    key, seed = rng.randbytes(32), rng.randbytes(32).hex().encode()
    chunks = [rng.randbytes(rng.choice((1, 16, 300, 5000))) for _ in range(rng.randrange(4))]
    trailers = rng.choices(TRAILERS, k=rng.randrange(4)) if mode != Mode.SIGNED else []
    body = reference.encode(mode, _chain(key, seed), chunks, trailers)
    payload = b"".join(chunks)
    length = len(payload)
    right = Decoded(payload, trailers, True)
    assert _found(mode, length, _chain(key, seed), [body]) == right
    damaged = mutate(rng, body, WORDS)
    length = rng.choice((length, length, length, length + 1, 2**63))
    expected = _expected(mode, length, _chain(key, seed), damaged)
    for count in (0, 1, 5, 200):
        ends = sorted(rng.choices(range(len(damaged) + 1), k=count))
        pieces = [damaged[a:b] for a, b in zip([0, *ends], [*ends, len(damaged)], strict=True)]
        assert _same(_found(mode, length, _chain(key, seed), pieces), expected)
    if mode != Mode.UNSIGNED_TRAILER and isinstance(expected, Decoded) and expected.complete:
        assert expected.payload == payload  # signatures let no other through
