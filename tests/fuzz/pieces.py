"""Pieces of large bodies: no damage of head or payload goes through, at any offset and length."""

from __future__ import annotations

import os
import random
import select
from functools import cache
from typing import NamedTuple

from fastobj._ext import crc, segio
from tests.fuzz.mutations import BOUNDARIES, mutate
from tests.reference import crc as reference_crc
from tests.reference import segio as reference

HEAD, FRAME = segio.PIECE_HEAD_BYTES, segio.PIECE_FRAME_BYTES
SUMMED_BYTES = 128  # of the head
VERDICTS = {0, segio.STALE, segio.CHECKSUM}
LENGTHS = (1, 2, 100, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME - 7)
WORDS = (b"fobjpce1", b"fobjpce1\1\0\1", bytes(64), b"\xff" * 64)


class Piece(NamedTuple):
    """What names a piece."""

    data_id: bytes
    segment: int
    generation: int
    index: int


def _piece(rng: random.Random) -> Piece:
    return Piece(
        rng.randbytes(16),
        rng.choice((rng.getrandbits(64), *BOUNDARIES)),
        rng.getrandbits(32),
        rng.choice((0, 1, 2**32 - 1, rng.getrandbits(32))),
    )


def _verdict(head: bytes, intact: bytes) -> int:
    """What a check must say of a head: magic, data id, segment and generation name the piece."""
    if head[:8] + head[16:44] != intact[:8] + intact[16:44]:
        return int(segio.STALE)
    return 0 if head[:SUMMED_BYTES] == intact[:SUMMED_BYTES] else int(segio.CHECKSUM)


def heads(rng: random.Random) -> None:
    """One head, as it was written or damaged."""
    piece, length = _piece(rng), rng.choice((1, 9, 300, FRAME + 1))
    payload = rng.randbytes(9) * (length // 9) + rng.randbytes(length % 9)
    head = segio.encode_piece_head(payload, *piece)
    assert head == reference.piece_head(payload, *piece)
    assert segio.check_piece_head(head, *piece, length) == 0
    other = piece._replace(index=(piece.index + 1) % 2**32)
    assert segio.check_piece_head(head, *other, length) == segio.CHECKSUM
    damaged = mutate(rng, head[:SUMMED_BYTES], WORDS)[:HEAD].ljust(HEAD, b"\0")
    assert segio.check_piece_head(damaged, *piece, length) == _verdict(damaged, head)


# --- through the pool


class _Bench(NamedTuple):
    pool: segio.Pool
    fd: int
    poll: select.poll


@cache
def _bench() -> _Bench:
    """One pool and one file in memory for all rounds."""
    pool = segio.Pool(2)
    poll = select.poll()
    poll.register(pool.eventfd, select.POLLIN)
    return _Bench(pool, os.memfd_create("pieces"), poll)


def _outcome(bench: _Bench) -> int:
    """The status of the job under way."""
    while True:
        for _, status in bench.pool.completions():
            return status
        assert bench.poll.poll(10_000), "a job was lost"
        os.eventfd_read(bench.pool.eventfd)


def one(rng: random.Random) -> None:
    """One piece, written and read back, whole or in part, as it was written or damaged."""
    bench, piece, length = _bench(), _piece(rng), rng.choice(LENGTHS)
    offset = 4096 * rng.randrange(3)
    payload = rng.randbytes(64) * (length // 64) + rng.randbytes(length % 64)
    buffer = bytearray(HEAD) + payload
    os.ftruncate(bench.fd, 0)
    bench.pool.write_piece(bench.fd, b"p", offset, buffer, length, *piece, False, None)
    assert _outcome(bench) == 0
    whole = os.pread(bench.fd, HEAD + length, offset)
    assert whole == reference.piece_head(payload, *piece) + payload
    damaged = _damaged(rng, whole)
    os.ftruncate(bench.fd, 0)
    os.pwrite(bench.fd, damaged + rng.choice((b"", bytes(5000))), offset)
    start = rng.choice((0, rng.randrange(length)))
    wanted = rng.choice((length - start, rng.randint(1, length - start)))
    into = bytearray(HEAD + length)
    bench.pool.read_piece(bench.fd, offset, into, start, wanted, length, *piece, None)
    status = _outcome(bench)
    assert status in VERDICTS
    first, last = start // FRAME * FRAME, min(-(-(start + wanted) // FRAME) * FRAME, length)
    now = damaged.ljust(HEAD + length, b"\0")
    head_stands = now[:SUMMED_BYTES] == whole[:SUMMED_BYTES]
    stands = head_stands and now[HEAD + first : HEAD + last] == whole[HEAD + first : HEAD + last]
    assert status != 0 or stands
    assert status == 0 or not stands or len(damaged) < HEAD + last
    if status == 0:
        assert into[HEAD + start : HEAD + start + wanted] == payload[start : start + wanted]


def _damaged(rng: random.Random, whole: bytes) -> bytes:
    """Damage of the head, of the payload or of both; of the same size most often."""
    if rng.random() < 0.2:
        return whole
    part = rng.choice((SUMMED_BYTES, HEAD, HEAD + 200, len(whole)))
    changed = mutate(rng, whole[:part], WORDS)
    if rng.random() < 0.8:
        changed = changed[:part].ljust(part, b"\0")
    return changed + whole[part:]


def sums(rng: random.Random) -> None:
    """The three CRCs of some bytes at any address, whole and in parts, and of changed ones."""
    content = rng.randbytes(rng.choice((0, 1, 15, 16, 63, 64, 255, 256, 257, rng.randrange(600))))
    at, cut = rng.randrange(64), rng.randint(0, len(content))
    view = memoryview(bytes(at) + content)[at:]
    for name in ("crc32", "crc32c", "crc64nvme"):
        kernel, slow = getattr(crc, name), getattr(reference_crc, name)
        expected = slow(content)
        assert kernel(view) == expected
        assert kernel(view[cut:], kernel(view[:cut])) == expected
        if content:
            changed = bytearray(content)
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            assert kernel(changed) != expected
