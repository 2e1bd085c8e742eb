"""Bytes that must not be seen: in no log, no error, no trace."""

from __future__ import annotations

import hmac
from typing import Final


class Secret:
    """A key. Whoever uses it asks for its `value`; nothing shows it by itself."""

    __slots__ = ("value",)

    def __init__(self, value: bytes) -> None:
        self.value: Final = value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        """Compared in a time that does not tell where they differ; so it has no hash either."""
        return isinstance(other, Secret) and hmac.compare_digest(self.value, other.value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")
