"""Tests by lanes: `python -m tools.lanes [--long] [LANE ...]`.

A lane is a folder of tests that may touch the same things, so lanes can be run, timed and blamed
one by one. Every lane runs, whatever fails; a summary with times closes the run. Lanes that leave
processors idle run three at a time, and their output is shown when they end.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests import figures

ROOT = Path(__file__).resolve().parent.parent
BESIDE_MAX = 3  # lanes at a time: two processors are not quite filled by them
NO_TESTS_COLLECTED = 5  # pytest's exit code
# How pytest and tools.check say what failed. (Captured lines of a log begin with "ERROR  ", too.)
REASONS = ("FAILED tests/", "ERROR tests/", "check: failed")


@dataclass(frozen=True)
class Lane:
    """One row: where its tests are, what it may use, and how long it ought to take."""

    name: str
    path: str
    budget_s: int
    workers: int = 0
    waits: bool = False  # for drives, clocks and connections, more than it computes
    share: str = "load"  # how tests go to several workers: one by one, or "loadfile"
    timeout_long_s: int = 1800
    environment: dict[str, str] = field(default_factory=dict)


# Only lanes whose tests share no server, port or directory run on more than one worker. A server
# that is a fixture is one for each worker.
LANES = (
    Lane("house", "tests/test_house.py", budget_s=60),
    Lane("unit", "tests/unit", budget_s=60, workers=2),
    Lane("kernels", "tests/kernels", budget_s=120, workers=2),
    Lane("contract", "tests/contract", budget_s=120),
    Lane("s3", "tests/s3", budget_s=240, workers=2, share="loadfile"),
    Lane(
        "s3-inprocess",
        "tests/s3",
        budget_s=60,
        workers=2,
        share="loadfile",
        environment={"FASTOBJ_TEST_SERVER": "inprocess"},
    ),
    Lane("hardening", "tests/hardening", budget_s=60, workers=2, share="loadfile"),
    Lane("fuzz", "tests/fuzz", budget_s=60, workers=2, share="loadfile"),
    Lane("observability", "tests/observability", budget_s=30),
    Lane("connections", "tests/connections", budget_s=60, workers=2, waits=True, share="loadfile"),
    Lane("faults", "tests/faults", budget_s=120),
    Lane("conformance", "tests/conformance", budget_s=60),
    Lane("image", "tests/image", budget_s=90),
    Lane("clients", "tests/clients", budget_s=240, workers=2),
    Lane("crash", "tests/crash", budget_s=120),
    Lane("churn", "tests/churn", budget_s=45),
    Lane("model", "tests/model", budget_s=30, timeout_long_s=3600),
)


@dataclass(frozen=True)
class Result:
    """How a lane ended; `reasons` are the lines in which pytest says what failed."""

    lane: Lane
    word: str
    seconds: float
    reasons: Sequence[str] = ()


def lane_of(path: str) -> Lane | None:
    """The lane that runs the test file at this path (relative to the root)."""
    return next((lane for lane in LANES if f"{path}/".startswith(f"{lane.path}/")), None)


def command_of(lane: Lane, long: bool, seed: int) -> list[str]:
    """The command that runs a lane."""
    if lane.name == "house":  # formats, lint and types as well: they are one check
        return [sys.executable, "-m", "tools.check"]
    command = [sys.executable, "-m", "pytest", lane.path, "-q"]
    command += ["-m", "long" if long else "not long"]
    command += [f"--seed={seed}", f"--hypothesis-seed={seed}"]
    if long:
        command += [f"--timeout={lane.timeout_long_s}"]
    elif lane.workers:
        command += ["-n", str(lane.workers), "--dist", lane.share]
    return command


def run(lane: Lane, long: bool, seed: int, *, beside: bool = False) -> Result:
    """Run one lane; its output is shown at once, or when it ends if others run `beside` it."""
    if not (ROOT / lane.path).exists():
        return Result(lane, "absent", 0.0)
    head = f"\n=== {lane.name} " + "=" * (70 - len(lane.name))
    if not beside:
        print(head, flush=True)
    begin = time.monotonic()
    output = b""
    with subprocess.Popen(
        command_of(lane, long, seed),
        cwd=ROOT,
        env={**os.environ, **lane.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as tests:
        assert tests.stdout is not None
        while piece := tests.stdout.read(1 << 16):
            output += piece
            if not beside:
                show(piece)
    if beside:
        show(f"{head}\n".encode() + output)
    word = {0: "ok", NO_TESTS_COLLECTED: "empty"}.get(tests.returncode, "FAILED")
    return Result(lane, word, time.monotonic() - begin, reasons_in(output))


def show(output: bytes) -> None:
    """Prints what a lane has printed, at once."""
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()


def reasons_in(output: bytes) -> list[str]:
    """The lines that say what failed: what is above them may be cut where a run is shown."""
    lines = output.decode(errors="replace").splitlines()
    return [line for line in lines if line.startswith(REASONS)]


def run_all(lanes: Sequence[Lane], long: bool, seed: int) -> list[Result]:
    """Run them: first those that fill all processors, then the others together, longest first."""
    alone = [lane for lane in lanes if lane.workers and not lane.waits and not long]
    others = sorted((lane for lane in lanes if lane not in alone), key=lambda lane: -lane.budget_s)
    results = [run(lane, long, seed) for lane in alone]
    beside = not long and len(others) > 1
    with ThreadPoolExecutor(BESIDE_MAX if beside else 1) as threads:
        results += threads.map(partial(run, long=long, seed=seed, beside=beside), others)
    return sorted(results, key=lambda result: LANES.index(result.lane))


def summary(results: Sequence[Result], long: bool, seed: int, seconds: float) -> str:
    """The closing lines: each lane, its time, and how to repeat what failed."""
    lines = ["", "=== summary " + "=" * 63]
    for result in results:
        late = not long and result.seconds > result.lane.budget_s
        remark = f"  (over its {result.lane.budget_s} s)" if late else ""
        lines.append(f"{result.lane.name:12} {result.word:7} {result.seconds:7.1f} s{remark}")
    failed = [result.lane.name for result in results if result.word == "FAILED"]
    lines.append(f"{'total':12} {'FAILED' if failed else 'ok':7} {seconds:7.1f} s  seed {seed}")
    if failed:
        target = "long" if long else "test"
        lines += [reason for result in results for reason in result.reasons]
        lines.append(f"repeat with: make {target} LANES='{' '.join(failed)}' SEED={seed}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named lanes, or all; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.lanes", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the tests marked long, no others")
    parser.add_argument("lanes", nargs="*", metavar="LANE", help=" ".join(x.name for x in LANES))
    options = parser.parse_args(argv)
    unknown = set(options.lanes) - {lane.name for lane in LANES}
    if unknown:
        parser.error(f"no such lane: {', '.join(sorted(unknown))}")
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))
    print(f"lanes: seed {seed}", flush=True)
    # Each lane has several processes, and they have many: what one compiles, the next ones load.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    chosen = [lane for lane in LANES if not options.lanes or lane.name in options.lanes]
    if options.long:
        chosen = [lane for lane in chosen if lane.name != "house"]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder) / "figures"
        os.environ[figures.VARIABLE] = str(counted)
        results = run_all(chosen, options.long, seed)
        print(summary(results, options.long, seed, time.monotonic() - begin), flush=True)
        if options.long:
            print(f"counted: {figures.words(figures.total(counted))}", flush=True)
    return 1 if any(result.word == "FAILED" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
