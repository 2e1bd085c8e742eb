"""The time by which retention ends: the wall clock may be set, and must not end it early.

A row holds the time that was trusted when it was saved, and for how long the machine had been up.
From then on trusted time advances as the machine stays up, whatever becomes of the wall clock. How
long a machine was off nothing tells but the wall clock, which is believed for an hour. Where that
clock is further ahead it has jumped: then no retention ends until it is right again, or somebody
confirms that it is.

A retention has ended once both clocks say so; one that is given is counted from the later one.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, NamedTuple

from fastobj.core.clock import Uptime
from fastobj.core.errors import Conflict, StoreError
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, MetaReader, Row, Token, Txn, new_txn_id
from fastobj.meta.records import TrustedTimeRecord
from fastobj.objects.ledger import Entry
from fastobj.objects.store import Store

_NS_PER_S: Final = 1_000_000_000
# How far apart the clocks may be before one counts as set: steps of a time service are far smaller.
JUMP_NS: Final = 300 * _NS_PER_S
# For how long a machine may have been off, and the row been old, before somebody must confirm it.
OFF_NS_MAX: Final = 3600 * _NS_PER_S
# Crystals drift: trusted time follows a wall clock that is ahead by one part in so many.
_DRIFT: Final = 2000


Expected = Token | Literal[0] | None  # a token, ANY or ABSENT


class Reading(NamedTuple):
    """What the clocks say at one moment: nanoseconds since the Unix epoch, and the uptime."""

    wall_ns: int
    uptime: Uptime


class State(Enum):
    """How the wall clock stands to the trusted time."""

    AGREES = "agrees"
    AHEAD = "ahead"  # nothing ends
    BEHIND = "behind"  # what ends, ends by the wall clock
    UNKNOWN = "unknown"  # there is no trusted time that can be read: nothing ends


class Moment(NamedTuple):
    """A moment, as retention sees it. Both times are nanoseconds since the Unix epoch."""

    state: State
    trusted_ns: int
    wall_ns: int

    def has_come(self, seconds: int) -> bool:
        """Whether that time, in seconds since the Unix epoch, is surely over."""
        if self.state in (State.AHEAD, State.UNKNOWN):
            return False
        return seconds * _NS_PER_S <= min(self.trusted_ns, self.wall_ns)

    @property
    def latest_s(self) -> int:
        """The later time in seconds, rounded up: what is kept from now on is kept from then."""
        return -(-max(self.trusted_ns, self.wall_ns) // _NS_PER_S)

    @property
    def ahead_s(self) -> float:
        """By how many seconds the wall clock is ahead of the trusted time; below zero: behind."""
        return (self.wall_ns - self.trusted_ns) / _NS_PER_S


# --- decisions


def judge(record: TrustedTimeRecord, now: Reading) -> Moment:
    """What the moment is, by the row that was saved last. Decides, and changes nothing."""
    trusted_ns = _trusted_ns(record, now)
    ahead_ns = now.wall_ns - trusted_ns
    state = State.AGREES
    if ahead_ns > JUMP_NS:
        state = State.AHEAD
    elif ahead_ns < -JUMP_NS:
        state = State.BEHIND
    return Moment(state, trusted_ns, now.wall_ns)


def _trusted_ns(record: TrustedTimeRecord, now: Reading) -> int:
    up = now.uptime
    elapsed_ns = up.elapsed_ns - record.elapsed_ns
    if up.boot and up.boot == record.boot and elapsed_ns >= 0:
        drifted_ns = now.wall_ns - record.time_ns - elapsed_ns
        if not 0 <= drifted_ns <= JUMP_NS:
            return record.time_ns + elapsed_ns
        return record.time_ns + elapsed_ns + min(drifted_ns, elapsed_ns // _DRIFT)
    off_ns = now.wall_ns - record.time_ns
    is_believed = 0 <= off_ns <= OFF_NS_MAX and not record.jumped
    return now.wall_ns if is_believed else record.time_ns


def advanced(record: TrustedTimeRecord, now: Reading) -> TrustedTimeRecord:
    """The row to save now."""
    moment = judge(record, now)
    return _record(moment.trusted_ns, now.uptime, jumped=moment.state is State.AHEAD)


def confirmed(now: Reading) -> TrustedTimeRecord:
    """The row that says that the wall clock is right."""
    return _record(now.wall_ns, now.uptime, jumped=False)


def _record(time_ns: int, uptime: Uptime, *, jumped: bool) -> TrustedTimeRecord:
    return TrustedTimeRecord(records.FORMAT, time_ns, uptime.boot, uptime.elapsed_ns, jumped)


# --- the row


def reading(store: Store) -> Reading:
    """What the clocks say now."""
    return Reading(store.clock.now_ns(), store.uptime())


async def load(meta: MetaReader) -> tuple[TrustedTimeRecord, Token] | None:
    """The row, None where no bucket was ever locked. Raises StoreDamaged, UnknownFormat."""
    row = await meta.get(keys.JOBS, keys.JOB_TRUSTED_TIME)
    return None if row is None else (records.decode(TrustedTimeRecord, row[0]), row[1])


async def moment(store: Store) -> Moment:
    """The present moment. Where it cannot be known no retention ends."""
    return await look(store.meta, reading(store))


async def look(meta: MetaReader, now: Reading) -> Moment:
    """The same for whoever has no store."""
    try:
        found = await load(meta)
    except StoreError:
        found = None
    return (
        Moment(State.UNKNOWN, now.wall_ns, now.wall_ns) if found is None else judge(found[0], now)
    )


async def begin(store: Store) -> None:
    """Has trusted time begin, if it has not: before the first bucket has a lock.

    Raises what `commit` raises but Conflict.
    """
    if await store.meta.get(keys.JOBS, keys.JOB_TRUSTED_TIME) is None:
        await save(store, confirmed(reading(store)), ABSENT)


async def save(store: Store, record: TrustedTimeRecord, token: Expected) -> bool:
    """Saves the row unless somebody else was faster: then False.

    Raises what `commit` raises but Conflict.
    """
    row = Row(keys.JOBS, keys.JOB_TRUSTED_TIME, token, records.encode(record))
    try:
        await store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
    except Conflict:
        return False
    return True
