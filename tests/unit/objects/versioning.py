"""Buckets with versions for tests, readers that let others in between, and a listing of all."""

import asyncio

from fastobj.meta.records import VERSIONING_ENABLED, VERSIONING_SUSPENDED
from fastobj.objects import buckets, delete, version_listing
from fastobj.objects.delete import Deletion

ENABLED, SUSPENDED = VERSIONING_ENABLED, VERSIONING_SUSPENDED


async def versioned(world, *states):
    """A bucket in which versioning was set to each of these in turn."""
    bucket = await world.bucket()
    for state in states or (ENABLED,):
        bucket = await set_to(world, bucket, state)
    return bucket


async def set_to(world, bucket, state):
    """Sets versioning; the bucket as it is then."""
    await buckets.set_versioning(world.store, bucket, state)
    return await buckets.get(world.store, bucket.name)


async def remove(world, bucket, key, version=None, store=None):
    """Deletes a key, or a version of it."""
    deletion = Deletion(key, version=version)
    return await delete.delete_object(store or world.store, bucket, deletion)


async def listed(world, bucket, size=1000, **asked):
    """All entries, page by page, and the common prefixes."""
    found, prefixes, marker = [], [], {}
    while True:
        page = await version_listing.list_versions(
            world.direct, bucket, entries_max=size, **marker, **asked
        )
        assert len(page.versions) + len(page.prefixes) <= size
        found += page.versions
        prefixes += page.prefixes
        if not page.is_truncated:
            return found, prefixes
        assert len(page.versions) + len(page.prefixes) == size
        marker = {"after": page.last, "after_version": page.last_version}


async def stack(world, bucket, key):
    """The versions of a key, the newest first: (version id, whether it is a delete marker)."""
    found, _ = await listed(world, bucket, prefix=key)
    of_key = [one for one in found if one.key == key]
    assert [one.is_latest for one in of_key] == [True, *[False] * len(of_key)][: len(of_key)]
    return [(one.record.version, one.record.is_delete_marker) for one in of_key]


class Yielding:
    """A reader that lets others have a turn before each row: no answer is of one moment."""

    def __init__(self, meta):
        self._meta = meta
        self.counters = meta.counters

    async def get(self, space, key):
        await asyncio.sleep(0)
        return await self._meta.get(space, key)

    async def get_many(self, pairs):
        return [await self.get(*pair) for pair in pairs]

    async def scan(self, *args):
        await asyncio.sleep(0)
        return await self._meta.scan(*args)
