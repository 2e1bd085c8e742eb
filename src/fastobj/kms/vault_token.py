"""The token with which Vault is asked: given, in an agent's file, or got by AppRole.

A token is renewed, or got anew, once two thirds of its time are over and somebody asks. The file is
read again when it has changed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastobj.core.clock import Clock
from fastobj.core.secret import Secret
from fastobj.kms.base import KmsUnavailable
from fastobj.kms.vault_link import Answer, VaultLink

_NS_PER_S: Final = 1_000_000_000
_OK: Final = 200


class Login(NamedTuple):
    """How a token is had: exactly one of `token`, `sink` and `role_id` is given.

    `sink` is the file into which an agent writes it. None and "" for what is not given.
    """

    token: Secret | None = None
    sink: str = ""
    role_id: str = ""
    secret_id: Secret | None = None


class VaultToken:
    """The token of one process."""

    def __init__(self, link: VaultLink, login: Login, clock: Clock) -> None:
        self._link = link
        self._login = login
        self._clock = clock
        self._token: Secret | None = None
        self._renew_ns: int | None = None  # when; None: never
        self._seen: tuple[int, int] | None = None  # the file that it was read from
        self._one_by_one = asyncio.Lock()

    async def get(self) -> Secret:
        """The token. Raises KmsUnavailable."""
        if not self._is_current():
            async with self._one_by_one:
                if not self._is_current():
                    await self._renew_or_begin()
        assert self._token is not None, "it has been got"
        return self._token

    def refused(self, token: Secret) -> bool:
        """The server does not take this token, or not for that: whether another may be had."""
        if self._token is token:
            self._token = self._seen = None
        return bool(self._login.role_id or self._login.sink)

    def _is_current(self) -> bool:
        if self._token is None or self._file_changed():
            return False
        return self._renew_ns is None or self._clock.monotonic_ns() < self._renew_ns

    def _file_changed(self) -> bool:
        path = self._login.sink
        return bool(path) and _identity(path) != self._seen

    async def _renew_or_begin(self) -> None:
        token = None if self._file_changed() else self._token
        if token is not None and (await self._renew(token) or not self._login.role_id):
            return
        await self._begin()

    async def _begin(self) -> None:
        login = self._login
        if login.role_id:
            return await self._log_in()
        if login.sink:
            self._seen = _identity(login.sink)
        token = login.token or _read(login.sink)
        self._token, self._renew_ns = token, None
        await self._renew(token)

    async def _log_in(self) -> None:
        login = self._login
        secret = login.secret_id.value.decode("latin-1") if login.secret_id else ""
        document = {"role_id": login.role_id, "secret_id": secret}
        answer = await self._link.call("POST", "auth/approle/login", None, document)
        if answer.status != _OK:
            raise KmsUnavailable(
                f"Vault at {self._link.endpoint} refuses kms-role-id with its secret id:"
                f" {answer.errors}; make a new secret id for that role"
            )
        self._take(answer)

    async def _renew(self, token: Secret) -> bool:
        """Whether the token lasts longer now. One that cannot be renewed is used as it is."""
        answer = await self._link.call("POST", "auth/token/renew-self", token, {})
        if answer.status == _OK:
            self._take(answer)
            return True
        self._renew_ns = None
        return False

    def _take(self, answer: Answer) -> None:
        auth: dict[str, Any] = answer.document.get("auth") or {}
        token, lease_s = auth.get("client_token"), auth.get("lease_duration")
        if not isinstance(token, str) or not isinstance(lease_s, int):
            raise KmsUnavailable(
                f"Vault at {self._link.endpoint} gives no token: look whether kms-endpoint is one"
            )
        self._token = Secret(token.encode("latin-1"))
        lasts_ns = lease_s * _NS_PER_S * 2 // 3
        self._renew_ns = self._clock.monotonic_ns() + lasts_ns if lease_s else None


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _read(path: str) -> Secret:
    """What is in a file, without the end of its line. Raises KmsUnavailable."""
    try:
        found = Path(path).read_bytes().strip()
    except OSError as error:
        raise KmsUnavailable(
            f"kms-token-sink: {path} cannot be read: {error.strerror}; look whether it is there and"
            " the server's user may read it"
        ) from error
    if not found.isascii() or not found.decode().isprintable() or not found:
        raise KmsUnavailable(f"kms-token-sink: {path} holds no token: write it there, on one line")
    return Secret(found)
