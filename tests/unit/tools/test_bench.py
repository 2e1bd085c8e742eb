"""`tools.bench`: which benchmarks it runs, when it measures again, and what it answers."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tools import bench
from tools.bench_ratios import Line, Measured

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The ratios that one run after the other measures of `store/x`, whose baseline is 1."""
    ratios: list[float] = []

    def measure(names: list[str]) -> dict[str, Measured]:
        assert names == ["store"]
        return {"store/x": Measured("python", 1e-6, ratios.pop(0))}

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(bench, "read_baseline", lambda: {"store/x": Line("python", 1.0)})
    return ratios


def test_what_is_well_is_measured_once(runs: list[float]) -> None:
    runs += [1.5, 0.0]
    assert bench.compare(["store"])
    assert runs == [0.0]


def test_what_is_worse_is_measured_again_and_the_best_counts(
    runs: list[float], capsys: Capture
) -> None:
    runs += [9.0, 9.0, 1.1]
    assert bench.compare(["store"])
    assert "once more, for they were worse than before: store/x" in capsys.readouterr().out
    assert runs == []


def test_what_is_worse_each_time_fails(runs: list[float], capsys: Capture) -> None:
    runs += [9.0, 8.0, 7.0, 1.0]
    assert not bench.compare(["store"])
    assert runs == [1.0]
    said = capsys.readouterr()
    assert "7.00 of the baseline  FAULT" in said.out
    assert "store/x: more than 1.6 times the baseline" in said.err
    assert "make bench UPDATE=1" in said.err


def test_a_suite_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(names: list[str]) -> dict[str, Measured]:
        raise bench.Failed

    monkeypatch.setattr(bench, "measure", fail)
    assert not bench.run_suites(["store"], is_update=False)
    assert not bench.run_suites(["store"], is_update=True)


def test_without_names_all_run_but_what_needs_something_from_outside() -> None:
    suites, programs = bench.chosen([], is_update=False)
    assert suites == ["kernels", "request", "store"]
    assert {"small", "commit", "engine", "listing"} <= set(programs)
    assert not set(programs) & {"warp", "performance", "shares", "profile", "conftest", *suites}
    assert bench.chosen([], is_update=True) == (suites, [])
    assert bench.chosen(["small", "store"], is_update=False) == (["store"], ["small"])
    assert set(bench.NEEDS) <= set(bench.programs())


def test_an_unknown_name_is_a_wrong_call(capsys: Capture) -> None:
    assert bench.main(["smal"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bench: no such benchmark: smal\n")
    assert "kernels, request, store" in said


def test_the_suites_work_as_tests() -> None:
    """Without timing: each benchmark runs once, and what it makes is compared."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "benchmarks"]
    done = subprocess.run(command, cwd=bench.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
