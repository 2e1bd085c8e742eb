"""The root user's keys: given by settings, else read from the store, else made once.

There are no default credentials. Generated ones stand in `DIR/credentials` in the form that AWS
tools read as a shared credentials file, so a client on the machine needs no copy of them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import string
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.errors import FastobjError
from fastobj.core.settings import Settings
from fastobj.iam.identity import Identity
from fastobj.node.layout import StoreLayout, write_durably
from fastobj.storage import io

ROOT_ID: Final = "root"
USER_LENGTH: Final = 20
SECRET_LENGTH: Final = 40
USER_LENGTH_MIN: Final = 3
USER_LENGTH_MAX: Final = 128
SECRET_LENGTH_MIN: Final = 8

_USER_SIGNS: Final = string.ascii_uppercase + string.digits
_SECRET_SIGNS: Final = string.ascii_letters + string.digits
_USER_KEY: Final = "aws_access_key_id"
_SECRET_KEY: Final = "aws_secret_access_key"
_FORBIDDEN_IN_USER: Final = frozenset("/=,:")  # they divide the parts of a signed header
_OPEN_TO_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# Known from the manuals and examples of this server's kin; compared without case.
_WELL_KNOWN: Final = frozenset(
    """
    12345678 123456789 1234567890 accesskey adminadmin admin123 administrator changeit changeme
    changeme1 changeme123 default123 fastobjadmin minio123 minioadmin minioadmin123 minio-secret
    password password1 password123 password1234 qwertyui rootpassword rootroot rustfsadmin
    secretkey secretsecret supersecret test1234 testtest weedadmin zenko123
    """.split()  # noqa: SIM905 (as a list it would take a page)
)


class CredentialsError(FastobjError):
    """The root user's credentials cannot be used; the text says why and what to do."""


class RootCredentials(NamedTuple):
    """The root user. `generated` is true only in the start that made them.

    `file` holds them in the form of AWS tools; None where settings gave them.
    """

    identity: Identity
    file: Path | None
    generated: bool


def load_credentials(layout: StoreLayout, settings: Settings) -> RootCredentials:
    """The root user's credentials; to be called under the server lock.

    Raises CredentialsError, and StoreError where their file cannot be written.
    """
    generated, file = False, None
    if settings.root_user or settings.root_password:
        pair = _from_settings(settings)
    else:
        file = layout.credentials
        generated = not file.exists()
        pair = _generate(file) if generated else _read(file)
    source = str(file) if file else settings.origin("root-password")
    _check(pair, source, settings)
    identity = Identity(owner_id(layout.store_id), ROOT_ID, *pair)
    return RootCredentials(identity, file, generated)


def owner_id(store_id: bytes, user_id: str = ROOT_ID) -> str:
    """The owner id that S3 shows: 64 hex digits that new keys do not change."""
    return hashlib.sha256(store_id + user_id.encode()).hexdigest()


def _from_settings(settings: Settings) -> tuple[str, str]:
    user, secret = settings.root_user, settings.root_password
    if not (user and secret):
        given, missing = ("root-user", "root-password")[:: 1 if user else -1]
        raise CredentialsError(
            f"{given} is set (from {settings.origin(given)}) and {missing} is not:"
            " set both, or neither to have them generated"
        )
    return user, secret


def _generate(file: Path) -> tuple[str, str]:
    user = "".join(secrets.choice(_USER_SIGNS) for _ in range(USER_LENGTH))
    secret = "".join(secrets.choice(_SECRET_SIGNS) for _ in range(SECRET_LENGTH))
    lines = f"[default]\n{_USER_KEY} = {user}\n{_SECRET_KEY} = {secret}\n"
    write_durably(file, lines.encode())
    return user, secret


def _read(file: Path) -> tuple[str, str]:
    try:
        with file.open(encoding="utf-8") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            lines = opened.read().splitlines()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            raise io.store_error(error, str(file), "read") from error
        raise CredentialsError(f"{file} is not text: restore it, or remove it") from None
    if mode & _OPEN_TO_OTHERS:
        raise CredentialsError(
            f"{file} has mode {mode:04o}, so others may have read it: replace the keys in it,"
            f" then run: chmod 600 {file}"
        )
    values = {
        key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)
    }
    if not values.get(_USER_KEY) or not values.get(_SECRET_KEY):
        raise CredentialsError(
            f"{file} lacks {_USER_KEY} or {_SECRET_KEY}: add it, or remove the file to have new"
            " ones generated"
        )
    return values[_USER_KEY], values[_SECRET_KEY]


def _check(pair: tuple[str, str], source: str, settings: Settings) -> None:
    user, secret = pair
    if not USER_LENGTH_MIN <= len(user) <= USER_LENGTH_MAX or not _can_be_signed(user):
        raise CredentialsError(
            f"the root user (from {source}) must have {USER_LENGTH_MIN} to {USER_LENGTH_MAX}"
            " printable ASCII characters without blanks and / = , :"
        )
    if len(secret) < SECRET_LENGTH_MIN:
        raise CredentialsError(
            f"the root password (from {source}) is too short: use {SECRET_LENGTH_MIN} or more"
            " characters"
        )
    reachable = [
        address
        for address in (settings.address, settings.console_address)
        if not address.is_loopback
    ]
    if reachable and _is_well_known(user, secret):
        raise CredentialsError(
            f"the root password (from {source}) is well known, and {reachable[0]} can be reached"
            " from other machines: choose another one"
        )


def _can_be_signed(user: str) -> bool:
    return all("!" <= sign <= "~" and sign not in _FORBIDDEN_IN_USER for sign in user)


def _is_well_known(user: str, secret: str) -> bool:
    return secret.casefold() in _WELL_KNOWN or secret.casefold() == user.casefold()
