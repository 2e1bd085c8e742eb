"""Steps of a random walk: an operation on a store and on the reference; what differs is raised."""

from __future__ import annotations

import inspect
import shutil
from collections import deque
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from fastobj.core.clock import FixedClock
from fastobj.objects import audit
from tests.model.client import Client
from tests.model.keeping import Bucket
from tests.model.reference import Reference
from tests.model.run import Differs, Refusal, Run, expected_of, matches, result_of, shown
from tests.model.sending import BREAKS_OFF
from tests.model.site import PART_BYTES_MIN, Site
from tests.model.values import ALWAYS, NULL, STATUS, Conditions, Object, Version

START_S = 1_800_000_000
LAST_STEPS = 30
VERIFIED_MAX = 20  # versions of a bucket that are not current, the newest; at the end all are
BROKEN = (BREAKS_OFF, STATUS[BREAKS_OFF])
# What may have to read the bytes of an object, and its arguments that name that.
_READS = {
    "get": ("bucket", "key", "version"),
    "head": ("bucket", "key", "version"),
    "attributes": ("bucket", "key", "version"),
    "append": ("bucket", "key", ""),
    "copy": ("source_bucket", "source_key", "source_version"),
    "copy_part": ("source_bucket", "source_key", "source_version"),
}


class Steps(RuleBasedStateMachine):
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
        self.client = Client(self.site.applications, self.reference.names)

    async def _open(self) -> Site:
        return Site(self.directory, self.run.pool, self.clock)

    def teardown(self) -> None:
        try:
            if not self._has_failed:
                self.run.do(self._verify(10**6))
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
        if _is_broken(found) and self._reads_damage(name, arguments):
            return found
        expected = expected_of(self.reference, name, arguments)
        if not matches(expected, found, self.reference.names):
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
        if name not in _READS:
            return False
        method = getattr(Reference, "get" if name == "head" else name)
        given = inspect.signature(method).bind(None, *arguments).arguments
        found = self._version(*(given.get(argument) for argument in _READS[name]))
        return found is not None and found.birth in self.damaged

    def _version(self, bucket: str, key: str, version: Version) -> Object | None:
        """The version, or delete marker; None for the latest, if that is an object."""
        kept = self.reference.buckets.get(bucket, Bucket())
        return kept.current(key) if version is None else kept.version(key, version)

    def _object(self, bucket: str, key: str) -> Object | None:
        return self._version(bucket, key, None)

    def _one_of(self, bucket: str, key: str, pick: int) -> Version:
        """A version of the key, now and then of another one, or one that is not there."""
        kept = self.reference.buckets.get(bucket, Bucket()).keys
        stack = kept.get(key) or next(iter(kept.values()), [])
        return stack[pick % len(stack)].version if stack and pick else NULL

    def _etag(self, mark: str | None, bucket: str, key: str, version: Version = None) -> str | None:
        if mark in (None, "*"):
            return mark
        found = self._version(bucket, key, version)
        return found.etag if found is not None and mark == "present" else "0" * 32

    def _written(self, wish: tuple[str | None, str | None], bucket: str, key: str) -> Conditions:
        return Conditions(self._etag(wish[0], bucket, key), wish[1])

    def _read(
        self, wish: tuple[str | None, ...], bucket: str, key: str, version: Version = None
    ) -> Conditions:
        found = self._version(bucket, key, version)
        at = found.modified_s if found is not None else START_S
        etags = (self._etag(mark, bucket, key, version) for mark in wish[:2])
        return Conditions(
            *etags, *(at + shift if shift is not None else None for shift in wish[2:])
        )

    # --- all of it

    async def _verify(self, versions_max: int = VERIFIED_MAX) -> None:
        """Everything that can be read, and that counters are what the rows add up to."""
        await self._both("list_buckets")
        for bucket, kept in self.reference.buckets.items():
            await self._both("list", bucket)
            await self._both("list_versions", bucket)
            await self._both("list_uploads", bucket)
            await self._verify_bucket(bucket, kept, versions_max)
        for number, upload in list(self.reference.uploads.items()):
            await self._both("list_parts", upload.bucket, upload.key, number)
        await self.site.settle()
        if differences := await audit.differences(self.site.store):
            raise self._differs(f"counters: {differences}")

    async def _verify_bucket(self, bucket: str, kept: Bucket, versions_max: int) -> None:
        objects, others = kept.objects, []
        for key, stack in kept.keys.items():
            old = stack[1:] if key in objects else stack
            others += [(one.order, key, one.version) for one in old]
        for key in objects:
            await self._both("get", bucket, key)
            await self._both("get_tags", bucket, key)
        chosen = sorted(others, reverse=True)[:versions_max]
        for _, key, version in chosen:
            await self._both("get", bucket, key, "", ALWAYS, 0, version)
        self.run.reads += len(objects) + len(chosen)


def _is_broken(found: Any) -> bool:
    return isinstance(found, Refusal) and found.code in BROKEN
