"""Identities and where their secrets are looked up. Decisions, no HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who signs requests. `id` is the owner id that S3 shows; stable over key rotation."""

    id: str
    display_name: str
    access_key: str
    secret_key: str = field(repr=False)
    email: str = ""


class Identities:
    """The identities of a server, by access key and by id: each has one of its own."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        identities = tuple(identities)
        self._by_access_key = {identity.access_key: identity for identity in identities}
        self._by_id = {identity.id: identity for identity in identities}

    def find(self, access_key: str) -> Identity | None:
        """The identity with that access key, or None."""
        return self._by_access_key.get(access_key)

    def owner(self, id: str) -> Identity | None:
        """The identity with that id, or None: buckets outlive the identities that own them."""
        return self._by_id.get(id)

    def of_email(self, email: str) -> Identity | None:
        """The identity with that email address, in whatever case, or None."""
        wanted = email.casefold()
        found = (identity for identity in self._by_id.values() if identity.email)
        return next((one for one in found if one.email.casefold() == wanted), None)
