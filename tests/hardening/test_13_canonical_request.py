"""Check 13: the canonical request of the kernel is that of botocore, however it is written."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from tests.hardening import canonical

PROCESSES = 2
CASES_PER_CALL = 10_000


@pytest.mark.parametrize("cases", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_no_difference_to_botocore(cases, seed, record_property):
    per_call = min(cases, CASES_PER_CALL)
    compare = partial(canonical.differences, seed, count=per_call)
    firsts = range(0, cases, per_call)
    if cases == per_call:
        found = compare(0)
    else:
        context = multiprocessing.get_context("spawn")  # pytest has threads and loops
        with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            found = [fault for faults in pool.map(compare, firsts) for fault in faults]
    record_property("executions", cases)
    assert found[:3] == []


def test_the_two_wires_of_a_case_are_often_different(rng):
    """Else the second comparison would be none."""
    sent = [canonical.as_sent(canonical.request(rng)) for _ in range(200)]
    other = [canonical.written_otherwise(rng, wire) for wire in sent]
    for part in ("path", "query", "headers"):
        changed = sum(
            getattr(a, part) != getattr(b, part) for a, b in zip(sent, other, strict=True)
        )
        assert changed > 50, part
