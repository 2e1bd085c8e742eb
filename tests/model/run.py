"""What the examples of one run share, and how what the two sides answer is compared."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import uvloop

from fastobj.core.limits import MIB
from fastobj.storage.pool import IoPool
from tests.crash import world
from tests.crash.power_cut import scratch
from tests.model.reference import Reference
from tests.model.values import Refused, Version, VersionNumber

Call = tuple[str, tuple[Any, ...]]  # a method of both sides, and its arguments
UNANSWERED = object()


class Differs(AssertionError):
    """The store does not do what the reference does."""


class Refusal(NamedTuple):
    """An answer that is an error, with the delete marker that it tells of."""

    code: str
    marker: Version = None


class Run:
    """What the examples of one run share: loop, pool, counts. A context."""

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()  # operations, and what was done to the store
        self.reads = 0  # those that compare everything, beside
        self.moved = 0  # bodies, by compaction
        self.replayed = 0  # blocks, by recoveries
        self.refused = 0  # operations
        self.differences = 0
        self._stack = ExitStack()

    def __enter__(self) -> Run:
        runner = self._stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        self.do = runner.get_loop().run_until_complete
        self.folder = self._stack.enter_context(scratch())
        self.pool = self.do(made(IoPool, 2))
        self._stack.callback(lambda: self.do(made(self.pool.close)))
        logging.disable(logging.CRITICAL)  # what is said of damaged bodies is expected
        self._stack.callback(logging.disable, logging.NOTSET)
        # So large a WAL is checkpointed when a step says so, and not before.
        self._stack.enter_context(world.small_limits(64 * MIB))
        self._names = itertools.count()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def directory(self) -> Path:
        """For the store of one more example."""
        return self.folder / str(next(self._names))


async def made(what: Callable[..., Any], *arguments: Any) -> Any:
    """What is to be made on a running loop."""
    return what(*arguments)


async def result_of(call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """What a call answers, the code of an error included."""
    try:
        return await call(*arguments)
    except Refused as error:
        return Refusal(error.code, error.marker)


def expected_of(reference: Reference, name: str, arguments: tuple[Any, ...]) -> Any:
    """What the reference answers, the code of an error included."""
    try:
        return getattr(reference, name)(*arguments)
    except Refused as error:
        return Refusal(error.code, error.marker)


def matches(expected: Any, found: Any, names: dict[VersionNumber, str]) -> bool:
    """Whether an answer is the one that is expected, but for the ids of versions.

    One that is seen for the first time may be any that no other version has; `names` takes it.
    """
    if isinstance(expected, VersionNumber):
        if not isinstance(found, str):
            return False
        if expected not in names and found not in names.values():
            names[expected] = found
        return names.get(expected) == found
    if isinstance(expected, (tuple, list)):
        return (
            isinstance(found, (tuple, list))
            and len(expected) == len(found)
            and all(map(matches, expected, found, itertools.repeat(names)))
        )
    return bool(expected == found)


def explain(
    reference: Reference,
    calls: Sequence[Call],
    found: Sequence[Any],
    agrees: Callable[[Reference], bool],
) -> Reference | None:
    """The reference behind the calls, in an order in which they answer as was found.

    What has no answer (UNANSWERED) may have happened, or not. None where there is no such order,
    or none behind which the reference `agrees`.
    """
    answered = [n for n, answer in enumerate(found) if answer is not UNANSWERED]
    others = [n for n, answer in enumerate(found) if answer is UNANSWERED]
    for count in range(len(others) + 1):
        for happened in itertools.combinations(others, count):
            for order in itertools.permutations((*answered, *happened)):
                tried = reference.fork()
                told = {n: expected_of(tried, *calls[n]) for n in order}
                agreed = (matches(told[n], found[n], tried.names) for n in answered)
                if all(agreed) and agrees(tried):
                    return tried
    return None


def shown(value: Any) -> str:
    """A value with its bodies cut short."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes {value[:4].hex()}>"
    if isinstance(value, dict | MappingProxyType):
        return repr(dict(value))
    if isinstance(value, VersionNumber):
        return f"version {value:d}"
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return repr(value)
