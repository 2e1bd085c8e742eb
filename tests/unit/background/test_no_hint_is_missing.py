"""Random changes under random rules: what a look at everything would find due is always gone."""

import msgspec
import pytest

from fastobj.core.errors import S3Error
from fastobj.objects import audit, configs, lifecycle_hints, uploads
from fastobj.objects import lifecycle_moments as moments
from fastobj.objects.change import rewrite_object
from fastobj.objects.lifecycle_moments import Calendar
from tests.unit.background.expiring import DAY, Expiring, rule
from tests.unit.objects.versioning import ENABLED, SUSPENDED, listed, set_to

KEYS = (b"a/1", b"a/2", b"b/1", b"b/2")
TAGS = ({}, {"t": "1"}, {"t": "2"})
ROUNDS = 120


def random_rules(rng):
    found = []
    for number in range(rng.randint(1, 4)):
        said = {"prefix": rng.choice(["", "a/", "a/1"])}
        if rng.random() < 0.3:
            said |= rng.choice([{"tags": {"t": "1"}}, {"larger_than": 3}, {"smaller_than": 5}])
        else:
            said |= {"expires_markers": True} if rng.random() < 0.3 else {}
            said |= {"abort_days": rng.randint(1, 3)} if rng.random() < 0.3 else {}
        if "expires_markers" not in said and rng.random() < 0.5:
            said["days"] = rng.randint(1, 4)
        if rng.random() < 0.7:
            said["noncurrent_days"] = rng.randint(1, 3)
            said["noncurrent_kept"] = rng.choice([None, 1, 2])
        found.append(rule(f"{number}", rng.random() < 0.9, **said))
    return found


async def random_change(site, rng):
    key = rng.choice(KEYS)
    what = rng.random()
    if what < 0.45:
        await site.put(key, bytes(rng.randint(1, 8)), tags=rng.choice(TAGS))
    elif what < 0.6:
        await site.delete(key)
    elif what < 0.65:
        await site.create(key)
    elif what < 0.7:
        await site.rules(*random_rules(rng))
    elif what < 0.72:
        site.bucket = await set_to(site.world, site.bucket, rng.choice([ENABLED, SUSPENDED]))
    else:
        await random_change_of_version(site, rng)


async def random_change_of_version(site, rng):
    found, _ = await listed(site.world, site.bucket)
    if not found:
        return
    one = rng.choice(found)
    if rng.random() < 0.5:
        await site.delete(one.key, one.record.version)
        return
    tags = rng.choice(TAGS)
    try:
        await rewrite_object(
            site.store,
            site.bucket,
            one.key,
            one.record.version,
            lambda record: msgspec.structs.replace(record, tags=tags),
        )
    except S3Error:
        assert one.record.is_delete_marker


async def overdue(site):
    """What a look at everything finds that rules should have acted on."""
    lifecycle = await configs.find(site.store, site.bucket, configs.LIFECYCLE)
    rules, calendar, now_ns = lifecycle.rules, Calendar(), site.clock.now_ns()
    found, _ = await listed(site.world, site.bucket)
    late = []
    for key in KEYS:
        stack = [one for one in found if one.key == key]
        for at, one in enumerate(stack):
            record, text = one.record, key.decode()
            moment = None
            if at:
                since_ns = stack[at - 1].record.modified_ns
                moment = moments.of_version(rules, calendar, text, record, since_ns, at - 1)
            elif not record.is_delete_marker:
                moment = moments.of_object(rules, calendar, text, record)
            elif len(stack) == 1:
                moment = moments.of_marker(rules, calendar, text, record.modified_ns)
            if moment is not None and moment.at_ns <= now_ns:
                late.append((key, at, moment))
    page = await uploads.list_page(site.store, site.bucket, entries_max=1000)
    for upload in page.uploads:
        moment = await lifecycle_hints.abort_moment(
            site.store, site.bucket, upload.key, upload.record
        )
        if moment is not None and moment.at_ns <= now_ns:
            late.append((upload.key, "upload", moment))
    return late


@pytest.mark.parametrize("states", [(), (ENABLED,), (ENABLED, SUSPENDED)])
@pytest.mark.parametrize("turn", range(4))
async def test_nothing_stays_that_is_due(rng, states, turn):
    site = await Expiring().begin(*states)
    await site.rules(*random_rules(rng))
    for _ in range(ROUNDS):
        await random_change(site, rng)
        await site.look()
        site.clock.advance(int(rng.random() * DAY / 4))
        if rng.random() < 0.5:
            await site.work()
    await site.midnight()
    await site.look()
    before = set(await overdue(site))
    for _ in range(12):
        await site.midnight()
        late = set(await overdue(site))
        assert not late & before  # what becomes due by what is done has its turn a midnight later
        before = late
    assert not before
    assert await audit.differences(site.world.direct) == []
