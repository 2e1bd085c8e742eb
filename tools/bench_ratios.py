"""Compares benchmarks across machines: a time counts as a ratio to that of a calibration kernel.

A result is named `suite/label [ISA]`; the ISA only where a kernel chooses its code, because another
code has another ratio: the baseline holds a line for each that it was measured with. What is worse
than the baseline by more than the margin of its calibration is a fault, and so is a name of the
baseline that nobody measured. A name that the baseline lacks is told, and is no fault.

The margins are what runs of one tree need on two cores and a disk that others keep busy (load 4).
In six runs in a row no ratio was more than 1.41 times the baseline's where it is divided by memcpy,
1.13 by sha256, 1.39 by python and 1.22 by fdatasync; of eleven runs two had one beyond its margin,
which the next run did not repeat. So what is beyond its margin is measured up to three times, and
the best counts. Other processors differ as well, above all in what memory costs them, and disks in
what a sync of more bytes does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

# How many times the baseline's ratio one may be, by its calibration.
MARGINS: Final = {
    "memcpy": 1.6,  # 1 MiB: bound by memory
    "sha256": 1.4,  # hashlib, 64 KiB: bound by the units that compute
    "python": 1.6,  # a loop: bound by the interpreter
    "fdatasync": 3.0,  # of 4 KiB overwritten: bound by the disk
}


class Line(NamedTuple):
    """A line of the baseline."""

    calibration: str
    ratio: float


class Measured(NamedTuple):
    """One result: seconds of a call, and how many times its calibration that is."""

    calibration: str
    seconds: float
    ratio: float


Results = Mapping[str, Measured]


class Row(NamedTuple):
    """One name: what was measured, what the baseline says, and what is wrong; "" if nothing is."""

    name: str
    measured: Measured | None
    baseline: Line | None
    fault: str = ""

    @property
    def is_worse(self) -> bool:
        """Whether it is beyond its margin."""
        if self.measured is None or self.change is None:
            return False
        return self.change > MARGINS[self.measured.calibration]

    @property
    def change(self) -> float | None:
        """How many times the baseline's ratio this one is; None where they cannot be compared."""
        if self.measured is None or self.baseline is None:
            return None
        if self.measured.calibration != self.baseline.calibration:
            return None
        return self.measured.ratio / self.baseline.ratio


def suite_of(name: str) -> str:
    """The suite that measures this name."""
    return name.partition("/")[0]


def _stem(name: str) -> str:
    """The name without its ISA."""
    return name.partition(" [")[0]


def read_results(document: Mapping[str, Any]) -> dict[str, Measured]:
    """The results in a JSON document of pytest-benchmark. Raises ValueError for a name twice."""
    found: dict[str, Measured] = {}
    for one in document["benchmarks"]:
        name, extra = f"{one['group']}/{one['name']}", one["extra_info"]
        if name in found:
            raise ValueError(f"two benchmarks are called {name}")
        found[name] = Measured(extra["calibration"], extra["seconds"], extra["ratio"])
    return found


def best(runs: Sequence[Results]) -> dict[str, Measured]:
    """Of each name the run with the lowest ratio: what disturbs a run makes it worse only."""
    return _chosen(runs, 0.0)


def middle(runs: Sequence[Results]) -> dict[str, Measured]:
    """Of each name the run with the median ratio, the lower one where there are two."""
    return _chosen(runs, 0.5)


def _chosen(runs: Sequence[Results], part: float) -> dict[str, Measured]:
    found: dict[str, list[Measured]] = {}
    for run in runs:
        for name, one in run.items():
            found.setdefault(name, []).append(one)
    return {
        name: sorted(all_of_it, key=lambda one: one.ratio)[int((len(all_of_it) - 1) * part)]
        for name, all_of_it in found.items()
    }


def read_baseline(text: str) -> dict[str, Line]:
    """The lines of a baseline by name. Raises ValueError for what is not one."""
    lines = {name: Line(*line) for name, line in json.loads(text).items()}
    for name, line in lines.items():
        if line.calibration not in MARGINS or not line.ratio > 0:
            raise ValueError(f"{name} has no known calibration, or no ratio above 0")
    return lines


def write_baseline(lines: Mapping[str, Line]) -> str:
    """The text of a baseline: a line for each name, in order, with three digits of the ratio."""
    rows = (
        f"  {json.dumps(name)}: [{json.dumps(line.calibration)}, {float(f'{line.ratio:.3g}')!r}]"
        for name, line in sorted(lines.items())
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"


def updated(
    baseline: Mapping[str, Line], measured: Results, suites: Iterable[str]
) -> dict[str, Line]:
    """The baseline with these results in it; of these suites, without what is measured no more."""
    stems, suites = set(map(_stem, measured)), set(suites)
    kept = {
        name: line
        for name, line in baseline.items()
        if suite_of(name) not in suites or _stem(name) in stems
    }
    return kept | {name: Line(one.calibration, one.ratio) for name, one in measured.items()}


def compare(baseline: Mapping[str, Line], measured: Results, suites: Iterable[str]) -> list[Row]:
    """A row for each name that was measured, and each that these suites should have measured."""
    stems, suites = set(map(_stem, measured)), set(suites)
    rows = [_judged(name, one, baseline.get(name)) for name, one in measured.items()]
    for name, line in baseline.items():
        if suite_of(name) in suites and _stem(name) not in stems:
            rows.append(Row(name, None, line, "in the baseline, but not measured"))
    return rows


def _judged(name: str, measured: Measured, line: Line | None) -> Row:
    row = Row(name, measured, line)
    if line is not None and row.change is None:
        return row._replace(fault=f"the baseline is calibrated with {line.calibration}")
    if row.is_worse:
        return row._replace(fault=f"more than {MARGINS[measured.calibration]} times the baseline")
    return row


def table(rows: Iterable[Row]) -> list[str]:
    """Lines for people: name, time, ratio to the calibration, ratio to the baseline."""
    rows = list(rows)
    width = max((len(row.name) for row in rows), default=0)
    return [f"{row.name:{width}}  {_figures(row)}".rstrip() for row in rows]


def _figures(row: Row) -> str:
    if row.measured is None:
        return f"FAULT: {row.fault}"
    measured, change = row.measured, row.change
    text = f"{_time(measured.seconds)}  {measured.ratio:9.4g} {measured.calibration:9}"
    if change is not None:
        text += f"  {change:5.2f} of the baseline"
    elif row.baseline is None:
        text += "  not in the baseline"
    return f"{text}  FAULT: {row.fault}" if row.fault else text


def _time(seconds: float) -> str:
    for unit, scale in (("ns", 1e9), ("us", 1e6)):
        if seconds * scale < 1000:
            return f"{seconds * scale:6.1f} {unit}"
    return f"{seconds * 1e3:6.1f} ms"
