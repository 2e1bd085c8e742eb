"""Keys in Vault: HashiCorp Vault or OpenBao, by its Transit secrets engine.

Keys of objects are made here and wrapped there (`encrypt`), so only what wraps them never leaves
Vault. What is wrapped is the key and a digest of its context: Vault authenticates both, and can
wrap them anew by a newer version (`rewrap`) without showing them. Transit makes a key that it is
asked to encrypt with where there is none and its token may; so it is looked up first.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from fastobj.core.clock import Clock
from fastobj.core.secret import Secret
from fastobj.kms import wrapping
from fastobj.kms.base import (
    DataKey,
    KeyNotFound,
    KmsError,
    KmsUnavailable,
    WrapMismatch,
    Wrapped,
)
from fastobj.kms.vault_link import Answer, VaultLink
from fastobj.kms.vault_token import VaultToken

KNOWN_S: Final = 60  # for which a key that was found is not looked up again
REWRAPPED_MAX: Final = 128  # by one request
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,254}[A-Za-z0-9_])?")
_WRAPPED: Final = re.compile(rb"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")
_PURPOSE: Final = b"fastobj vault 1\n"
_DIGEST_BYTES: Final = 32
_NS_PER_S: Final = 1_000_000_000
_DENIED: Final = 403
_NOT_FOUND: Final = 404
# How Transit says that it has no key, or not that version any more.
_NO_KEY: Final = ("key not found", "too old", "too new", "disallowed by policy")


class VaultKms:
    """The keys of one mount of Transit, and the token to use them."""

    def __init__(self, link: VaultLink, token: VaultToken, mount: str, clock: Clock) -> None:
        self._link = link
        self._token = token
        self._mount = mount.strip("/")
        self._clock = clock
        self._known_until_ns: dict[str, int] = {}

    # --- what every key service does

    async def exists(self, key_id: str) -> bool:
        """Whether there is a key of that id. Raises KmsUnavailable."""
        try:
            await self.newest(key_id)
        except KeyNotFound:
            return False
        return True

    async def generate(self, key_id: str, context: bytes) -> DataKey:
        """A fresh key, wrapped by the newest version. Raises KeyNotFound, KmsUnavailable."""
        plain = Secret(os.urandom(wrapping.KEY_BYTES))
        return DataKey(plain, await self.wrap(key_id, plain, context))

    async def wrap(self, key_id: str, plain: Secret, context: bytes) -> bytes:
        """The key, wrapped by the newest version. Raises KeyNotFound, KmsUnavailable."""
        if self._clock.monotonic_ns() >= self._known_until_ns.get(key_id, 0):
            await self.newest(key_id)
        text = b64encode(plain.value + _digest(context)).decode()
        answer = await self._ask("POST", f"encrypt/{key_id}", {"plaintext": text})
        if answer.status != 200:
            self._known_until_ns.pop(key_id, None)
            self._refuse(answer, key_id)
        return self._wrapped(_field(answer.document.get("data"), "ciphertext"))

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> Secret:
        """The key that was wrapped. Raises KeyNotFound, WrapMismatch, KmsUnavailable."""
        if not self.version(wrapped):
            raise WrapMismatch("a wrapped key is none of Vault's: is the setting kms another one?")
        _check_id(key_id)
        ciphertext = {"ciphertext": wrapped.decode()}
        answer = await self._ask("POST", f"decrypt/{key_id}", ciphertext)
        if answer.status != 200:
            self._refuse(answer, key_id)
        try:
            opened = b64decode(_field(answer.document.get("data"), "plaintext"), validate=True)
        except ValueError:
            opened = b""
        key, digest = opened[: wrapping.KEY_BYTES], opened[wrapping.KEY_BYTES :]
        if len(key) != wrapping.KEY_BYTES or not hmac.compare_digest(digest, _digest(context)):
            raise WrapMismatch("a wrapped key does not open for this context")
        return Secret(key)

    async def newest(self, key_id: str) -> int:
        """The number of the version that wraps now. Raises KeyNotFound, KmsUnavailable."""
        _check_id(key_id)
        answer = await self._ask("GET", f"keys/{key_id}")
        if answer.status == _NOT_FOUND:
            raise KeyNotFound(
                f"there is no key {key_id!r} in {self.place}: `fastobj kms create` makes one"
            )
        if answer.status != 200:
            self._refuse(answer, key_id)
        found = (answer.document.get("data") or {}).get("latest_version")
        if not isinstance(found, int) or found < 1:
            raise self._strange()
        self._known_until_ns[key_id] = self._clock.monotonic_ns() + KNOWN_S * _NS_PER_S
        return found

    async def rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        """Each of the keys, wrapped by the newest version. Raises KeyNotFound, KmsUnavailable."""
        _check_id(key_id)
        found: list[bytes | KeyNotFound | WrapMismatch] = []
        for at in range(0, len(wrapped), REWRAPPED_MAX):
            found += await self._rewrap(key_id, wrapped[at : at + REWRAPPED_MAX])
        return found

    def version(self, wrapped: bytes) -> int:
        """The number of the version that wrapped; 0 where that was not Vault."""
        match = _WRAPPED.fullmatch(wrapped)
        return int(match[1]) if match else 0

    async def close(self) -> None:
        """Closes the connections."""
        await self._link.close()

    # --- what people do

    async def create(self, key_id: str) -> None:
        """Makes a key. Raises KmsError."""
        if await self.exists(key_id):
            raise KmsError(
                f"there is a key {key_id!r} already: `fastobj kms rotate` adds a version"
            )
        self._check_done(await self._ask("POST", f"keys/{key_id}", {}), key_id)

    async def rotate(self, key_id: str) -> int:
        """Adds a version to a key; returns its number. Raises KmsError."""
        await self.newest(key_id)
        self._check_done(await self._ask("POST", f"keys/{key_id}/rotate", {}), key_id)
        return await self.newest(key_id)

    async def keys(self) -> dict[str, int]:
        """The ids of all keys, and the numbers of their newest versions. Raises KmsUnavailable."""
        answer = await self._ask("LIST", "keys")
        if answer.status == _NOT_FOUND and "errors" in answer.document:
            if not answer.document["errors"]:
                return {}
            self._refuse(answer, "")
        if answer.status != 200:
            self._refuse(answer, "")
        ids = (answer.document.get("data") or {}).get("keys") or []
        return {str(key_id): await self.newest(str(key_id)) for key_id in ids}

    async def retire(self, key_id: str, version: int) -> None:
        """Has versions below that one open nothing any more. Raises KmsError."""
        least = {"min_decryption_version": version}
        self._check_done(await self._ask("POST", f"keys/{key_id}/config", least), key_id)

    # --- asking

    @property
    def place(self) -> str:
        """Where the keys are, in words."""
        return f"{self._mount} of Vault at {self._link.endpoint}"

    async def _ask(self, method: str, path: str, document: object = None) -> Answer:
        """The answer, with another token where the first is refused. Raises KmsUnavailable."""
        path = f"{self._mount}/{path}"
        token = await self._token.get()
        answer = await self._link.call(method, path, token, document)
        if answer.status == _DENIED and self._token.refused(token):
            answer = await self._link.call(method, path, await self._token.get(), document)
        if answer.status == _DENIED:
            raise KmsUnavailable(
                f"Vault at {self._link.endpoint} refuses {method} {path}: {answer.errors}; look"
                " whether the token is valid still, and its policy allows that path"
            )
        return answer

    async def _rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        batch = [{"ciphertext": one.key.decode("latin-1")} for one in wrapped]
        answer = await self._ask("POST", f"rewrap/{key_id}", {"batch_input": batch})
        results = (answer.document.get("data") or {}).get("batch_results")
        if results is None:  # else each says for itself, whatever the status
            self._refuse(answer, key_id)
        if not isinstance(results, list) or len(results) != len(wrapped):
            raise self._strange()
        return [self._rewrapped(one, key_id) for one in results]

    def _rewrapped(self, result: Any, key_id: str) -> bytes | KeyNotFound | WrapMismatch:
        error = result.get("error") if isinstance(result, dict) else None
        if error:
            return self._meaning(str(error), key_id)
        return self._wrapped(_field(result, "ciphertext"))

    def _wrapped(self, text: str) -> bytes:
        wrapped = text.encode("latin-1", "replace")
        if not self.version(wrapped):
            raise self._strange()
        return wrapped

    def _check_done(self, answer: Answer, key_id: str) -> None:
        if answer.status not in (200, 204):
            self._refuse(answer, key_id)

    def _refuse(self, answer: Answer, key_id: str) -> NoReturn:
        """Raises what an answer means that brings no result."""
        if answer.status == 400:
            raise self._meaning(answer.errors, key_id)
        raise KmsUnavailable(
            f"{self.place} does not do what it is asked: {answer.errors}; look whether kms-mount"
            " names a Transit secrets engine and kms-namespace where that is"
        )

    def _meaning(self, errors: str, key_id: str) -> KeyNotFound | WrapMismatch:
        if any(words in errors for words in _NO_KEY):
            return KeyNotFound(
                f"{self.place} does not open what the key {key_id!r} has wrapped: {errors};"
                " lower the key's min_decryption_version or restore it from a backup"
            )
        return WrapMismatch(f"{self.place} refuses it: {errors}")

    def _strange(self) -> KmsUnavailable:
        return KmsUnavailable(
            f"{self.place} answers what Transit never does: look what kms-endpoint names"
        )


def _digest(context: bytes) -> bytes:
    return hashlib.sha256(_PURPOSE + context).digest()


def _check_id(key_id: str) -> None:
    """Raises KeyNotFound for what cannot be a key's name in Vault, nor stand in its URLs."""
    if not _KEY_ID.fullmatch(key_id):
        raise KeyNotFound(f"{key_id[:100]!r} cannot be the name of a key in Vault")


def _field(document: object, name: str) -> str:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""
