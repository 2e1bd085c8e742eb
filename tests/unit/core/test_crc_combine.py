"""Combined CRCs are those of the joined text."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastobj._ext import crc
from fastobj.core.crc_combine import CRCS, combine

LENGTHS = (0, 1, 2, 7, 8, 9, 255, 256, 65_537, (1 << 20) + 3)


@pytest.mark.parametrize("name", CRCS)
def test_every_pair_of_lengths(name, rng):
    of = getattr(crc, name)
    text = rng.randbytes(max(LENGTHS))
    for first, second in itertools.product(LENGTHS[:9], LENGTHS):
        head, tail = text[:first], text[-second:] if second else b""
        assert combine(CRCS[name], of(head), of(tail), second) == of(head + tail)


@pytest.mark.parametrize("name", CRCS)
@given(texts=st.lists(st.binary(max_size=50), max_size=8))
def test_many_texts(name, texts):
    of = getattr(crc, name)
    total = 0
    for text in texts:
        total = combine(CRCS[name], total, of(text), len(text))
    assert total == of(b"".join(texts))


@pytest.mark.parametrize("name", CRCS)
def test_lengths_that_no_test_can_hash(name):
    """Moving by two lengths one after the other is moving by their sum."""
    kind = CRCS[name]
    for length in (5 << 30, (5 << 40) - 1):
        near = combine(kind, combine(kind, 12345, 0, length), 0, 17)
        assert near == combine(kind, 12345, 0, length + 17)
