"""The closing lines of `make test`: what failed, why, and how to repeat it."""

import sys

import pytest

from tools import lanes
from tools.lanes import LANES, Lane, Result


def lane(name: str) -> Lane:
    return next(lane for lane in LANES if lane.name == name)


def test_reasons_are_found_in_what_pytest_prints():
    output = b"..F.\n>  assert 1 == 2\nE  assert\nERROR    fastobj.x:a.py:1 lost\n\xff\n"
    output += b"FAILED tests/a.py::b - assert 1 == 2\n"
    assert lanes.reasons_in(output) == ["FAILED tests/a.py::b - assert 1 == 2"]
    assert lanes.reasons_in(b"check: mypy ok\ncheck: failed: mypy\n") == ["check: failed: mypy"]


def test_a_summary_ends_with_the_reasons():
    results = [
        Result(lane("unit"), "FAILED", 70.0, ["FAILED tests/unit/a.py::b - no"]),
        Result(lane("kernels"), "ok", 1.0),
    ]
    assert lanes.summary(results, long=False, seed=7, seconds=71.0).splitlines()[2:] == [
        "unit         FAILED     70.0 s  (over its 60 s)",
        "kernels      ok          1.0 s",
        "total        FAILED     71.0 s  seed 7",
        "FAILED tests/unit/a.py::b - no",
        "repeat with: make test LANES='unit' SEED=7",
    ]


@pytest.mark.parametrize("beside", [False, True])
def test_a_lane_that_fails_says_why(monkeypatch, capfdbinary, beside):
    script = "import sys; print('..'); print('FAILED tests/a.py::b'); sys.exit(1)"
    monkeypatch.setattr(lanes, "command_of", lambda *_: [sys.executable, "-c", script])
    result = lanes.run(lane("unit"), False, 1, beside=beside)
    assert (result.word, result.reasons) == ("FAILED", ["FAILED tests/a.py::b"])
    assert b"=== unit" in (shown := capfdbinary.readouterr().out)
    assert shown.endswith(b"..\nFAILED tests/a.py::b\n")
