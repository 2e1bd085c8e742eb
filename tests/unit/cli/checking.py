"""A store with some of everything, its damage, and the command that checks it."""

import msgspec

from fastobj.cli.main import main
from fastobj.core.clock import FixedClock
from fastobj.meta import keys, records
from fastobj.objects import buckets, configs
from fastobj.objects.tags import TagSet
from fastobj.storage.base import Location
from tests.golden.make import opened
from tests.unit.objects.conftest import START_NS
from tests.unit.objects.damaging import flip, object_row, write
from tests.unit.objects.uploading import Site as Uploads
from tests.unit.objects.uploading import site_on_disk

LARGE = bytes(range(256)) * 10_000
UPLOAD_ID = b"0123456789abcdef"
BROKEN = b"\x93\x01\xc3\xc3"


async def make(directory):
    async with site_on_disk(directory) as site:
        await site.put(b"empty", b"")
        await site.put(b"small", b"body")
        await site.put(b"small too", b"another body")
        await site.put(b"large", LARGE)
        await site.put(b"shared", b"x" + LARGE)
        await site.copy(b"shared", b"copy")
        await site.upload([b"y" + LARGE, b"", b"tail"], b"parts")
        await site.copy(b"parts", b"parts too")
        upload = await site.create(b"open")
        await site.part(upload, 1, b"part")
        await configs.put(site.store, site.bucket, configs.TAGGING, TagSet({"key": "value"}))


class Site:
    """The store, open to be damaged."""

    def __init__(self, site, root):
        self.site = site
        self.store = site.store
        self.root = root

    async def row(self, key=b"small"):
        return await object_row(self, key)

    @property
    def bucket(self):
        return self.site.bucket

    def key(self, key=b"small"):
        return keys.current(self.bucket.record.id, key)

    async def change(self, key=b"small", adds=(), **fields):
        """Changes the row of an object."""
        record = msgspec.structs.replace(await self.row(key), **fields)
        await self.write(keys.CURRENT, self.key(key), records.encode(record), adds)

    async def write(self, space, key, value, adds=()):
        await write(self.store, space, key, value, adds)

    async def flip(self, location, at=0):
        flip(self.root, location, at)

    async def rows(self, space):
        return await self.site.rows(space)

    async def segment(self, location):
        """Key and record of the segment that a body stands in."""
        key = keys.segment(Location.decode(location).segment)
        value, _ = await self.store.meta.get(keys.SEGMENTS, key)
        return key, records.decode(records.SegmentRecord, value)


async def damage(directory, harm):
    clock = FixedClock(START_NS)
    async with opened(directory, clock) as (_, store):
        site = Uploads(store, clock)
        site.bucket = await buckets.get(store, "bucket")
        await harm(Site(site, directory))


def run(capsys, directory, *flags):
    """Status, lines of standard output, and standard error."""
    status = main(["check", str(directory), *flags])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err
