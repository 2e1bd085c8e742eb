"""Lifecycle rules at work where versions are kept: markers, noncurrent versions, how many stay."""

import asyncio

import msgspec
import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta import keys
from fastobj.objects import audit, change
from fastobj.objects.change import Change, rewrite_object
from fastobj.objects.versions import NULL
from tests.unit.background.expiring import DAY, Expiring, S, rule
from tests.unit.objects.versioning import ENABLED, SUSPENDED, remove, set_to


@pytest.fixture
def site():
    return asyncio.run(Expiring().begin(ENABLED))


async def sound(site):
    assert await audit.differences(site.world.direct) == []


async def test_a_current_object_leaves_a_delete_marker(site):
    await site.rules(rule(days=1))
    record = await site.put()
    assert await site.days(2) == {"objects": 1}
    stack = await site.stack()
    assert [is_marker for _, is_marker in stack] == [True, False]
    assert stack[1][0] == record.version
    assert await site.days(5) == {}  # of the marker something is left
    await sound(site)


async def test_suspended_the_null_version_goes_and_others_stay(site):
    await site.put(b"old")
    await site.put(b"null")
    site.bucket = await set_to(site.world, site.bucket, SUSPENDED)
    await site.put(b"null")
    await site.rules(rule(days=1))
    assert await site.days(2) == {"objects": 2}
    assert await site.stack(b"null") == [(NULL, True), (await site.stack(b"null"))[1]]
    assert [marker for _, marker in await site.stack(b"null")] == [True, False]
    assert [marker for _, marker in await site.stack(b"old")] == [True, False]
    await sound(site)


async def test_noncurrent_days_count_from_the_successor(site):
    await site.rules(rule(noncurrent_days=2))
    await site.work()
    first = await site.put()
    assert await site.days(10) == {}
    second = await site.put()
    assert await site.days(2) == {}
    assert await site.days(1) == {"versions": 1}
    assert [version for version, _ in await site.stack()] == [second.version]
    assert first.version != second.version
    await sound(site)


async def test_under_a_marker_versions_are_noncurrent(site):
    await site.rules(rule(noncurrent_days=1))
    await site.put()
    await site.delete()
    assert await site.days(2) == {"versions": 1}
    assert [marker for _, marker in await site.stack()] == [True]
    await sound(site)


async def test_noncurrent_markers_go_like_versions(site):
    await site.rules(rule(noncurrent_days=1))
    await site.delete()
    await site.delete()
    await site.put()
    assert await site.days(2) == {"versions": 2}
    assert [marker for _, marker in await site.stack()] == [False]
    await sound(site)


async def test_filters_of_noncurrent_versions(site):
    await site.rules(rule(noncurrent_days=1, larger_than=3, tags={"t": "1"}))
    await site.put(body=b"1234", tags={"t": "1"})
    await site.put(body=b"123", tags={"t": "1"})
    tagged = await site.put(body=b"12345")
    await site.put()
    assert await site.days(2) == {"versions": 1}

    def edit(record):
        return msgspec.structs.replace(record, tags={"t": "1"})

    await rewrite_object(site.store, site.bucket, b"key", tagged.version, edit)
    assert await site.work() == {"versions": 1}
    assert len(await site.stack()) == 2


async def test_the_newest_noncurrent_stay(site):
    await site.rules(rule(noncurrent_days=1, noncurrent_kept=2))
    await site.work()
    made = []
    for _ in range(6):
        made.append(await site.put())
        site.clock.advance(S)
    assert await site.days(2) == {"versions": 3}
    kept = [record.version for record in reversed(made[3:])]
    assert [version for version, _ in await site.stack()] == kept
    assert await site.days(100) == {}  # however old they are
    assert await site.hints() == []
    await sound(site)


async def test_each_new_version_pushes_one_out(site):
    await site.rules(rule(noncurrent_days=1, noncurrent_kept=2))
    await site.work()
    for _ in range(3):
        await site.put()
        site.clock.advance(S)
    assert await site.days(10) == {}
    stack = await site.stack()
    await site.put()
    assert await site.midnight() == {"versions": 1}
    assert [version for version, _ in await site.stack()][1:] == [id for id, _ in stack[:2]]
    for _ in range(2):
        await site.put()
    assert await site.midnight() == {"versions": 2}  # one each
    assert await site.days(3) == {}  # the newest two stay
    assert len(await site.stack()) == 3


async def test_a_version_that_is_pushed_out_young_goes_when_it_is_old(site):
    await site.rules(rule(noncurrent_days=5, noncurrent_kept=1))
    await site.work()
    for _ in range(4):
        await site.put()
    assert await site.days(4) == {}
    assert await site.days(2) == {"versions": 2}


async def test_kept_and_other_rules_each_for_itself(site):
    await site.rules(
        rule("few", noncurrent_days=1, noncurrent_kept=1),
        rule("many", noncurrent_days=20, noncurrent_kept=3, prefix="k"),
    )
    await site.work()
    for _ in range(5):
        await site.put()
    assert await site.days(2) == {"versions": 3}
    assert await site.days(50) == {}


async def test_a_hundred_may_be_kept(site):
    await site.rules(rule(noncurrent_days=1, noncurrent_kept=100))
    await site.work()
    for _ in range(103):
        await site.put()
    assert await site.days(2) == {"versions": 2}
    await site.delete()
    assert await site.midnight() == {"versions": 1}
    assert len(await site.stack()) == 101


async def test_markers_that_are_alone_go(site):
    await site.rules(rule(expires_markers=True))
    await site.work()
    version = (await site.put()).version
    await site.delete()
    assert await site.days(3) == {}
    await site.delete(version=version)
    assert await site.midnight() == {"markers": 1}
    assert await site.stack() == []
    assert await site.hints() == []
    await sound(site)


async def test_a_marker_of_a_key_that_never_was_goes(site):
    await site.rules(rule(expires_markers=True, prefix="k"))
    await site.delete()
    await site.delete(b"other")
    assert await site.midnight() == {"markers": 1}
    assert await site.stack(b"other") != []


async def test_days_count_for_markers_that_are_alone(site):
    await site.rules(rule(days=3))
    await site.delete()
    assert await site.days(2) == {}
    assert await site.days(2) == {"markers": 1}
    version = (await site.put(b"old")).version
    await site.delete(b"old")
    assert await site.days(10) == {}
    await site.delete(b"old", version)  # the marker is old enough already
    assert await site.midnight() == {"markers": 1}


async def test_rules_with_tags_or_sizes_are_none_for_markers(site):
    await site.rules(rule("a", days=1, tags={"t": "1"}), rule("b", days=1, larger_than=0))
    await site.delete()
    assert await site.days(5) == {}
    assert await site.hints() == []


async def test_all_of_a_key_goes_in_the_end(site):
    await site.rules(rule(days=1, noncurrent_days=1), rule("m", expires_markers=True))
    await site.put()
    await site.put()
    done = [await site.days(1) for _ in range(6)]
    assert [one for one in done if one] == [
        {"objects": 1, "versions": 1},
        {"versions": 1},
        {"markers": 1},
    ]
    assert await site.stack() == []
    assert await site.hints() == []
    await sound(site)


async def test_what_becomes_current_again_expires_as_such(site):
    await site.rules(rule(days=3))
    await site.work()
    await site.put()
    site.clock.advance(2 * DAY)
    newer = await site.put()
    assert await site.days(2) == {}
    await site.delete(version=newer.version)
    assert await site.work() == {"objects": 1}
    assert [marker for _, marker in await site.stack()] == [True, False]


async def test_a_version_put_just_before_keeps_the_other_current_from_expiring(site):
    await site.rules(rule(days=1))
    await site.work()
    await site.put()
    site.clock.advance(2 * DAY)

    async def overwritten():
        await site.world.put(site.bucket, b"key", b"newer", store=site.world.direct)

    site.world.gate.before = [overwritten]
    assert await site.work() == {}
    assert [marker for _, marker in await site.stack()] == [False, False]


async def test_a_version_deleted_just_before_is_no_error(site):
    await site.rules(rule(noncurrent_days=1))
    await site.work()
    first = await site.put()
    await site.put()
    site.clock.advance(3 * DAY)

    async def deleted():
        await remove(site.world, site.bucket, b"key", first.version, site.world.direct)

    site.world.gate.before = [deleted]
    assert await site.work() == {}
    assert len(await site.stack()) == 1
    assert await site.hints() == []
    await sound(site)


async def test_tags_that_save_a_version_just_before(site):
    await site.rules(rule(noncurrent_days=1, tags={"t": "1"}))
    await site.work()
    first = await site.put(tags={"t": "1"})
    await site.put()
    site.clock.advance(3 * DAY)

    async def saved():
        def edit(record):
            return msgspec.structs.replace(record, tags={})

        await rewrite_object(site.world.direct, site.bucket, b"key", first.version, edit)

    site.world.gate.before = [saved]
    assert await site.work() == {}
    assert len(await site.stack()) == 2


async def test_a_protected_version_is_looked_at_again(site, monkeypatch):
    await site.rules(rule(noncurrent_days=1))
    await site.put()
    await site.put()

    async def refused(self, version, **more):
        raise S3Error(codes.ACCESS_DENIED)

    monkeypatch.setattr(change.Change, "let_go", refused)
    assert await site.days(2) == {}
    monkeypatch.undo()
    assert Change.let_go is not refused
    assert await site.days(2) == {"versions": 1}


async def test_hints_of_versions_of_one_key_stay_bounded(site):
    """A key that is written all day long has one hint for each version, and one for the object."""
    await site.rules(rule(days=30, noncurrent_days=5))
    await site.work()
    for _ in range(20):
        await site.put()
    assert len(await site.hints()) == 1 + 19
    kinds = {len(keys.due_version_of(row.key)[3]) for row in await site.hints()}
    assert kinds == {0, 8}


async def test_an_object_from_before_versioning():
    site = await Expiring().begin()
    await site.put()
    await site.rules(rule(noncurrent_days=1))
    site.bucket = await set_to(site.world, site.bucket, ENABLED)
    newer = await site.put()
    assert [version for version, _ in await site.stack()] == [newer.version, NULL]
    assert await site.days(2) == {"versions": 1}
    assert [version for version, _ in await site.stack()] == [newer.version]
    await sound(site)


async def test_as_many_rules_as_there_can_be(site):
    """Each keeps another number of versions, of what has another size."""
    rules = [
        rule(f"{kept}", noncurrent_days=1, noncurrent_kept=kept, larger_than=kept)
        for kept in range(1, 101)
    ]
    await site.rules(*rules)
    await site.work()
    for _ in range(110):
        await site.put(body=bytes(101))
    assert await site.days(2) == {"versions": 108}
    await site.put(body=bytes(50))
    assert await site.midnight() == {"versions": 1}
