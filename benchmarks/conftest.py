"""What the benchmarks that run under pytest share: a result next to its calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks._calibration import KERNELS, Run, calls_for, compared, seconds

_ROUND_S: Final = 0.001  # calls that are shorter are repeated within a round
_WINDOW_S: Final = 0.3
_ROUNDS_MIN, _ROUNDS_MAX = 25, 150


class Calibrated:
    """Measures a call with rounds of its calibration between its own.

    A busy machine is fast and slow by turns: so both meet the same turns. `label` names the result,
    with `isa` where a kernel chooses its code; `calibration` is a name of
    tools.bench_ratios.MARGINS.
    """

    def __init__(
        self, benchmark: BenchmarkFixture, suite: str, kernel: Callable[[str], Run]
    ) -> None:
        self._benchmark = benchmark
        self._suite = suite
        self._kernel = kernel

    def __call__(
        self, label: str, calibration: str, run: Callable[..., Any], *args: Any, isa: str = ""
    ) -> Any:
        """Repeats `run(*args)`; returns what it returned."""
        result = run(*args)  # before it is timed: what it makes at its first call
        calls = 1 if self._benchmark.disabled else calls_for(lambda: run(*args), _ROUND_S)

        def repeat() -> None:
            for _ in range(calls):
                run(*args)

        self._measure(self._name(label, isa), calibration, repeat, tuple, calls)
        return result

    def once_each(
        self, label: str, calibration: str, run: Callable[..., Any], make: Run, isa: str = ""
    ) -> Any:
        """Calls `run(make())` with ever new arguments, of which only `run` is timed."""
        return self._measure(self._name(label, isa), calibration, run, lambda: (make(),), 1)

    def _name(self, label: str, isa: str) -> str:
        return f"{label} [{isa}]" if isa else label

    def _measure(
        self,
        name: str,
        calibration: str,
        target: Callable[..., Any],
        make: Callable[[], tuple[Any, ...]],
        calls: int,
    ) -> Any:
        benchmark = self._benchmark
        if benchmark.disabled:  # a test that it works
            return benchmark.pedantic(target, setup=lambda: (make(), {}))
        kernel = self._kernel(calibration)
        kernel_calls = calls_for(kernel, _ROUND_S / 4)
        yardsticks: list[float] = []

        def setup() -> tuple[tuple[Any, ...], dict[str, Any]]:
            arguments = make()
            yardsticks.append(seconds(kernel, kernel_calls))
            return arguments, {}

        arguments = make()
        once = seconds(lambda: target(*arguments), 1)
        rounds = max(_ROUNDS_MIN, min(_ROUNDS_MAX, int(_WINDOW_S / once)))
        benchmark.group, benchmark.name = self._suite, name
        result = benchmark.pedantic(target, setup=setup, rounds=rounds)
        times = [time / calls for time in benchmark.stats.stats.data]
        benchmark.extra_info.update(
            calibration=calibration, **compared(calibration, times, yardsticks)
        )
        return result


@pytest.fixture(scope="session")
def calibration_kernel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """The calibration kernels of this session, each made once."""
    directory: Path = tmp_path_factory.mktemp("calibration")
    made: dict[str, Run] = {}

    def kernel(name: str) -> Run:
        if name not in made:
            made[name] = KERNELS[name](directory)
        return made[name]

    return kernel


@pytest.fixture
def measured(
    benchmark: BenchmarkFixture,
    request: pytest.FixtureRequest,
    calibration_kernel: Callable[[str], Run],
) -> Calibrated:
    """`measured(label, calibration, run, *args)` for the suite of the test."""
    return Calibrated(benchmark, request.path.stem.removeprefix("test_"), calibration_kernel)
