"""Pages of the metadata database: no damage of one goes through, nor one at another's place."""

from __future__ import annotations

import random
from struct import pack

from fastobj._ext import pagesum
from tests.fuzz.mutations import BOUNDARIES, mutate
from tests.reference import crc as reference

CONTENT_BYTES = pagesum.PAGE_BYTES - pagesum.RESERVED_BYTES
WORDS = (b"SQLite format 3\0", bytes(64), b"\xff" * 64)


def reference_stamped(page: bytes, number: int) -> bytes:
    """The page with its sum, slowly."""
    content = page[:CONTENT_BYTES]
    return content + pack("<II", reference.crc32c(pack("<I", number) + content), 0)


def one(rng: random.Random) -> None:
    """One page, as it was written or damaged."""
    number = 1 + rng.choice((rng.randrange(100), *BOUNDARIES)) % (2**32 - 1)
    page = rng.choice((rng.randbytes(pagesum.PAGE_BYTES), bytes(pagesum.PAGE_BYTES)))
    stamped = pagesum.stamped(page, number)
    assert stamped == reference_stamped(page, number)
    assert pagesum.verifies(stamped, number)
    assert not pagesum.verifies(stamped, number % (2**32 - 1) + 1)
    damaged = mutate(rng, stamped, WORDS)[: pagesum.PAGE_BYTES].ljust(pagesum.PAGE_BYTES, b"\0")
    is_sound = damaged == stamped or not any(damaged)
    assert pagesum.verifies(damaged, number) == is_sound
