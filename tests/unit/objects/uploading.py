"""A store with small parts allowed, in memory or on a disk, and short ways to upload in parts."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import Signature, signature
from pathlib import Path

import pytest

from fastobj.background.garbage import Cleared, Garbage
from fastobj.core.clock import FixedClock
from fastobj.core.errors import S3Error
from fastobj.core.limits import PARTS_GRACE_S
from fastobj.meta import keys
from fastobj.meta.records import VERSIONING_ENABLED
from fastobj.objects import audit, buckets, carried, complete, copy, get, parts, put, uploads
from fastobj.objects.complete import Expected, Listed
from fastobj.objects.conditions import UNCONDITIONAL
from fastobj.objects.get import Span
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.uploads import Description
from fastobj.storage.memory import MemoryVolume
from fastobj.testing.store import assemble
from tests.golden.make import opened
from tests.unit.objects.conftest import START_NS, Gate, describe

SMALL_BYTES_MAX = 1000


class Site:
    """A bucket of a store; `gate` stands in front of its ledger."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock
        self.direct = store.ledger
        self.gate = store.ledger = Gate(store.ledger)
        store.small_body_bytes_max = SMALL_BYTES_MAX
        store.part_bytes_min = 0

    async def begin(self):
        self.bucket, _ = await buckets.create(self.store, "bucket", "owner")
        return self

    async def create(self, key=b"key", **described):
        return await uploads.create(self.store, self.bucket, key, "owner", Description(**described))

    async def part(self, upload, number, body, **content):
        """Stores a part, small or large as its length has it; returns how to list it."""
        described = put.Content(len(body), hashlib.md5(body).hexdigest(), **content)
        if len(body) <= SMALL_BYTES_MAX:
            await parts.put_small(self.store, upload, number, described, body)
        else:
            large = await self.large(body)
            await parts.put_large(self.store, upload, number, described, large)
        return Listed(number, described.etag)

    async def complete(self, upload, listed, conditions=UNCONDITIONAL, **expected):
        text = upload if isinstance(upload, str) else uploads.id_text(upload.id)
        key = b"key" if isinstance(upload, str) else upload.key
        return await complete.complete(
            self.store, self.bucket, key, text, listed, Expected(**expected), conditions
        )

    async def put(self, key, body):
        """An object, small or large as its length has it."""
        place = (self.store, self.bucket, key, describe(body))
        if len(body) <= SMALL_BYTES_MAX:
            return await put.put_small(*place, body)
        return await put.put_large(*place, await self.large(body))

    async def large(self, body):
        """A body in the volume."""
        source = io.BytesIO(body)

        async def readinto(room):
            return source.readinto(room)

        return await carried.receive(self.store, len(body), [], readinto)

    async def copy(self, key, target):
        """A copy by reference, with all that is said of its source."""

        async def same(source):
            return source

        source = copy.Source(self.bucket, key)
        return (await copy.copy_object(self.store, source, self.bucket, target, same)).record

    async def upload(self, bodies, key=b"key", **described):
        """A whole upload, from begin to end; the parts have the numbers 1, 2, ..."""
        upload = await self.create(key, **described)
        listed = [await self.part(upload, n, body) for n, body in enumerate(bodies, 1)]
        return await self.complete(upload, listed)

    async def read(self, key=b"key", offset=0, length=None):
        def chosen(record):
            return Span(offset, record.size - offset if length is None else length)

        _, body = await get.read_object(self.store, self.bucket, key, chosen)
        if isinstance(body, bytes):
            return body
        return b"".join([bytes(piece) async for piece in body])

    async def enable_versions(self):
        """As another process does it: what this one knows of the bucket is old then."""
        await buckets.set_versioning(self.store, self.bucket, VERSIONING_ENABLED)

    async def usage(self):
        return await buckets.usage(self.store, self.bucket)

    async def rows(self, space):
        return await self.store.meta.scan(space, keys.FIRST, keys.LAST, 20_000)

    def garbage(self, ledger=None):
        commit_rows = rows_committer(ledger or self.direct)
        return Garbage(self.store.meta, commit_rows, self.store.volume.accounts, self.clock)

    async def clear(self) -> Cleared:
        """Works off what is due once nobody can still be reading it."""
        self.clock.advance((PARTS_GRACE_S + 1) * 10**9)
        return await self.garbage().run()

    async def live(self):
        """Bodies that live, by the counters of segments."""
        counters = await self.store.meta.counters(keys.SEGMENTS, keys.FIRST, keys.LAST)
        return sum(amounts[1] for _, amounts in counters)

    async def check(self, *, bodies, parts=None):
        """Nothing is due, the counters are exact, and so many bodies live."""
        await self.clear()
        assert await audit.differences(self.store) == []
        assert await self.live() == bodies
        if parts is not None:
            assert len(await self.rows(keys.PARTS)) == parts
        assert not any(keys.due_of(row.key)[0] == keys.AT_ONCE for row in await self.rows(keys.DUE))


def site_in_memory() -> Site:
    """A site that is yet to begin."""
    clock = FixedClock(START_NS)
    return Site(assemble(volume=MemoryVolume(piece_bytes=700), clock=clock), clock)


@pytest.fixture
def quick():
    """A site in memory only: bodies that are let go of are gone at once."""
    return asyncio.run(site_in_memory().begin())


@asynccontextmanager
async def site_on_disk(directory: Path) -> AsyncIterator[Site]:
    """A site with the group commit on a disk."""
    clock = FixedClock(START_NS)
    async with opened(directory, clock) as (_, store):
        yield await Site(store, clock).begin()


def everywhere(test):
    """Runs a test of a site on one in memory, and on one on a disk."""

    async def run(place, tmp_path, **fixtures):
        if place == "memory":
            await test(await site_in_memory().begin(), **fixtures)
        else:
            async with site_on_disk(tmp_path / "store") as site:
                await test(site, **fixtures)

    own = list(signature(run).parameters.values())[:2]
    asked = list(signature(test).parameters.values())[1:]
    run.__signature__ = Signature([*own, *asked])
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return pytest.mark.parametrize("place", ["memory", "disk"])(run)


async def together(*coroutines):
    """Results of concurrent calls; errors stand among them."""
    return await asyncio.gather(*coroutines, return_exceptions=True)


def code_of(error):
    """The S3 code of an error."""
    assert isinstance(error, S3Error), error
    return error.code.name


async def refused(coroutine):
    """The S3 code with which a call is refused."""
    with pytest.raises(S3Error) as caught:
        await coroutine
    return caught.value.code.name
