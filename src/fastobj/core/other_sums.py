"""Checksums that no kernel computes: of hashlib, and of the package xxhash, which is imported once
a client asks for one. They are computed on plain bytes; those of large bodies by threads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Digest(Protocol):
    """A running sum in the shape of hashlib's."""

    def update(self, data: Buffer, /) -> None:
        """Takes the next bytes."""
        ...

    def digest(self) -> bytes:
        """The sum of all bytes taken."""
        ...


def _xxhash(name: str) -> Callable[[], Digest]:
    def begin() -> Digest:
        import xxhash  # only here: few clients ask for it

        begun: Digest = getattr(xxhash, name)()
        return begun

    return begin


def _sha512() -> Digest:
    return hashlib.sha512()


# How to begin each, and the length of its digest in bytes; those of xxHash are big-endian.
OTHER_SUMS: Final[dict[str, tuple[Callable[[], Digest], int]]] = {
    "sha512": (_sha512, 64),
    "xxhash64": (_xxhash("xxh64"), 8),
    "xxhash3": (_xxhash("xxh3_64"), 8),
    "xxhash128": (_xxhash("xxh3_128"), 16),
}


def of(name: str, text: bytes) -> bytes:
    """The sum of that name over a text."""
    digest = OTHER_SUMS[name][0]()
    digest.update(text)
    return digest.digest()
