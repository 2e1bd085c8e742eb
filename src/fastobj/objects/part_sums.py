"""The checksum of an object from those of its parts: of them all (FULL_OBJECT), or a checksum of
the parts' checksums with their number behind it (COMPOSITE)."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from fastobj._ext import crc
from fastobj.core import codes, other_sums
from fastobj.core.crc_combine import CRCS, combine
from fastobj.core.errors import S3Error
from fastobj.objects.parts import Part

# What S3 computes where nobody says what to compute.
_UNASKED: Final = "crc64nvme"
_PORTION: Final = 200  # combinations between which others get a turn: some 2 ms


def _crc_bytes(function: Callable[[bytes], int], size: int) -> Callable[[bytes], bytes]:
    return lambda text: function(text).to_bytes(size, "big")


_COMPOSITE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "crc32": _crc_bytes(crc.crc32, 4),
    "crc32c": _crc_bytes(crc.crc32c, 4),
    "sha1": lambda text: hashlib.sha1(text, usedforsecurity=False).digest(),
    "sha256": lambda text: hashlib.sha256(text).digest(),
    "md5": lambda text: hashlib.md5(text, usedforsecurity=False).digest(),
    **{name: partial(other_sums.of, name) for name in other_sums.OTHER_SUMS},
}

# Which kind each algorithm makes where nobody says: composite as long as it can.
COMPOSITE: Final = frozenset(_COMPOSITE)
FULL_OBJECT: Final = frozenset(CRCS)


def is_composite(checksum: str) -> bool:
    """Whether a stored checksum is one of checksums: base64 has no `-`."""
    return "-" in checksum


class PartSums:
    """What the checksums of an upload's parts come to."""

    def __init__(self, algorithm: str, composite: bool, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._is_composite = composite
        self._asked = bool(algorithm)
        self._algorithm = algorithm or _UNASKED

    async def checked(
        self, expected_composite: bool | None, expected: Mapping[str, str]
    ) -> dict[str, str]:
        """The object's checksum: algorithm to text; empty where the parts have none.

        Raises InvalidRequest for another kind than expected, BadDigest for another sum.
        """
        sums = await self._sums()
        if expected_composite is not None and expected_composite != self._is_composite:
            kind = "COMPOSITE" if self._is_composite else "FULL_OBJECT"
            message = f"The upload was created with the checksum type {kind}."
            raise S3Error(codes.INVALID_REQUEST, message)
        for name, value in expected.items():
            if name not in sums:
                message = f"The parts of this upload do not have a {name.upper()} checksum."
                raise S3Error(codes.INVALID_REQUEST, message)
            if sums[name] != self._with_count(value):
                message = f"The {name.upper()} you specified did not match the calculated checksum."
                raise S3Error(codes.BAD_DIGEST, message)
        return sums

    def _with_count(self, value: str) -> str:
        """Clients leave the number of parts away as they please."""
        if self._is_composite and not is_composite(value):
            return f"{value}-{len(self._parts)}"
        return value

    async def _sums(self) -> dict[str, str]:
        texts = [part.record.checksums.get(self._algorithm) for part in self._parts]
        found = [b64decode(text) for text in texts if text is not None]
        if len(found) < len(texts):
            return {}
        if self._is_composite:
            joined = _COMPOSITE[self._algorithm](b"".join(found))
            return {self._algorithm: f"{b64encode(joined).decode()}-{len(found)}"}
        return {self._algorithm: b64encode(await self._combined(found)).decode()}

    async def _combined(self, sums: Sequence[bytes]) -> bytes:
        kind = CRCS[self._algorithm]
        total = 0
        for index, (value, part) in enumerate(zip(sums, self._parts, strict=True)):
            total = combine(kind, total, int.from_bytes(value, "big"), part.record.size)
            if index % _PORTION == _PORTION - 1:
                await asyncio.sleep(0)
        return total.to_bytes(kind.bits // 8, "big")
