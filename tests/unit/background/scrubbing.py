"""A site on a disk and its scrub, as the tests of the scrub work on them."""

import asyncio
from contextlib import asynccontextmanager

import msgspec

from fastobj.background.scrub import Scrub
from fastobj.meta import keys, records
from fastobj.meta.records import DamageRecord, ScrubRecord
from tests.unit.objects.conftest import START_NS
from tests.unit.objects.damaging import flip, object_row, write
from tests.unit.objects.uploading import site_on_disk

LARGE = bytes(range(256)) * 10_000
INTERVAL_S = 100.0
BROKEN = b"\x93\x01\xc3\xc3"


class Counted:
    """Figures by their metric."""

    def __init__(self):
        self.sums = {}

    def add(self, family, amount):
        self.sums[family] = self.sums.get(family, 0) + amount


class Bench:
    """A site on a disk, and its scrub, whose sleeps move the clock."""

    def __init__(self, site, root):
        self.site = site
        self.root = root
        self.counted = Counted()
        self.slept = []
        self.scrub = self.new()

    def new(self, *, interval_s=INTERVAL_S, bytes_s=1 << 40):
        """The scrub of another life of the process."""
        return Scrub(
            self.site.store,
            self.counted,
            interval_s=interval_s,
            bytes_s=bytes_s,
            made_ns=START_NS,
            sleep=self.sleep,
        )

    async def sleep(self, seconds):
        self.site.clock.advance(int(seconds * 1e9))
        if seconds:
            self.slept.append(seconds)
        await asyncio.sleep(0)

    async def damaged(self):
        """What is remembered: kind and name of it, and the record."""
        rows = await self.site.rows(keys.DAMAGED)
        return {r.key: records.decode(DamageRecord, r.value) for r in rows if r.value != BROKEN}

    async def record(self):
        row = await self.site.store.meta.get(keys.JOBS, keys.JOB_SCRUB)
        return row and records.decode(ScrubRecord, row[0])

    async def location(self, key=b"key"):
        record = await object_row(self.site, key)
        if record.location:
            return record.location
        row = await self.site.store.meta.get(keys.SHARED, record.data_id)
        return records.decode(records.SharedRecord, row[0]).location

    async def damage(self, key=b"key", at=0):
        """Flips a bit of the object's own body."""
        flip(self.root, await self.location(key), at)


@asynccontextmanager
async def opened(tmp_path):
    async with site_on_disk(tmp_path / "store") as site:
        yield Bench(site, tmp_path / "store")


async def put_with_sum(bench, key, blake3_sum):
    """A large object whose row has that sum."""
    await bench.site.put(key, LARGE)
    record = await object_row(bench.site, key)
    summed = msgspec.structs.replace(record, blake3=blake3_sum)
    row_key = keys.current(bench.site.bucket.record.id, key)
    await write(bench.site.store, keys.CURRENT, row_key, records.encode(summed))
