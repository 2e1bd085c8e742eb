"""Keys in memory: the worked example of a key service, and a test double. They end with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from fastobj.core.secret import Secret
from fastobj.kms import wrapping
from fastobj.kms.base import DataKey, KeyNotFound, WrapMismatch, Wrapped


class MemoryKms:
    """One version of each key that is named."""

    def __init__(self, key_ids: Iterable[str] = ("default",)) -> None:
        self._keys = {key_id: Secret(os.urandom(wrapping.KEY_BYTES)) for key_id in key_ids}

    async def exists(self, key_id: str) -> bool:
        """Whether there is a key of that id."""
        return key_id in self._keys

    async def generate(self, key_id: str, context: bytes) -> DataKey:
        """A fresh key, wrapped by the key of that id. Raises KeyNotFound."""
        plain = Secret(os.urandom(wrapping.KEY_BYTES))
        return DataKey(plain, await self.wrap(key_id, plain, context))

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> Secret:
        """The key that was wrapped. Raises KeyNotFound, WrapMismatch."""
        return wrapping.unwrap(self._key(key_id), wrapped, context)

    async def wrap(self, key_id: str, plain: Secret, context: bytes) -> bytes:
        """The key, wrapped by the key of that id. Raises KeyNotFound."""
        return wrapping.wrap(self._key(key_id), plain, context)

    async def newest(self, key_id: str) -> int:
        """1, for there is no other version. Raises KeyNotFound."""
        self._key(key_id)
        return 1

    async def rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        """Each of the keys, wrapped anew. Raises KeyNotFound."""
        outer = self._key(key_id)
        found: list[bytes | KeyNotFound | WrapMismatch] = []
        for key, context in wrapped:
            try:
                found.append(wrapping.wrap(outer, wrapping.unwrap(outer, key, context), context))
            except WrapMismatch as error:
                found.append(error)
        return found

    def version(self, wrapped: bytes) -> int:
        """1 for what may be a wrapped key, else 0."""
        return 1 if len(wrapped) == wrapping.WRAPPED_BYTES else 0

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _key(self, key_id: str) -> Secret:
        if key_id not in self._keys:
            raise KeyNotFound(f"there is no key {key_id!r}: name it when the service is made")
        return self._keys[key_id]
