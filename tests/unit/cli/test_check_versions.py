"""`fastobj check` of versions: a sound store is sound, and what their rows lack is told."""

import asyncio

import msgspec
import pytest

from fastobj.meta import keys, records
from fastobj.meta.base import Add
from fastobj.meta.records import VERSIONING_ENABLED, StampRecord
from fastobj.objects import buckets, delete, versions
from fastobj.objects.delete import Deletion
from tests.unit.cli.checking import BROKEN, damage, run
from tests.unit.objects.uploading import site_on_disk


@pytest.fixture
def store(tmp_path):
    """A store with versions: of `key` a null version that is not current, of `gone` a marker."""

    async def make():
        async with site_on_disk(tmp_path / "store") as site:
            await site.put(b"key", b"null version")
            await buckets.set_versioning(site.store, site.bucket, VERSIONING_ENABLED)
            site.bucket = await buckets.get(site.store, site.bucket.name)
            await site.put(b"key", b"second")
            await site.put(b"key", b"third")
            await site.put(b"gone", b"x" * 100_000)
            await delete.delete_object(site.store, site.bucket, Deletion(b"gone"))

    asyncio.run(make())
    return tmp_path / "store"


async def stamp_of(site, key):
    row_key = keys.stamp(site.bucket.record.id, key)
    value, _ = await site.store.meta.get(keys.STAMPS, row_key)
    return row_key, records.decode(StampRecord, value)


def test_sound(capsys, store):
    status, lines, err = run(capsys, store)
    assert (status, err) == (0, "")
    assert lines[0].startswith("sound: ")


async def null_that_is_none(site):
    row_key, stamp = await stamp_of(site, b"key")
    value = records.encode(msgspec.structs.replace(stamp, null=stamp.null - 1))
    await site.write(keys.STAMPS, row_key, value)


async def marker_that_is_none(site):
    row_key, stamp = await stamp_of(site, b"key")
    value = records.encode(msgspec.structs.replace(stamp, is_marker=True))
    await site.write(keys.STAMPS, row_key, value)


async def miscounted(site):
    adds = [Add(keys.CURRENT, site.bucket.record.id, (0, 0, 1, 9))]
    await site.write(keys.JOBS, b"other", None, adds)


async def torn_row(site):
    (found,) = await versions.newest_in_history(site.store, site.bucket, b"key")
    await site.write(keys.HISTORY, found.row_key, BROKEN)


async def flipped_body(site):
    (found,) = await versions.newest_in_history(site.store, site.bucket, b"key")
    await site.flip(found.record.location)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (null_that_is_none, 'stamp "bucket/key": the version of order'),
        (marker_that_is_none, 'stamp "bucket/key": it says that the latest version is a delete'),
        (miscounted, "noncurrent versions"),
        (torn_row, 'version "bucket/key"'),
        (flipped_body, 'version "bucket/key"'),
    ],
)
def test_what_is_told(capsys, store, harm, told):
    asyncio.run(damage(store, harm))
    status, lines, _ = run(capsys, store)
    assert status != 0
    assert any(told in line for line in lines), lines
