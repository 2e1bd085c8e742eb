"""Copies an object by its bytes, where the copy cannot name the source's body: the one is
encrypted and the other is not, or the ETag must be an MD5 that nobody has kept.

The bytes are read verified, and stored as a body of the copy's own: always one, also where the
source was made of parts.
"""

from __future__ import annotations

from collections.abc import Callable

from fastobj.meta.records import ObjectRecord
from fastobj.objects import copy_part, encryption, get, put
from fastobj.objects.buckets import Bucket
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.objects.copy import Copied, Describe, Source
from fastobj.objects.copy_part import Measure
from fastobj.objects.encryption import Wish
from fastobj.objects.get import Span
from fastobj.objects.part_sums import is_composite
from fastobj.objects.put import Content
from fastobj.objects.store import Store


async def copy_bytes(
    store: Store,
    source: Source,
    bucket: Bucket,
    key: bytes,
    describe: Describe,
    begin: Callable[[], Measure],
    wish: Wish | None,
    customers: copy_part.Customers,
    conditions: WriteConditions = UNCONDITIONAL,
) -> Copied:
    """Stores under `key` what `describe` makes of the source, with the source's bytes.

    They are encrypted as is wished for, with a fresh key. Raises what `copy.copy_object` raises,
    what `encryption.begin` and `encryption.unlock` raise, and ChecksumMismatch.
    """
    seal = None if wish is None else await encryption.begin(store, wish)
    fresh = None if seal is None else seal.key

    async def copy(record: ObjectRecord, location: bytes) -> Copied:
        get.check_customer(record, customers.source_key)
        described, sums, length = await describe(record), begin(), record.size
        span = Span(0, length)
        reader = await copy_part.open_reader(store, record, location, span, customers.source_key)

        def content() -> Content:
            return _content(described, sums, seal)

        if length <= store.small_body_bytes_max:
            body = await copy_part.read_small(reader, length, sums.digests)
            made = await put.put_small(store, bucket, key, content(), body, conditions, fresh)
            return Copied(made, record)
        large = await copy_part.read_large(store, reader, length, sums.digests, fresh)
        made = await put.put_large(store, bucket, key, content(), large, conditions)
        return Copied(made, record)

    return await get.with_body(store, source.bucket, source.key, copy, source.version)


def _content(described: ObjectRecord, measure: Measure, seal: encryption.Seal | None) -> Content:
    """A checksum of checksums of parts says nothing of a body that is one."""
    sums = measure.finish()
    stored = described.checksums.items()
    checksums = {name: value for name, value in stored if not is_composite(value)}
    key, record = (None, None) if seal is None else seal
    return Content(
        described.size,
        encryption.etag(record, key, sums.etag),
        described.headers,
        described.metadata,
        checksums | sums.checksums,
        described.acl,
        sums.blake3,
        described.tags,
        record,
        described.lock,
    )
