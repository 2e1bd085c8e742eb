"""A key service of which unwrapped keys are kept for a while: reads need not ask for each.

What is kept is bounded in number and in time. While the service is away, what was read lately can
still be read, no longer than that time; everything else is refused as by the service itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from fastobj.core.bounded import keep
from fastobj.core.clock import Clock
from fastobj.core.secret import Secret
from fastobj.kms.base import DataKey, KeyNotFound, Kms, WrapMismatch, Wrapped

KEYS_MAX: Final = 4096  # about a megabyte
_NS_PER_S: Final = 1_000_000_000


class _Kept(NamedTuple):
    """An unwrapped key, and until when it may be used (monotonic)."""

    key: Secret
    until_ns: int


class KeepingKms:
    """Keeps what another service has unwrapped for `seconds`; its methods are those of Kms."""

    def __init__(self, kms: Kms, seconds: int, clock: Clock) -> None:
        self._kms = kms
        self._for_ns = seconds * _NS_PER_S
        self._clock = clock
        self._kept: dict[tuple[str, bytes, bytes], _Kept] = {}

    async def exists(self, key_id: str) -> bool:
        """Whether there is a key of that id."""
        return await self._kms.exists(key_id)

    async def generate(self, key_id: str, context: bytes) -> DataKey:
        """A fresh key, which is kept."""
        made = await self._kms.generate(key_id, context)
        self._keep((key_id, made.wrapped, context), made.plain)
        return made

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> Secret:
        """The key that was wrapped, as it is kept, or by the service."""
        place = (key_id, wrapped, context)
        kept = self._kept.get(place)
        if kept is not None and self._clock.monotonic_ns() < kept.until_ns:
            return kept.key
        self._kept.pop(place, None)
        plain = await self._kms.unwrap(key_id, wrapped, context)
        self._keep(place, plain)
        return plain

    async def wrap(self, key_id: str, plain: Secret, context: bytes) -> bytes:
        """The key, wrapped."""
        return await self._kms.wrap(key_id, plain, context)

    async def newest(self, key_id: str) -> int:
        """The number of the version that wraps now."""
        return await self._kms.newest(key_id)

    async def rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        """Each of the keys, wrapped by the newest version."""
        return await self._kms.rewrap(key_id, wrapped)

    def version(self, wrapped: bytes) -> int:
        """The number of the version that wrapped."""
        return self._kms.version(wrapped)

    async def close(self) -> None:
        """Forgets all keys, and closes the service."""
        self._kept.clear()
        await self._kms.close()

    def _keep(self, place: tuple[str, bytes, bytes], key: Secret) -> None:
        until_ns = self._clock.monotonic_ns() + self._for_ns
        keep(self._kept, place, _Kept(key, until_ns), KEYS_MAX)
