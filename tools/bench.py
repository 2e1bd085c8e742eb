"""Run the benchmarks: `python -m tools.bench [--update] [NAME ...]`.

A suite is a file `benchmarks/test_NAME.py`. Its results are stored below `.benchmarks/`, divided by
those of calibration kernels and compared with `benchmarks/baseline.json`; `--update` writes that
file instead. Any other file of `benchmarks/` is a program of its own, unless it begins with an
underscore. Without names all run but those that need something from outside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools import bench_ratios as ratios

ROOT = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "benchmarks"
BASELINE: Final = FOLDER / "baseline.json"
STORAGE: Final = ROOT / ".benchmarks"
SUITE_PREFIX: Final = "test_"
RUNS: Final = 3  # for a new baseline, and before a result counts as worse than it
# Run by name only, with arguments of their own: what each needs.
NEEDS: Final = {
    "warp": "the programs warp and minio: python -m benchmarks.warp --help",
    "performance": "the figures of warp: python -m benchmarks.performance --help",
    "shares": "the programs warp and perf: python -m benchmarks.shares --help",
    "profile": "py-spy, and the name of a case: python -m benchmarks.profile --help",
}


def suites() -> list[str]:
    """The names of the suites."""
    return sorted(path.stem.removeprefix(SUITE_PREFIX) for path in FOLDER.glob("test_*.py"))


def programs() -> list[str]:
    """The names of the benchmarks that are programs of their own."""
    names = {path.stem for path in FOLDER.glob("[a-z]*.py")} - {"conftest"}
    return sorted(name for name in names if not name.startswith(SUITE_PREFIX))


class Failed(Exception):
    """A suite did not run to its end; pytest has said why."""


def measure(names: Sequence[str]) -> dict[str, ratios.Measured]:
    """Runs suites once, and stores their results. Raises Failed."""
    STORAGE.mkdir(exist_ok=True)
    document = STORAGE / "results.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--benchmark-enable", "--benchmark-quiet", "--benchmark-disable-gc"]
    # Beside the checkout: where tests have their files a sync may cost nothing.
    command += [f"--basetemp={STORAGE / 'files'}", f"--benchmark-json={document}"]
    command += [f"benchmarks/{SUITE_PREFIX}{name}.py" for name in names]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise Failed
    return ratios.read_results(json.loads(document.read_text()))


def update(names: Sequence[str]) -> None:
    """Takes the results of suites over into the baseline. Raises Failed."""
    measured = ratios.middle([measure(names) for _ in range(RUNS)])
    baseline = ratios.updated(read_baseline(), measured, names)
    BASELINE.write_text(ratios.write_baseline(baseline))
    print("\n".join(ratios.table(ratios.compare(baseline, measured, names))))
    print(f"bench: {BASELINE.relative_to(ROOT)} now has these ratios")


def compare(names: Sequence[str]) -> bool:
    """Measures suites, again where one is worse than the baseline; whether all is well.

    Raises Failed.
    """
    baseline, runs = read_baseline(), [measure(names)]
    rows = ratios.compare(baseline, runs[0], names)
    while len(runs) < RUNS and (worse := [row.name for row in rows if row.is_worse]):
        print(f"bench: once more, for they were worse than before: {', '.join(worse)}", flush=True)
        runs.append(measure(sorted(set(map(ratios.suite_of, worse)))))
        rows = ratios.compare(baseline, ratios.best(runs), names)
    print("\n".join(ratios.table(rows)))
    faults = [row for row in rows if row.fault]
    for row in faults:
        print(f"bench: {row.name}: {row.fault}", file=sys.stderr)
    if faults:
        print(
            "bench: where that is meant, write a new baseline: make bench UPDATE=1", file=sys.stderr
        )
    return not faults


def read_baseline() -> dict[str, ratios.Line]:
    """The committed baseline; empty where there is none."""
    return ratios.read_baseline(BASELINE.read_text()) if BASELINE.exists() else {}


def run_suites(names: Sequence[str], is_update: bool) -> bool:
    """Measures suites and compares them, or writes the baseline; whether all is well."""
    print(f"=== {' '.join(names)}", flush=True)
    try:
        if is_update:
            update(names)
            return True
        return compare(names)
    except Failed:
        return False


def run_program(name: str) -> bool:
    """Runs a benchmark that is a program; whether it succeeded."""
    print(f"=== {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    return not subprocess.run(command, cwd=ROOT, check=False).returncode


def chosen(names: Sequence[str], is_update: bool) -> tuple[list[str], list[str]]:
    """The suites and the programs to run for the names given."""
    if names:
        return [n for n in suites() if n in names], [n for n in programs() if n in names]
    # A baseline holds results of suites alone.
    return suites(), [] if is_update else [name for name in programs() if name not in NEEDS]


def main(argv: Sequence[str]) -> int:
    """Run the named benchmarks, or all; 1 when one failed, 2 for an unknown name."""
    known = [*suites(), *programs()]
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the baseline of the suites")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    options = parser.parse_args(argv)
    if unknown := sorted(set(options.names) - set(known)):
        print(f"bench: no such benchmark: {', '.join(unknown)}", file=sys.stderr)
        print(f"bench: there are {', '.join(known)}", file=sys.stderr)
        return 2
    compared, alone = chosen(options.names, options.update)
    failed = compared if compared and not run_suites(compared, options.update) else []
    failed += [name for name in alone if not run_program(name)]
    for name, what in NEEDS.items() if not options.names else ():
        print(f"bench: {name} was left out: it needs {what}")
    if failed:
        print(f"bench: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
