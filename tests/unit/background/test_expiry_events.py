"""What lifecycle rules do is told as events of their own kind."""

import pytest

from fastobj.meta import keys, records
from fastobj.objects import configs
from fastobj.objects.notifications import Notification, Notifications
from tests.unit.background.expiring import Expiring, rule
from tests.unit.objects.versioning import ENABLED

ALL = Notification("all", "hook", ("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"))


async def expired(*states):
    """The events of an object that expired; of its noncurrent version too where they are kept."""
    there = await Expiring().begin(*states)
    there.store.event_targets = frozenset({"hook"})
    await configs.put(there.store, there.bucket, configs.NOTIFICATION, Notifications((ALL,)))
    await there.rules(rule(days=1, noncurrent_days=1))
    await there.put()
    await there.days(3)
    await there.days(3)
    rows = await there.world.engine.scan(keys.OUTBOX, keys.FIRST, keys.LAST, 100)
    return [records.decode(records.EventRecord, row.value).name for row in rows]


@pytest.mark.parametrize(
    ("states", "events"),
    [((), ["Delete"]), ((ENABLED,), ["DeleteMarkerCreated", "Delete"])],
    ids=["unversioned", "versioned"],
)
async def test_an_expiry_is_told_as_one(states, events):
    assert await expired(*states) == [f"s3:LifecycleExpiration:{event}" for event in events]
