"""Random operations against the reference S3, in bounded numbers and in large ones."""

from __future__ import annotations

import time
from functools import partial

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Machine, Run

STEPS = 100
OPERATIONS = 2_500
OPERATIONS_LONG = 100_000


def explore(run: Run, seed: int, operations: int, *, steps: int = STEPS) -> None:
    """Examples until there were so many operations, or one that differs: that one is shrunk."""
    number = 0
    while run.tally.total() < operations:
        factory = hypothesis.seed(f"{seed} {number}")(partial(Machine, run))
        run_state_machine_as_test(factory, settings=settings(10, steps))
        number += 1


def settings(examples: int, steps: int, phases: tuple[Phase, ...] = tuple(Phase)):
    """Each run is made of its seed alone."""
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


def line(run: Run, seed: int, seconds: float) -> str:
    """What was done, in one line."""
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(run.tally.items()))
    total = run.tally.total()
    return (
        f"model: seed {seed}, {total} operations at {total / seconds:.0f}/s, differences 0;"
        f" {run.refused} refused, {run.moved} bodies moved, {run.replayed} blocks replayed,"
        f" {run.reads} objects read again; {kinds}"
    )


def test_operations_agree(seed: int) -> None:
    with Run() as run:
        explore(run, seed, OPERATIONS)
        assert run.moved


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_very_many_operations_agree(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with Run() as run:
        explore(run, seed, OPERATIONS_LONG)
        with capsys.disabled():
            print("\n" + line(run, seed, time.monotonic() - begun))
