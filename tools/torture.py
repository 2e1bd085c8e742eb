"""Attacks on a store for as long as asked: `python -m tools.torture --seconds N [--seed S]`.

Each round runs every instrument once in its bounded form, with a seed of its own that follows from
the first one. The last line has the figures of all rounds; what fails says how to repeat it, and
ends the run.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests import figures

ROOT = Path(__file__).resolve().parent.parent
# What is run, in this order: tests that count figures.
INSTRUMENTS = (
    "tests/crash/test_kill.py",
    "tests/crash/test_power_cut.py",
    "tests/crash/test_server_power_cut.py",
    "tests/churn",
    "tests/faults",
    "tests/model",
    "tests/connections/test_restarts.py",
)


def seeds(first: int) -> Iterator[int]:
    """A seed for each round."""
    rng = random.Random(first)
    yield first
    while True:
        yield rng.randrange(1 << 32)


def run(instrument: str, seed: int, counted: Path) -> bool:
    """Runs one instrument; whether it passed. Its output is shown where it did not."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not long", "-p", "no:cacheprovider"]
    command += [f"--seed={seed}", f"--hypothesis-seed={seed}", instrument]
    environment = {**os.environ, figures.VARIABLE: str(counted)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout + done.stderr)
        print(f"repeat with: {' '.join(command)}", flush=True)
    return done.returncode == 0


def line(sums: Counter[str], rounds: int, seconds: float, seed: int) -> str:
    """The figures in one line."""
    return f"torture: {rounds} rounds in {seconds:.0f} s, seed {seed}: {figures.words(sums)}"


def main() -> int:
    """Tortures until the time is over or something fails; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    asked = parser.parse_args()
    begin = time.monotonic()
    rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder) / "figures"
        for seed in seeds(asked.seed):
            for instrument in INSTRUMENTS:
                elapsed = time.monotonic() - begin
                if rounds and elapsed > asked.seconds:
                    print(line(figures.total(counted), rounds, elapsed, asked.seed))
                    return 0
                print(f"{elapsed:7.0f} s  {instrument}  seed {seed}", flush=True)
                if not run(instrument, seed, counted):
                    print(line(figures.total(counted), rounds, elapsed, asked.seed), "FAILED")
                    return 1
            rounds += 1
    raise AssertionError("seeds never end")


if __name__ == "__main__":
    sys.exit(main())
