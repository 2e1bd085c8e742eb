"""BLAKE3 over whole bodies, where the setting `integrity` asks for it beside the CRC32C of pieces.

The sum stands in the row of the object or part, and `objects.audit` compares it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastobj.core.errors import FastobjError

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLAKE3: Final = "blake3"


class PackageMissing(FastobjError):
    """A package that a setting or a row asks for cannot be loaded; the message says which."""


class WholeSum:
    """A running BLAKE3 in the shape of hashlib's digests. Raises PackageMissing."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        try:
            from blake3 import blake3  # only here: few servers have it, and it takes memory
        except ImportError as error:
            raise PackageMissing(
                "BLAKE3 needs the package blake3, which cannot be loaded"
                f" ({error}): pip install 'fastobj[blake3]'"
            ) from error
        self._sum = blake3()

    def update(self, data: Buffer, /) -> None:
        """Takes the next bytes."""
        self._sum.update(data)

    def digest(self) -> bytes:
        """The sum of all bytes taken."""
        return self._sum.digest()


def whole_sum(integrity: str) -> Callable[[], WholeSum] | None:
    """What begins the sum that the setting names; None for CRC32C. Raises PackageMissing."""
    if integrity != BLAKE3:
        return None
    WholeSum()  # so that a start finds out, and not the first body
    return WholeSum
