"""Appends: whatever the object was, its bytes are whole, nothing is left, and nothing is lost."""

import itertools

import pytest

from fastobj.background.garbage import Garbage
from fastobj.meta import keys, walk
from fastobj.objects import append, buckets, delete, moves
from fastobj.objects.buckets import Usage
from fastobj.objects.conditions import UNCONDITIONAL
from fastobj.objects.delete import Deletion
from fastobj.objects.moves import NamingRow
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.verify import SPACES, Verifier
from tests.unit.objects.conftest import describe
from tests.unit.objects.uploading import (
    SMALL_BYTES_MAX,
    code_of,
    everywhere,
    refused,
    site_in_memory,
    together,
)

SMALL, LARGE = b"small" * 20, b"large" * 700
assert len(SMALL) <= SMALL_BYTES_MAX < len(LARGE)


async def add(site, offset, body, key=b"key", conditions=UNCONDITIONAL, **content):
    """Appends, small or large as the length has it."""
    place = (site.store, site.bucket, key, offset, describe(body, **content))
    if len(body) <= SMALL_BYTES_MAX:
        return await append.append_small(*place, body, conditions)
    return await append.append_large(*place, await site.large(body), conditions)


async def sound(site):
    """Every row and every body verifies."""

    async def nothing_known(data_id):
        return ""

    verifier = Verifier(site.store, nothing_known)
    for space in SPACES:
        async for row in walk.rows(site.store.meta, space):
            assert (await verifier.verify(space, row)).fault is None


@everywhere
async def test_sizes(site):
    for first, second in itertools.product((b"", SMALL, LARGE), (SMALL, LARGE)):
        await site.put(b"key", first)
        whole = first
        for body in (second, SMALL):
            record = await add(site, len(whole), body)
            whole += body
            assert await site.read() == whole
            assert record.size == len(whole)
            assert await site.usage() == Usage(1, len(whole))
        await sound(site)
        parts = 2 + bool(first)
        assert record.parts == parts
        await site.check(bodies=parts + 1, parts=parts)
    await delete.delete_object(site.store, site.bucket, Deletion(b"key"))
    await site.check(bodies=0, parts=0)
    assert await site.usage() == Usage(0, 0)


@everywhere
async def test_one_transaction_each(site):
    await add(site, 0, SMALL)
    calls = site.gate.calls
    for number in range(1, 5):
        await add(site, number * len(SMALL), SMALL)
    assert site.gate.calls == calls + 4


@everywhere
async def test_behind_a_completion(site):
    """What lets go of parts that were left out keeps the part that was appended meanwhile."""
    upload = await site.create()
    listed = [await site.part(upload, number, LARGE) for number in (1, 2)]
    await site.part(upload, 3, SMALL)
    await site.complete(upload, listed)
    await add(site, 2 * len(LARGE), SMALL)
    await add(site, 2 * len(LARGE) + len(SMALL), LARGE)
    await site.check(bodies=5, parts=4)
    await sound(site)
    assert await site.read() == LARGE + LARGE + SMALL + LARGE


@everywhere
async def test_while_parts_are_let_go_of(site):
    """A pass that has read what is kept does not take what was appended since."""
    upload = await site.create()
    listed = [await site.part(upload, 1, LARGE)]
    await site.part(upload, 2, SMALL)
    await site.complete(upload, listed)
    commit_rows = rows_committer(site.direct)

    class Reader:
        """Appends between the pass's reading of the time index and that of the parts."""

        def __getattr__(self, name):
            return getattr(site.store.meta, name)

        async def scan(self, space, *args):
            if space == keys.PARTS and appends:
                await appends.pop()
            return await site.store.meta.scan(space, *args)

    appends = [add(site, len(LARGE), SMALL)]
    garbage = Garbage(Reader(), commit_rows, site.store.volume.accounts, site.clock)
    await garbage.run()
    assert not appends
    await site.check(bodies=3, parts=2)
    await sound(site)
    assert await site.read() == LARGE + SMALL


@everywhere
async def test_shared_bodies(site):
    """A body that a copy names too is copied once more; the other name keeps what it has."""
    await site.upload([LARGE, SMALL])
    await site.copy(b"key", b"copy")
    whole = LARGE + SMALL
    await add(site, len(whole), SMALL)
    await add(site, len(whole), LARGE, b"copy")
    assert await site.read() == whole + SMALL
    assert await site.read(b"copy") == whole + LARGE
    await sound(site)
    await site.check(bodies=6, parts=4)
    await delete.delete_object(site.store, site.bucket, Deletion(b"key"))
    assert await site.read(b"copy") == whole + LARGE
    await site.check(bodies=3, parts=2)


@everywhere
async def test_a_copy_of_what_was_appended_to(site):
    await site.put(b"key", SMALL)
    await add(site, len(SMALL), SMALL)
    await site.copy(b"key", b"copy")
    await delete.delete_object(site.store, site.bucket, Deletion(b"key"))
    assert await site.read(b"copy") == SMALL + SMALL
    await site.check(bodies=3, parts=2)


@everywhere
async def test_parts_that_have_moved(site):
    """A small part's place stands in its row alone; there it is found wherever it goes."""
    await site.put(b"key", SMALL)
    await add(site, len(SMALL), SMALL)
    for _ in range(2):
        rows = [NamingRow(keys.PARTS, *row) for row in await site.rows(keys.PARTS)]
        moved = await moves.move_small(site.store, rows)
        assert moved.bodies == 2
        site.store.manifests.clear()
        assert await site.read() == SMALL + SMALL
    await add(site, 2 * len(SMALL), SMALL)
    assert await site.read() == 3 * SMALL
    await site.check(bodies=4, parts=3)


@everywhere
async def test_racing_writers(site):
    """One wins at each offset, whatever else happens to the object."""
    whole = b""
    for _ in range(6):
        bodies = [bytes([number]) * (60, 1500)[number % 2] for number in range(8)]
        results = await together(*[add(site, len(whole), body) for body in bodies])
        (won,) = [at for at, one in enumerate(results) if not isinstance(one, Exception)]
        lost = {code_of(one) for at, one in enumerate(results) if at != won}
        assert lost == {"InvalidWriteOffset"}
        whole += bodies[won]
        assert await site.read() == whole
    await site.check(bodies=7, parts=6)


@everywhere
async def test_beside_overwrites_and_copies(site):
    await site.put(b"key", SMALL)
    for turn in range(10):
        calls = [
            add(site, len(SMALL), bytes([turn]) * 10),
            site.put(b"key", SMALL),
            site.copy(b"key", b"copy"),
            add(site, len(SMALL), LARGE, b"copy"),
        ]
        results = await together(*calls[turn % 4 :], *calls[: turn % 4])
        for one in results:
            if isinstance(one, Exception):
                assert code_of(one) in ("InvalidWriteOffset", "NoSuchKey")
        assert (await site.read()).startswith(SMALL)
        assert (await site.read(b"copy")).startswith(SMALL)
    await sound(site)
    for key in (b"key", b"copy"):
        await delete.delete_object(site.store, site.bucket, Deletion(key))
    await site.check(bodies=0, parts=0)


@everywhere
async def test_limits(site):
    site.store.parts_max = 3
    await site.put(b"key", b"1")
    await add(site, 1, b"2")
    await add(site, 2, b"3")
    assert await refused(add(site, 3, b"4")) == "TooManyParts"
    upload = await site.create(b"other")
    await site.complete(upload, [await site.part(upload, 3, b"x")])
    assert await refused(add(site, 1, b"y", b"other")) == "TooManyParts"
    await site.copy(b"key", b"copy")
    assert (await add(site, 3, b"4", b"copy")).parts == 2
    assert await site.read(b"copy") == b"1234"


@everywhere
async def test_what_fails_leaves_nothing(site):
    await site.put(b"key", SMALL)
    body = await site.large(LARGE)
    place = (site.store, site.bucket, b"key", 0, describe(LARGE))
    assert await refused(append.append_large(*place, body)) == "InvalidWriteOffset"
    await site.check(bodies=1, parts=0)
    await buckets.delete(site.store, (await buckets.create(site.store, "gone", "owner"))[0])


@pytest.mark.parametrize("name", ["crc32", "sha256"])
async def test_checksums(name):
    """Where a part has none of the object's algorithm, neither has the longer object."""
    site, sums = await site_in_memory().begin(), {"checksums": {name: "AAAAAA=="}}
    await add(site, 0, SMALL, **sums)
    record = await add(site, len(SMALL), SMALL, **sums)
    assert set(record.checksums) == {name}
    record = await add(site, 2 * len(SMALL), SMALL)
    assert record.checksums == {}
    record = await add(site, 3 * len(SMALL), SMALL, **sums)
    assert record.checksums == {}


@pytest.mark.parametrize("first", [b"", SMALL, LARGE])
async def test_versioning_that_is_enabled_meanwhile(first):
    """The transaction checks the bucket: it refuses, and nothing of the append is left."""
    for body in (SMALL, LARGE):
        site = await site_in_memory().begin()
        if first:
            await site.put(b"key", first)
        site.gate.before = [site.enable_versions]
        assert await refused(add(site, len(first), body)) == "InvalidRequest"
        assert site.gate.before == []
        assert not first or await site.read() == first
        assert await site.usage() == (Usage(1, len(first)) if first else Usage())
        await site.check(bodies=bool(first), parts=0)


async def test_a_shared_body_while_versioning_is_enabled():
    """What was copied for the append goes too."""
    for body in (SMALL, LARGE):
        site = await site_in_memory().begin()
        await site.put(b"key", body)
        await site.copy(b"key", b"copy")
        site.gate.before = [site.enable_versions]
        assert await refused(add(site, len(body), SMALL)) == "InvalidRequest"
        assert await site.read() == await site.read(b"copy") == body
        await site.check(bodies=1, parts=0)
