"""TLS: the certificates in a folder, which of them a client is shown, and their replacement.

    FOLDER/public.crt       the default certificate and what it was signed with, in PEM form
    FOLDER/private.key      its key, not encrypted
    FOLDER/NAME/public.crt  a further certificate, for the host names that stand in it
    FOLDER/NAME/private.key

A client is greeted with one context, which lives as long as the server: it holds the keys of
session tickets, so a session goes on in every process that was forked from this one, and over a
reload. The context with the certificate is chosen for each handshake.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastobj.core.clock import Clock
from fastobj.core.setting_sources import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CERTIFICATE_FILE: Final = "public.crt"
KEY_FILE: Final = "private.key"

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all sane
_CERTIFICATE_END: Final = b"-----END CERTIFICATE-----"
_KEY_MARK: Final = b"PRIVATE KEY-----"
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name
_NS_PER_S: Final = 1_000_000_000
_CURES: Final = {
    "KEY_VALUES_MISMATCH": f"{KEY_FILE} is not the key of the first certificate in"
    f" {CERTIFICATE_FILE}: put the pair that was issued together, the server's certificate first",
    "NO_CERTIFICATE_ASSIGNED": f"{KEY_FILE} is a key of another kind than in {CERTIFICATE_FILE}:"
    " put the pair that was issued together",
    "EE_KEY_TOO_SMALL": "the key is too short to be safe: make one of 2048 bits or more",
}


class _Certificate(NamedTuple):
    """A pair that works: its context, the DNS names in it, and when it ends."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    ends: str


class Certificates:
    """The certificates in a folder. `context` is what servers listen with.

    The constructor raises SettingsError for a folder that cannot be used; `remarks` are what a
    person should know of one that can.
    """

    def __init__(self, folder: Path, version_min: str, clock: Clock) -> None:
        self._folder = folder
        self._version_min = VERSIONS[version_min]
        self._clock = clock
        self._seen: object = None
        self._loaded: dict[Path, _Certificate] = {}
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.context = self._new_context()
        self.context.sni_callback = self._choose
        broken = self._load()
        if broken:
            raise broken[0]

    @property
    def remarks(self) -> list[str]:
        """A line for each certificate that has expired."""
        now_s = self._clock.now_ns() // _NS_PER_S
        return [
            f"the certificate in {folder} has expired ({loaded.ends}): clients will refuse it"
            for folder, loaded in self._loaded.items()
            if ssl.cert_time_to_seconds(loaded.ends) < now_s
        ]

    def have_changed(self) -> bool:
        """Whether the files are others than when they were last read."""
        return self._fingerprint() != self._seen

    def reload(self) -> list[str]:
        """Reads the files again, for handshakes from here on; returns what a person should know.

        A pair that cannot be used changes nothing: what was there before stays.
        """
        return [*(f"{error}; what was there before stays" for error in self._load()), *self.remarks]

    def _load(self) -> list[SettingsError]:
        """Takes each pair that works; the errors of the others."""
        self._seen = self._fingerprint()
        broken: list[SettingsError] = []
        loaded: dict[Path, _Certificate] = {}
        try:
            folders = self._folders()
        except OSError as error:
            return [_unreadable(self._folder, error)]
        for folder in folders:
            try:
                loaded[folder] = self._read(folder)
            except SettingsError as error:
                broken.append(error)
                if folder in self._loaded:
                    loaded[folder] = self._loaded[folder]
        self._loaded = loaded
        self._by_name = {}
        for certificate in loaded.values():  # the default certificate first
            for name in certificate.names:
                self._by_name.setdefault(name, certificate.context)
        return broken

    def _folders(self) -> list[Path]:
        """The folder itself, then those below that hold one of the files. Raises OSError."""
        with os.scandir(self._folder) as entries:
            # Hidden ones are how files are replaced all at once where volumes are mounted.
            below = sorted(
                Path(entry.path)
                for entry in entries
                if entry.is_dir() and not entry.name.startswith(".")
            )
        return [self._folder, *(folder for folder in below if any(_files(folder)))]

    def _fingerprint(self) -> object:
        """Something that differs once a file was replaced or written to."""
        try:
            return [(folder, _files(folder)) for folder in self._folders()]
        except OSError as error:
            return error.errno

    def _read(self, folder: Path) -> _Certificate:
        """The pair in a folder, once it has proven that it works. Raises SettingsError."""
        chain = _content(folder / CERTIFICATE_FILE)
        key = _content(folder / KEY_FILE)
        end = chain.find(_CERTIFICATE_END) + len(_CERTIFICATE_END)
        if end < len(_CERTIFICATE_END):
            raise _unusable(folder / CERTIFICATE_FILE, "it is not a certificate in PEM form")
        if _KEY_MARK not in key:
            raise _unusable(folder / KEY_FILE, "it is not a private key in PEM form")
        context = self._new_context()
        try:
            _load_pair(context, chain, key)
            shown = _shown_by(context, chain[:end])
        except _Encrypted:
            reason = "it is encrypted: write it without a password (openssl pkey -in ... -out ...)"
            raise _unusable(folder / KEY_FILE, reason) from None
        except (ssl.SSLError, ValueError) as error:
            raise _unusable(folder, _reason(error)) from None
        names = (name.lower() for kind, name in shown.get("subjectAltName", ()) if kind == "DNS")
        return _Certificate(context, tuple(names), shown["notAfter"])

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._version_min
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _choose(self, handshake: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called in each handshake, with the name that the client wants to reach."""
        handshake.context = self._context_for(name.lower() if name else "")

    def _context_for(self, name: str) -> ssl.SSLContext:
        by_name = self._by_name
        exact = by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}")
        return exact or self._loaded[self._folder].context


class _Encrypted(Exception):
    """A key asks for a password."""


def _refuse_password() -> str:
    raise _Encrypted  # else OpenSSL would ask at the terminal


def _load_pair(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Loads what was read, and not what may stand in the files by now."""
    with _memory_file(chain) as chain_path, _memory_file(key) as key_path:
        context.load_cert_chain(chain_path, key_path, _refuse_password)


@contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    """A path with that content, for a library that takes paths only."""
    with open(os.memfd_create("fastobj-tls"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _shown_by(context: ssl.SSLContext, certificate: bytes) -> dict[str, Any]:
    """What a client learns in a handshake: proves that the pair can be used, and reads it.

    Raises SSLError.
    """
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.load_verify_locations(cadata=certificate.decode("ascii", "replace"))
    asking.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert() or {}


def _files(folder: Path) -> tuple[tuple[int, ...], ...]:
    """What tells each of the two files from another that takes its place; () where it is absent."""
    return tuple(_stamp(folder / name) for name in (CERTIFICATE_FILE, KEY_FILE))


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def _reason(error: Exception) -> str:
    name = getattr(error, "reason", None) or ""
    told = getattr(error, "verify_message", None) or name or error
    return _CURES.get(name, f"OpenSSL says {told}: make the pair anew")


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(f"tls-certs: {path} cannot be used: {reason}")


def _unreadable(path: Path, error: OSError) -> SettingsError:
    cure = "it has to be there, and readable for the user that the server runs as"
    return SettingsError(f"tls-certs: {path}: {error.strerror}: {cure}")
