"""The pass behind a change of rules: what is there is hinted, whatever happens meanwhile."""

import asyncio

import pytest

from fastobj.background import hinting
from fastobj.core.errors import Unavailable
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.objects import configs, lifecycle_hints
from fastobj.objects.ledger import Entry
from fastobj.objects.lifecycle_rules import Lifecycle
from tests.unit.background.expiring import DAY, Expiring, S, rule
from tests.unit.objects.versioning import ENABLED

OBJECTS, VERSIONS, MARKERS, UPLOADS = 104, 60, 45, 5  # two pages of rows in two spaces


@pytest.fixture
def site():
    return asyncio.run(Expiring().begin(ENABLED))


async def fill(site):
    """Of everything something; how many objects, versions, markers and uploads expire of it."""
    for number in range(OBJECTS):
        await site.put(b"object-%03d" % number)
    for _ in range(VERSIONS):
        await site.put(b"versions")
    for number in range(MARKERS):
        await site.delete(b"marker-%03d" % number)
    for number in range(UPLOADS):
        await site.create(b"upload-%03d" % number)
    return {
        "objects": OBJECTS + 1,
        "versions": VERSIONS - 1,
        "markers": MARKERS,
        "uploads": UPLOADS,
    }


def everything():
    return rule("rule", days=1, noncurrent_days=1, abort_days=1)


async def test_all_that_is_there_is_hinted(site):
    expected = await fill(site)
    assert await site.hints() == []
    await site.rules(everything())
    assert len(await site.hints(keys.DUE_RULES)) == 1
    assert await site.expiry.next_due_s() == 0
    assert await site.work() == {}
    assert await site.hints(keys.DUE_RULES) == []
    assert len(await site.hints()) > OBJECTS
    assert await site.days(2) == expected


async def test_old_things_are_due_at_once(site):
    expected = await fill(site)
    site.clock.advance(10 * DAY)
    await site.rules(everything())
    assert await site.work() == expected


async def test_it_goes_on_where_it_was_after_each_crash(site):
    """Commits of the pass fail one after the other, as a kill before them would have it."""
    expected = await fill(site)
    await site.rules(everything())
    gate, crashes = site.world.gate, 0

    async def away():
        raise Unavailable("away")

    async def there():
        return

    for before in range(1000):
        gate.before = [there] * (before % 4) + [away]
        try:
            while await site.expiry.step():
                pass
        except Unavailable:
            crashes += 1
            site.expiry = site.new_expiry()
            continue
        break
    gate.before = []
    assert crashes > 4
    assert await site.hints(keys.DUE_RULES) == []
    assert await site.days(2) == expected


async def test_rules_that_change_again_begin_it_again(site):
    await fill(site)
    await site.rules(rule(days=1, prefix="none"))
    await site.expiry.step()
    row = (await site.hints(keys.DUE_RULES))[0]
    assert records.decode(records.RulesDue, row.value).key != b""
    await site.rules(rule(days=1, prefix="object"))
    row = (await site.hints(keys.DUE_RULES))[0]
    assert records.decode(records.RulesDue, row.value).key == b""
    await site.work()
    assert (await site.days(2))["objects"] == OBJECTS


async def test_rules_that_change_between_a_page_and_its_note(site):
    await fill(site)
    await site.rules(rule(days=1, prefix="none"))

    async def change():
        rules = Lifecycle((rule(days=1, prefix="object"),))
        await lifecycle_hints.put_rules(site.world.direct, site.bucket, rules)

    site.world.gate.before = [change]
    await site.work()
    assert (await site.days(2))["objects"] == OBJECTS


async def test_an_object_that_changes_meanwhile_keeps_its_own_hint(site):
    await site.put(b"key")
    await site.rules(rule(days=1))

    async def overwritten():
        site.clock.advance(3 * DAY)
        await site.world.put(site.bucket, b"key", b"newer", store=site.world.direct)

    site.world.gate.before = [overwritten]
    assert await site.work() == {}
    assert len(await site.hints()) == 1
    assert await site.days(2) == {"objects": 1}


async def test_a_body_that_is_moved_meanwhile_is_hinted_all_the_same(site):
    """Who moves bodies rewrites rows, and hints nothing."""
    await site.put(b"moved")
    await site.put(b"other")
    await site.rules(rule(days=1))

    async def moved():
        row_key = keys.current(site.bucket.record.id, b"moved")
        value, token = await site.world.engine.get(keys.CURRENT, row_key)
        txn = Txn(new_txn_id(), [Row(keys.CURRENT, row_key, token, value)])
        await site.world.direct.ledger.commit(Entry(txn))

    site.world.gate.before = [moved]
    assert await site.work() == {}
    assert site.world.gate.before == []
    assert len(await site.hints()) == 2
    assert await site.days(2) == {"objects": 2}


async def test_rules_that_go_end_it(site):
    await fill(site)
    await site.rules(everything())
    await configs.delete(site.store, site.bucket, configs.LIFECYCLE)
    assert await site.work() == {}
    assert await site.hints() == []
    assert await site.hints(keys.DUE_RULES) == []


async def test_what_is_due_is_worked_off_beside_it(site):
    await site.rules(rule(days=1))
    await site.work()
    await site.put(b"early")
    site.clock.advance(2 * DAY + S)
    for number in range(300):
        await site.put(b"new-%03d" % number)
    await site.rules(rule(days=1))
    await site.expiry.step()
    assert site.counts.take() == {"objects": 1}
    assert await site.hints(keys.DUE_RULES) != []


async def test_rules_that_cannot_be_read_hold_up_no_other_bucket(site):
    await fill(site)
    await site.rules(everything())
    row_key = keys.config(site.bucket.record.id, configs.LIFECYCLE.number, 0)
    broken = Txn(new_txn_id(), [Row(keys.CONFIGS, row_key, ANY, b"\xc1")])
    await site.store.ledger.commit(Entry(broken))
    site.store.configs.clear()
    bad, site.bucket = site.bucket, await site.world.bucket("other")
    await site.put(b"of the other")
    await site.rules(everything())
    assert await site.work() == {"errors": 1}
    assert await site.expiry.next_due_s() > 0
    assert await site.days(2) == {"objects": 1, "errors": 1}  # an hour later it is tried again
    site.bucket = bad
    await site.rules(everything())
    assert (await site.work())["objects"] == OBJECTS + 1


def test_the_spaces_are_those_that_rules_apply_to():
    assert hinting.SPACES == (keys.CURRENT, keys.HISTORY, keys.UPLOADS)
