"""Verifies rows and the bodies that they name: for scrub, check and audit, the one place that does.

A row must decode, its body be what its sums say, and what it names be there. Whoever finds a fault
reads the rows again that it has believed: where one of them has changed, the body was moved or
released meanwhile, and all is looked at anew. Only rows that did not change mean damage.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from fastobj.core.bounded import keep
from fastobj.core.errors import ChecksumMismatch, StoreDamaged, StoreError
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys, records, spaces
from fastobj.meta.base import ScanRow, Token
from fastobj.meta.records import ObjectRecord, PartRecord, SharedRecord
from fastobj.objects import manifest
from fastobj.objects.frames import stored_size
from fastobj.objects.get import READ_AGAIN_MAX
from fastobj.objects.integrity import PackageMissing, WholeSum
from fastobj.objects.manifest import ManifestPart
from fastobj.objects.store import Store
from fastobj.storage.base import Location

# In this order a body is verified before the objects that name it and others: parts, shared ones.
SPACES: Final = (
    keys.BUCKETS,
    keys.SEGMENTS,
    keys.JOBS,
    keys.DAMAGED,
    keys.CONFIGS,
    keys.KMS_KEYS,
    keys.UPLOADS,
    keys.DUE,
    keys.PARTS,
    keys.SHARED,
    keys.CURRENT,
    keys.HISTORY,  # behind the current ones: what becomes a version meanwhile is not missed
    keys.STAMPS,
    keys.OUTBOX,
    keys.CURSORS,
)
_SUMS_KEPT_MAX: Final = 1024
_NOT_OF_THE_FILE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM})

Spend = Callable[[int], Awaitable[None]]
Known = Callable[[bytes], Awaitable[str]]
_Place = tuple[int, bytes]


def _is_of_this_process(error: StoreError) -> bool:
    """Whether a file could not be opened for a reason that says nothing of what is in it."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _NOT_OF_THE_FILE


class Fault(NamedTuple):
    """What is wrong with the row `key` of `space`, or with a body that it names.

    Without a `data_id` it is the row itself, or what it alone says of the body. `location` is b""
    where nothing says one.
    """

    space: int
    key: bytes
    data_id: bytes
    location: bytes
    reason: str


class Verified(NamedTuple):
    """What was verified: the body that was read whole, if one was, and bytes; or what is wrong."""

    data_id: bytes = b""
    size_bytes: int = 0
    fault: Fault | None = None


class _Look:
    """One look at a row: what it has read of the metadata, and what it is looking at now."""

    def __init__(self, store: Store, space: int, row: ScanRow) -> None:
        self.space = space
        self.key = row.key
        self.value = row.value
        self.data_id = self.location = b""
        self._store = store
        self._seen: dict[_Place, Token | None] = {(space, row.key): row.token}

    async def shared_location(self, data_id: bytes) -> bytes:
        """Where a shared body is. Raises StoreDamaged where nothing says it."""
        row = await self._store.meta.get(keys.SHARED, data_id)
        self._seen[keys.SHARED, data_id] = None if row is None else row[1]
        if row is None:
            raise StoreDamaged("the row that says where its shared body is has gone")
        return records.decode(SharedRecord, row[0]).location

    def saw(self, space: int, row: ScanRow) -> None:
        """What is found wrong rests on this row too."""
        self._seen[space, row.key] = row.token

    async def is_old(self) -> bool:
        """Whether one of the rows has changed since."""
        present = await self._store.meta.get_many(list(self._seen))
        tokens = [None if row is None else row[1] for row in present]
        return tokens != list(self._seen.values())

    def fault(self, reason: str) -> Fault:
        """What is wrong with what it looks at."""
        return Fault(self.space, self.key, self.data_id, self.location, reason)


def _compare_sums(wanted: bytes, found: bytes) -> None:
    if wanted != found:
        raise ChecksumMismatch(
            f"its bytes have the BLAKE3 {found.hex()}, and its row says {wanted.hex()}"
        )


def _stored_size(record: ObjectRecord | PartRecord) -> int:
    """Bytes that the body of the row takes in its volume."""
    encrypted = record.encryption if isinstance(record, ObjectRecord) else record.is_encrypted
    return stored_size(record.size) if encrypted else record.size


async def _spend_nothing(size_bytes: int) -> None:
    """Reads as fast as it can."""


async def read_body(
    store: Store,
    location: bytes,
    data_id: bytes,
    whole: WholeSum | None = None,
    spend: Spend = _spend_nothing,
) -> int:
    """Reads a whole body and feeds it to `whole`; returns its bytes, which `spend` is told.

    Raises ChecksumMismatch, StaleLocation, StoreDamaged, StoreError.
    """
    place = Location.decode(location)
    slices = store.volume.stream(place, data_id, 0, place.length)
    try:
        async for piece in slices:
            if whole is not None:
                whole.update(piece)
            await spend(len(piece))
    finally:
        await slices.aclose()
    return place.length


class Verifier:
    """Verifies rows of one store, in the order of `SPACES`.

    `spend` is told of bytes that were read, and may wait. `known` says of a part's or a shared
    body, by its data id, why it is damaged: "" where it is not. Without `bodies` only what rows
    and manifests say is compared. `missing` is what a sum could not be computed for want of.
    """

    def __init__(
        self, store: Store, known: Known, spend: Spend = _spend_nothing, *, bodies: bool = True
    ) -> None:
        self.missing = ""
        self._store = store
        self._known = known
        self._spend = spend
        self._bodies = bodies
        self._sums: dict[bytes, bytes] = {}  # of shared bodies, each of which many may name

    def begin(self) -> None:
        """All is to be read anew."""
        self.missing = ""
        self._sums.clear()

    async def verify(self, space: int, row: ScanRow) -> Verified:
        """Looks at a row, and at the body that it names.

        Raises Busy where memory is short, StoreError where this process may not open files.
        """
        present: ScanRow = row
        for _ in range(READ_AGAIN_MAX):
            look = _Look(self._store, space, present)
            try:
                size = await self._look(look)
                return Verified(look.data_id if size else b"", size)
            except StoreError as error:
                if _is_of_this_process(error):
                    raise
                fault = look.fault(str(error))
            if not await look.is_old():
                return Verified(fault=fault)
            found = await self._store.meta.get(space, row.key)
            if found is None:
                break
            present = ScanRow(row.key, *found)
        return Verified()  # it has gone, or changes faster than it can be read

    async def _look(self, look: _Look) -> int:
        """Bytes of the body that was read; 0 where none was. Raises StoreError."""
        record = spaces.decode(look.space, look.key, look.value)
        if isinstance(record, ObjectRecord):
            return await self._object(look, record)
        if isinstance(record, PartRecord):
            look.data_id, look.location = record.data_id, record.location
            return await self._body(look, record)
        if isinstance(record, SharedRecord):
            look.data_id, look.location = look.key, record.location
            if record.count < 1:
                raise StoreDamaged(f"its row says that {record.count} objects name it")
            return await self._read(look)
        return 0

    async def _object(self, look: _Look, record: ObjectRecord) -> int:
        look.data_id, look.location = record.data_id, record.location
        shared = bool(record.data_id) and not record.location
        if shared:
            look.location = await look.shared_location(record.data_id)
            await self._refuse_known(record.data_id)
        if record.upload_id:
            return await self._object_of_parts(look, record)
        if shared and not record.blake3:
            return self._size(
                look, _stored_size(record), 0
            )  # it has been read under its shared row
        return await self._body(look, record, shared)

    async def _body(
        self, look: _Look, record: ObjectRecord | PartRecord, shared: bool = False
    ) -> int:
        if not record.data_id:
            if record.size:
                raise StoreDamaged(f"its row says {record.size} bytes, and names no body")
            whole = self._whole(record.blake3)
            if whole is not None:
                _compare_sums(record.blake3, whole.digest())
            return 0
        self._size(look, _stored_size(record), 0)
        if shared:
            return await self._shared_body(look, record)
        whole = self._whole(record.blake3)
        size = await self._read(look, whole)
        if whole is not None:
            _compare_sums(record.blake3, whole.digest())
        return size

    async def _shared_body(self, look: _Look, record: ObjectRecord | PartRecord) -> int:
        """Compares the sum of a body that is whole by its pieces: it was read before.

        Where they differ the fault is the row's: of other rows it says nothing.
        """
        size, found = 0, self._sums.get(record.data_id)
        if found is None:
            whole = self._whole(record.blake3)
            size = await self._read(look, whole)
            if whole is None:
                return size
            found = whole.digest()
            keep(self._sums, record.data_id, found, _SUMS_KEPT_MAX)
        data_id, look.data_id = look.data_id, b""
        _compare_sums(record.blake3, found)
        look.data_id = data_id
        return size

    def _size(self, look: _Look, wanted: int, read: int) -> int:
        """`read`, where the body has as many bytes as are wanted."""
        length = Location.decode(look.location).length
        if length != wanted:
            raise StoreDamaged(f"its row says {wanted} bytes, and that its body has {length}")
        return read

    async def _read(self, look: _Look, whole: WholeSum | None = None) -> int:
        if not self._bodies:
            Location.decode(look.location)
            return 0
        return await read_body(self._store, look.location, look.data_id, whole, self._spend)

    def _whole(self, wanted: bytes) -> WholeSum | None:
        if not wanted or not self._bodies:
            return None
        try:
            return WholeSum()
        except PackageMissing as error:
            self.missing = str(error)
            return None

    async def _refuse_known(self, data_id: bytes) -> None:
        reason = await self._known(data_id)
        if reason:
            raise ChecksumMismatch(reason)

    # --- objects of parts

    async def _object_of_parts(self, look: _Look, record: ObjectRecord) -> int:
        """Compares the manifest with the object's row and with those of its parts."""
        listed = await manifest.listed(self._store, record.data_id, look.location)
        size = Location.decode(look.location).length
        await self._spend(size)
        if len(listed) != record.parts:
            raise StoreDamaged(
                f"its manifest lists {len(listed)} parts, and its row says {record.parts}"
            )
        if sum(part.size for part in listed) != record.size:
            raise StoreDamaged("the parts that its manifest lists do not add up to its size")
        await self._compare_rows(look, record.upload_id, listed)
        for part in listed:
            await self._refuse_damaged(look, part)
        return size

    async def _compare_rows(
        self, look: _Look, upload_id: bytes, listed: list[ManifestPart]
    ) -> None:
        """Each part that the manifest lists has a row of its own, which says where its body is.

        That may be another place than when the manifest was made.
        """
        missing = {(part.number, part.data_id): part for part in listed}
        cursor, end = upload_id, keys.after(upload_id)
        while missing:
            rows = await self._store.meta.scan(keys.PARTS, cursor, end, LOOP_SCAN_ROWS_MAX)
            for row in rows:
                record = records.decode(PartRecord, row.value)
                number = keys.part_number(row.key)
                part = missing.pop((number, record.data_id), None)
                if part is not None and part.size != record.size:
                    look.saw(keys.PARTS, row)
                    raise StoreDamaged(
                        f"part {number} has {part.size} bytes by its manifest, and {record.size}"
                        " by its row"
                    )
            if len(rows) < LOOP_SCAN_ROWS_MAX:
                break
            cursor = keys.next_key(rows[-1].key)
        if missing:
            numbers = ", ".join(str(number) for number, _ in list(missing)[:3])
            raise StoreDamaged(f"the rows of {len(missing)} of its parts have gone: {numbers}")

    async def _refuse_damaged(self, look: _Look, part: ManifestPart) -> None:
        reason = await self._known(part.data_id) if part.data_id else ""
        if reason:
            look.data_id, look.location = part.data_id, b""  # told where the part itself is
            raise ChecksumMismatch(f"part {part.number}: {reason}")
