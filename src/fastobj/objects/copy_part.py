"""Copies bytes of an object into a part of an upload.

They are read verified, and written as a body of the part's own. A part never shares a body: its
row alone accounts for it, and a manifest could not tell where a shared one has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from fastobj.core.limits import PIECE_BYTES
from fastobj.core.secret import Secret
from fastobj.meta.records import ObjectRecord, PartRecord
from fastobj.objects import carried, encryption, get, manifest, parts
from fastobj.objects.carried import LargeBody
from fastobj.objects.copy import Source
from fastobj.objects.encryption import Readable
from fastobj.objects.get import Span
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.objects.put import Content
from fastobj.objects.store import Store
from fastobj.objects.uploads import Upload
from fastobj.storage.base import Digest, Writer


class Customers(NamedTuple):
    """The keys of their own that the sender of a copy has brought: to read, and to write with."""

    source_key: Secret | None = None
    copy_key: Secret | None = None


NO_CUSTOMERS: Final = Customers()


class Sums(Protocol):
    """What the copied bytes come to, once `digests` have seen them all."""

    @property
    def etag(self) -> str:
        """The MD5 in hex."""
        ...

    @property
    def checksums(self) -> dict[str, str]:
        """Algorithm to base64 text."""
        ...

    @property
    def blake3(self) -> bytes:
        """The sum for the row; nothing where none is kept."""
        ...


class Measure(Protocol):
    """Running sums of bytes; one is made for each try."""

    @property
    def digests(self) -> Sequence[Digest]:
        """What to feed."""
        ...

    def finish(self) -> Sums:
        """What they come to."""
        ...


async def copy_part(
    store: Store,
    source: Source,
    upload: Upload,
    number: int,
    choose: Callable[[ObjectRecord], Span],
    begin: Callable[[], Measure],
    customers: Customers = NO_CUSTOMERS,
) -> PartRecord:
    """Stores a part with the bytes of the source that `choose` wants.

    Where the source is gone before all are read, `choose` is asked again for what stands in its
    place; what it raises is passed on. Raises S3Error (NoSuchKey of the source, NoSuchUpload,
    SlowDown, and what `encryption.unlock` raises), ChecksumMismatch, Unknown, Unavailable, NoSpace.
    """
    key = await encryption.seal_of_upload(store, upload.record.encryption, customers.copy_key)

    async def copy(record: ObjectRecord, location: bytes) -> PartRecord:
        get.check_customer(record, customers.source_key)
        span, sums = choose(record), begin()
        reader = await open_reader(store, record, location, span, customers.source_key)
        if span.length <= store.small_body_bytes_max:
            body = await read_small(reader, span.length, sums.digests)
            content = _content(upload, span, sums, key)
            return await parts.put_small(store, upload, number, content, body, key)
        large = await read_large(store, reader, span.length, sums.digests, key)
        content = _content(upload, span, sums, key)
        return await parts.put_large(store, upload, number, content, large)

    return await get.with_body(store, source.bucket, source.key, copy, source.version)


async def _parts_of(store: Store, record: ObjectRecord, location: bytes) -> Parts:
    """The bodies of an object; that of one that was put as a whole is its only part."""
    if record.upload_id:
        return await manifest.load(store, record, location)
    return Parts([ManifestPart(1, record.size, record.data_id, location)])


def _content(upload: Upload, span: Span, measured: Measure, key: Secret | None) -> Content:
    sums = measured.finish()
    etag = encryption.etag(upload.record.encryption, key, sums.etag)
    return Content(span.length, etag, checksums=sums.checksums, blake3=sums.blake3)


async def open_reader(
    store: Store, record: ObjectRecord, location: bytes, span: Span, customer: Secret | None
) -> Reader:
    """What reads a range of an object. Raises what `encryption.unlock` raises."""
    volume = await encryption.opened(store, record.encryption, customer)
    return await reader_of(store, record, location, span, volume)


async def reader_of(
    store: Store, record: ObjectRecord, location: bytes, span: Span, volume: Readable
) -> Reader:
    """What reads a range of an object whose bodies the volume opens."""
    return Reader(store, volume, await _parts_of(store, record, location), span)


async def read_small(reader: Reader, length: int, digests: Sequence[Digest]) -> bytes:
    """All of the range, fed to the digests. Raises StaleLocation, ChecksumMismatch."""
    body = await reader.read(length)
    for digest in digests:
        digest.update(memoryview(body))
    return body


async def read_large(
    store: Store, reader: Reader, length: int, digests: Sequence[Digest], key: Secret | None
) -> LargeBody:
    """All of the range as a body of its own, encrypted with the key, if there is one.

    Raises StaleLocation, ChecksumMismatch, NoSpace.
    """
    async with store.part_copies:
        pump = partial(_pump, reader)
        return await carried.write(store, length, pump, digests, key=key)


class Reader:
    """Reads a range of an object from its begin to its end. Holds nothing between two calls."""

    def __init__(self, store: Store, volume: Readable, parts: Parts, span: Span) -> None:
        self._store = store
        self._volume = volume
        self._parts = parts
        self._next, self._end = span.offset, span.offset + span.length

    async def read(self, length: int) -> bytes:
        """The next verified bytes, at most `length`. Raises StaleLocation, ChecksumMismatch."""
        length = min(length, self._end - self._next)
        found = await manifest.read(self._store, self._volume, self._parts, self._next, length)
        self._next += length
        return found


async def _pump(reader: Reader, writer: Writer) -> None:
    """A piece is read before room for it is asked for: both come out of one bounded memory, and
    who holds some of it must not wait for more."""
    filled = 0
    while piece := memoryview(await reader.read(PIECE_BYTES)):
        while piece:
            room = (await writer.buffer())[filled:]
            count = min(len(room), len(piece))
            room[:count] = piece[:count]
            piece = piece[count:]
            filled += count
            if count == len(room):
                await writer.push(filled)
                filled = 0
