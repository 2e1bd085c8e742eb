"""The store that is compared with the reference: on a disk, small in every measure, and what its
processes do to it beside serving requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import apsw

from fastobj.background.compaction import Compaction
from fastobj.background.expiry import Expiry
from fastobj.background.garbage import Garbage
from fastobj.core import limits
from fastobj.core.clock import FixedClock, Uptime
from fastobj.core.limits import KIB, MIB, PIECE_BYTES, PIECE_HEAD_BYTES
from fastobj.core.metrics import Family
from fastobj.iam.identity import Identity
from fastobj.meta import keys, records
from fastobj.meta.records import PartRecord
from fastobj.node.s3_service import HANDLERS
from fastobj.objects import bodies, buckets, get, versions
from fastobj.objects.segment_rows import rows_committer
from fastobj.objects.store import Store
from fastobj.s3.admission import Admission
from fastobj.s3.auth import OpenAuthenticator
from fastobj.s3.context import Unobserved
from fastobj.s3.dispatch import S3Application, find_handlers
from fastobj.storage.base import Location
from fastobj.storage.extents import STRIDE
from fastobj.storage.log_format import RECORD_HEAD_BYTES
from fastobj.storage.pool import IoPool
from fastobj.storage.segment_files import is_log, segment_path
from fastobj.testing.store import assemble
from tests.crash.world import Node
from tests.model.expiring import DAY_S

OWN_FILE_BYTES_MIN = MIB + 64 * KIB
PART_BYTES_MIN = 3 * KIB
_BODY_MEMORY_BYTES = 64 * MIB
_LOOK_NS = 50_000_000
_TRIES, _PAUSE_S = 500, 0.01
_HANDLERS = find_handlers(HANDLERS)
_OWNER = Identity("model", "model", "MODEL", "never asked for")


class StepClock(FixedClock):
    """A clock by which each look takes a while, so that a step ends after a few pieces of work."""

    def monotonic_ns(self) -> int:
        """The time, which goes on."""
        self.advance(_LOOK_NS)
        return super().monotonic_ns()


class Uncounted:
    """Stands in for the metrics."""

    def add(self, family: Family, amount: int, *values: str) -> None:
        """Nobody is told."""


class Tail(NamedTuple):
    """Where the log ends."""

    path: Path
    offset: int
    size: int


def _application(store: Store) -> S3Application:
    return S3Application(
        store,
        OpenAuthenticator(_OWNER),
        _HANDLERS,
        log=logging.getLogger("tests.model"),
        observer=Unobserved(),
        admission=Admission(limits.REQUESTS_MAX, _BODY_MEMORY_BYTES, Unobserved().refused),
    )


class Site(Node):
    """An open store with the S3 application on it, without waiting for what maintenance does."""

    def __init__(self, directory: Path, pool: IoPool, clock: FixedClock) -> None:
        super().__init__(directory, pool, clock=clock, own_file_bytes_min=OWN_FILE_BYTES_MIN)
        self.store.part_bytes_min = PART_BYTES_MIN
        self._compaction = Compaction(self.store, StepClock(clock.now_ns()), bytes_min=0)
        commit_rows = rows_committer(self.ledger)
        self._garbage = Garbage(self.engine, commit_rows, self.volume.accounts, clock)
        other = assemble(
            self.engine, self.volume, self.ledger, epochs=self.store.epochs, clock=clock
        )
        for store in (self.store, other):  # the machine was never off, and nobody sets its clock
            store.uptime = lambda: Uptime("boot", clock.now_ns())
            store.lifecycle_day_s = DAY_S
        other.small_body_bytes_max = self.store.small_body_bytes_max
        other.part_bytes_min = PART_BYTES_MIN
        self._expiry = Expiry(self.store, Uncounted())
        # Two, as of two workers: what one has cached and queued, the other knows nothing of.
        self.applications = tuple(map(_application, (self.store, other)))

    # --- what maintenance does

    async def settle(self) -> None:
        """Waits for what the volume does behind its callers' backs."""
        while tasks := self.volume._extents._tasks:
            await asyncio.wait(tasks)

    def checkpoint(self) -> None:
        """Makes the database durable by itself. Not while anything commits."""
        for _ in range(_TRIES):
            try:
                assert self.engine.checkpointer.checkpoint_now()
                return
            except apsw.ThreadingViolationError:  # what was answered last is on its way out of it
                time.sleep(_PAUSE_S)
        raise AssertionError("the ledger's thread does not come to rest")

    async def seal(self) -> None:
        """Closes the open extent file, so that it may be compacted."""
        await self.volume._extents._retire()
        await self.settle()

    async def compact(self, steps_max: int, room: int | None = None) -> int:
        """Reclaim and a step of compaction, until there is nothing to do; returns the steps."""
        for steps in range(steps_max):
            await self.settle()
            found = await self._survey()
            await self._reclaim.run(found)
            if not await self._compaction.step(found, room):
                return steps
        return steps_max

    @property
    def moved(self) -> int:
        """Bodies that compaction has moved."""
        return self._compaction.total.bodies

    async def collect(self) -> None:
        """Works off what is due."""
        await self._garbage.run()

    async def expire(self, turns: int | None = None) -> None:
        """Applies lifecycle rules until nothing is due, or until so many turns of the loop."""
        working = asyncio.create_task(self._expire())
        if turns is None:
            await working
            return
        for _ in range(turns):
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    async def _expire(self) -> None:
        for _ in range(_TRIES):
            while await self._expiry.step():
                pass
            due_s = await self._expiry.next_due_s()
            if due_s is None or due_s > 0:
                return
        raise AssertionError("something stays due")

    # --- the end

    async def die(self) -> Tail:
        """As after a kill: what is open is closed, nothing is tidied up."""
        await self.close()
        log = self.recovered.log
        path = Path(segment_path(str(self._local.layout.root), log.segment))
        return Tail(path, log.offset, path.stat().st_size)

    # --- damage

    async def places(
        self, bucket: str, key: str, version: str
    ) -> AsyncIterator[tuple[Location, int]]:
        """Where a version's bytes are now, and how many: its body, and the parts it is made of."""
        found, wanted = await buckets.get(self.store, bucket), versions.parse_id(version)
        record = await get.find_object(self.store, found, key.encode(), wanted)
        if record.data_id:
            location = record.location or await bodies.shared_location(self.store, record.data_id)
            yield Location.decode(location), Location.decode(location).length
        if record.upload_id:
            start, end = record.upload_id, keys.after(record.upload_id)
            for row in await self.engine.scan(keys.PARTS, start, end, limits.PART_NUMBER_MAX):
                part = records.decode(PartRecord, row.value)
                if part.location:
                    yield Location.decode(part.location), part.size

    def flip(self, place: Location, at: int) -> None:
        """Flips a bit of a stored body."""
        if is_log(place.segment):
            offset = place.offset + RECORD_HEAD_BYTES + at
        else:
            index, inside = divmod(at, PIECE_BYTES)
            offset = place.offset + index * STRIDE + PIECE_HEAD_BYTES + inside
        with open(segment_path(str(self._local.layout.root), place.segment), "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))
