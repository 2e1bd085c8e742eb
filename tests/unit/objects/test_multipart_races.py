"""Uploads in parts whose requests race: one winner, whole objects, nothing left."""

import asyncio
import itertools

from fastobj.meta import keys
from fastobj.objects import buckets, delete, get, uploads
from fastobj.objects.delete import Deletion
from tests.unit.objects.uploading import code_of, everywhere, refused, together


@everywhere
async def test_a_part_that_comes_while_the_upload_completes(site):
    """It is not listed, so it goes."""
    upload = await site.create()
    listed = [await site.part(upload, 1, b"x" * 2000)]

    async def another():
        await site.part(upload, 2, b"late" * 600)

    site.gate.before = [another]
    await site.complete(upload, listed)
    assert await site.read() == b"x" * 2000
    await site.check(bodies=2, parts=1)


@everywhere
async def test_a_part_that_is_replaced_while_the_upload_completes(site):
    """No object ever names a body that has gone."""
    upload = await site.create()
    listed = [await site.part(upload, 1, b"x" * 2000)]

    async def replace():
        listed[0] = await site.part(upload, 1, b"y" * 2000)

    site.gate.before = [replace]
    assert await refused(site.complete(upload, [*listed])) == "InvalidPart"
    await site.complete(upload, listed)
    assert await site.read() == b"y" * 2000
    await site.check(bodies=2, parts=1)


@everywhere
async def test_the_same_part_again_while_the_upload_completes(site):
    """As clients do that had no answer."""
    upload = await site.create()
    listed = [await site.part(upload, n, b"x" * 2000) for n in (1, 2)]

    async def again():
        await site.part(upload, 1, b"x" * 2000)

    async def and_again():
        await site.part(upload, 2, b"x" * 2000)

    site.gate.before = [again, lambda: asyncio.sleep(0), and_again]
    await site.complete(upload, listed)
    assert await site.read() == b"x" * 4000
    await site.check(bodies=3, parts=2)


@everywhere
async def test_abort_while_a_part_is_replaced(site):
    upload = await site.create()
    await site.part(upload, 1, b"x" * 2000)
    await site.part(upload, 1, b"y" * 2000)
    await uploads.abort(site.store, upload)  # with the token of before
    await site.check(bodies=0, parts=0)


@everywhere
async def test_complete_abort_and_parts_race(site):
    for turn in range(12):
        upload = await site.create()
        listed = [await site.part(upload, n, b"x" * 700 * n) for n in (1, 2)]
        calls = [
            site.complete(upload, listed),
            uploads.abort(site.store, upload),
            site.part(upload, 1, b"other" * 300),
            site.part(upload, 3, b"more"),
        ]
        order = list(itertools.permutations(range(4)))[turn * 2]
        outcome = dict(zip(order, await together(*(calls[n] for n in order)), strict=True))
        wins = [not isinstance(outcome[n], Exception) for n in (0, 1)]
        if sum(wins) == 0:  # the part under number 1 came in between
            assert code_of(outcome[0]) == "InvalidPart"
            wins[1] = True
        assert sum(wins) == 1, outcome
        for part in (2, 3):
            if isinstance(outcome[part], Exception):
                assert code_of(outcome[part]) == "NoSuchUpload"
        if wins[0]:
            assert len(await site.read()) == 2100
            await site.check(bodies=3, parts=2)
            await delete.delete_object(site.store, site.bucket, Deletion(b"key"))
        await site.check(bodies=0, parts=0)
        assert await site.rows(keys.UPLOADS) == []


@everywhere
async def test_completes_over_copies_of_one_body_all_succeed(site, monkeypatch):
    """Each loses but a few races, however many there are: they take turns at the body's count."""
    monkeypatch.setattr("fastobj.objects.retry.CONFLICT_RETRIES_MAX", 4)
    await site.put(b"0", b"body")
    targets = [b"t%d" % number for number in range(48)]
    await together(*(site.copy(b"0", key) for key in targets))
    begun = [await site.create(key) for key in targets]
    listed = [[await site.part(upload, 1, upload.key)] for upload in begun]
    rivals = [site.complete(*each) for each in zip(begun, listed, strict=True)]
    results = await together(*rivals, site.copy(b"0", b"last"))
    assert [error for error in results if isinstance(error, Exception)] == []
    assert [await site.read(key) for key in targets] == targets
    await site.check(bodies=1 + 2 * 48, parts=48)


@everywhere
async def test_an_upload_that_ends_under_a_complete(site):
    upload = await site.create()
    listed = [await site.part(upload, 1, b"x" * 2000)]

    async def abort():
        await uploads.abort(site.store, upload)

    site.gate.before = [abort]
    assert await refused(site.complete(upload, listed)) == "NoSuchUpload"
    assert await site.usage() == buckets.Usage(0, 0)
    await site.check(bodies=0, parts=0)


@everywhere
async def test_a_read_while_the_object_is_overwritten(site):
    """A reader that comes in between finds one object or the other, whole."""
    await site.upload([b"a" * 3000, b"b" * 3000])
    manifest_load = get.manifest.load
    news = b"new" * 900

    async def load(store, record, location):
        found = await manifest_load(store, record, location)
        get.manifest.load = manifest_load
        await site.upload([news])
        await site.clear()
        return found

    get.manifest.load = load
    try:
        body = await site.read()
    finally:
        get.manifest.load = manifest_load
    # On a disk nothing has been recycled yet, so the old bytes are still there.
    assert body in (news, b"a" * 3000 + b"b" * 3000)


@everywhere
async def test_delete_bucket_aborts_what_is_open(site):
    first, second = await site.create(b"a"), await site.create(b"b")
    await site.part(first, 1, b"x" * 2000)
    for _ in range(120):
        await site.create(b"many")
    await site.upload([b"object"])
    assert await refused(buckets.delete(site.store, site.bucket)) == "BucketNotEmpty"
    await site.part(second, 1, b"still there")
    await delete.delete_object(site.store, site.bucket, Deletion(b"key"))
    bucket = await buckets.get(site.store, "bucket")
    await buckets.delete(site.store, bucket)
    assert await refused(site.part(first, 2, b"late")) == "NoSuchUpload"
    assert await site.rows(keys.UPLOADS) == []
    await site.check(bodies=0, parts=0)
    assert await refused(uploads.create(site.store, bucket, b"key", "owner", _PLAIN)) == (
        "NoSuchBucket"
    )


_PLAIN = uploads.Description()


@everywhere
async def test_complete_into_a_bucket_that_goes(site):
    upload = await site.create()
    listed = [await site.part(upload, 1, b"x")]

    async def drop():
        await buckets.delete(site.store, site.bucket)

    site.gate.before = [drop]
    assert await refused(site.complete(upload, listed)) in ("NoSuchBucket", "NoSuchUpload")
    await site.check(bodies=0, parts=0)
