"""Keys in a file beside the store: a key service without a server.

The file is JSON, of mode 0600: a format number, and for each key its versions with 32 random bytes
each. It is made with the default key in it when the first key is asked for. A version stays, and
what it wrapped stays readable, until it is retired: then `null` stands in its place. Whoever loses
the file loses what is encrypted, and whoever reads it beside the store can read that: back it up,
apart from the store.

Several processes use the file; each looks whether it has changed before it makes or takes a key.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Final

import msgspec

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

FORMAT: Final = 2  # of a file without a retired version: 1
FILE_MODE: Final = 0o600
_OTHERS: Final = 0o077
_CHECK_BYTES: Final = 8
_VERSION_BYTES: Final = 4
_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/=+@-]{0,255}")
_TEMPORARY: Final = ".new"


class _Version(msgspec.Struct, frozen=True):
    """One version of a key: base64, and the beginning of its SHA-256, which tells of damage."""

    key: str
    check: str

    def __repr__(self) -> str:
        return "_Version(hidden)"


class _File(msgspec.Struct, frozen=True):
    """What the file holds: the versions of each key, oldest first, by its id."""

    format: int
    keys: dict[str, list[_Version | None]]


Keys = dict[str, list[Secret | None]]  # None: retired, which the newest never is


class LocalKms:
    """The keys in one file. `default_key` is made when it is first asked for; others by people."""

    def __init__(self, path: Path, default_key: str) -> None:
        self._path = path
        self._default_key = default_key
        self._keys: Keys = {}
        self._seen: tuple[int, int, int] | None = None

    async def exists(self, key_id: str) -> bool:
        """Whether there is a key of that id; the default one is made."""
        return bool(await self._versions(key_id))

    async def generate(self, key_id: str, context: bytes) -> DataKey:
        """A fresh key, wrapped by the newest version. Raises KeyNotFound, KmsUnavailable."""
        plain = Secret(os.urandom(wrapping.KEY_BYTES))
        return DataKey(plain, await self.wrap(key_id, plain, context))

    async def wrap(self, key_id: str, plain: Secret, context: bytes) -> bytes:
        """The key, wrapped by the newest version. Raises KeyNotFound, KmsUnavailable."""
        newest = await self.newest(key_id)
        number = newest.to_bytes(_VERSION_BYTES, "big")
        return number + wrapping.wrap(self._version(key_id, newest), plain, number + context)

    async def newest(self, key_id: str) -> int:
        """The number of the version that wraps now. Raises KeyNotFound, KmsUnavailable."""
        versions = await self._versions(key_id)
        if not versions:
            raise KeyNotFound(f"there is no key {key_id!r}: `fastobj kms create` makes one")
        return len(versions)

    async def rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        """Each of the keys, wrapped by the newest version. Raises KeyNotFound, KmsUnavailable."""
        found: list[bytes | KeyNotFound | WrapMismatch] = []
        await self.newest(key_id)
        for key, context in wrapped:
            try:
                plain = await self.unwrap(key_id, key, context)
            except (KeyNotFound, WrapMismatch) as error:
                found.append(error)
            else:
                found.append(await self.wrap(key_id, plain, context))
        return found

    def version(self, wrapped: bytes) -> int:
        """The number of the version that wrapped; 0 where that was not this service."""
        if len(wrapped) != _VERSION_BYTES + wrapping.WRAPPED_BYTES:
            return 0
        return int.from_bytes(wrapped[:_VERSION_BYTES], "big")

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> Secret:
        """The key that was wrapped. Raises KeyNotFound, WrapMismatch, KmsUnavailable."""
        number, version = wrapped[:_VERSION_BYTES], self.version(wrapped)
        if not version:
            raise WrapMismatch("a wrapped key is none of kms local: is the setting another one?")
        versions = self._keys.get(key_id, [])
        if len(versions) < version:  # another process has made it meanwhile
            versions = await self._versions(key_id)
        outer = self._version(key_id, version)
        return wrapping.unwrap(outer, wrapped[_VERSION_BYTES:], number + context)

    def _version(self, key_id: str, version: int) -> Secret:
        versions = self._keys.get(key_id, [])
        found = versions[version - 1] if 0 < version <= len(versions) else None
        if found is None:
            raise KeyNotFound(
                f"{self._path} has no version {version} of the key {key_id!r}, which wrapped the"
                " key of an object: restore that file from a backup"
            )
        return found

    async def _versions(self, key_id: str) -> list[Secret | None]:
        """Those of a key, oldest first; none where there is no such key."""
        self._refresh()
        if key_id == self._default_key and key_id not in self._keys:
            await asyncio.to_thread(self._make_default)
            self._refresh()
        return self._keys.get(key_id, [])

    def _make_default(self) -> None:
        with _changing(self._path) as keys:
            keys.setdefault(self._default_key, [_fresh()])

    def _refresh(self) -> None:
        """Reads the file where it is another one than was read last."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            return
        except OSError as error:
            raise _unavailable(self._path, error) from error
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._keys = read(self._path)
            self._seen = seen


# --- the file


def read(path: Path) -> Keys:
    """The keys in the file; none where there is no file. Raises KmsUnavailable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unavailable(path, error) from error
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_mode & _OTHERS:
            raise KmsUnavailable(f"others may read the keys in {path}: chmod 600 {path}")
        raw = file.read()
    try:
        found = msgspec.json.decode(raw, type=_File)
    except msgspec.MsgspecError:  # its words might show some of the file
        raise KmsUnavailable(f"{path} does not hold keys any more: {_RESTORE}") from None
    if found.format > FORMAT:
        raise KmsUnavailable(
            f"{path} has format {found.format}, this version reads up to {FORMAT}:"
            " use the version of fastobj that wrote it"
        )
    return {
        key_id: [
            None if version is None else _secret(path, key_id, version) for version in versions
        ]
        for key_id, versions in found.keys.items()
    }


_RESTORE: Final = "restore it from a backup, for what its keys wrapped cannot be read without it"


def _secret(path: Path, key_id: str, version: _Version) -> Secret:
    try:
        key = b64decode(version.key, validate=True)
    except ValueError:
        key = b""
    if len(key) != wrapping.KEY_BYTES or _check(key) != version.check:
        raise KmsUnavailable(f"{path}: a version of the key {key_id!r} is damaged: {_RESTORE}")
    return Secret(key)


def _check(key: bytes) -> str:
    return hashlib.sha256(key).digest()[:_CHECK_BYTES].hex()


def _fresh() -> Secret:
    return Secret(os.urandom(wrapping.KEY_BYTES))


def create(path: Path, key_id: str) -> None:
    """Makes a key. Raises KmsError where there is one of that id, or none can have it."""
    if not _KEY_ID.fullmatch(key_id):
        raise KmsError(
            f"{key_id!r} cannot be the id of a key: 1 to 256 letters, digits and _.:/=+@-,"
            " a letter or digit first"
        )
    with _changing(path) as keys:
        if key_id in keys:
            raise KmsError(
                f"there is a key {key_id!r} already: `fastobj kms rotate` adds a version"
            )
        keys[key_id] = [_fresh()]


def rotate(path: Path, key_id: str) -> int:
    """Adds a version to a key, which wraps from now on; returns its number. Raises KeyNotFound."""
    with _changing(path) as keys:
        if key_id not in keys:
            raise KeyNotFound(f"there is no key {key_id!r}: `fastobj kms list` shows those there")
        keys[key_id] = [*keys[key_id], _fresh()]
        return len(keys[key_id])


def retire(path: Path, key_id: str, version: int) -> None:
    """Takes all versions below that one out of the file. Raises KeyNotFound."""
    with _changing(path) as keys:
        versions = keys.get(key_id, [])
        if not 0 < version <= len(versions):
            raise KeyNotFound(f"there is no version {version} of a key {key_id!r} in {path}")
        keys[key_id] = [*repeat(None, version - 1), *versions[version - 1 :]]


@contextmanager
def _changing(path: Path) -> Iterator[Keys]:
    """The keys, to be changed; written durably at the end. One process at a time."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unavailable(path, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys = read(path)
        before = {key_id: list(versions) for key_id, versions in keys.items()}
        yield keys
        if keys != before:
            _write(path, keys)
            os.fsync(folder)
    except OSError as error:
        raise _unavailable(path, error) from error
    finally:
        os.close(folder)


def _write(path: Path, keys: Keys) -> None:
    """Replaces the file whole: after a crash it is the old one or the new one.

    The caller syncs the folder.
    """
    stored = {key_id: list(map(_version, versions)) for key_id, versions in keys.items()}
    is_plain = not any(None in versions for versions in keys.values())
    file_format = 1 if is_plain else FORMAT
    raw = msgspec.json.format(msgspec.json.encode(_File(file_format, stored)), indent=2) + b"\n"
    temporary = f"{path}{_TEMPORARY}"
    opener = partial(os.open, mode=FILE_MODE)
    with open(temporary, "wb", opener=opener) as file:
        os.fchmod(file.fileno(), FILE_MODE)  # one that a crash has left may have another
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _version(key: Secret | None) -> _Version | None:
    if key is None:
        return None
    return _Version(b64encode(key.value).decode(), _check(key.value))


def _unavailable(path: Path, error: OSError) -> KmsUnavailable:
    return KmsUnavailable(
        f"the keys in {path} cannot be used: {error.strerror}; look whether the file is there and"
        " the server's user may read and write it and its folder"
    )
