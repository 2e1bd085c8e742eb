"""The CRC of two texts one after the other, from the CRC of each and the length of the second.

A CRC whose register begins and ends inverted, as those of S3 do, is linear in what stands before:
as many zero bytes as the second text is long move the first one's CRC to its place. Moving is a
product of polynomials modulo the CRC's own, bits reflected: the highest bit is x^0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple


class Crc(NamedTuple):
    """A reflected CRC: its polynomial without the highest power, and its width in bits."""

    polynomial: int
    bits: int


CRCS: Final = {
    "crc32": Crc(0xEDB88320, 32),
    "crc32c": Crc(0x82F63B78, 32),
    "crc64nvme": Crc(0x9A6C9329AC4BC9B5, 64),
}


def combine(crc: Crc, first: int, second: int, second_bytes: int) -> int:
    """The CRC of both texts; `second_bytes` is the length of the second one."""
    return _product(crc, _power(crc, second_bytes), first) ^ second


def _product(crc: Crc, left: int, right: int) -> int:
    """left * right modulo the polynomial."""
    product, bit = 0, 1 << (crc.bits - 1)
    while left:
        if left & bit:
            product ^= right
            left ^= bit
        bit >>= 1
        right = (right >> 1) ^ crc.polynomial if right & 1 else right >> 1
    return product


@lru_cache(maxsize=256)
def _power(crc: Crc, count_bytes: int) -> int:
    """x to the power of so many bits: parts of an object have few lengths."""
    one = 1 << (crc.bits - 1)
    power, square = one, one >> 8  # x^0, and x^8 for one byte
    while count_bytes:
        if count_bytes & 1:
            power = _product(crc, square, power)
        square = _product(crc, square, square)
        count_bytes >>= 1
    return power
