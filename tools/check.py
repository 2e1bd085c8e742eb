"""Formats, lint, types and the rules of the house: `python -m tools.check`, or with `--fix`.

All steps run, whatever fails, so that one run names every fault. The output of a step that passes
is not shown.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import house

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# cython-lint looks for its own tools by name.
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}


@dataclass(frozen=True)
class Step:
    """One tool: its command, the files it is given (none: it finds its own), and how it repairs."""

    name: str
    command: tuple[str, ...]
    globs: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()


C_FILES = ("src/fastobj/_ext/*.[ch]", "tests/**/*.[ch]")
CYTHON_FILES = ("src/fastobj/_ext/*.pyx", "src/fastobj/_ext/*.pxd")

STEPS = (
    Step("ruff format", ("ruff", "format", "--check", "."), fix=("ruff", "format", ".")),
    Step("ruff check", ("ruff", "check", "."), fix=("ruff", "check", "--fix", ".")),
    Step("mypy", ("mypy",)),
    Step(
        "clang-format",
        ("clang-format", "--dry-run", "-Werror"),
        globs=C_FILES,
        fix=("clang-format", "-i"),
    ),
    Step("cython-lint", ("cython-lint",), globs=CYTHON_FILES),
    Step("docs", ("python", "-m", "tools.docs", "--check"), fix=("python", "-m", "tools.docs")),
    Step("house", ("python", "-m", "pytest", "-q", "tests/test_house.py")),
)


def command_of(step: Step, fix: bool) -> list[str] | None:
    """The step's full command; None where it has no files to look at."""
    program, *arguments = step.fix if fix and step.fix else step.command
    files = sorted({str(path.relative_to(ROOT)) for glob in step.globs for path in ROOT.glob(glob)})
    if step.globs and not files:
        return None
    return [str(BIN / program), *arguments, *files]


def run(step: Step, fix: bool) -> bool:
    """Run one step and print one line for it, or all its output when it fails."""
    command = command_of(step, fix)
    if command is None:
        print(f"check: {step.name:13} no files", flush=True)
        return True
    begin = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    word = "ok" if done.returncode == 0 else "FAILED"
    print(f"check: {step.name:13} {word:6} {time.monotonic() - begin:6.1f} s", flush=True)
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode == 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run every step; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.check", description=__doc__)
    parser.add_argument("--fix", action="store_true", help="repair what the tools can repair")
    fix = parser.parse_args(argv).fix
    failed = [step.name for step in STEPS if not run(step, fix)]
    for note in house.notes(house.load(ROOT)):
        print(f"check: note: {note}")
    if failed:
        print(f"check: failed: {', '.join(failed)} (python -m tools.check --fix repairs formats)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
