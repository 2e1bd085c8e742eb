"""What stands between a time and its ratio: the calibration kernels, and which rounds count."""

import random
from pathlib import Path

import pytest

from benchmarks._calibration import KERNELS, SYNCED, calls_for, compared, seconds


def test_of_computing_the_best_rounds_count() -> None:
    assert compared("sha256", [9.0, 6.0, 50.0], [4.0, 30.0, 2.0]) == {"seconds": 6.0, "ratio": 3.0}


def test_of_syncs_neighbours_are_compared_and_the_median_counts() -> None:
    found = compared("fdatasync", [2.0, 60.0, 9.0], [1.0, 20.0, 1.0])
    assert found == {"seconds": 9.0, "ratio": 3.0}


@pytest.mark.parametrize("calibration", KERNELS)
def test_a_machine_of_half_the_speed_has_the_same_ratio(
    calibration: str, rng: random.Random
) -> None:
    times, yardsticks = ([rng.uniform(1, 2) for _ in range(30)] for _ in range(2))
    fast = compared(calibration, times, yardsticks)
    slow = compared(calibration, [2 * time for time in times], [2 * one for one in yardsticks])
    assert slow["seconds"] == pytest.approx(2 * fast["seconds"])
    assert slow["ratio"] == pytest.approx(fast["ratio"])


@pytest.mark.parametrize("calibration", KERNELS)
def test_calibration_kernels_can_be_repeated(calibration: str, tmp_path: Path) -> None:
    kernel = KERNELS[calibration](tmp_path)
    assert seconds(kernel, 3) > 0
    assert (tmp_path / "calibration").exists() == (calibration in SYNCED)


def test_short_calls_are_repeated_until_they_take_long_enough() -> None:
    made: list[int] = []
    calls = calls_for(lambda: made.append(1), 0.001)
    assert calls > 1
    assert len(made) == 2 * calls - 1  # 1 + 2 + 4 + ... + calls
