"""Trusted time: jumps both ways, restarts, reboots, and what a moment lets end."""

import msgspec
import pytest

from fastobj.core.clock import Uptime
from fastobj.meta import keys
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.meta.records import TrustedTimeRecord
from fastobj.objects import trusted_time
from fastobj.objects.ledger import Entry
from fastobj.objects.trusted_time import JUMP_NS, OFF_NS_MAX, Moment, Reading, State

S = 1_000_000_000
HOUR, DAY, YEAR = 3600 * S, 86_400 * S, 365 * 86_400 * S
T0 = 1_800_000_000 * S
SAVED = TrustedTimeRecord(1, T0, "boot", 5 * DAY)


def reading(wall_ns: int, up_ns: int, boot: str = "boot") -> Reading:
    """So long after the row was saved: what the wall clock says, and for how long it was up."""
    return Reading(T0 + wall_ns, Uptime(boot, SAVED.elapsed_ns + up_ns))


# What happened since the row was saved -> wall clock, uptime, state, trusted time.
SAME_BOOT = {
    "nothing": (0, 0, State.AGREES, 0),
    "a day": (DAY, DAY, State.AGREES, DAY),
    "a year": (YEAR, YEAR, State.AGREES, YEAR),
    "a step that is no jump": (HOUR + JUMP_NS, HOUR, State.AGREES, HOUR + HOUR // 2000),
    "one second more": (HOUR + JUMP_NS + S, HOUR, State.AHEAD, HOUR),
    "set ahead by a year": (HOUR + YEAR, HOUR, State.AHEAD, HOUR),
    "set ahead by a year at once": (YEAR, 0, State.AHEAD, 0),
    "set ahead, and right again": (HOUR, HOUR, State.AGREES, HOUR),
    "set back a little": (HOUR - JUMP_NS, HOUR, State.AGREES, HOUR),
    "set back by a year": (HOUR - YEAR, HOUR, State.BEHIND, HOUR),
    "a crystal that is slow": (DAY + 20 * S, DAY, State.AGREES, DAY + 20 * S),
    "a crystal that is too slow": (DAY + 100 * S, DAY, State.AGREES, DAY + DAY // 2000),
}
# After another start of the machine, or on another one, nothing tells how long it was off.
REBOOT = {
    "at once": (S, State.AGREES, S),
    "after an hour": (OFF_NS_MAX, State.AGREES, OFF_NS_MAX),
    "after more": (OFF_NS_MAX + S, State.AHEAD, 0),
    "after a year": (YEAR, State.AHEAD, 0),
    "with a clock that stood still": (0, State.AGREES, 0),
    "with a clock that went back": (-HOUR, State.BEHIND, 0),
    "with one that went back a little": (-S, State.AGREES, 0),
}


@pytest.mark.parametrize("what", SAME_BOOT)
def test_while_the_machine_is_up(what):
    wall, up, state, trusted = SAME_BOOT[what]
    moment = trusted_time.judge(SAVED, reading(wall, up))
    assert moment == Moment(state, T0 + trusted, T0 + wall)


@pytest.mark.parametrize("what", REBOOT)
@pytest.mark.parametrize("boot", ["other", ""])
@pytest.mark.parametrize("up", [-4 * DAY, 4 * YEAR])  # it may have been up for longer: another one
def test_after_another_start(what, boot, up):
    wall, state, trusted = REBOOT[what]
    moment = trusted_time.judge(SAVED, reading(wall, up, boot))
    assert moment == Moment(state, T0 + trusted, T0 + wall)


def test_an_uptime_that_went_back_is_that_of_another_machine():
    assert trusted_time.judge(SAVED, reading(YEAR, -S)).state is State.AHEAD
    unknown = msgspec.structs.replace(SAVED, boot="")
    assert trusted_time.judge(unknown, reading(YEAR, YEAR, "")).state is State.AHEAD


def test_a_jump_is_remembered_over_a_restart():
    """Else a clock that is ahead by half an hour would be believed with the next start."""
    ahead = reading(HOUR // 2 + HOUR, HOUR)
    saved = trusted_time.advanced(SAVED, ahead)
    assert saved.jumped
    later = Reading(ahead.wall_ns + S, Uptime("next", S))
    moment = trusted_time.judge(saved, later)
    assert moment.state is State.AHEAD
    again = trusted_time.advanced(saved, later)
    assert again.jumped
    assert again.time_ns == saved.time_ns
    right = trusted_time.advanced(again, Reading(saved.time_ns + 9 * S, Uptime("next", 10 * S)))
    assert not right.jumped
    assert right.time_ns == saved.time_ns + 9 * S


def test_what_is_saved_often_is_not_carried_away():
    """Whatever the wall clock says, saved time advances by what has passed and the drift."""
    record = SAVED
    for step in range(1, 1001):
        ahead = reading(step * (600 * S + JUMP_NS // 2), step * 600 * S)
        record = trusted_time.advanced(record, ahead)
    passed = record.time_ns - T0
    assert 600_000 * S <= passed <= 600_300 * S
    assert record.jumped


@pytest.mark.parametrize("wall", [YEAR, -YEAR])
def test_what_is_confirmed_is_trusted(wall):
    now = reading(wall, HOUR)
    record = trusted_time.confirmed(now)
    assert trusted_time.judge(record, now) == Moment(State.AGREES, now.wall_ns, now.wall_ns)
    later = reading(wall + DAY, HOUR + DAY)
    assert trusted_time.judge(record, later).state is State.AGREES


# State -> trusted time and wall clock in seconds, and the seconds that have come.
MOMENTS = {
    State.AGREES: ((100, 110), (100,), (101, 110)),
    State.BEHIND: ((1000, 100), (100,), (101, 1000)),
    State.AHEAD: ((100, 1000), (), (1, 100, 1000)),
    State.UNKNOWN: ((100, 100), (), (1, 100)),
}


@pytest.mark.parametrize("state", State)
def test_nothing_has_come_before_both_clocks_say_so(state):
    (trusted, wall), come, to_come = MOMENTS[state]
    moment = Moment(state, trusted * S, wall * S)
    assert all(moment.has_come(seconds) for seconds in come)
    assert not any(moment.has_come(seconds) for seconds in to_come)
    assert moment.latest_s == max(trusted, wall)
    assert Moment(state, trusted * S + 1, 0).latest_s == trusted + 1


# --- the row


@pytest.fixture
def store(world):
    """A store whose uptime advances with its clock."""
    world.store.uptime = lambda: Uptime("boot", world.clock.monotonic_ns())
    return world.store


async def test_it_begins_once(world, store):
    assert (await trusted_time.moment(store)).state is State.UNKNOWN
    await trusted_time.begin(store)
    world.clock.advance(DAY)
    await trusted_time.begin(store)
    record, _ = await trusted_time.load(store.meta)
    assert record.time_ns == world.clock.now_ns() - DAY
    assert (await trusted_time.moment(store)).trusted_ns == world.clock.now_ns()


async def test_of_two_who_save_one_is_told(store):
    await trusted_time.begin(store)
    record, token = await trusted_time.load(store.meta)
    assert await trusted_time.save(store, record, token)
    assert not await trusted_time.save(store, record, token)
    assert not await trusted_time.save(store, record, None)


@pytest.mark.parametrize("value", [b"\xc1", b"\x91\x02", b""])
async def test_a_row_that_cannot_be_read_lets_nothing_end(store, value):
    row = Row(keys.JOBS, keys.JOB_TRUSTED_TIME, ANY, value)
    await store.ledger.commit(Entry(Txn(new_txn_id(), [row])))
    moment = await trusted_time.moment(store)
    assert moment.state is State.UNKNOWN
    assert not moment.has_come(1)
