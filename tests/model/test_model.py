"""Random operations against the reference S3: in bounded numbers, and in large ones."""

from __future__ import annotations

import time
from functools import partial

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Flaky, FlakyFailure
from hypothesis.stateful import run_state_machine_as_test

from tests import figures
from tests.crash.mutations import answer_before_write
from tests.model import mutations
from tests.model.machine import Machine
from tests.model.run import Differs, Run

STEPS = 100
EXAMPLES = 5
OPERATIONS = 2_000
OPERATIONS_LONG = 100_000
OPERATIONS_FOR_A_FAULT = 100_000  # those that need two rare steps on one version take thousands


FOUND = (Phase.generate,)  # what differs is shown as it was found: to shrink it takes minutes
SHRUNK = (Phase.generate, Phase.shrink)


def explore(run: Run, seed: int, operations: int, phases: tuple[Phase, ...] = FOUND) -> None:
    """Examples until there were so many operations, or one that differs.

    They are not enough without a body that has moved and a block that was replayed.
    """
    number = 0
    while run.tally.total() < operations or not (run.moved and run.replayed):
        # A seed of its own for each, so that all of it comes again with the same --seed.
        example = hypothesis.seed(f"{seed} {number}")(partial(Machine, run))
        try:
            run_state_machine_as_test(example, settings=_settings(phases))
        except FlakyFailure as flaky:
            raise _first_difference(flaky) from flaky
        number += 1
    figures.count("model operations", run.tally.total())


def _first_difference(flaky: FlakyFailure) -> BaseException:
    """What differed, where it did not come again when it was to be made smaller."""
    return next((one for one in flaky.exceptions if isinstance(one, Differs)), flaky)


def _settings(phases: tuple[Phase, ...]) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
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
        f"model: seed {seed}, {total} operations at {total / seconds:.0f}/s,"
        f" differences {run.differences};"
        f" {run.refused} refused, {run.moved} bodies moved, {run.replayed} blocks replayed,"
        f" {run.reads} objects read again; {kinds}"
    )


def test_operations_agree(seed: int) -> None:
    with Run() as run:
        explore(run, seed, OPERATIONS)
        assert run.tally.total() >= OPERATIONS


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_very_many_operations_agree(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with Run() as run:
        explore(run, seed, OPERATIONS_LONG, SHRUNK)
    with capsys.disabled():
        print("\n" + line(run, seed, time.monotonic() - begun))


QUICKLY_FOUND = (
    mutations.last_writer_wins,
    mutations.if_match_is_not_checked,
    mutations.records_are_not_verified,
    answer_before_write,
)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            fault,
            id=fault.__name__,
            marks=() if fault in QUICKLY_FOUND else (pytest.mark.long, pytest.mark.timeout(600)),
        )
        for fault in mutations.FAULTS
    ],
)
def test_a_fault_is_found(fault: mutations.Fault, seed: int) -> None:
    """The instrument bites: a store with this fault does not pass."""
    with Run() as run, fault(), pytest.raises((Differs, Flaky)):
        explore(run, seed, OPERATIONS_FOR_A_FAULT)
    assert run.differences
