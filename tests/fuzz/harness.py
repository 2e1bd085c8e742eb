"""Runs a fuzzer: so many rounds, each with random choices that seed, fuzzer and round decide.

So a round that failed is repeated alone, whatever came before it.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from fastobj.core.errors import S3Error

T = TypeVar("T")

# What a process may grow by while a fuzzer runs; an input that claims gigabytes must not get them.
GROWTH_KIB_MAX = 96 * 1024
FIRST_ROUNDS = 50  # what these grow by is caches and modules

One = Callable[[random.Random], Awaitable[None] | None]


@dataclass(frozen=True)
class Fuzzer:
    """One round is `one`; a normal run has `rounds` of them."""

    name: str
    one: One
    rounds: int


def attempt(function: Callable[..., T], *arguments: Any) -> tuple[T | None, S3Error | None]:
    """What the function returns, or the error that it answers a client with."""
    try:
        return function(*arguments), None
    except S3Error as error:
        return None, error


def run(fuzzer: Fuzzer, seed: int, rounds: int, first: int = 0, *, bounded: bool = True) -> None:
    """Runs the rounds from `first` on; with `bounded` the process must not grow much."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_rounds(fuzzer, seed, range(first, first + min(rounds, FIRST_ROUNDS))))
        before = _peak_kib()
        runner.run(_rounds(fuzzer, seed, range(first + FIRST_ROUNDS, first + rounds)))
    grown = _peak_kib() - before
    assert not bounded or grown <= GROWTH_KIB_MAX, f"{fuzzer.name} grew the process by {grown} KiB"


async def _rounds(fuzzer: Fuzzer, seed: int, numbers: range) -> None:
    rng = random.Random()
    for number in numbers:
        rng.seed(f"{seed} {fuzzer.name} {number}")
        try:
            outcome = fuzzer.one(rng)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as error:
            error.add_note(
                f"repeat: python -m tests.fuzz.run {fuzzer.name} --seed {seed}"
                f" --first {number} --rounds 1"
            )
            raise


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
