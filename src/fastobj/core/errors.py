"""The errors of fastobj.

FastobjError
├── S3Error               a code of core.codes on its way to the client
├── StoreError            for operators; s3.errors maps each to a code of S3
│   ├── ChecksumMismatch  bytes read are not the bytes written
│   ├── StaleLocation     the place was recycled under the reader: read the row again
│   ├── NoSpace           the disk is full
│   ├── TooManyFiles      the process, or the system, has as many files open as it may
│   ├── StoreLocked       another process holds the store
│   ├── StoreDamaged      recovery refuses to guess; names the file
│   ├── SyncFailed        the kernel lost a write; the store is fenced
│   └── UnknownFormat     written by a newer version
├── Conflict              a transaction's expectation did not hold; nothing was applied
├── Unknown               a transaction may or may not have been applied
├── Unavailable           the committer is away or its queue is full; nothing was sent
└── Busy                  a limit of this process is met for too long: try again later
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fastobj.core.codes import ErrorCode


class FastobjError(Exception):
    """Root of all errors that fastobj raises on purpose."""


class S3Error(FastobjError):
    """An error that reaches the client.

    `code` is a row of `core.codes`; `resource` the path asked for; `extra` further XML elements;
    `headers` further response headers.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        resource: str | None = None,
        extra: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message or code.message)
        self.code = code
        self.message = message or code.message
        self.resource = resource
        self.extra = tuple(extra)
        self.headers = tuple(headers)


class StoreError(FastobjError):
    """Something about the stored bytes or the machine under them."""


class ChecksumMismatch(StoreError):
    """Bytes read are not the bytes that were written."""


class StaleLocation(StoreError):
    """The place no longer holds that body: it was released. Read the row again."""


# What a read raises whose body was released under it: a place that is used again may hold anything
# for a moment. Only where the row still says the same are the bytes damaged.
MAY_HAVE_MOVED: Final = (StaleLocation, ChecksumMismatch)


class NoSpace(StoreError):
    """The disk is full."""


class TooManyFiles(StoreError):
    """As many files are open as may be: some are closed again before long."""


class StoreLocked(StoreError):
    """Another process holds the store."""


class StoreDamaged(StoreError):
    """The store contradicts itself; recovery names the file and refuses to guess."""


class SyncFailed(StoreError):
    """A sync failed, so the kernel may have dropped bytes: nothing is written after it."""


class UnknownFormat(StoreError):
    """A file or row was written by a newer version of fastobj."""


class Conflict(FastobjError):
    """A transaction's expectation did not hold; nothing of it was applied.

    `present` has one entry for each row of the transaction, in its order: (value, token), or None
    where no row exists. `arrival` is the place in the order of first arrivals; a retry carries it.
    """

    def __init__(
        self, present: Sequence[tuple[bytes, bytes] | None], arrival: int | None = None
    ) -> None:
        super().__init__("a row changed since it was read")
        self.present = list(present)
        self.arrival = arrival


class Unknown(FastobjError):
    """A transaction may or may not have been applied: it is never sent again blindly."""


class Unavailable(FastobjError):
    """The committer is away longer than writes may wait, or its queue is full."""


class Busy(FastobjError):
    """A limit of this process is met, and stays so: what was begun has to be tried again."""
