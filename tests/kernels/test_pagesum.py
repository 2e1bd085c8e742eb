"""The sums of pages against a slow reference: contents, numbers, changed bits."""

import pytest

from fastobj._ext import pagesum
from tests.fuzz import pages

PAGE = pagesum.PAGE_BYTES


@pytest.mark.parametrize("number", [1, 2, 255, 256, 2**31, 2**32 - 1])
def test_against_the_reference(number, rng):
    for page in (bytes(PAGE), b"\xff" * PAGE, rng.randbytes(PAGE)):
        assert pagesum.stamped(page, number) == pages.reference_stamped(page, number)


def test_each_bit_counts(rng):
    page = pagesum.stamped(rng.randbytes(PAGE), 7)
    assert pagesum.verifies(page, 7)
    for bit in range(0, 8 * PAGE, 37):
        damaged = bytearray(page)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not pagesum.verifies(bytes(damaged), 7)


def test_the_number_counts(rng):
    page = pagesum.stamped(rng.randbytes(PAGE), 7)
    assert not any(pagesum.verifies(page, number) for number in (0, 6, 8, 7 << 8, 7 << 24))


def test_only_a_page_of_zeros_was_never_written():
    assert pagesum.verifies(bytes(PAGE), 7)
    for at in (0, 1, PAGE - 9, PAGE - 8, PAGE - 1):
        page = bytearray(PAGE)
        page[at] = 1
        assert not pagesum.verifies(bytes(page), 7)
