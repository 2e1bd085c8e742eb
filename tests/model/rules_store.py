"""What is done to a store at random times, beside operations."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from fastobj.core.errors import FastobjError
from fastobj.core.limits import MIB, PARTS_GRACE_S
from tests.model import draws
from tests.model.rules_at_once import RulesAtOnce
from tests.model.run import UNANSWERED, Call

UPLOADS_EXPIRE_S = 8 * 24 * 3600  # and an hour, to which they are rounded, has long passed


class StoreRules(RulesAtOnce):
    """Compaction, checkpoints, what is due, kills, damage."""

    @rule(steps=st.integers(1, 12), sealed=st.booleans(), room=st.sampled_from((None, 1 << 30)))
    def compact(self, steps, sealed, room) -> None:
        """Where the disk is short, there is `room`, and less must be gained."""
        self.step("Compact", 1, steps, sealed, room)
        self._advance(PARTS_GRACE_S)
        self.run.do(self._compact(steps, sealed, room))

    async def _compact(self, steps: int, sealed: bool, room: int | None) -> None:
        if sealed:
            await self.site.seal()
        await self.site.collect()
        self.site.checkpoint()
        await self.site.compact(steps, room)
        await self._verify()

    @rule(what=st.sampled_from(("Checkpoint", "Garbage", "Garbage", "Expiry")))
    def tend(self, what) -> None:
        """What is due goes; now and then uploads that were left open as well."""
        self.step(what)
        if what == "Checkpoint":
            self.site.checkpoint()
            return
        self._advance(UPLOADS_EXPIRE_S if what == "Expiry" else 61)
        self.run.do(self.site.collect())
        if what == "Expiry":
            self.reference.expire_uploads(UPLOADS_EXPIRE_S)

    @rule(end=draws.ends)
    def reboot(self, end) -> None:
        self.step("DirtyReboot", 1, *end)
        self._reboot(*end)
        self.run.do(self._verify())

    @rule(key=draws.keys, wishes=draws.wishes, turns=draws.turns, end=draws.ends)
    def interrupt(self, key, wishes, turns, end) -> None:
        """The same in the midst of operations: what was not answered has happened, or not."""
        calls = [self._call(key, *wish) for wish in wishes]
        if not any(self._reads_damage(*call) for call in calls):
            self.step("interrupted", len(calls), *calls, turns, *end)
            found = self.run.do(self._interrupted(calls, turns))
            self._reboot(*end)
            self.run.do(self._explain(calls, found))
            self.run.do(self._verify())

    async def _interrupted(self, calls: list[Call], turns: int) -> list[Any]:
        """What was answered after so many turns of the loop; the others are ended."""
        tasks = [asyncio.create_task(work) for work in self._sent(calls)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [UNANSWERED if isinstance(it, asyncio.CancelledError) else it for it in found]

    def _reboot(self, loses_wal: bool, torn: bytes) -> None:
        """A kill. As in a power cut, what no checkpoint covers may go, and a block may be torn."""
        self.run.moved += self.site.moved
        tail = self.run.do(self.site.die())
        if loses_wal:
            (self.directory / "meta.db-wal").unlink(missing_ok=True)
        if torn == b"again":  # a block from before, where the next one was to be
            torn = tail.path.read_bytes()[:8192]
        with tail.path.open("r+b") as file:
            file.seek(tail.offset)
            file.write(torn[: tail.size - tail.offset])
        try:
            self.site = self.run.do(self._open())
        except FastobjError as error:
            raise self._differs(f"the store does not open: {error}") from error
        self.run.replayed += self.site.recovered.blocks_replayed
        self.client.applications = self.site.applications

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        at=st.integers(0, 3 * MIB),
        pick=draws.picks,
        old=draws.old,
    )
    def corrupt(self, bucket, key, at, pick, old) -> None:
        """A bit of a body flips that no replay needs: one that did would end there."""
        version = None if old is None else self._one_of(bucket, key, old)
        found = self._version(bucket, key, version)
        if found is None or not found.content:
            return
        self.step("Corrupt", 1, bucket, key, version, at, pick)
        self.damaged.add(found.birth)
        self.run.do(self._corrupt(bucket, key, self.client.id_of(found.version), at, pick))

    async def _corrupt(self, bucket: str, key: str, version: str, at: int, pick: int) -> None:
        await self.site.settle()
        self.site.checkpoint()
        places = [place async for place in self.site.places(bucket, key, version) if place[1]]
        place, size = places[pick % len(places)]
        self.site.flip(place, at % size)
