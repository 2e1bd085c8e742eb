"""Streams of any lengths, alone and in lanes, against hashlib."""

from __future__ import annotations

import hashlib
import random
from typing import NamedTuple

from fastobj._ext import digest

BEGIN = {"md5": digest.Md5, "sha1": digest.Sha1, "sha256": digest.Sha256}
MANY = {"md5": digest.md5_many, "sha256": digest.sha256_many}
UPDATE_MANY = {"md5": digest.md5_update_many, "sha256": digest.sha256_update_many}


class Stream(NamedTuple):
    """One running digest and what it ought to be."""

    mine: digest.Md5 | digest.Sha1 | digest.Sha256
    expected: hashlib._Hash


def _begin(name: str) -> Stream:
    return Stream(BEGIN[name](), hashlib.new(name, usedforsecurity=False))


def _content(rng: random.Random, most: int) -> bytes:
    return rng.randbytes(rng.choice((0, 55, 56, 63, 64, 65, 128, rng.randrange(most + 1))))


def _feed(rng: random.Random, name: str, streams: list[Stream], most: int) -> None:
    chosen = rng.sample(streams, rng.randint(0, len(streams)))
    parts = [_content(rng, most) for _ in chosen]
    for stream, part in zip(chosen, parts, strict=True):
        stream.expected.update(part)
    if name in UPDATE_MANY and rng.random() < 0.7:
        UPDATE_MANY[name]([stream.mine for stream in chosen], parts)
        return
    for stream, part in zip(chosen, parts, strict=True):
        stream.mine.update(part)


def one(rng: random.Random) -> None:
    """Some streams in some calls, and a batch of whole buffers."""
    name = rng.choice(list(BEGIN))
    most = rng.choice((10, 200, 200, 5000))
    streams = [_begin(name) for _ in range(rng.randrange(40))]
    for _ in range(rng.randrange(5)):
        _feed(rng, name, streams, most)
        if streams:
            stream = rng.choice(streams)
            assert stream.mine.digest() == stream.expected.digest()
    for stream in streams:
        assert stream.mine.hexdigest() == stream.expected.hexdigest()
    if name in MANY:
        contents = [_content(rng, most) for _ in range(rng.randrange(70))]
        expected = [hashlib.new(name, each, usedforsecurity=False).digest() for each in contents]
        assert MANY[name](contents) == expected
