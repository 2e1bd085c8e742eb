"""What an object says of its parts: numbers and sizes from its manifest, checksums from the rows
of the parts, which live as long as an object names them."""

from __future__ import annotations

from typing import NamedTuple

from fastobj.core.secret import Secret
from fastobj.meta.records import ObjectRecord
from fastobj.objects import get, parts
from fastobj.objects.buckets import Bucket
from fastobj.objects.get import Span
from fastobj.objects.manifest import ManifestPart, Parts
from fastobj.objects.store import Store
from fastobj.objects.versions import Wanted


class PartSeen(NamedTuple):
    """A part of an object: its size in bytes, and its checksums, algorithm to base64 text."""

    number: int
    size: int
    checksums: dict[str, str]


class Page(NamedTuple):
    """Some of an object's parts, by number."""

    parts: list[PartSeen]
    is_truncated: bool


async def find_parts(
    store: Store,
    bucket: Bucket,
    key: bytes,
    wanted: Wanted = None,
    *,
    after: int,
    entries_max: int,
    customer: Secret | None = None,
) -> tuple[ObjectRecord, Page | None]:
    """The version that is wanted, and its parts whose numbers are above `after`, at most
    `entries_max`.

    None for an object that was put as a whole. `customer` is the key that the reader has brought.
    Raises what `get.find_object` and `get.check_customer` raise, and ChecksumMismatch.
    """
    listed: list[ManifestPart] = []

    def choose(_: ObjectRecord, found: Parts | None) -> Span | None:
        listed[:] = found.page(after, entries_max + 1) if found is not None else []
        return None

    record, _ = await get.read_part(store, bucket, key, choose, False, customer, wanted)
    if not record.upload_id:
        return record, None
    sums = await _checksums(store, record, listed[:entries_max]) if record.checksums else {}
    seen = [
        PartSeen(part.number, part.size, sums.get((part.number, part.data_id), {}))
        for part in listed[:entries_max]
    ]
    return record, Page(seen, len(listed) > entries_max > 0)


async def _checksums(
    store: Store, record: ObjectRecord, listed: list[ManifestPart]
) -> dict[tuple[int, bytes], dict[str, str]]:
    """By number and data id: what the parts have of the algorithm that the object has one of."""
    found: dict[tuple[int, bytes], dict[str, str]] = {}
    if not listed:
        return found
    async for portion in parts.scan(store.meta, record.upload_id, listed[0].number - 1):
        for part in portion:
            sums = part.record.checksums.items()
            shown = {name: text for name, text in sums if name in record.checksums}
            found[part.number, part.record.data_id] = shown
        if portion[-1].number > listed[-1].number:
            break
    return found
