"""Slow and obvious CRCs, one bit at a time, and the arithmetic behind the folding kernels.

A message is a polynomial over GF(2) whose first bit has the highest power. All three sums are
reflected: the first bit of a byte is its lowest one, so the register shifts right.
"""

# Width, and the reflected polynomial without its leading term.
CRC32 = (32, 0xEDB88320)
CRC32C = (32, 0x82F63B78)
CRC64NVME = (64, 0x9A6C9329AC4BC9B5)


def _advance(state: int, data: bytes, reflected: int) -> int:
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (reflected if state & 1 else 0)
    return state


def _crc(kind: tuple[int, int], data: bytes, value: int) -> int:
    width, reflected = kind
    ones = (1 << width) - 1
    return _advance(value ^ ones, data, reflected) ^ ones


def crc32(data: bytes, value: int = 0) -> int:
    """CRC32 of zlib and IEEE 802.3."""
    return _crc(CRC32, data, value)


def crc32c(data: bytes, value: int = 0) -> int:
    """CRC32C (Castagnoli) of iSCSI."""
    return _crc(CRC32C, data, value)


def crc64nvme(data: bytes, value: int = 0) -> int:
    """CRC64NVME of the NVM Express specification."""
    return _crc(CRC64NVME, data, value)


def power_of_x(exponent: int, reflected: int) -> int:
    """x**exponent modulo the polynomial, reflected in 64 bits: bit 63 is x**0."""
    value = 1 << 63
    for _ in range(exponent):
        value = value >> 1 ^ (reflected if value & 1 else 0)
    return value


def _carryless_product(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
    return product


def _fold_block(block: int, onto: int, bits: int, reflected: int) -> int:
    """Add to `onto` a block of 128 bits that stands `bits` before it.

    The first 64 bits of the message are the low half of the register, because all is reflected. A
    product of two reflected halves comes out one bit low, a factor x: hence the exponents less 1.
    """
    first, second = block & (2**64 - 1), block >> 64
    onto ^= _carryless_product(first, power_of_x(bits + 64 - 1, reflected))
    return onto ^ _carryless_product(second, power_of_x(bits - 1, reflected))


def crc_by_folding(kind: tuple[int, int], data: bytes, lanes: int = 1) -> int:
    """The CRC as the kernels compute it: `lanes` blocks of 16 bytes, each folded `lanes` ahead.

    `data` is a whole number of rounds. At the end the lanes are folded onto the last one, and the
    block that is left has the same remainder as the message.
    """
    width, reflected = kind
    blocks = [int.from_bytes(data[at : at + 16], "little") for at in range(0, len(data), 16)]
    blocks[0] ^= (1 << width) - 1
    for at in range(lanes, len(blocks)):
        blocks[at] = _fold_block(blocks[at - lanes], blocks[at], 128 * lanes, reflected)
    last = blocks[-1]
    for distance in range(1, lanes):
        last = _fold_block(blocks[-1 - distance], last, 128 * distance, reflected)
    return _advance(0, last.to_bytes(16, "little"), reflected) ^ ((1 << width) - 1)
