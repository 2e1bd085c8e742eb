"""Random operations on a store and on the reference, step by step; whatever differs is raised."""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fastobj.core.clock import FixedClock
from fastobj.core.errors import FastobjError
from fastobj.core.limits import MIB, PARTS_GRACE_S
from fastobj.objects import audit
from tests.model import draws
from tests.model.client import BREAKS_OFF, Client
from tests.model.draws import BUCKETS, EDGES, KEYS, MARKERS, PREFIXES, RANGES
from tests.model.reference import Reference
from tests.model.run import (
    UNANSWERED,
    Call,
    Differs,
    Refusal,
    Run,
    expected_of,
    explain,
    result_of,
    shown,
)
from tests.model.site import PART_BYTES_MIN, Site
from tests.model.values import ALWAYS, STATUS, Conditions, Description, Object, md5

START_S = 1_800_000_000
UPLOADS_EXPIRE_S = 8 * 24 * 3600  # and an hour, to which they are rounded, has long passed
LAST_STEPS = 30
BROKEN = (Refusal(BREAKS_OFF), Refusal(STATUS[BREAKS_OFF]))


class Machine(RuleBasedStateMachine):
    """One example: a new store, and the reference beside it."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.clock = FixedClock(START_S * 10**9)
        self.directory = run.directory()
        self.reference = Reference(PART_BYTES_MIN)
        self.damaged: set[int] = set()  # births of objects that may be unreadable
        self._has_failed = False
        self._last: deque[str] = deque(maxlen=LAST_STEPS)
        self.site = self.run.do(self._open())
        self.client = Client(self.site.applications)

    async def _open(self) -> Site:
        return Site(self.directory, self.run.pool, self.clock)

    def teardown(self) -> None:
        try:
            if not self._has_failed:
                self.run.do(self._verify())
        finally:
            self.run.moved += self.site.moved
            self.run.do(self.site.close())
            shutil.rmtree(self.directory)

    # --- one operation on both

    def step(self, kind: str, count: int = 1, *arguments: Any) -> None:
        """Counts, and lets a second pass."""
        self.run.tally[kind] += count
        self._last.append(f"{kind}{shown(arguments)}")
        self._advance(1)

    def _advance(self, seconds: int) -> None:
        self.clock.advance(seconds * 10**9)
        self.reference.now_s = self.clock.now_ns() // 10**9

    def both(self, name: str, *arguments: Any) -> None:
        """One step: an operation, which must answer the same."""
        self.step(name, 1, *arguments)
        self.run.refused += isinstance(self.run.do(self._both(name, *arguments)), Refusal)

    async def _both(self, name: str, *arguments: Any) -> Any:
        found = await result_of(getattr(self.client, name), *arguments)
        if found in BROKEN and self._reads_damage(name, arguments):
            return found
        expected = expected_of(self.reference, name, arguments)
        if found != expected:
            raise self._differs(
                f"{name}{shown(arguments)}\nanswers {shown(found)}\nnot {shown(expected)}"
            )
        return found

    def _differs(self, message: str) -> Differs:
        """What differs, behind the last steps: races do not always come again."""
        self._has_failed = True
        self.run.differences += 1
        return Differs("\n".join((*self._last, message)))

    def _reads_damage(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Whether the operation may have to read a damaged body."""
        if name not in ("get", "head", "copy", "copy_part"):
            return False
        found = self._object(*arguments[:2])
        return found is not None and found.birth in self.damaged

    def _object(self, bucket: str, key: str) -> Object | None:
        return self.reference.buckets.get(bucket, {}).get(key)

    def _etag(self, mark: str | None, bucket: str, key: str) -> str | None:
        if mark in (None, "*"):
            return mark
        found = self._object(bucket, key)
        return found.etag if found is not None and mark == "present" else "0" * 32

    def _written(self, wish: tuple[str | None, str | None], bucket: str, key: str) -> Conditions:
        return Conditions(self._etag(wish[0], bucket, key), wish[1])

    def _read(self, wish: tuple[str | None, ...], bucket: str, key: str) -> Conditions:
        found = self._object(bucket, key)
        at = found.modified_s if found is not None else START_S
        etags = (self._etag(mark, bucket, key) for mark in wish[:2])
        return Conditions(
            *etags, *(at + shift if shift is not None else None for shift in wish[2:])
        )

    # --- buckets

    @initialize()
    def begin(self) -> None:
        self.both("create_bucket", BUCKETS[0])

    @rule(bucket=draws.buckets, what=st.sampled_from(("create", "delete", "empty and delete")))
    def visit_bucket(self, bucket, what) -> None:
        """The first stays, or most of what follows would be refused."""
        if what == "create":
            self.both("create_bucket", bucket)
        elif bucket != BUCKETS[0] or self.reference.buckets[bucket]:
            if what == "empty and delete" and bucket != BUCKETS[0]:
                self.both("delete_many", bucket, [(key, None) for key in KEYS])
            self.both("delete_bucket", bucket)
        self.both("list_buckets")

    # --- objects

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        body=draws.contents,
        description=draws.descriptions,
        wish=draws.writes,
    )
    def put(self, bucket, key, body, description, wish) -> None:
        self.both("put", bucket, key, body, description, self._written(wish, bucket, key))

    @rule(writes=st.lists(st.tuples(draws.churned, draws.small_contents), min_size=3, max_size=20))
    def churn(self, writes) -> None:
        """Many small objects, most of which are soon gone: segments of the log grow sparse."""
        for key, body in writes:
            self.both("put", BUCKETS[0], key, body)

    @rule(
        method=st.sampled_from(("get", "get", "head")),
        bucket=draws.buckets,
        key=draws.keys,
        wanted=st.sampled_from(("", "", *RANGES)),
        wish=draws.reads,
        part=st.sampled_from((0, 0, 0, 1, 2, 4)),
    )
    def get(self, method, bucket, key, wanted, wish, part) -> None:
        seen = "" if part else wanted, self._read(wish, bucket, key), part
        self.both(method, bucket, key, *seen)

    @rule(looks=st.lists(st.tuples(draws.picks, draws.picks), min_size=1, max_size=4))
    def look(self, looks) -> None:
        """Reads over the edges of frames, pieces and parts, mostly of what is large."""
        for which, nth in looks:
            objects = self.reference.buckets[BUCKETS[0]]
            if keys := sorted(objects, key=lambda key: len(objects[key].content)):
                key = keys[-1 - which % min(len(keys), 3)]
                edges = [edge for edge in EDGES if edge < len(objects[key].content)] or [1]
                edge = edges[-1 - nth % min(len(edges), 3)]
                self.both("get", BUCKETS[0], key, f"{edge - 1}-{edge + which}")

    @rule(
        source=st.tuples(draws.buckets, draws.keys),
        to=st.tuples(draws.buckets, draws.keys),
        onto_itself=draws.picks,
        replaced=st.none() | draws.descriptions,
        read=draws.reads,
        written=draws.writes,
    )
    def copy(self, source, to, onto_itself, replaced, read, written) -> None:
        if onto_itself == 0:
            to = source
        conditions = self._read(read, *source), self._written(written, *to)
        self.both("copy", *source, *to, replaced, *conditions)

    @rule(bucket=draws.buckets, key=draws.keys, if_match=draws.deletions)
    def delete(self, bucket, key, if_match) -> None:
        self.both("delete", bucket, key, self._etag(if_match, bucket, key))

    @rule(
        bucket=draws.buckets,
        wishes=st.lists(st.tuples(draws.keys, draws.deletions), min_size=1, max_size=4),
    )
    def delete_many(self, bucket, wishes) -> None:
        listed = [(key, self._etag(mark, bucket, key)) for key, mark in wishes]
        self.both("delete_many", bucket, listed)

    @rule(
        bucket=draws.buckets,
        prefix=st.sampled_from(PREFIXES),
        delimiter=st.sampled_from(("", "/", "b")),
        after=st.sampled_from(MARKERS),
        most=st.sampled_from((0, 1, 2, 3, 1000)),
    )
    def list(self, bucket, prefix, delimiter, after, most) -> None:
        self.both("list", bucket, prefix, delimiter, after, most)

    # --- uploads

    @rule(
        bucket=draws.buckets,
        key=draws.keys,
        description=draws.descriptions,
        bodies=st.lists(draws.part_contents, max_size=3),
        ends=st.booleans(),
    )
    def create_upload(self, bucket, key, description, bodies, ends) -> None:
        self.both("create_upload", bucket, key, description)
        upload = self.reference.uploads_begun
        for number, body in enumerate(bodies, 1):
            self.both("upload_part", bucket, key, upload, number, body)
        if ends:
            listed = [(number, md5(body)) for number, body in enumerate(bodies, 1)]
            self.both("complete", bucket, key, upload, listed)

    def _upload(self, pick: int) -> tuple[str, str, int]:
        """One of the uploads that are open, now and then one that has ended or never was."""
        open_ones = list(self.reference.uploads)
        if pick == 0 or not open_ones:
            return BUCKETS[0], KEYS[0], max(self.reference.uploads_begun - 1, 0) or 10**6
        number = open_ones[-1 - pick % len(open_ones)]
        upload = self.reference.uploads[number]
        return upload.bucket, upload.key, number

    @rule(pick=draws.picks, number=draws.numbers, body=draws.contents)
    def upload_part(self, pick, number, body) -> None:
        self.both("upload_part", *self._upload(pick), number, body)

    @rule(
        pick=draws.picks,
        number=draws.numbers,
        source=st.tuples(draws.buckets, draws.keys),
        wanted=st.sampled_from((None, None, (0, 0), (0, 4096), (1000, 70_000), (1048000, 1048580))),
        read=draws.reads,
    )
    def copy_part(self, pick, number, source, wanted, read) -> None:
        conditions = self._read(read, *source)
        self.both("copy_part", *source, *self._upload(pick), number, wanted, conditions)

    @rule(
        pick=draws.picks,
        chosen=st.lists(draws.numbers, max_size=4, unique=True),
        how=st.sampled_from(("all", "all", "all", "ordered", "as drawn", "wrong")),
        again=st.booleans(),
        wish=draws.writes,
    )
    def complete(self, pick, chosen, how, again, wish) -> None:
        bucket, key, upload = self._upload(pick)
        found = self.reference.uploads.get(upload)
        etags = {n: part.etag for n, part in found.parts.items()} if found else {}
        if how == "all":
            chosen = sorted(etags)
        elif how == "ordered":
            chosen = sorted(set(chosen) & etags.keys())
        listed = [(n, etags.get(n, "1" * 32) if how != "wrong" else "0" * 32) for n in chosen]
        self.both("complete", bucket, key, upload, listed, self._written(wish, bucket, key))
        if again:
            self.both("complete", bucket, key, upload, listed, ALWAYS)

    @rule(pick=draws.picks, after=st.integers(0, 3), most=draws.pages, abort=draws.picks)
    def list_parts(self, pick, after, most, abort) -> None:
        upload = self._upload(pick)
        self.both("list_parts", *upload, after, most)
        if abort == 0:
            self.both("abort", *upload)
            self.both("list_parts", *upload, after, most)

    @rule(
        bucket=draws.buckets,
        prefix=st.sampled_from(PREFIXES),
        delimiter=st.sampled_from(("", "/")),
        after=st.sampled_from(("", *KEYS)),
        behind=st.booleans(),
        most=draws.pages,
    )
    def list_uploads(self, bucket, prefix, delimiter, after, behind, most) -> None:
        number = 0
        if behind and after:
            number = next((n for n, it in self.reference.uploads.items() if it.key == after), 0)
        self.both("list_uploads", bucket, prefix, delimiter, after, number, most)

    # --- several at once

    @rule(key=draws.keys, wishes=draws.wishes, moving=st.booleans())
    def together(self, key, wishes, moving) -> None:
        """Operations on one key at the same time: what they answer, they answer in some order."""
        calls = [self._call(key, *wish) for wish in wishes]
        if any(self._reads_damage(*call) for call in calls):
            return
        self.step("at once", len(calls), *calls)
        self.run.do(self._together(calls, moving))

    @rule(
        key=draws.keys,
        kinds=st.lists(st.sampled_from(("put", "put", "copy", "complete")), min_size=2, max_size=4),
        body=draws.contents,
        other=draws.keys,
        rounds=st.integers(1, 5),
    )
    def race(self, key, kinds, body, other, rounds) -> None:
        """Writes on one condition that holds until the first of them: that one wins, alone."""
        for _ in range(rounds):
            present = self._object(BUCKETS[0], key) is not None
            wish = ("present", None) if present else (None, "*")
            calls = [self._call(key, kind, body, *wish, other) for kind in kinds]
            if any(self._reads_damage(*call) for call in calls):
                return
            self.step("race", len(calls), *calls)
            self.run.do(self._together(calls, False))
            if present or rounds % 2:
                self.both("delete", BUCKETS[0], key)

    def _call(self, key, kind, body, mark, none_match, other) -> Call:
        bucket = BUCKETS[0]
        conditions = self._written((mark, none_match), bucket, key)
        match kind:
            case "put":
                return "put", (bucket, key, body[:20_000], Description(), conditions)
            case "delete":
                return "delete", (bucket, key, conditions.if_match)
            case "delete_many":
                return "delete_many", (bucket, [(key, conditions.if_match)])
            case "copy":
                described = Description({}, {"copied": "1"})
                return "copy", (bucket, other, bucket, key, described, ALWAYS, conditions)
            case "copy from":
                described = Description({}, {"copied": "2"})
                return "copy", (bucket, key, bucket, other, described, ALWAYS, ALWAYS)
            case "complete":
                mine = [
                    n
                    for n, it in self.reference.uploads.items()
                    if (it.bucket, it.key) == (bucket, key)
                ]
                upload = mine[-1] if mine else 10**6
                parts = self.reference.uploads[upload].parts if mine else {}
                listed = [(n, part.etag) for n, part in sorted(parts.items())] or [(1, "0" * 32)]
                return "complete", (bucket, key, upload, listed, conditions)
        return "get", (bucket, key)

    async def _together(self, calls: list[Call], moving: bool) -> None:
        work = self._sent(calls)
        if moving:
            work.append(result_of(self.site.compact, 3))
        await self._explain(calls, (await asyncio.gather(*work))[: len(calls)])

    def _sent(self, calls: list[Call]) -> list[Coroutine[Any, Any, Any]]:
        return [result_of(getattr(self.client, name), *arguments) for name, arguments in calls]

    async def _explain(self, calls: list[Call], found: list[Any]) -> None:
        state = await self._state()
        after = explain(self.reference, calls, found, lambda it: self._state_of(it) == state)
        if after is not None:
            self.reference = after
            return
        told = "\n".join(map(shown, zip(calls, found, strict=True)))
        raise self._differs(f"no order of these answers so, and leaves {shown(state)}:\n{told}")

    async def _state(self) -> list[Any]:
        """What tells states of the first bucket apart after operations at once."""
        heads = [await result_of(self.client.head, BUCKETS[0], key) for key in KEYS]
        return [*heads, await result_of(self.client.list_uploads, BUCKETS[0])]

    def _state_of(self, reference: Reference) -> list[Any]:
        heads = [expected_of(reference, "head", (BUCKETS[0], key)) for key in KEYS]
        return [*heads, expected_of(reference, "list_uploads", (BUCKETS[0],))]

    # --- what is done to the store

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

    @rule(bucket=draws.buckets, key=draws.keys, at=st.integers(0, 3 * MIB), pick=draws.picks)
    def corrupt(self, bucket, key, at, pick) -> None:
        """A bit of a body flips that no replay needs: one that did would end there."""
        found = self._object(bucket, key)
        if found is None or not found.content:
            return
        self.step("Corrupt", 1, bucket, key, at, pick)
        self.damaged.add(found.birth)
        self.run.do(self._corrupt(bucket, key, at, pick))

    async def _corrupt(self, bucket: str, key: str, at: int, pick: int) -> None:
        await self.site.settle()
        self.site.checkpoint()
        places = [place async for place in self.site.places(bucket, key) if place[1]]
        place, size = places[pick % len(places)]
        self.site.flip(place, at % size)

    # --- all of it

    async def _verify(self) -> None:
        """Everything that can be read, and that counters are what the rows add up to."""
        self.run.reads += sum(map(len, self.reference.buckets.values()))
        await self._both("list_buckets")
        for bucket, objects in self.reference.buckets.items():
            await self._both("list", bucket)
            await self._both("list_uploads", bucket)
            for key in objects:
                await self._both("get", bucket, key)
        for number, upload in list(self.reference.uploads.items()):
            await self._both("list_parts", upload.bucket, upload.key, number)
        await self.site.settle()
        if differences := await audit.differences(self.site.store):
            raise self._differs(f"counters: {differences}")
