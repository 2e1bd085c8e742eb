"""Lifecycle rules at work on buckets without versions, and when the next is due."""

import asyncio

import pytest

from fastobj.core import codes
from fastobj.core.clock import SystemClock
from fastobj.core.errors import NoSpace, S3Error, Unavailable
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.objects import buckets, change, configs, delete, put, uploads
from fastobj.objects.change import Change, rewrite_object
from fastobj.objects.delete import Deletion
from fastobj.objects.ledger import Entry
from tests.unit.background.expiring import DAY, REST_OF_DAY, Expiring, S, rule
from tests.unit.objects.conftest import START_NS, describe

HOUR = 3600 * S


@pytest.fixture
def site():
    return asyncio.run(Expiring().begin())


# --- what writes hints, and what does not


async def test_a_bucket_without_rules_has_no_hints(site):
    await site.put()
    await site.delete()
    await site.create()
    assert await site.hints() == []
    assert await site.expiry.next_due_s() is None


async def test_rules_that_never_apply_write_none(site):
    await site.rules(rule(days=1, is_enabled=False), rule(prefix="logs/", days=1))
    await site.work()
    await site.put()
    assert await site.hints() == []


async def test_a_hint_comes_with_each_put_and_one_stands_for_a_day(site):
    await site.rules(rule(days=1))
    await site.work()
    for _ in range(3):
        await site.put()
        site.clock.advance(S)
    assert len(await site.hints()) == 1


async def test_what_is_due_after_the_end_of_time_is_never(site):
    await site.rules(rule(days=2**31 - 1, abort_days=2**31 - 1))
    await site.put()
    await site.create()
    await site.work()
    assert await site.hints() == []


# --- days, dates, filters


async def test_days_end_at_midnight(site):
    await site.rules(rule(days=2))
    await site.work()
    await site.put()
    end_s = (2 * DAY + REST_OF_DAY) / S
    assert await site.expiry.next_due_s() == end_s
    site.clock.advance(2 * DAY + REST_OF_DAY - 1)
    assert await site.work() == {}
    site.clock.advance(1)
    assert await site.work() == {"objects": 1}
    assert await site.names() == []
    assert await site.hints() == []
    assert await site.expiry.next_due_s() is None


async def test_a_short_day_is_not_rounded(site):
    site.store.lifecycle_day_s = 10
    site.expiry = site.new_expiry()
    await site.rules(rule(days=3))
    await site.work()
    await site.put()
    assert await site.expiry.next_due_s() == 30
    site.clock.advance(30 * S - 1)
    assert await site.work() == {}
    site.clock.advance(1)
    assert await site.work() == {"objects": 1}


async def test_a_date(site):
    date_s = (START_NS + REST_OF_DAY + 2 * DAY) // S
    await site.rules(rule(date_s=date_s))
    await site.put()
    await site.work()
    site.clock.advance(REST_OF_DAY + 2 * DAY - 1)
    assert await site.work() == {}
    site.clock.advance(1)
    assert await site.work() == {"objects": 1}
    site.clock.advance(S)
    await site.put()  # the date goes on to count: until the next midnight
    assert await site.work() == {}
    assert await site.midnight() == {"objects": 1}


async def test_filters_hold_all_together(site):
    await site.rules(
        rule(days=1, prefix="a/", tags={"t": "1"}, larger_than=3, smaller_than=6),
    )
    await site.work()
    good = {"t": "1", "more": "x"}
    await site.put(b"a/yes", b"1234", tags=good)
    await site.put(b"a/small", b"123", tags=good)
    await site.put(b"a/large", b"123456", tags=good)
    await site.put(b"a/tag", b"1234", tags={"t": "2"})
    await site.put(b"b/prefix", b"1234", tags=good)
    assert await site.days(2) == {"objects": 1}
    assert await site.names() == [b"a/large", b"a/small", b"a/tag", b"b/prefix"]


async def test_the_earliest_rule_acts(site):
    await site.rules(rule("late", days=5), rule("early", days=1), rule("off", False, days=1))
    await site.put()
    assert await site.days(2) == {"objects": 1}


async def test_tags_that_change_count(site):
    await site.rules(rule(days=1, tags={"t": "1"}))
    await site.work()
    await site.put()
    assert await site.days(5) == {}

    def tagged(record):
        return records.msgspec.structs.replace(record, tags={"t": "1"})

    await rewrite_object(site.store, site.bucket, b"key", None, tagged)
    assert await site.work() == {"objects": 1}  # old enough it has long been


async def test_tags_that_go_save_an_object(site):
    await site.rules(rule(days=1, tags={"t": "1"}))
    await site.work()
    await site.put(tags={"t": "1"})

    def untagged(record):
        return records.msgspec.structs.replace(record, tags={})

    await rewrite_object(site.store, site.bucket, b"key", None, untagged)
    assert await site.days(5) == {}
    assert await site.names() == [b"key"]
    assert await site.hints() == []


# --- what changes meanwhile


async def test_a_newer_object_lives_as_long_as_any(site):
    await site.rules(rule(days=1))
    await site.work()
    await site.put()
    site.clock.advance(DAY)
    await site.put()
    assert await site.days(0.7) == {}  # the older one would be due
    assert await site.names() == [b"key"]
    assert await site.days(1) == {"objects": 1}


async def test_an_overwrite_just_before_wins(site):
    await site.rules(rule(days=1))
    await site.work()
    await site.put()
    site.clock.advance(2 * DAY)

    async def overwritten():
        described = describe(b"newer")
        await put.put_small(site.world.direct, site.bucket, b"key", described, b"newer")

    site.world.gate.before = [overwritten]
    assert await site.work() == {}
    assert site.world.gate.before == []
    assert await site.world.read(site.bucket, b"key") == b"newer"
    assert len(await site.hints()) == 1
    assert await site.days(2) == {"objects": 1}


async def test_rules_that_change_meanwhile_hold(site):
    await site.rules(rule(days=1))
    await site.work()
    await site.put()
    site.clock.advance(2 * DAY)

    async def deleted():
        await configs.delete(site.world.direct, site.bucket, configs.LIFECYCLE)

    site.world.gate.before = [deleted]
    assert await site.work() == {}
    assert await site.names() == [b"key"]
    assert await site.hints() == []


@pytest.mark.parametrize("disabled", [True, False])
async def test_rules_that_went_leave_hints_that_go(site, disabled):
    await site.rules(rule(days=1))
    await site.work()
    await site.put()
    if disabled:
        await site.rules(rule(days=1, is_enabled=False))
    else:
        await configs.delete(site.store, site.bucket, configs.LIFECYCLE)
    assert await site.days(5) == {}
    assert await site.names() == [b"key"]
    assert await site.hints() == []


async def test_hints_of_a_bucket_that_is_gone_go(site):
    await site.rules(rule(days=1, abort_days=1))
    await site.put()
    await site.create()
    await site.delete()
    await buckets.delete(site.store, site.bucket)
    again, _ = await buckets.create(site.store, "bucket", "owner")
    site.bucket = again
    await site.rules(rule(days=1))
    site.clock.advance(DAY)
    await site.put(b"new")
    assert await site.days(0.9) == {}
    assert await site.names() == [b"new"]
    assert len(await site.hints()) == 1


async def test_many_deletions_write_hints_too(site):
    await site.rules(rule(days=1))
    await site.put(b"a")
    await delete.delete_objects(site.store, site.bucket, [Deletion(b"a"), Deletion(b"b")])
    assert await site.days(2) == {}


# --- uploads


async def test_uploads_are_aborted(site):
    await site.rules(rule(prefix="a/", abort_days=2))
    await site.work()
    await site.create(b"a/open")
    await site.create(b"b/open")
    assert await site.days(2) == {}
    assert await site.days(1) == {"uploads": 1}
    rows = await site.world.engine.scan(keys.UPLOADS, keys.FIRST, keys.LAST, 10)
    assert [keys.upload_of(row.key)[0] for row in rows] == [b"b/open"]
    assert await site.hints() == []


async def test_the_hint_of_an_upload_that_has_ended_goes(site):
    await site.rules(rule(abort_days=1))
    upload = await site.create()
    await uploads.abort(site.store, upload)
    assert await site.days(3) == {}
    assert await site.hints() == []


async def test_an_upload_is_judged_by_the_rules_of_its_time(site):
    await site.rules(rule(abort_days=1))
    await site.create()
    await site.rules(rule(abort_days=3))
    assert await site.days(2) == {}
    assert await site.days(2) == {"uploads": 1}


# --- what may not go, and what fails


async def test_what_is_protected_is_looked_at_again_the_next_day(site, monkeypatch):
    await site.rules(rule(days=1))
    await site.put()
    is_protected = True
    let_go = Change.let_go

    async def refused(self, version, **more):
        if is_protected:
            raise S3Error(codes.ACCESS_DENIED)
        await let_go(self, version, **more)

    monkeypatch.setattr(change.Change, "let_go", refused)
    assert await site.days(2) == {}
    assert len(await site.hints()) == 1
    assert await site.work() == {}
    is_protected = False
    assert await site.days(2) == {"objects": 1}
    assert await site.hints() == []


async def test_what_fails_is_tried_again_and_holds_up_nobody(site, monkeypatch):
    await site.rules(rule(days=1))
    await site.put(b"bad")
    await site.put(b"good")
    let_go = Change.let_go

    async def failing(self, version, **more):
        if self.key == b"bad":
            raise NoSpace("full")
        await let_go(self, version, **more)

    monkeypatch.setattr(change.Change, "let_go", failing)
    assert await site.days(2) == {"objects": 1, "errors": 1}
    assert await site.names() == [b"bad"]
    assert await site.work() == {}
    monkeypatch.undo()
    site.clock.advance(HOUR)
    assert await site.work() == {"objects": 1}


async def test_a_committer_that_is_away_leaves_hints_as_they_are(site):
    await site.rules(rule(days=1))
    await site.put()
    await site.work()
    site.clock.advance(2 * DAY)

    async def away():
        raise Unavailable("away")

    site.world.gate.before = [away]
    with pytest.raises(Unavailable):
        await site.work()
    assert await site.work() == {"objects": 1}


async def test_rules_that_cannot_be_read_delete_nothing(site):
    await site.rules(rule(days=1))
    await site.put()
    await site.work()
    row_key = keys.config(site.bucket.record.id, configs.LIFECYCLE.number, 0)
    await site.store.ledger.commit(
        Entry(Txn(new_txn_id(), [Row(keys.CONFIGS, row_key, ANY, b"\xc1")]))
    )
    site.store.configs.clear()
    assert await site.days(2) == {"errors": 1}
    assert await site.names() == [b"key"]
    await site.rules(rule(days=1))
    site.clock.advance(HOUR)
    assert await site.work() == {"objects": 1}


# --- much


async def test_pages_of_what_is_due(site):
    await site.rules(rule(days=1))
    for number in range(250):
        await site.put(b"%04d" % number)
    await site.work()
    site.clock.advance(2 * DAY)
    steps = 0
    while await site.expiry.step():
        steps += 1
        assert len(await site.names()) <= 250 - min(250, 101 * steps)
    assert steps == 3
    assert site.counts.take() == {"objects": 250}
    assert await site.hints() == []


async def test_run_waits_for_what_is_due_and_hears_of_what_is_sooner(site):
    """The loop itself, with a day of a second on the clock of the system."""
    for store in (site.store, site.world.direct):
        store.clock = SystemClock()
        store.lifecycle_day_s = 1
    site.expiry = site.new_expiry()
    running = asyncio.create_task(site.expiry.run())
    await site.rules(rule(days=1))
    await site.put()
    site.expiry.nudge()
    while await site.names():
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert site.counts.take() == {"objects": 1}
