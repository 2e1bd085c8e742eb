"""What a store must hold after a crash, and the comparison with what it holds.

Every operation takes a number before it is sent and one after its answer, from the counter that
numbers the recorded writes. So at each cut an operation is acknowledged, in flight, or not begun:
the first must be there unless a later one on the same place may have replaced it, the second may
show old or new, the third must not show. There is never anything else.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

from fastobj.core.errors import FastobjError
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys
from fastobj.meta.records import NEVER_VERSIONED, ObjectRecord
from fastobj.objects import audit, buckets, get, listing, version_listing
from fastobj.objects.buckets import Bucket
from fastobj.objects.get import Span
from fastobj.objects.store import Store
from fastobj.objects.version_listing import ListedVersion
from fastobj.objects.versions import Wanted

_PAGE = 7  # entries of a page: small, so that listings have seams


class Lost(AssertionError):
    """The store holds what no order of the operations explains, or lacks what it must hold."""


class Place(NamedTuple):
    """What an operation changes: a key, or with an empty key the bucket itself.

    Where versions are kept each is a place of its own, named by what its metadata says of the
    operation that put it.
    """

    bucket: str
    key: bytes = b""
    version: str = ""


class Value(NamedTuple):
    """What is under a key; of a bucket there is only that it exists."""

    size: int = 0
    etag: str = ""
    md5: bytes = b""
    sha256: bytes = b""
    metadata: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


BUCKET = Value()
PARTS = "parts"  # metadata of an object that is uploaded in parts
OPERATION = "operation"  # metadata that names the operation which put an object
Effect = Value | None  # None: nothing is there


def value_of(
    body: bytes, metadata: Mapping[str, str] = {}, headers: Mapping[str, str] = {}
) -> Value:
    """The value that a put of this body leaves; one that says so went up as a part."""
    md5 = hashlib.md5(body)
    return Value(
        len(body),
        _etag_of_part(md5.digest()) if PARTS in metadata else md5.hexdigest(),
        md5.digest(),
        hashlib.sha256(body).digest(),
        tuple(sorted(metadata.items())),
        tuple(sorted(headers.items())),
    )


def _etag_of_part(md5: bytes) -> str:
    """The etag of an object whose only part has that MD5."""
    return f"{hashlib.md5(md5).hexdigest()}-1"


def metadata_of_copy(value: Value, metadata: Mapping[str, str]) -> dict[str, str]:
    """What a copy is to say of itself: it keeps the etag of an object made of parts."""
    kept = {PARTS: "1"} if PARTS in dict(value.metadata) else {}
    return {**metadata, **kept}


def copy_of(value: Value, metadata: Mapping[str, str], headers: Mapping[str, str] = {}) -> Value:
    """The value that a copy of an object leaves, with headers and metadata of its own."""
    told = {"metadata": tuple(sorted(metadata.items())), "headers": tuple(sorted(headers.items()))}
    return value._replace(**told)


def part_copy_of(
    value: Value, metadata: Mapping[str, str], headers: Mapping[str, str] = {}
) -> Value:
    """The value that an upload leaves whose only part is copied from an object."""
    return copy_of(value, metadata, headers)._replace(etag=_etag_of_part(value.md5))


class Operation:
    """One change of one place. `acked` stays infinite where no answer says that it took place."""

    __slots__ = ("acked", "effect", "invoked", "place")

    def __init__(self, place: Place, effect: Effect, invoked: int) -> None:
        self.place = place
        self.effect = effect
        self.invoked = invoked
        self.acked: float = math.inf


class History:
    """The operations on a store, and from them what it may hold at a cut."""

    def __init__(self, initial: Mapping[Place, list[Effect]] = {}) -> None:
        self._initial = {place: list(effects) for place, effects in initial.items()}
        self._operations: defaultdict[Place, list[Operation]] = defaultdict(list)

    def invoke(self, place: Place, effect: Effect, number: int) -> Operation:
        """An operation is about to be sent."""
        operation = Operation(place, effect, number)
        self._operations[place].append(operation)
        return operation

    def refuse(self, operation: Operation) -> None:
        """The answer says that the operation did not take place and never will."""
        self._operations[operation.place].remove(operation)

    def places(self) -> set[Place]:
        """Every place that was ever touched."""
        return self._initial.keys() | self._operations.keys()

    def allowed(self, place: Place, cut: float = math.inf) -> list[Effect]:
        """What the place may hold after a crash at `cut`."""
        started = [o for o in self._operations.get(place, ()) if o.invoked < cut]
        last = max((o.invoked for o in started if o.acked < cut), default=0)
        found: list[Effect] = [] if last else list(self._initial.get(place, [None]))
        return found + [o.effect for o in started if o.acked > last or o.acked >= cut]

    def copyable(self, place: Place) -> list[Value]:
        """The objects that a copy from the place may meet there now."""
        return [effect for effect in self.allowed(place) if effect is not None]

    def at(self, cut: float = math.inf) -> "History":
        """The history of a store that crashed there: what was allowed is its beginning."""
        return History({place: self.allowed(place, cut) for place in self.places()})


def settled(observed: Mapping[Place, Effect]) -> History:
    """The history of a store that has been read: what was seen has to stay."""
    return History({place: [effect] for place, effect in observed.items()})


Observed = dict[Place, Effect]


async def check(store: Store, history: History, cut: float = math.inf) -> Observed:
    """Compares bodies, metadata, listings and counters; returns what was found. Raises Lost."""
    try:
        observed = await _observe(store)
    except FastobjError as error:
        raise Lost(f"reading fails: {type(error).__name__}: {error}") from error
    compare(observed, history, cut)
    different = await audit.differences(store)
    if different:
        raise Lost(f"counters differ from the rows: {different}")
    return {place: observed.get(place) for place in history.places()}


def compare(observed: Observed, history: History, cut: float = math.inf) -> None:
    """Raises Lost where a place holds what it may not."""
    for place in observed.keys() | history.places():
        allowed = history.allowed(place, cut)
        if observed.get(place) not in allowed:
            raise Lost(f"{place} holds {observed.get(place)} at {cut}; allowed: {_unique(allowed)}")


def _unique(effects: Iterable[Effect]) -> list[Effect]:
    return list(dict.fromkeys(effects))


async def _observe(store: Store) -> Observed:
    found: Observed = {}
    for row in await store.meta.scan(keys.BUCKETS, keys.FIRST, keys.LAST, LOOP_SCAN_ROWS_MAX):
        bucket = buckets.decode(row.key.decode(), (row.value, row.token))
        assert bucket is not None
        found[Place(bucket.name)] = BUCKET
        listed = await _listed(store, bucket)
        counted = buckets.Usage(len(listed), sum(record.size for record in listed.values()))
        if bucket.record.versioning == NEVER_VERSIONED:
            for key, record in listed.items():
                found[Place(bucket.name, key)] = await _read(store, bucket, key, record)
        else:
            behind = await _observe_versions(store, bucket, listed, found)
            counted = buckets.Usage(counted.objects, counted.bytes, *behind)
        usage = await buckets.usage(store, bucket)
        if usage != counted:
            raise Lost(f"{bucket.name} says it has {usage}, the listing has {counted}")
    return found


async def _observe_versions(
    store: Store, bucket: Bucket, current: Mapping[bytes, ObjectRecord], found: Observed
) -> tuple[int, int]:
    """Reads each version; returns how many entries of their listing are not current, and the bytes
    of those. Raises Lost where that and the listing of objects do not agree."""
    latest: dict[bytes, ObjectRecord] = {}
    count = size = 0
    async for listed in _versions(store, bucket):
        key, record = listed.key, listed.record
        is_current = listed.is_latest and not record.is_delete_marker
        if is_current:
            latest[key] = record
        else:
            count += 1
            size += record.size
        if not record.is_delete_marker:
            place = Place(bucket.name, key, record.metadata[OPERATION])
            found[place] = await _read(store, bucket, key, record, record.version)
    if latest != current:
        raise Lost(f"{bucket.name} lists {len(current)} objects and {len(latest)} latest versions")
    return count, size


async def _versions(store: Store, bucket: Bucket) -> AsyncIterator[ListedVersion]:
    after, after_version = b"", None
    while True:
        page = await version_listing.list_versions(
            store, bucket, after=after, after_version=after_version, entries_max=_PAGE
        )
        for listed in page.versions:
            yield listed
        if not page.is_truncated:
            return
        after, after_version = page.last, page.last_version


async def _listed(store: Store, bucket: Bucket) -> dict[bytes, ObjectRecord]:
    found: dict[bytes, ObjectRecord] = {}
    after = b""
    while True:
        page = await listing.list_page(store, bucket, after=after, entries_max=_PAGE)
        for listed in page.objects:
            if listed.key <= after:
                raise Lost(f"a listing of {bucket.name} is not in order at {listed.key!r}")
            found[listed.key] = listed.record
            after = listed.key
        if not page.is_truncated:
            return found


async def _read(
    store: Store, bucket: Bucket, key: bytes, listed: ObjectRecord, wanted: Wanted = None
) -> Value:
    record, body = await get.read_object(
        store, bucket, key, lambda r: Span(0, r.size), wanted=wanted
    )
    if record != listed:
        raise Lost(f"{key!r} is listed as {listed} and read as {record}")
    if not isinstance(body, bytes):
        body = b"".join([bytes(piece) async for piece in body])
    value = value_of(body, record.metadata, record.headers)
    if (value.size, value.etag) != (record.size, record.etag):
        raise Lost(f"{key!r} has a body of {value.size} bytes that its row does not describe")
    return value
