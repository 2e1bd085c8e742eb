"""A store in memory, a bucket in it, and short ways to put and read objects."""

import asyncio
import hashlib
from dataclasses import dataclass, field

import pytest

from fastobj.core.clock import FixedClock
from fastobj.core.errors import Conflict
from fastobj.meta import keys, records
from fastobj.meta.memory import MemoryEngine
from fastobj.objects import buckets, carried, get, put
from fastobj.objects.conditions import UNCONDITIONAL
from fastobj.objects.get import Span
from fastobj.storage.base import new_data_id
from fastobj.storage.memory import MemoryVolume
from fastobj.testing.store import assemble

START_NS = 1_800_000_000_000_000_000


class Gate:
    """A ledger in front of another one: lets a test act before commits, and counts them."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.before = []  # coroutine functions, one for each coming commit
        self.entries = []
        self.calls = 0

    async def commit(self, entry):
        await self._pass([entry])
        await self.ledger.commit(entry)

    async def commit_many(self, entries):
        await self._pass(entries)
        return await self.ledger.commit_many(entries)

    async def _pass(self, entries):
        self.calls += 1
        self.entries += entries
        if self.before:
            await self.before.pop(0)()


@dataclass
class World:
    """Everything a test of this layer works on."""

    clock: FixedClock = field(default_factory=lambda: FixedClock(START_NS))
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    volume: MemoryVolume = field(default_factory=lambda: MemoryVolume(piece_bytes=1000))

    def __post_init__(self):
        self.store = assemble(self.engine, self.volume, clock=self.clock)
        self.direct = assemble(self.engine, self.volume, self.store.ledger, clock=self.clock)
        self.direct.epochs = self.store.epochs
        self.gate = Gate(self.store.ledger)
        self.store.ledger = self.gate

    async def bucket(self, name="bucket", owner="owner"):
        bucket, _ = await buckets.create(self.direct, name, owner)
        return bucket

    async def put(self, bucket, key, body=b"body", conditions=UNCONDITIONAL, store=None, **content):
        """Puts a small object."""
        described = describe(body, **content)
        return await put.put_small(store or self.store, bucket, key, described, body, conditions)

    async def put_large(self, bucket, key, body, conditions=UNCONDITIONAL):
        """Puts an object through a writer; returns its record and the body that was put."""
        large = await self.large(body)
        args = (self.store, bucket, key, describe(body), large, conditions)
        return await put.put_large(*args), large

    async def large(self, body):
        data_id = new_data_id()
        writer = await self.volume.writer(len(body), data_id)
        rest = memoryview(body)
        while rest:
            room = await writer.buffer()
            room[:] = rest[: len(room)]
            await writer.push(len(room))
            rest = rest[len(room) :]
        return carried.LargeBody(writer, data_id, await writer.finish())

    async def read(self, bucket, key, offset=0, length=None):
        """The bytes of an object."""

        def whole(record):
            return Span(offset, record.size - offset if length is None else length)

        _, body = await get.read_object(self.store, bucket, key, whole)
        if isinstance(body, bytes):
            return body
        return b"".join([bytes(piece) async for piece in body])

    async def usage(self, bucket):
        return await buckets.usage(self.store, bucket)

    async def row(self, bucket, key):
        found = await self.engine.get(keys.CURRENT, keys.current(bucket.record.id, key))
        return found and records.decode(records.ObjectRecord, found[0])


def describe(body, **content):
    return put.Content(size=len(body), etag=hashlib.md5(body).hexdigest(), **content)


@pytest.fixture
def world():
    return World()


async def gather_errors(*coroutines):
    """The results of concurrent calls; errors of ours stand among them."""
    return await asyncio.gather(*coroutines, return_exceptions=True)


def lost_race(rows=2):
    """A Conflict that a test raises by hand."""
    return Conflict([None] * rows)
