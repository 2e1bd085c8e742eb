"""Renames: the counters stay exact, what was replaced goes, and nothing else is left."""

import pytest

from fastobj.objects import rename
from fastobj.objects.buckets import Usage
from fastobj.objects.conditions import UNCONDITIONAL_READ
from tests.unit.objects.uploading import (
    code_of,
    everywhere,
    refused,
    site_in_memory,
    together,
)

SMALL, LARGE = b"small" * 20, b"large" * 700


async def move(site, source, key, token=b""):
    conditions = (UNCONDITIONAL_READ, UNCONDITIONAL_READ)
    return await rename.rename(site.store, site.bucket, source, key, *conditions, token)


@everywhere
async def test_bodies(site):
    for body in (b"", SMALL, LARGE):
        before = await site.put(b"old", body)
        record = await move(site, b"old", b"new")
        assert await site.read(b"new") == body
        assert (record.data_id, record.modified_ns) == (before.data_id, before.modified_ns)
        assert await site.usage() == Usage(1, len(body))
        await site.check(bodies=bool(body), parts=0)


@everywhere
async def test_what_is_replaced_goes(site):
    await site.upload([LARGE, SMALL], b"new")
    await site.upload([SMALL], b"old")
    await move(site, b"old", b"new")
    assert await site.read(b"new") == SMALL
    assert await site.usage() == Usage(1, len(SMALL))
    await site.check(bodies=2, parts=1)


@everywhere
async def test_onto_a_copy_of_itself(site):
    for body in (SMALL, LARGE):
        await site.put(b"old", body)
        await site.copy(b"old", b"new")
        await move(site, b"old", b"new")
        assert await site.read(b"new") == body
        await site.check(bodies=1)
        await site.put(b"new", b"")
        await site.check(bodies=0)


@everywhere
async def test_while_the_source_changes(site):
    await site.put(b"old", SMALL)

    async def change():
        await site.put(b"old", LARGE)

    site.gate.before = [change]
    await move(site, b"old", b"new")
    assert await site.read(b"new") == LARGE
    await site.check(bodies=1)


@everywhere
async def test_an_answer_that_was_lost(site):
    """What a client asks for again with its token is not done again, even over a new source."""
    token = rename.token_of(b"token", [b"old", b"new"])
    await site.put(b"old", SMALL)
    await move(site, b"old", b"new", token)
    await site.put(b"old", LARGE)
    await move(site, b"old", b"new", token)
    assert await site.read(b"new") == SMALL
    other = rename.token_of(b"token", [b"other", b"new"])
    assert await refused(move(site, b"other", b"new", other)) == "IdempotencyParameterMismatch"
    await site.copy(b"new", b"copy")  # takes no token along
    assert await refused(move(site, b"none", b"copy", token)) == "NoSuchKey"


@pytest.mark.parametrize("body", [SMALL, LARGE])
@everywhere
async def test_in_a_ring(site, body):
    names = [b"a", b"b", b"c"]
    await site.put(b"a", body)
    for turn in range(12):
        calls = [move(site, names[at], names[(at + 1) % 3]) for at in range(3)]
        for result in await together(*calls[turn % 3 :], *calls[: turn % 3]):
            assert not isinstance(result, Exception) or code_of(result) == "NoSuchKey"
        assert await site.usage() == Usage(1, len(body))
    await site.check(bodies=1)


@everywhere
async def test_versioning_that_is_enabled_meanwhile(site):
    """The transaction checks the bucket: it refuses, and both keys stay as they were."""
    await site.put(b"old", SMALL)
    await site.put(b"new", LARGE)
    site.gate.before = [site.enable_versions]
    assert await refused(move(site, b"old", b"new")) == "InvalidRequest"
    assert site.gate.before == []
    assert (await site.read(b"old"), await site.read(b"new")) == (SMALL, LARGE)
    await site.check(bodies=2)


async def test_done_before_between_two_looks():
    """Who looks at the destination before another rename of the token and at the source behind it
    finds it done, and not that there is no source."""
    site = await site_in_memory().begin()
    await site.put(b"old", SMALL)
    token = rename.token_of(b"token", [b"asked"])

    class Reader:
        """Lets the other rename in before the first read of two rows."""

        def __getattr__(self, name):
            return getattr(meta, name)

        async def get_many(self, pairs):
            site.store.meta = meta
            done.append(await move(site, b"old", b"new", token))
            return await meta.get_many(pairs)

    meta, done = site.store.meta, []
    site.store.meta = Reader()
    assert [await move(site, b"old", b"new", token)] == done
    await site.check(bodies=1)
