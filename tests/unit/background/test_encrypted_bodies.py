"""Encrypted bodies move and are scrubbed as any: by what is stored, without a key."""

import os
from functools import partial

import pytest

from fastobj.core.errors import ChecksumMismatch
from fastobj.kms.memory import MemoryKms
from fastobj.meta.records import SSE_S3
from fastobj.objects import carried, encryption, parts, put
from fastobj.objects.complete import Listed
from fastobj.objects.encryption import Wish
from fastobj.objects.encryption_rules import Rules
from fastobj.objects.frames import PLAIN_BYTES, stored_size
from fastobj.storage.base import Location, fill
from tests.unit.background.scrubbing import opened
from tests.unit.background.test_compaction import in_a_room
from tests.unit.objects.conftest import describe
from tests.unit.objects.damaging import flip, object_row
from tests.unit.objects.uploading import SMALL_BYTES_MAX

SIZES = [1, 900, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, PLAIN_BYTES + 1]


async def put_encrypted(site, key, body):
    """Stores an object that is encrypted with the server's key, small or large."""
    site.store.encryption = site.kms = getattr(site, "kms", None) or Rules(MemoryKms())
    seal = await encryption.begin(site.store, Wish(SSE_S3))
    content = describe(body, encryption=seal.encryption)
    place = (site.store, site.bucket, key, content)
    if len(body) <= SMALL_BYTES_MAX:
        return await put.put_small(*place, body, encrypting=seal.key)
    large = await carried.write(site.store, len(body), partial(fill, body=body), key=seal.key)
    return await put.put_large(*place, large)


@pytest.mark.parametrize("size", SIZES)
@in_a_room
async def test_they_are_moved_as_they_are(room, size):
    """Sealed segments of which nine tenths are gone are emptied, and the rest reads as before."""
    for number in range(400 if size < 10_000 else 60):
        key, body = b"%03d" % number, os.urandom(size)
        record = await put_encrypted(room, key, body)
        assert Location.decode(record.location or bytes(32)).length in (0, stored_size(size))
        room.bodies[key] = body
    await room.thin(10)
    await room.roll()
    await room.compact()
    assert room.compaction.total.bodies
    assert room.compaction.total.damaged == 0
    await room.verify()


async def test_the_scrub_reads_what_is_stored(tmp_path, errors):
    async with opened(tmp_path) as bench:
        for size in (0, *SIZES, 3 * PLAIN_BYTES):
            await put_encrypted(bench.site, b"%d" % size, os.urandom(size))
        await bench.site.copy(b"900", b"copy")
        await bench.scrub.round()
        assert not errors()
        assert not await bench.damaged()
        record = await object_row(bench.site, b"%d" % (3 * PLAIN_BYTES))
        flip(bench.root, record.location, PLAIN_BYTES)
        await bench.scrub.round()
        assert list(await bench.damaged()) == [b"\x01" + record.data_id]
        with pytest.raises(ChecksumMismatch):
            await bench.site.read(b"%d" % (3 * PLAIN_BYTES))


async def test_parts_are_scrubbed_by_their_stored_size(tmp_path, errors):
    async with opened(tmp_path) as bench:
        site = bench.site
        site.store.encryption = Rules(MemoryKms())
        seal = await encryption.begin(site.store, Wish(SSE_S3))
        upload = await site.create(encryption=seal.encryption)
        bodies = [os.urandom(PLAIN_BYTES + 1), os.urandom(900), b""]
        listed = []
        for number, body in enumerate(bodies, 1):
            if len(body) <= SMALL_BYTES_MAX:
                await parts.put_small(site.store, upload, number, describe(body), body, seal.key)
            else:
                write = partial(fill, body=body)
                large = await carried.write(site.store, len(body), write, key=seal.key)
                await parts.put_large(site.store, upload, number, describe(body), large)
            listed.append((number, describe(body).etag))
        await bench.scrub.round()
        await site.complete(upload, [Listed(*one) for one in listed])
        await bench.scrub.round()
        assert not errors()
        assert not await bench.damaged()
        assert await site.read(b"key") == b"".join(bodies)
