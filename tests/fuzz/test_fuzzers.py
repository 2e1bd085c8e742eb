"""Each fuzzer of the table: what it tries is in its module, how it is run in harness.py."""

import pytest

from tests.fuzz import harness
from tests.fuzz.fuzzers import FUZZERS

LONG_TIMES = 50


@pytest.mark.parametrize("times", [1, pytest.param(LONG_TIMES, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", FUZZERS)
def test_fuzzer(name, times, seed, record_property):
    fuzzer = FUZZERS[name]
    harness.run(fuzzer, seed, fuzzer.rounds * times)
    record_property("executions", fuzzer.rounds * times)
