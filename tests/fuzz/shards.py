"""Stripes that lose shards, whole or in place, against the reference."""

from __future__ import annotations

import random
from functools import cache

from fastobj._ext import rs
from tests.reference import rs as reference


@cache
def _codec(data_count: int, parity_count: int) -> rs.Codec:
    return rs.Codec(data_count, parity_count)


def one(rng: random.Random) -> None:
    """One stripe: encoded, changed, and decoded from shards that are chosen at random."""
    total = rng.randint(2, 16)
    data_count = rng.randint(1, total - 1)
    codec = _codec(data_count, total - data_count)
    length = rng.choice((0, 1, 15, 16, 31, 32, 33, rng.randrange(120)))
    data = [rng.randbytes(length) for _ in range(data_count)]
    parity = [bytearray(length) for _ in range(total - data_count)]
    codec.encode(data, parity)
    index, after = rng.randrange(data_count), rng.randbytes(length)
    codec.update(index, data[index], after, parity)
    data[index] = after
    assert parity == reference.encode(data, total - data_count)
    shards = [*data, *parity]
    there = {x: shards[x] for x in rng.sample(range(total), rng.randint(0, total))}
    wanted = {x: bytearray(length) for x in range(total) if x not in there}
    try:
        codec.reconstruct(there, wanted)
    except ValueError:
        assert len(there) < data_count
    else:
        assert wanted == {x: shards[x] for x in wanted}
