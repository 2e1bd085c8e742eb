"""Parts copied from objects: what is read, which races they may lose, and that nothing is left."""

import hashlib
import os
from functools import partial

import pytest

from fastobj.core.errors import ChecksumMismatch, NoSpace, StaleLocation
from fastobj.objects import buckets, copy_part, delete, uploads
from fastobj.objects.complete import Listed
from fastobj.objects.copy import Source
from fastobj.objects.delete import Deletion
from fastobj.objects.get import Span
from fastobj.s3.payload import Computed
from tests.unit.objects.uploading import code_of, everywhere, quick, refused, together

__all__ = ["quick"]

MIB = 1 << 20


def whole(record):
    return Span(0, record.size)


async def copied(site, upload, number=1, *, choose=whole, algorithm="", bucket=None):
    """Copies a part of the object `source`; its record."""
    source = Source(bucket or site.bucket, b"source")
    begin = partial(Computed, algorithm)
    return await copy_part.copy_part(site.store, source, upload, number, choose, begin)


async def check_object(site, upload, record, body):
    """The upload with that only part becomes an object of that body."""
    assert (record.size, record.etag) == (len(body), hashlib.md5(body).hexdigest())
    await site.complete(upload, [Listed(1, record.etag)])
    assert await site.read() == body


def while_reading(site, *events):
    """Has one of the events happen after each read of the volume, while there are any."""
    read, left = site.store.volume.read, list(events)

    async def read_then(*arguments):
        found = await read(*arguments)
        if left:
            await left.pop(0)()
        return found

    site.store.volume.read = read_then


async def nothing():
    """Lets a read pass."""


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, MIB, 2 * MIB + 5])
@everywhere
async def test_whole_objects(site, size):
    body = os.urandom(size)
    await site.put(b"source", body)
    upload = await site.create()
    record = await copied(site, upload, algorithm="sha256")
    assert set(record.checksums) == {"sha256"}
    await check_object(site, upload, record, body)
    await delete.delete_object(site.store, site.bucket, Deletion(b"source"))
    assert await site.read() == body
    await site.check(bodies=1 + bool(size), parts=1)


@pytest.mark.parametrize("span", [(0, 1), (999, 1100), (1500, MIB), (100, 2 * MIB), (3000, 0)])
@everywhere
async def test_ranges_over_parts(site, span):
    parts = [os.urandom(size) for size in (1000, 0, 2000, 2 * MIB, 1)]
    await site.upload(parts, key=b"source")
    upload = await site.create()
    record = await copied(site, upload, choose=lambda _: Span(*span))
    body = b"".join(parts)[span[0] : span[0] + span[1]]
    await check_object(site, upload, record, body)


@everywhere
async def test_shared_bodies(site):
    """Of an object whose body has two names, and of one that is made of parts besides."""
    body = os.urandom(5000)
    for source in (site.put(b"first", body), site.upload([body[:3000], body[3000:]], b"first")):
        await source
        await site.copy(b"first", b"source")
        upload = await site.create()
        await check_object(site, upload, await copied(site, upload), body)


@everywhere
async def test_many_copies_share_little_memory(site):
    """Each waits for memory only while it holds none: else these would wait for each other."""
    body = os.urandom(3 * MIB + 1)
    await site.put(b"source", body)
    if hasattr(site.store.volume, "buffers"):
        site.store.volume.buffers._left = 2
    upload = await site.create()
    records = await together(*(copied(site, upload, number) for number in range(1, 25)))
    etags = {record.etag for record in records}
    assert etags == {hashlib.md5(body).hexdigest()}
    await uploads.abort(site.store, upload)
    await site.check(bodies=1, parts=0)


# --- races


async def test_a_source_that_is_overwritten_meanwhile(quick):
    """What is copied is one of the two objects, whole; it is chosen anew."""
    await quick.put(b"source", b"a" * 3 * MIB)
    asked = []

    def choose(record):
        asked.append(record.etag)
        return whole(record)

    while_reading(quick, nothing, partial(quick.put, b"source", b"b" * 2 * MIB))
    upload = await quick.create()
    record = await copied(quick, upload, choose=choose)
    assert len(asked) == 2
    await check_object(quick, upload, record, b"b" * 2 * MIB)
    await quick.check(bodies=3, parts=1)


async def test_a_source_of_parts_that_is_overwritten_meanwhile(quick):
    await quick.upload([b"a" * MIB, b"b" * MIB, b"c" * MIB], key=b"source")

    async def overwrite():
        await quick.put(b"source", b"small")
        await quick.clear()

    while_reading(quick, nothing, overwrite)
    upload = await quick.create()
    await check_object(quick, upload, await copied(quick, upload), b"small")


async def test_a_source_that_is_deleted_meanwhile(quick):
    await quick.put(b"source", b"a" * 3 * MIB)
    upload = await quick.create()
    wanted = partial(delete.delete_object, quick.store, quick.bucket, Deletion(b"source"))
    while_reading(quick, wanted)
    assert await refused(copied(quick, upload)) == "NoSuchKey"
    await quick.check(bodies=0, parts=0)


async def test_a_source_that_never_stands_still(quick):
    await quick.put(b"source", b"a" * 3 * MIB)
    bodies = [b"%d" % number * 2 * MIB for number in range(10)]
    events = (partial(quick.put, b"source", body) for body in bodies)
    while_reading(quick, *events)
    upload = await quick.create()
    assert await refused(copied(quick, upload)) == "SlowDown"
    await quick.check(bodies=1, parts=0)


async def test_a_body_that_is_lost_is_damage(quick):
    """Its row stands where it stood."""
    await quick.put(b"source", b"a" * 3 * MIB)
    upload = await quick.create()

    async def lost(*_):
        raise StaleLocation("gone")

    quick.store.volume.read = lost
    with pytest.raises(ChecksumMismatch):
        await copied(quick, upload)
    assert await quick.live() == 1


@everywhere
async def test_an_upload_that_ends_meanwhile(site):
    await site.put(b"source", b"a" * 3 * MIB)
    for number in (1, 2):
        upload = await site.create()
        kept = await site.part(upload, number, b"kept")
        ends = {
            1: partial(uploads.abort, site.store, upload),
            2: partial(site.complete, upload, [kept]),
        }
        read = site.store.volume.read
        while_reading(site, ends[number])
        assert await refused(copied(site, upload)) == "NoSuchUpload"
        site.store.volume.read = read
    assert await site.read() == b"kept"
    await site.check(bodies=3, parts=1)


@everywhere
async def test_copies_of_one_number_that_race(site):
    await site.put(b"source", b"a" * 2000)
    upload = await site.create()
    await together(*(copied(site, upload) for _ in range(6)), site.part(upload, 1, b"x" * 2000))
    assert await site.complete(upload, [await site.part(upload, 1, b"last")])
    assert await site.read() == b"last"
    await site.check(bodies=3, parts=1)


@everywhere
async def test_complete_races_with_copies(site):
    await site.put(b"source", b"a" * 2000)
    for _ in range(6):
        upload = await site.create()
        record = await copied(site, upload)
        rivals = [copied(site, upload) for _ in range(3)]
        made, *others = await together(site.complete(upload, [Listed(1, record.etag)]), *rivals)
        assert made.upload_id == upload.id
        assert {code_of(one) for one in others if isinstance(one, Exception)} <= {"NoSuchUpload"}
        assert await site.read() == b"a" * 2000
        await site.check(bodies=3, parts=1)


async def test_no_space_leaves_nothing(quick):
    await quick.put(b"source", b"a" * 2000)
    upload = await quick.create()

    async def full():
        raise NoSpace("full")

    quick.gate.before = [full]
    with pytest.raises(NoSpace):
        await copied(quick, upload)
    await quick.check(bodies=1, parts=0)


async def test_another_bucket(quick):
    other, _ = await buckets.create(quick.store, "other", "owner")
    own, quick.bucket = quick.bucket, other
    await quick.put(b"source", b"from there")
    quick.bucket = own
    upload = await quick.create()
    record = await copied(quick, upload, bucket=other)
    await check_object(quick, upload, record, b"from there")
