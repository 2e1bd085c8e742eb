"""Events: what a change of an object is told as, and the rows of the outbox that come with it.

A row is part of the transaction of the change: there is no change without its event, and no event
without its change. Its key gets the order of commits from whoever commits it (objects.encoded):
so the outbox is a log of all that happened, and a key's events stand in the order of its commits,
whatever process made them and whatever the clock said. Delivery is `background.delivery`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

import msgspec

from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, Add, Row
from fastobj.meta.records import NEVER_VERSIONED, EventRecord, ObjectRecord
from fastobj.objects import configs, notifications, versions
from fastobj.objects.buckets import Bucket
from fastobj.objects.notifications import Notifications
from fastobj.objects.store import Store

TEST_EVENT: Final = "s3:TestEvent"
_BIT: Final = configs.NOTIFICATION.bit
_CREATED: Final = "s3:ObjectCreated:"
_PUT: Final = "s3:ObjectCreated:Put"
_REMOVED: Final = "s3:ObjectRemoved:"
_EXPIRED: Final = "s3:LifecycleExpiration:"


class Cause(NamedTuple):
    """Why something changes: the event of the operation, and who asked for it from where.

    An `event` that begins with `s3:LifecycleExpiration:` says what a removal is told as.
    """

    event: str
    principal: str = ""
    source_ip: str = ""
    request_id: str = ""

    def cause(self) -> Cause:
        """Itself."""
        return self


class Asker(Protocol):
    """Whoever can say why something changes, once that is to be told."""

    def cause(self) -> Cause:
        """Why."""
        ...


# Who asks, in this task; without one nothing is told: the change is no operation of S3.
_asker: ContextVar[Asker | None] = ContextVar("asker", default=None)
ask: Final = _asker.set


@contextmanager
def caused_by(asker: Asker) -> Iterator[None]:
    """What changes inside is told as of this cause."""
    before = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(before)


class Kind(Enum):
    """What can happen to an object."""

    CREATED = auto()
    DELETED = auto()
    MARKED = auto()  # a delete marker has come
    CHANGED = auto()  # what is said of it


class Happening(NamedTuple):
    """Something that happens to an object with a change; `record` is it, or its delete marker."""

    kind: Kind
    key: bytes
    record: ObjectRecord


def tells(bucket: Bucket) -> bool:
    """Whether anybody may be told of what happens in the bucket."""
    return bool(bucket.record.configs & _BIT)


async def rows_of(store: Store, bucket: Bucket, happenings: Iterable[Happening]) -> list[Row]:
    """The events to commit with a change, one for each happening that somebody is told of.

    Raises StoreDamaged where the configuration cannot be read, NoSuchBucket.
    """
    asker = _asker.get()
    if asker is None:
        return []
    config = await configs.find(store, bucket, configs.NOTIFICATION)
    if config is None:
        return []
    cause = asker.cause()
    events: list[EventRecord] = []
    for one in happenings:
        name = _name(one.kind, cause)
        key = one.key.decode()
        targets = _targets(store, config, name, key)
        if targets:
            events.append(_event(store, bucket, cause, name, key, targets, one))
    return _rows(events)


def test_rows(store: Store, bucket: Bucket, config: Notifications) -> list[Row]:
    """What says to each target of a configuration that it is one from now on."""
    asker = _asker.get()
    cause = Cause(TEST_EVENT) if asker is None else asker.cause()
    targets = {row.target: row.id for row in reversed(config.rows)}
    chosen = tuple((target, id) for target, id in targets.items() if target in store.event_targets)
    return _rows([_event(store, bucket, cause, TEST_EVENT, "", chosen)] if chosen else [])


def counted(rows: Sequence[Row]) -> list[Add]:
    """The change of the counter of events that comes with these rows of the outbox."""
    return [Add(keys.OUTBOX, keys.OUTBOX_COUNTER, (len(rows),))] if rows else []


def _name(kind: Kind, cause: Cause) -> str:
    event = cause.event
    if kind is Kind.CREATED:
        return event if event.startswith(_CREATED) else _PUT
    if kind is Kind.CHANGED:
        return event
    family = _EXPIRED if event.startswith(_EXPIRED) else _REMOVED
    return family + ("Delete" if kind is Kind.DELETED else "DeleteMarkerCreated")


def _targets(
    store: Store, config: Notifications, name: str, key: str
) -> tuple[tuple[str, str], ...]:
    """Whom the event is told to, each target once. One that settings do not name is not told."""
    told = notifications.matching(config, name, key)
    found = {row.target: row.id for row in reversed(told) if row.target in store.event_targets}
    return tuple(found.items())


def _event(
    store: Store,
    bucket: Bucket,
    cause: Cause,
    name: str,
    key: str,
    targets: tuple[tuple[str, str], ...],
    happening: Happening | None = None,
) -> EventRecord:
    event = EventRecord(
        format=records.FORMAT,
        name=name,
        at_ns=store.clock.now_ns(),
        bucket=bucket.name,
        owner=bucket.record.owner,
        region=bucket.record.region,
        key=key,
        targets=targets,
        principal=cause.principal,
        source_ip=cause.source_ip,
        request_id=cause.request_id,
    )
    return event if happening is None else _about(event, bucket, happening)


def _about(event: EventRecord, bucket: Bucket, happening: Happening) -> EventRecord:
    """With what is said of the object; one that has gone has neither size nor ETag."""
    kind, record = happening.kind, happening.record
    is_versioned = bucket.record.versioning != NEVER_VERSIONED
    version = versions.id_text(record.version) if is_versioned else ""
    is_there = kind in (Kind.CREATED, Kind.CHANGED)
    return msgspec.structs.replace(
        event,
        version=version,
        size=record.size if is_there else -1,
        etag=record.etag if is_there else "",
    )


def _rows(events: Sequence[EventRecord]) -> list[Row]:
    return [
        Row(keys.OUTBOX, keys.outbox(number), ABSENT, records.encode(event))
        for number, event in enumerate(events)
    ]
