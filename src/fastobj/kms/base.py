"""The contract of key services: they hold the keys that wrap the keys of objects.

A service never gives its own keys away. It knows no bucket and no object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from fastobj.core.errors import FastobjError
from fastobj.core.secret import Secret


class KmsError(FastobjError):
    """A key service cannot do what was asked; the message names the cause and the cure."""


class KeyNotFound(KmsError):
    """The key service has no key of that id, or not the version that wrapped."""


class KmsUnavailable(KmsError):
    """The key service cannot be reached, or its keys cannot be read."""


class WrapMismatch(KmsError):
    """What was to be unwrapped was wrapped by another key, for another context, or is damaged."""


class DataKey(NamedTuple):
    """A fresh key of 32 bytes, as it is and as it is stored."""

    plain: Secret
    wrapped: bytes


class Wrapped(NamedTuple):
    """A key as it is stored, and the context that was bound into it."""

    key: bytes
    context: bytes


class Kms(Protocol):
    """A key service. Versions of a key are numbered from 1, without gaps.

    `context` is bound into what is wrapped, and must be the same later.

    All methods raise KmsUnavailable, and KeyNotFound where there is no such key.
    """

    async def exists(self, key_id: str) -> bool:
        """Whether there is a key of that id."""
        ...

    async def generate(self, key_id: str, context: bytes) -> DataKey:
        """A fresh key, wrapped by the newest version of the key of that id."""
        ...

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> Secret:
        """The key that was wrapped, by whichever version. Raises WrapMismatch."""
        ...

    async def wrap(self, key_id: str, plain: Secret, context: bytes) -> bytes:
        """The key, wrapped by the newest version of the key of that id."""
        ...

    async def newest(self, key_id: str) -> int:
        """The number of the version that wraps now."""
        ...

    async def rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        """Each of the keys, wrapped by the newest version instead, or why that one cannot be."""
        ...

    def version(self, wrapped: bytes) -> int:
        """The number of the version that wrapped; 0 where that was no version of this service."""
        ...

    async def close(self) -> None:
        """Lets go of connections; the service is not used any more."""
        ...
