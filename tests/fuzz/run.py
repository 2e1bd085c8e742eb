"""Runs fuzzers by name: `python -m tests.fuzz.run [NAME ...] [--seed N] [--first N] [--rounds N]`.

Without pytest, so that it also runs where a sanitizer is preloaded.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence

from tests.fuzz import harness
from tests.fuzz.fuzzers import FUZZERS


def main(argv: Sequence[str] | None = None) -> None:
    """Runs each of them and prints how many rounds it did, and how many a second."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(FUZZERS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--rounds", type=int, default=0, help="0: as many as a normal run has")
    parser.add_argument("--times", type=int, default=1, help="so many times the normal rounds")
    parser.add_argument("--part", type=int, default=1, help="the normal rounds divided by that")
    parser.add_argument("--unbounded", action="store_true", help="the process may grow")
    options = parser.parse_args(argv)
    for name in options.names or FUZZERS:
        fuzzer = FUZZERS[name]
        rounds = options.rounds or fuzzer.rounds * options.times // options.part
        begin = time.perf_counter()
        harness.run(fuzzer, options.seed, rounds, options.first, bounded=not options.unbounded)
        seconds = time.perf_counter() - begin
        print(f"{name}: {rounds} executions, {rounds / seconds:.0f}/s (seed {options.seed})")


if __name__ == "__main__":
    main()
