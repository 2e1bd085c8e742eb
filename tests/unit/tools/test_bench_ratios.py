"""The comparison of benchmarks with their baseline: ratios, margins, names that come and go."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks._calibration import KERNELS
from tools.bench_ratios import (
    MARGINS,
    Line,
    Measured,
    Row,
    best,
    compare,
    middle,
    read_baseline,
    read_results,
    suite_of,
    table,
    updated,
    write_baseline,
)

BASELINE = Path(__file__).resolve().parents[3] / "benchmarks" / "baseline.json"
SUITES = ("kernels", "store")


def result(ratio: float, calibration: str = "sha256", seconds: float = 1e-6) -> Measured:
    return Measured(calibration, seconds, ratio)


def only(rows: list[Row]) -> Row:
    (row,) = rows
    return row


def judged(ratio: float, before: float, calibration: str = "sha256") -> Row:
    name = "kernels/x"
    measured = {name: result(ratio, calibration)}
    return only(compare({name: Line(calibration, before)}, measured, SUITES))


def document(*benchmarks: tuple[str, str, str, float, float]) -> dict[str, Any]:
    """What pytest-benchmark stores, as far as it is read; the machine's noise is in `stats`."""
    return {
        "benchmarks": [
            {
                "group": group,
                "name": name,
                "stats": {"min": 77.0, "median": 88.0},
                "extra_info": {"calibration": by, "seconds": seconds, "ratio": ratio},
            }
            for group, name, by, seconds, ratio in benchmarks
        ]
    }


def test_results_are_read_by_suite_and_label() -> None:
    stored = document(
        ("kernels", "crc [avx512]", "memcpy", 2e-5, 1.5), ("store", "y", "python", 1, 2)
    )
    assert read_results(stored) == {
        "kernels/crc [avx512]": Measured("memcpy", 2e-5, 1.5),
        "store/y": Measured("python", 1, 2),
    }


def test_a_name_that_two_have_is_refused() -> None:
    twice = document(("store", "y", "python", 1, 2), ("store", "y", "python", 1, 3))
    with pytest.raises(ValueError, match="two benchmarks are called store/y"):
        read_results(twice)


@pytest.mark.parametrize("calibration", MARGINS)
def test_a_ratio_at_its_margin_passes_and_one_above_is_a_fault(calibration: str) -> None:
    margin = MARGINS[calibration]
    at, above = judged(4 * margin, 4, calibration), judged(4.01 * margin, 4, calibration)
    assert (at.fault, at.is_worse) == ("", False)
    assert (above.fault, above.is_worse) == (f"more than {margin} times the baseline", True)


def test_a_synced_one_may_vary_more_than_a_computing_one() -> None:
    assert judged(2, 1, "sha256").is_worse
    assert not judged(2, 1, "fdatasync").is_worse


def test_what_became_better_is_no_fault_however_much() -> None:
    row = judged(0.01, 5)
    assert row.fault == ""
    assert row.change == pytest.approx(0.002)


def test_another_calibration_is_a_fault_whatever_the_ratio() -> None:
    baseline = {"store/x": Line("python", 100)}
    row = only(compare(baseline, {"store/x": result(1, "sha256")}, SUITES))
    assert row.change is None
    assert not row.is_worse
    assert row.fault == "the baseline is calibrated with python"


def test_a_new_name_is_told_and_is_no_fault() -> None:
    row = only(compare({}, {"store/new": result(1)}, SUITES))
    assert row == Row("store/new", result(1), None)
    assert table([row])[0].endswith("not in the baseline")


def test_a_name_that_nobody_measured_is_a_fault_of_its_suite_alone() -> None:
    baseline = {"store/gone": Line("python", 1), "request/other": Line("python", 1)}
    row = only(compare(baseline, {}, ["store"]))
    assert (row.name, row.measured) == ("store/gone", None)
    assert row.fault == "in the baseline, but not measured"
    assert "FAULT: in the baseline, but not measured" in table([row])[0]


def test_each_isa_has_a_line_of_its_own() -> None:
    baseline = {"kernels/crc [avx512]": Line("memcpy", 1), "kernels/crc [sse42]": Line("memcpy", 3)}
    rows = compare(baseline, {"kernels/crc [sse42]": result(3, "memcpy")}, SUITES)
    assert [(row.name, row.change, row.fault) for row in rows] == [("kernels/crc [sse42]", 1.0, "")]
    rows = compare(baseline, {"kernels/crc [generic]": result(30, "memcpy")}, SUITES)
    assert [(row.name, row.change, row.fault) for row in rows] == [
        ("kernels/crc [generic]", None, "")
    ]


def test_of_several_runs_the_best_counts_for_each_name() -> None:
    runs = [
        {"store/x": result(3, seconds=30), "store/y": result(1)},
        {"store/x": result(2, seconds=20)},
        {"store/x": result(4, seconds=10)},
    ]
    assert best(runs) == {"store/x": result(2, seconds=20), "store/y": result(1)}


def test_a_baseline_takes_the_middle_of_several_runs() -> None:
    runs = [{"store/x": result(ratio)} for ratio in (9, 1, 5)]
    assert middle(runs) == {"store/x": result(5)}
    assert middle(runs[:2]) == {"store/x": result(1)}


def test_a_new_baseline_keeps_other_suites_and_other_isas_and_drops_what_went() -> None:
    before = {
        "kernels/crc [avx512]": Line("memcpy", 1),
        "kernels/gone [avx512]": Line("memcpy", 1),
        "store/x": Line("python", 7),
        "store/gone": Line("python", 7),
    }
    measured = {"kernels/crc [sse42]": result(3, "memcpy")}
    assert updated(before, measured, ["kernels"]) == {
        "kernels/crc [avx512]": Line("memcpy", 1),
        "kernels/crc [sse42]": Line("memcpy", 3),
        "store/x": Line("python", 7),
        "store/gone": Line("python", 7),
    }
    assert updated(before, {"store/x": result(2, "sha256")}, ["store"])["store/x"] == Line(
        "sha256", 2
    )


def test_a_baseline_is_written_in_order_with_three_digits_and_read_back() -> None:
    lines = {"store/x": Line("python", 1234.5678), "kernels/a": Line("memcpy", 0.000123456)}
    text = write_baseline(lines)
    assert text == ('{\n  "kernels/a": ["memcpy", 0.000123],\n  "store/x": ["python", 1230.0]\n}\n')
    assert read_baseline(text) == {
        "kernels/a": Line("memcpy", 0.000123),
        "store/x": Line("python", 1230.0),
    }


@pytest.mark.parametrize("line", [["sha255", 1], ["sha256", 0], ["sha256", -1]])
def test_a_baseline_that_cannot_be_compared_with_is_refused(line: list[object]) -> None:
    with pytest.raises(ValueError, match="store/x has no known calibration, or no ratio above 0"):
        read_baseline(json.dumps({"store/x": line}))


def test_a_table_has_time_ratio_and_change() -> None:
    rows = [judged(3, 2, "memcpy"), judged(8, 2, "memcpy")]
    good, bad = table(rows)
    assert good.split() == [
        "kernels/x",
        "1.0",
        "us",
        "3",
        "memcpy",
        "1.50",
        "of",
        "the",
        "baseline",
    ]
    assert bad.endswith("4.00 of the baseline  FAULT: more than 1.6 times the baseline")


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.44e-7, "444.0 ns"), (2e-6, "2.0 us"), (0.5, "500.0 ms")]
)
def test_times_have_units_that_people_can_read(seconds: float, text: str) -> None:
    assert text in table([Row("store/x", result(1, seconds=seconds), None)])[0]


def test_the_calibrations_are_those_that_are_measured() -> None:
    assert set(MARGINS) == set(KERNELS)


def test_the_committed_baseline_is_as_it_would_be_written() -> None:
    text = BASELINE.read_text()
    lines = read_baseline(text)
    assert write_baseline(lines) == text
    assert {suite_of(name) for name in lines} == {
        path.stem.removeprefix("test_") for path in BASELINE.parent.glob("test_*.py")
    }
