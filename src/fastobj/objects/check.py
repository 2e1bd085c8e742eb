"""Compares all of a store with all else of it, and verifies every body. For a store at rest.

Changes nothing. Rows come by one at a time; what is held of them is a few bytes each for places of
bodies, for names of shared bodies and for ids of uploads.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fastobj.core.errors import StoreError
from fastobj.meta import keys, spaces, walk
from fastobj.meta.base import ScanRow
from fastobj.meta.records import (
    BucketRecord,
    ConfigRecord,
    ObjectRecord,
    PartRecord,
    PartsDue,
    SegmentRecord,
    StampRecord,
    UploadDue,
    UploadRecord,
)
from fastobj.objects import config_rows, configs, damage, uploads
from fastobj.objects.audit import COUNTED, Counts, Difference
from fastobj.objects.check_segments import CheckedSegments, Remark
from fastobj.objects.store import Store
from fastobj.objects.verify import SPACES, Fault, Verifier
from fastobj.storage.base import Location

RESTORE: Final = "restore the store from a backup, or copy its objects into a new one"
_ROWS_PER_TURN: Final = 256
_BUCKET_UNITS: Final = ("objects", "bytes", "noncurrent versions", "bytes of those")
_COUNTER_CURE: Final = f"no object is lost by this; {RESTORE}"
_TOO_FEW_CURE: Final = f"what is counted too low may be released too early: {RESTORE}"


class Problem(NamedTuple):
    """Something that a check found, named as people know it; a note is no damage.

    `kind` is one of row, body, place, overlap, counter, upload, part and file.
    """

    kind: str
    subject: str
    bucket: str
    key: str
    place: str
    reason: str
    cure: str
    is_note: bool = False

    def line(self) -> str:
        """One line: what, where, why, and what to do."""
        where = f" at {self.place}" if self.place else ""
        kind = "note" if self.is_note else self.kind
        return f"{kind}: {self.subject}{where}: {self.reason}. Cure: {self.cure}"


@dataclass(slots=True)
class Progress:
    """How far a check is. `total_bytes` is what it will read, about."""

    rows: int = 0
    buckets: int = 0
    objects: int = 0
    bodies: int = 0
    read_bytes: int = 0
    total_bytes: int = 0
    problems: int = 0
    notes: int = 0
    missing: str = ""  # what could not be compared, and why


class Check:
    """One check of the store below `root`. `tell` is given each problem as it is found.

    Without `bodies` only what rows and manifests say is compared.
    """

    def __init__(
        self, store: Store, root: str, tell: Callable[[Problem], None], *, bodies: bool = True
    ) -> None:
        self.progress = Progress()
        self._store = store
        self._tell = tell
        self._verifier = Verifier(store, self._known, self._read, bodies=bodies)
        self._segments = CheckedSegments(root, store.volume.accounts)
        self._counts = Counts(store)
        self._damaged: dict[bytes, str] = {}  # parts' and shared bodies, by data id
        self._unreadable = 0
        self._buckets: dict[bytes, bytes] = {}
        self._configured: dict[bytes, int] = {}  # bucket id: bits of the kinds it says it has
        self._open_uploads: set[bytes] = set()
        self._accounted_uploads: set[bytes] = set()  # open, made an object, or to be let go of
        self._part_uploads: set[bytes] = set()
        self._looks: dict[type, Callable[[Fault, Any], Awaitable[str]]] = {
            BucketRecord: self._bucket,
            ConfigRecord: self._config,
            SegmentRecord: self._segment,
            UploadRecord: self._upload,
            UploadDue: self._upload_due,
            PartsDue: self._parts_due,
            PartRecord: self._part,
            ObjectRecord: self._object,
            StampRecord: self._stamp,
        }

    async def run(self) -> Progress:
        """Checks everything. Raises StoreError where the database itself cannot be read."""
        counters = await self._store.meta.counters(keys.SEGMENTS, keys.FIRST, keys.LAST)
        self.progress.total_bytes = sum(amounts[0] for _, amounts in counters)
        for space in SPACES:
            async for row in walk.rows(self._store.meta, space):
                await self._row(space, row)
        await self._configurations()
        await self._overlaps()
        for difference in await self._counts.differences():
            await self._counter(difference)
        for upload_id in self._part_uploads - self._accounted_uploads:
            self._lost_parts(upload_id)
        for remark in self._segments.remarks():
            self._file(remark)
        self.progress.missing = self._verifier.missing
        return self.progress

    # --- rows

    async def _row(self, space: int, row: ScanRow) -> None:
        self.progress.rows += 1
        if self.progress.rows % _ROWS_PER_TURN == 0:
            await asyncio.sleep(0)  # it is the turn of whoever shows how far this is
        verified = await self._verifier.verify(space, row)
        fault = verified.fault
        if fault is not None:
            await self._problem("body" if fault.data_id or fault.location else "row", fault)
            if space in (keys.PARTS, keys.SHARED) and fault.data_id:
                self._damaged[fault.data_id] = fault.reason
        elif verified.data_id:
            self.progress.bodies += 1
        try:
            record = spaces.decode(space, row.key, row.value)
        except StoreError:  # told already
            self._unreadable += space in COUNTED
            return
        await self._compare(space, row, record, is_told=fault is not None)

    async def _compare(self, space: int, row: ScanRow, record: Any, is_told: bool) -> None:
        """What the row says of others; of a body that is told of already, no more."""
        about = Fault(space, row.key, b"", b"", "")
        try:
            if space in COUNTED:
                self._counts.add(space, row.key, record)
            look = self._looks.get(type(record))
            reason = await look(about, record) if look is not None else ""
            if reason and not is_told:
                await self._problem("row", about._replace(reason=reason))
            place = self._place(about, record)
            if place is not None and not is_told:
                await self._problem("place", place)
        except StoreError as error:  # of a location that is none
            self._unreadable += space in COUNTED
            if not is_told:
                await self._problem("row", about._replace(reason=str(error)))

    def _place(self, about: Fault, record: Any) -> Fault | None:
        """Notes where the body of a row stands, and returns why it cannot stand there."""
        location: bytes = getattr(record, "location", b"")
        data_id: bytes = getattr(record, "data_id", about.key)
        if not location or not data_id:
            return None
        reason = self._segments.place(Location.decode(location))
        return Fault(about.space, about.key, data_id, location, reason) if reason else None

    async def _bucket(self, about: Fault, record: BucketRecord) -> str:
        self.progress.buckets += 1
        self._configured[record.id] = record.configs
        other = self._buckets.setdefault(record.id, about.key)
        if other == about.key:
            return ""
        return f"it has the id of the bucket {damage.quoted(damage.key_text(other))}"

    async def _config(self, about: Fault, record: ConfigRecord) -> str:
        bucket_id, number, _ = keys.config_of(about.key)
        reason = self._in_bucket(about)
        if not reason and not self._configured[bucket_id] >> number & 1:
            reason = "its bucket says that it has none"
        return reason

    async def _segment(self, about: Fault, record: SegmentRecord) -> str:
        self._segments.add(keys.segment_id(about.key), record)
        return ""

    async def _upload(self, about: Fault, record: UploadRecord) -> str:
        _, upload_id = keys.upload_of(about.key)
        self._open_uploads.add(upload_id)
        self._accounted_uploads.add(upload_id)
        reason = self._in_bucket(about)
        if record.expires_hour and not reason:
            due = keys.due(record.expires_hour, keys.DUE_UPLOAD, upload_id)
            if await self._store.meta.get(keys.DUE, due) is None:
                reason = "the row by which it expires is missing"
        return reason

    async def _upload_due(self, about: Fault, record: UploadDue) -> str:
        _, _, upload_id = keys.due_of(about.key)
        if upload_id not in self._open_uploads:
            subject = f"upload {uploads.id_text(upload_id)}"
            reason = "it is to expire, and is open no more"
            self._note("upload", subject, reason, "the server forgets the row in its time")
        return ""

    async def _parts_due(self, about: Fault, record: PartsDue) -> str:
        _, _, upload_id = keys.due_of(about.key)
        self._accounted_uploads.add(upload_id)
        return ""

    async def _part(self, about: Fault, record: PartRecord) -> str:
        self._part_uploads.add(about.key[: keys.UPLOAD_ID_BYTES])
        return ""

    async def _object(self, about: Fault, record: ObjectRecord) -> str:
        self.progress.objects += 1
        if record.upload_id:
            self._accounted_uploads.add(record.upload_id)
        return self._in_bucket(about)

    async def _stamp(self, about: Fault, record: StampRecord) -> str:
        """Why the key's rows are not as its stamp says, or ""."""
        meta, bucket_id = self._store.meta, about.key[: keys.BUCKET_ID_BYTES]
        key = keys.object_key(about.key)
        has_object = await meta.get(keys.CURRENT, about.key) is not None
        if has_object == record.is_marker:
            latest = "a delete marker" if record.is_marker else "an object"
            return f"it says that the latest version is {latest}, and it is not"
        for order in (record.latest if record.is_marker else 0, record.null):
            row_key = keys.history(bucket_id, key, order)
            if order and await meta.get(keys.HISTORY, row_key) is None:
                return f"the version of order {order} that it names has no row"
        return self._in_bucket(about)

    def _in_bucket(self, about: Fault) -> str:
        """Why the row of an object or an upload is in no bucket, or ""."""
        is_there = about.key[: keys.BUCKET_ID_BYTES] in self._buckets
        return "" if is_there else "its bucket has no row"

    # --- what takes all rows

    async def _configurations(self) -> None:
        """Reads each configuration that a bucket says it has, whole."""
        for bucket_id, bits in self._configured.items():
            for number in range(bits.bit_length()):
                if bits >> number & 1:
                    await self._configuration(bucket_id, number)

    async def _configuration(self, bucket_id: bytes, number: int) -> None:
        kind, reason = configs.KINDS.get(number), ""
        rows = await configs.rows_of(self._store, bucket_id, number)
        try:
            if kind is None:
                reason = "no configuration has this kind"
            elif rows:
                config_rows.read(kind, rows)
            else:
                reason = "its bucket says that it has one, and it has no rows"
        except StoreError as error:
            reason = str(error)
        if reason:
            key = keys.config(bucket_id, number, 0)
            await self._problem("row", Fault(keys.CONFIGS, key, b"", b"", reason))

    async def _overlaps(self) -> None:
        """Names the bodies that others reach into: their rows are read once more."""
        found = self._segments.overlapping()
        if not found:
            return
        for space in COUNTED:
            async for row in walk.rows(self._store.meta, space):
                await self._overlap(space, row, found)

    async def _overlap(self, space: int, row: ScanRow, found: dict[tuple[int, int], int]) -> None:
        try:
            record = spaces.decode(space, row.key, row.value)
            location: bytes = getattr(record, "location", b"")
            place = Location.decode(location) if location else None
        except StoreError:
            return  # told already
        if place is None or (place.segment, place.offset) not in found:
            return
        before = found[place.segment, place.offset]
        reason = f"the body at offset {before} reaches into it"
        data_id = getattr(record, "data_id", row.key)
        await self._problem("overlap", Fault(space, row.key, data_id, location, reason))

    async def _counter(self, difference: Difference) -> None:
        space, key, counted, stored = difference
        cure = _COUNTER_CURE
        units: tuple[str, ...]
        if space == keys.CURRENT:
            name = await damage.bucket_name(self._store.meta, key)
            subject = f"counter of bucket {damage.quoted(name)}"
            units = _BUCKET_UNITS[: max(2, len(counted), len(stored))]
        elif space == keys.OUTBOX:
            subject, units = "counter of the outbox", ("events",)
        elif space == keys.SEGMENTS:
            segment = keys.segment_id(key)
            subject, units = f"counter of segment {segment:016x}", ("live bytes", "bodies")
            cure = _TOO_FEW_CURE if stored < counted else cure
        else:
            subject, units = f"count of shared body {key.hex()}", ("objects",)
            cure = _TOO_FEW_CURE if stored < counted else cure
        reason = f"it says {_amounts(stored, units)}, and the rows say {_amounts(counted, units)}"
        if self._unreadable:
            reason += f" ({self._unreadable} rows that cannot be read are not counted)"
        self._add(Problem("counter", subject, "", "", "", reason, cure))

    def _lost_parts(self, upload_id: bytes) -> None:
        self._add(
            Problem(
                "part",
                f"parts of upload {uploads.id_text(upload_id)}",
                *("", "", ""),
                "their upload is neither open nor an object, and nothing lets go of them",
                f"their space does not come back, no object is lost by this; {RESTORE}",
            )
        )

    def _file(self, remark: Remark) -> None:
        subject, reason, cure, is_note = remark
        self._add(Problem("file", subject, "", "", "", reason, cure, is_note))

    # --- telling

    async def _problem(self, kind: str, fault: Fault) -> None:
        words = await damage.words(self._store.meta, fault)
        cure = words.cure if kind == "body" else RESTORE
        self._add(Problem(kind, *words[:-1], cure))

    def _note(self, kind: str, subject: str, reason: str, cure: str) -> None:
        self._add(Problem(kind, subject, "", "", "", reason, cure, is_note=True))

    def _add(self, problem: Problem) -> None:
        if problem.is_note:
            self.progress.notes += 1
        else:
            self.progress.problems += 1
        self._tell(problem)

    async def _known(self, data_id: bytes) -> str:
        return self._damaged.get(data_id, "")

    async def _read(self, size_bytes: int) -> None:
        self.progress.read_bytes += size_bytes


def _amounts(amounts: tuple[int, ...], units: tuple[str, ...]) -> str:
    padded = (*amounts, *[0] * len(units))
    return " and ".join(f"{amount} {unit}" for amount, unit in zip(padded, units, strict=False))


def as_fields(progress: Progress) -> dict[str, Any]:
    """The figures by their names."""
    return dataclasses.asdict(progress)
