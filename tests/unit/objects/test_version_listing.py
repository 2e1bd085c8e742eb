"""Pages of versions: against a model of what S3 says, by any page size; and what a page costs."""

import random

import pytest

from fastobj.meta import keys
from fastobj.meta.records import VERSIONING_ENABLED
from fastobj.objects import audit, change, copy, version_listing
from fastobj.objects.copy import Source
from fastobj.objects.versions import NULL
from tests.unit.objects.versioning import ENABLED, SUSPENDED, listed, remove, set_to, versioned

NAMES = [b"a", b"a/", b"a/b", b"a/b/c", b"a0", b"b", b"b/a", b"b/a\0", b"\xc3\xa9/x"]


async def as_it_is(record):
    return record


class Model:
    """What S3 says of versions: of each key a list of (id, is a marker), the newest first."""

    def __init__(self):
        self.stacks = {}
        self.state = None

    def put(self, key, version, is_marker=False):
        stack = self.stacks.setdefault(key, [])
        if self.state != VERSIONING_ENABLED:
            stack[:] = [one for one in stack if one[0] != NULL]
        if not (is_marker and self.state is None):
            stack.insert(0, (version, is_marker))

    def remove(self, key, version):
        stack = self.stacks.get(key, [])
        stack[:] = [one for one in stack if one[0] != version]

    def entries(self, prefix=b"", delimiter=b""):
        found, prefixes = [], []
        for key in sorted(self.stacks):
            if not key.startswith(prefix) or not self.stacks[key]:
                continue
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            if at >= 0:
                common = key[: at + len(delimiter)]
                if common not in prefixes:
                    prefixes.append(common)
                continue
            found += [
                (key, version, is_marker, place == 0)
                for place, (version, is_marker) in enumerate(self.stacks[key])
            ]
        return found, prefixes


def shown(found):
    return [
        (one.key, one.record.version, one.record.is_delete_marker, one.is_latest) for one in found
    ]


async def step(world, bucket, model, chance):
    """One change of store and model alike."""
    key = chance.choice(NAMES)
    stack = model.stacks.get(key, [])
    what = chance.random()
    if what < 0.45:
        record = await world.put(bucket, key, bytes(chance.randrange(9)))
        model.put(key, record.version)
    elif what < 0.65:
        deleted = await remove(world, bucket, key)
        model.put(key, deleted.version if deleted else NULL, is_marker=True)
    elif what < 0.85:
        version = chance.choice([*stack, (NULL, False)])[0]
        await remove(world, bucket, key, version)
        model.remove(key, version)
    else:
        sources = [
            (name, version)
            for name, versions_ in model.stacks.items()
            for version, is_marker in versions_
            if not is_marker
        ]
        if sources:
            name, version = chance.choice(sources)
            copied = await copy.copy_object(
                world.store, Source(bucket, name, version), bucket, key, as_it_is
            )
            model.put(key, copied.record.version)


@pytest.mark.parametrize("seed", range(12))
async def test_random_changes(world, seed):
    chance = random.Random(seed)
    bucket, model = await world.bucket(), Model()
    for _ in range(150):
        if chance.random() < 0.05:
            model.state = chance.choice([ENABLED, SUSPENDED])
            bucket = await set_to(world, bucket, model.state)
        world.clock.advance(chance.choice([0, 1, -(10**9), 10**6]))
        await step(world, bucket, model, chance)
        asked = {
            "prefix": chance.choice([b"", b"", b"a", b"a/", b"b/a", b"zz"]),
            "delimiter": chance.choice([b"", b"/", b"/", b"a"]),
        }
        size = chance.choice([1, 2, 3, 7, 1000])
        found, prefixes = await listed(world, bucket, size, **asked)
        assert (shown(found), prefixes) == model.entries(**asked)
    for key, stack in model.stacks.items():
        for version, is_marker in stack:
            found = await change.change_key(world.store, bucket, key, at(version))
            assert found.record.is_delete_marker == is_marker
    assert await audit.differences(world.store) == []


def at(version):
    """A plan that changes nothing, and tells what has that id."""
    return lambda trying: trying.version(version)


class Counted:
    """A reader that counts the rows and the scans that it gives."""

    def __init__(self, meta):
        self._meta = meta
        self.rows = self.scans = 0
        self.get = meta.get
        self.get_many = meta.get_many

    async def scan(self, *args):
        found = await self._meta.scan(*args)
        self.rows += len(found)
        self.scans += 1
        return found


async def cost(world, bucket, **asked):
    """What a page costs: entries, rows, scans."""
    meta = world.store.meta
    world.store.meta = counted = Counted(meta)
    page = await version_listing.list_versions(world.store, bucket, **asked)
    world.store.meta = meta
    return page, len(page.versions) + len(page.prefixes), counted.rows, counted.scans


async def test_a_page_of_many_versions_of_one_key(world):
    bucket = await versioned(world)
    for _ in range(3000):
        await world.put(bucket, b"key", b"")
    page, entries, rows, _ = await cost(world, bucket, entries_max=100)
    assert (entries, page.is_truncated) == (100, True)
    assert rows <= 250
    marker = {"after": page.last, "after_version": page.last_version}
    page, entries, rows, _ = await cost(world, bucket, entries_max=100, **marker)
    assert (entries, page.is_truncated) == (100, True)
    assert rows <= 250


async def test_a_page_of_markers_alone(world):
    bucket = await versioned(world)
    for number in range(2000):
        await remove(world, bucket, b"%04d" % (number // 4))
    _, entries, rows, _ = await cost(world, bucket, entries_max=100)
    assert entries == 100
    assert rows <= 250


async def test_a_page_of_folders(world):
    """However many versions stand in them."""
    bucket = await versioned(world)
    for folder in range(30):
        for _ in range(100):
            await world.put(bucket, b"%02d/key" % folder, b"")
    _, entries, rows, scans = await cost(world, bucket, delimiter=b"/", entries_max=20)
    assert entries == 20
    assert rows <= 6 * 22
    assert scans <= 2 * 22


async def test_a_plain_bucket_is_listed_without_the_other_space(world):
    bucket = await world.bucket()
    for number in range(5):
        await world.put(bucket, b"%d" % number)
    spaces = []
    meta = world.store.meta

    class Noted(Counted):
        async def scan(self, space, *args):
            spaces.append(space)
            return await super().scan(space, *args)

    world.store.meta = Noted(meta)
    page = await version_listing.list_versions(world.store, bucket, entries_max=9)
    assert [one.is_latest for one in page.versions] == [True] * 5
    assert spaces == [keys.CURRENT]
