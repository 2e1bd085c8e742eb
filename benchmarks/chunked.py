"""The aws-chunked decoder, without a server: unsigned against memmove, signed against hashlib.

A body is fed as a socket delivers it, in pieces of 256 KiB. Of several rounds the best counts, and
the yardsticks are measured between them, on as many bytes in pieces of the same size.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import os
from collections.abc import Callable

from fastobj._ext.chunked import ISA, ChunkedDecoder, Mode
from fastobj.core.clock import SystemClock

CLOCK = SystemClock()
BODY_BYTES = 32 << 20
PIECE_BYTES = 256 << 10
CHUNK_BYTES = (8 << 10, 64 << 10, 1 << 20, BODY_BYTES)
ROUNDS = 7
KEY, SEED_SIGNATURE = b"k" * 32, b"0" * 64
DATE, SCOPE = b"20261120T101112Z", b"20261120/us-east-1/s3/aws4_request"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def encode(mode: Mode, chunk_bytes: int, payload: bytes) -> bytes:
    """The body in chunks of that size."""
    parts, previous = [], SEED_SIGNATURE.decode()
    for at in [*range(0, len(payload), chunk_bytes), len(payload)]:
        chunk, head = payload[at : at + chunk_bytes], ""
        if mode is Mode.SIGNED:
            lines = ["AWS4-HMAC-SHA256-PAYLOAD", DATE.decode(), SCOPE.decode(), previous]
            lines += [EMPTY_SHA256, hashlib.sha256(chunk).hexdigest()]
            previous = hmac.new(KEY, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
            head = f";chunk-signature={previous}"
        parts += [f"{len(chunk):x}{head}\r\n".encode(), chunk, b"\r\n"]
    return b"".join(parts)


def pieces(body: bytes) -> list[bytearray]:
    """The body as it is received."""
    return [bytearray(body[at : at + PIECE_BYTES]) for at in range(0, len(body), PIECE_BYTES)]


def decode(mode: Mode, received: list[bytearray]) -> None:
    """Decodes in place, once."""
    decoder = ChunkedDecoder(mode, BODY_BYTES, KEY, DATE, SCOPE, SEED_SIGNATURE)
    for piece in received:
        decoder.feed(piece, len(piece))
    if not decoder.complete:
        raise AssertionError("the body did not decode")


def move(received: list[bytearray]) -> None:
    """Moves each piece to the front of its buffer, as a decoder must, by a few bytes."""
    for piece in received:
        at = ctypes.addressof(ctypes.c_char.from_buffer(piece))
        ctypes.memmove(at, at + 7, len(piece) - 7)


def digest(received: list[bytearray]) -> None:
    """Hashes each piece."""
    total = hashlib.sha256()
    for piece in received:
        total.update(piece)


def seconds(run: Callable[[list[bytearray]], None], body: bytes) -> float:
    """One run, on buffers of its own."""
    received = pieces(body)
    begin = CLOCK.monotonic_ns()
    run(received)
    return (CLOCK.monotonic_ns() - begin) / 1e9


def show(mode: Mode, chunk_bytes: int, yardstick: Callable[[list[bytearray]], None]) -> None:
    """Prints a line."""
    body = encode(mode, chunk_bytes, os.urandom(BODY_BYTES))
    mine, other = float("inf"), float("inf")
    for _ in range(ROUNDS):
        other = min(other, seconds(yardstick, body))
        mine = min(mine, seconds(lambda received: decode(mode, received), body))
    print(
        f"{mode.name.lower():17} chunks of {chunk_bytes >> 10:6} KiB"
        f" {BODY_BYTES / mine / 1e9:6.2f} GB/s, {other / mine:.2f} of {yardstick.__name__}",
        flush=True,
    )


def main() -> None:
    """Prints the figures."""
    print(f"SHA-256 by {ISA}")
    for chunk_bytes in CHUNK_BYTES:
        show(Mode.UNSIGNED_TRAILER, chunk_bytes, move)
    for chunk_bytes in CHUNK_BYTES:
        show(Mode.SIGNED, chunk_bytes, digest)


if __name__ == "__main__":
    main()
