"""A bucket with lifecycle rules, and days that pass."""

from collections import Counter

from fastobj.background.expiry import Expiry
from fastobj.core.metrics import Metric
from fastobj.meta import keys
from fastobj.objects import lifecycle_hints, uploads
from fastobj.objects.lifecycle_rules import Lifecycle, Rule
from fastobj.objects.uploads import Description
from tests.unit.objects.conftest import World
from tests.unit.objects.versioning import remove, set_to, stack

S = 10**9
DAY = 24 * 3600 * S
# 1.8e18 ns: 2027-01-15 08:00 UTC, so 16 hours are left of that day.
REST_OF_DAY = 16 * 3600 * S

WORDS = {
    Metric.LIFECYCLE_OBJECTS: "objects",
    Metric.LIFECYCLE_VERSIONS: "versions",
    Metric.LIFECYCLE_MARKERS: "markers",
    Metric.LIFECYCLE_UPLOADS: "uploads",
    Metric.LIFECYCLE_ERRORS: "errors",
}


def rule(id="rule", is_enabled=True, **said):
    return Rule(id, is_enabled, **said)


class Counts:
    def __init__(self):
        self.counted = Counter()

    def add(self, family, amount, *values):
        self.counted[family] += amount

    def take(self):
        """What was done since the last time, by its words; what was judged is not told."""
        counted, self.counted = self.counted, Counter()
        return {word: counted[family] for family, word in WORDS.items() if counted[family]}


class Expiring:
    """A world with one bucket in it, and the expiry that works there."""

    def __init__(self):
        self.world = World()
        self.store = self.world.store
        self.clock = self.world.clock
        self.counts = Counts()
        self.expiry = self.new_expiry()

    def new_expiry(self):
        return Expiry(self.store, self.counts)

    async def begin(self, *states):
        self.bucket = await self.world.bucket()
        for state in states:
            self.bucket = await set_to(self.world, self.bucket, state)
        return self

    async def rules(self, *rules):
        """Sets rules; the bucket is then as its users see it."""
        await lifecycle_hints.put_rules(self.store, self.bucket, Lifecycle(tuple(rules)))
        await self.look()

    async def look(self):
        row = await self.store.meta.get(keys.BUCKETS, self.bucket.name.encode())
        self.bucket = lifecycle_hints.buckets.decode(self.bucket.name, row)

    async def put(self, key=b"key", body=b"body", **content):
        return await self.world.put(self.bucket, key, body, **content)

    async def delete(self, key=b"key", version=None):
        return await remove(self.world, self.bucket, key, version)

    async def create(self, key=b"key"):
        return await uploads.create(self.store, self.bucket, key, "owner", Description())

    async def work(self):
        """Works off what is due; what was done."""
        while await self.expiry.step():
            pass
        return self.counts.take()

    async def days(self, count):
        """Lets so many days pass, and a second; then works off what is due."""
        self.clock.advance(int(count * DAY) + S)
        return await self.work()

    async def midnight(self):
        """Goes to the second behind the next midnight."""
        now_ns = self.clock.now_ns()
        self.clock.advance(-now_ns % DAY + S)
        return await self.work()

    async def names(self):
        rows = await self.world.engine.scan(keys.CURRENT, keys.FIRST, keys.LAST, 10_000)
        return [keys.object_key(row.key) for row in rows]

    async def stack(self, key=b"key"):
        return await stack(self.world, self.bucket, key)

    async def hints(self, kind=keys.DUE_VERSION):
        rows = await self.world.engine.scan(keys.DUE, keys.FIRST, keys.LAST, 10_000)
        return [row for row in rows if keys.due_of(row.key)[1] == kind]
