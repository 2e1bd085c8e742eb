"""Damage of all kinds, from one random generator: what the fuzzers do to valid inputs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MUTATIONS_MAX = 4
GROWTH_BYTES_MAX = 64 * 1024

# Where arithmetic turns over, as unsigned integers of 8 bytes; shorter ones take the low bytes.
BOUNDARIES = tuple(
    (edge + step) % 2**64
    for edge in (0, 2**7, 2**8, 2**12, 2**15, 2**16, 2**20, 2**22, 2**31, 2**32, 2**63, 2**64)
    for step in (-1, 0, 1)
)
# The same as text, and what else a parser of numbers might take for one.
NUMBERS = (
    *(b"%d" % edge for edge in BOUNDARIES),
    b"-1",
    b"+5",
    b"0x10",
    b"1e9",
    b"00000000000000000001",
    b"9" * 30,
    b"9" * 5000,
    "٣".encode(),
    b"1_000",
    b" 7",
    b"7 ",
    b"",
)

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutate(rng: random.Random, content: bytes, words: Sequence[bytes] = ()) -> bytes:
    """`content` after one to four random mutations; `words` are the tokens of its language."""
    for _ in range(rng.randint(1, MUTATIONS_MAX)):
        content = rng.choice(_MUTATIONS)(rng, content, words)
    return content


def span(rng: random.Random, length: int) -> tuple[int, int]:
    """A random range within `length`, most often a short one; it may be empty."""
    start = rng.randint(0, length)
    longest = length - start
    return start, start + rng.randint(0, min(longest, 8) if rng.random() < 0.7 else longest)


def _flip_bit(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set_byte(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] = rng.choice((0, 1, 9, 10, 13, 32, 127, 128, 255))
    return bytes(changed)


def _truncate(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    return content[: rng.randint(0, len(content))]


def _cut(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    start, stop = span(rng, len(content))
    return content[:start] + content[stop:]


def _repeat(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    start, stop = span(rng, len(content))
    part = content[start:stop]
    most = GROWTH_BYTES_MAX // max(len(part), 1) if rng.random() < 0.05 else 4
    return content[:stop] + part * rng.randint(0, most) + content[stop:]


def _move(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    """Splices one part over another place."""
    start, stop = span(rng, len(content))
    at, end = span(rng, len(content))
    return content[:at] + content[start:stop] + content[end:]


def _insert_bytes(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 8)) + content[at:]


def _insert_word(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    start, stop = span(rng, len(content))
    if rng.random() < 0.5:
        stop = start
    return content[:start] + rng.choice(words or NUMBERS) + content[stop:]


def _insert_number(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    start, stop = span(rng, len(content))
    return content[:start] + rng.choice(NUMBERS) + content[stop:]


def _set_integer(rng: random.Random, content: bytes, words: Sequence[bytes]) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    if len(content) < size:
        return content
    value = rng.choice(BOUNDARIES) % (1 << 8 * size)
    at = rng.randint(0, len(content) - size)
    if rng.random() < 0.5:
        at -= at % size
    return content[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + content[at + size :]


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bit,
    _flip_bit,
    _set_byte,
    _truncate,
    _cut,
    _repeat,
    _move,
    _insert_bytes,
    _insert_word,
    _insert_word,
    _insert_number,
    _set_integer,
)
