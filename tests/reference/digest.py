"""Slow and obvious MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4), block by block.

The constants are derived here and not listed: MD5's are of the sine, those of SHA-256 the roots of
primes. Hashlib is no part of it, so that the tests have two opinions to compare with.
"""

from math import isqrt, sin

WORD = 2**32
BLOCK_BYTES = 64


def _rotate_left(word: int, count: int) -> int:
    return (word << count | word >> 32 - count) % WORD


def _rotate_right(word: int, count: int) -> int:
    return _rotate_left(word, 32 - count)


def _blocks(content: bytes, order: str) -> list[list[int]]:
    """The padded text in blocks of sixteen words; `order` is that of the bytes."""
    bits = (len(content) * 8 % 2**64).to_bytes(8, order)
    zeros = bytes(-(len(content) + 1 + len(bits)) % BLOCK_BYTES)
    padded = content + b"\x80" + zeros + bits
    words = [int.from_bytes(padded[at : at + 4], order) for at in range(0, len(padded), 4)]
    return [words[at : at + 16] for at in range(0, len(words), 16)]


def _bytes(state: list[int], order: str) -> bytes:
    return b"".join(word.to_bytes(4, order) for word in state)


def _sum(state: list[int], other: list[int]) -> list[int]:
    return [(one + two) % WORD for one, two in zip(state, other, strict=True)]


# --- MD5

MD5_INITIAL = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
MD5_SINES = [int(abs(sin(step + 1)) * WORD) for step in range(64)]
MD5_ROTATIONS = [(7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21)]


def md5_word(step: int) -> int:
    """Which word of the block a step takes."""
    return [step, 5 * step + 1, 3 * step + 5, 7 * step][step // 16] % 16


def _md5_mixed(step: int, b: int, c: int, d: int) -> int:
    return [b & c | ~b & d, b & d | c & ~d, b ^ c ^ d, c ^ (b | ~d)][step // 16] % WORD


def _md5_block(state: list[int], block: list[int]) -> list[int]:
    a, b, c, d = state
    for step in range(64):
        total = a + _md5_mixed(step, b, c, d) + MD5_SINES[step] + block[md5_word(step)]
        rotated = _rotate_left(total % WORD, MD5_ROTATIONS[step // 16][step % 4])
        a, b, c, d = d, (b + rotated) % WORD, b, c
    return _sum(state, [a, b, c, d])


def md5(content: bytes) -> bytes:
    """MD5: 16 bytes."""
    state = MD5_INITIAL
    for block in _blocks(content, "little"):
        state = _md5_block(state, block)
    return _bytes(state, "little")


# --- SHA-1

SHA1_INITIAL = [*MD5_INITIAL, 0xC3D2E1F0]
SHA1_CONSTANTS = [isqrt(number * 2**60) for number in (2, 3, 5, 10)]


def _sha1_mixed(step: int, b: int, c: int, d: int) -> int:
    parity = b ^ c ^ d
    return [b & c ^ ~b & d, parity, b & c ^ b & d ^ c & d, parity][step // 20] % WORD


def _sha1_block(state: list[int], block: list[int]) -> list[int]:
    words = list(block)
    for at in range(16, 80):
        mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]
        words.append(_rotate_left(mixed, 1))
    a, b, c, d, e = state
    for step in range(80):
        total = _rotate_left(a, 5) + _sha1_mixed(step, b, c, d) + e + words[step]
        total += SHA1_CONSTANTS[step // 20]
        a, b, c, d, e = total % WORD, a, _rotate_left(b, 30), c, d
    return _sum(state, [a, b, c, d, e])


def sha1(content: bytes) -> bytes:
    """SHA-1: 20 bytes."""
    state = SHA1_INITIAL
    for block in _blocks(content, "big"):
        state = _sha1_block(state, block)
    return _bytes(state, "big")


# --- SHA-256


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _cube_root(number: int) -> int:
    low, high = 0, number
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= number else (low, middle - 1)
    return low


SHA256_INITIAL = [isqrt(prime << 64) % WORD for prime in _primes(8)]
SHA256_CONSTANTS = [_cube_root(prime << 96) % WORD for prime in _primes(64)]


def _sha256_words(block: list[int]) -> list[int]:
    words = list(block)
    for at in range(16, 64):
        far, near = words[at - 15], words[at - 2]
        sigma0 = _rotate_right(far, 7) ^ _rotate_right(far, 18) ^ far >> 3
        sigma1 = _rotate_right(near, 17) ^ _rotate_right(near, 19) ^ near >> 10
        words.append((words[at - 16] + sigma0 + words[at - 7] + sigma1) % WORD)
    return words


def _sha256_block(state: list[int], block: list[int]) -> list[int]:
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(SHA256_CONSTANTS, _sha256_words(block), strict=True):
        sum1 = _rotate_right(e, 6) ^ _rotate_right(e, 11) ^ _rotate_right(e, 25)
        first = h + sum1 + (e & f ^ ~e % WORD & g) + constant + word
        sum0 = _rotate_right(a, 2) ^ _rotate_right(a, 13) ^ _rotate_right(a, 22)
        second = sum0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (first + second) % WORD, a, b, c, (d + first) % WORD, e, f, g
    return _sum(state, [a, b, c, d, e, f, g, h])


def sha256(content: bytes) -> bytes:
    """SHA-256: 32 bytes."""
    state = SHA256_INITIAL
    for block in _blocks(content, "big"):
        state = _sha256_block(state, block)
    return _bytes(state, "big")
