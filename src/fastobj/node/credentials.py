"""The identities of a server: the root user, and those that settings give beside it.

The root user's keys are given by settings, else read from the store, else made once: there are no
default credentials. Generated ones stand in `DIR/credentials` in the form that AWS tools read as a
shared credentials file, so a client on the machine needs no copy of them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.errors import FastobjError
from fastobj.core.setting_kinds import Address
from fastobj.core.settings import Settings
from fastobj.iam.identity import Identity
from fastobj.node import known_identities
from fastobj.node.layout import StoreLayout, write_durably
from fastobj.storage import io

ROOT_ID: Final = "root"
USER_LENGTH: Final = 20
SECRET_LENGTH: Final = 40
USER_LENGTH_MIN: Final = 3
USER_LENGTH_MAX: Final = 128
SECRET_LENGTH_MIN: Final = 8
ID_LENGTH_MAX: Final = 128

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
    """Credentials cannot be used; the text says whose, why, and what to do."""


class Credentials(NamedTuple):
    """The identities of a server, the root user first.

    `file` holds the root user's keys in the form of AWS tools; None where settings gave them.
    `generated` is true only in the start that made them.
    """

    identities: tuple[Identity, ...]
    file: Path | None
    generated: bool

    @property
    def root(self) -> Identity:
        """The root user."""
        return self.identities[0]


class _Signer(NamedTuple):
    """An identity and how messages call it, so that no secret need stand in them."""

    identity: Identity
    name: str
    access_key_name: str
    secret_key_name: str


def load_credentials(layout: StoreLayout, settings: Settings) -> Credentials:
    """The identities of a server; to be called under the server lock.

    Raises CredentialsError, and StoreError where their files cannot be read or written.
    """
    if fault := _half_a_pair(settings):
        raise CredentialsError(fault)
    generated, file = False, None
    if settings.root_user:
        pair = settings.root_user, settings.root_password
    else:
        file = layout.credentials
        generated = not file.exists()
        pair = _generate(file) if generated else _read(file)
    source = str(file) if file else settings.origin("root-password")
    id = settings.root_id or owner_id(layout.store_id)
    signers = [_root(settings, id, pair, source), *_further(settings)]
    if found := list(_faults(signers, settings)):
        raise CredentialsError("\n  ".join(found))
    identities = tuple(signer.identity for signer in signers)
    known_identities.note(layout.identities, identities)
    return Credentials(identities, file, generated)


def faults(settings: Settings) -> Iterator[str]:
    """What is wrong with the identities that settings give: all that needs no store to be seen."""
    signers = _further(settings)
    if fault := _half_a_pair(settings):
        yield fault
    elif settings.root_user:
        pair = settings.root_user, settings.root_password
        source = settings.origin("root-password")
        signers.insert(0, _root(settings, settings.root_id, pair, source))
    yield from _faults(signers, settings)


def owner_id(store_id: bytes, user_id: str = ROOT_ID) -> str:
    """The owner id that S3 shows: 64 hex digits that new keys do not change."""
    return hashlib.sha256(store_id + user_id.encode()).hexdigest()


def _half_a_pair(settings: Settings) -> str | None:
    user, secret = settings.root_user, settings.root_password
    if bool(user) == bool(secret):
        return None
    given, missing = ("root-user", "root-password")[:: 1 if user else -1]
    return (
        f"{given} is set (from {settings.origin(given)}) and {missing} is not:"
        " set both, or neither to have them generated"
    )


def _root(settings: Settings, id: str, pair: tuple[str, str], source: str) -> _Signer:
    identity = Identity(id, settings.root_display_name, *pair, settings.root_email)
    return _Signer(
        identity,
        "the root user",
        f"the root user (from {source})",
        f"the root password (from {source})",
    )


def _further(settings: Settings) -> list[_Signer]:
    source = settings.origin("identities")
    signers = []
    for given in settings.identities:
        name = f"identity {given.id!r}"
        identity = Identity(
            given.id,
            given.display_name or given.id,
            given.access_key,
            given.secret_key,
            given.email,
        )
        keys = [f"the {kind} key of {name} (from {source})" for kind in ("access", "secret")]
        signers.append(_Signer(identity, name, *keys))
    return signers


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


def _faults(signers: Sequence[_Signer], settings: Settings) -> Iterator[str]:
    addresses = (settings.address, settings.console_address)
    reachable = next((address for address in addresses if not address.is_loopback), None)
    for signer in signers:
        yield from _faults_of_keys(signer, reachable)
        if signer.identity.id and not _is_id(signer.identity.id):
            yield (
                f"the id of {signer.name} must have at most {ID_LENGTH_MAX} printable ASCII"
                " characters without blanks"
            )
    yield from _shared(signers)


def _faults_of_keys(signer: _Signer, reachable: Address | None) -> Iterator[str]:
    identity = signer.identity
    user, secret = identity.access_key, identity.secret_key
    if not USER_LENGTH_MIN <= len(user) <= USER_LENGTH_MAX or not _can_be_signed(user):
        yield (
            f"{signer.access_key_name} must have {USER_LENGTH_MIN} to {USER_LENGTH_MAX}"
            " printable ASCII characters without blanks and / = , :"
        )
    if len(secret) < SECRET_LENGTH_MIN:
        yield f"{signer.secret_key_name} is too short: use {SECRET_LENGTH_MIN} or more characters"
    elif reachable and _is_well_known(user, secret):
        yield (
            f"{signer.secret_key_name} is well known, and {reachable} can be reached from other"
            " machines: choose another one"
        )


def _shared(signers: Sequence[_Signer]) -> Iterator[str]:
    """Ids and access keys that more than one has. The root's id may not be known yet: it is ""."""
    for count, signer in enumerate(signers):
        identity = signer.identity
        for other in signers[:count]:
            if identity.id and identity.id == other.identity.id:
                yield f"{other.name} and {signer.name} have one id: give each its own"
            if identity.access_key == other.identity.access_key:
                yield f"{other.name} and {signer.name} have one access key: give each its own"


def _is_id(id: str) -> bool:
    return len(id) <= ID_LENGTH_MAX and all("!" <= sign <= "~" for sign in id)


def _can_be_signed(user: str) -> bool:
    return all("!" <= sign <= "~" and sign not in _FORBIDDEN_IN_USER for sign in user)


def _is_well_known(user: str, secret: str) -> bool:
    return secret.casefold() in _WELL_KNOWN or secret.casefold() == user.casefold()
