"""Sums without a kernel: published values, big-endian, and pieces as the whole."""

import hashlib
import os

import pytest

from fastobj.core import other_sums

OF_NOTHING = {
    "sha512": hashlib.sha512(b"").hexdigest(),
    "xxhash64": "ef46db3751d8e999",
    "xxhash3": "2d06800538d394c2",
    "xxhash128": "99aa06d3014798d86001c324468d497f",
}


def test_all_are_here():
    assert set(OF_NOTHING) == set(other_sums.OTHER_SUMS)


@pytest.mark.parametrize("name", OF_NOTHING)
def test_values(name):
    begin, size = other_sums.OTHER_SUMS[name]
    assert begin().digest().hex() == OF_NOTHING[name]
    body = os.urandom(100_000)
    digest = begin()
    for at in range(0, len(body), 7000):
        digest.update(memoryview(body)[at : at + 7000])
    assert digest.digest() == other_sums.of(name, body)
    assert len(digest.digest()) == size
