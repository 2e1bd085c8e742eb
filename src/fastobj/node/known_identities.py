"""What the last start knew of the identities: so that a change of them is told, once.

The file holds no secret, only a digest of each, made with a random key of this store: enough to
see that a secret is another one. Nothing else depends on the file; it may be removed.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from fastobj.iam.identity import Identity
from fastobj.node.layout import write_durably
from fastobj.storage import io

FORMAT: Final = 1
_KEY_BYTES: Final = 32


class _Known(msgspec.Struct, frozen=True):
    """One identity. `digest` is HMAC-SHA256 over its id and secret key, in hex."""

    id: str
    access_key: str
    digest: str


class _File(msgspec.Struct, frozen=True):
    """The contents of the file, as JSON. The root user is the first of the identities."""

    format: int
    key: str
    identities: list[_Known]


def note(file: Path, identities: Sequence[Identity]) -> None:
    """Logs how the identities differ from those of the last start, and writes the file anew.

    The root user is the first of them. Raises StoreError where the file cannot be read or written.
    """
    log = logging.getLogger("fastobj.identities")
    before = _read(file, log)
    key = before.key if before else os.urandom(_KEY_BYTES).hex()
    now = [_known(identity, bytes.fromhex(key)) for identity in identities]
    changes = list(_changes(before.identities if before else now[:1], now))
    for change in changes:
        log.warning("%s", change)
    if changes or before is None:
        write_durably(file, msgspec.json.encode(_File(FORMAT, key, now)) + b"\n")


def _known(identity: Identity, key: bytes) -> _Known:
    signed = f"{identity.id}\0{identity.secret_key}".encode()
    return _Known(identity.id, identity.access_key, hmac.digest(key, signed, "sha256").hex())


def _read(file: Path, log: logging.Logger) -> _File | None:
    """What the last start wrote; None at the first, and where it cannot be used."""
    try:
        known = msgspec.json.decode(file.read_bytes(), type=_File)
        if known.format == FORMAT and known.identities and len(bytes.fromhex(known.key)):
            return known
    except FileNotFoundError:
        return None
    except OSError as error:
        raise io.store_error(error, str(file), "read") from error
    except ValueError:  # msgspec's errors are such too
        pass
    log.warning("%s cannot be used and is written anew: changes of identities went unseen", file)
    return None


def _changes(before: Sequence[_Known], now: Sequence[_Known]) -> Iterator[str]:
    """A line for each change, in words that hold no secret."""
    if (old := before[0].id) != (new := now[0].id):
        yield f"the root user has the id {new!r} and had {old!r}, which owns what it made until now"
    old_of = {known.id: known for known in before}
    id_of = {known.access_key: known.id for known in before}
    for known in now:
        yield from _changes_of(known, old_of.get(known.id), id_of.get(known.access_key))
    left = {known.id for known in now}
    for known in before:
        if known.id not in left:
            yield f"identity {known.id!r} is no longer given; its buckets stay its own"


def _changes_of(known: _Known, old: _Known | None, id_before: str | None) -> Iterator[str]:
    """`id_before` is whose access key it was, if it was anybody's."""
    if old is None:
        yield f"identity {known.id!r} is new"
        if id_before is not None:
            yield (
                f"identity {known.id!r} has the access key that {id_before!r} had:"
                f" with it the buckets of {id_before!r} cannot be reached any more"
            )
        return
    if known.access_key != old.access_key:
        yield f"identity {known.id!r} has a new access key"
    if not hmac.compare_digest(known.digest, old.digest):
        yield f"identity {known.id!r} has a new secret key"
