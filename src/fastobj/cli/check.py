"""`fastobj check`: whether a store is sound, all of it read and compared."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastobj.cli.main import EXIT_FAILED, Parser
from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError, StoreDamaged
from fastobj.core.limits import MIB

if TYPE_CHECKING:
    from fastobj.objects.check import Problem, Progress

EXIT_DAMAGED: Final = EXIT_FAILED
EXIT_NOT_CHECKED: Final = 2
_DESCRIPTION: Final = (
    "Check the store in DIR while no server runs on it: rows, counters, files, and every stored"
    " byte. Nothing is repaired, and nothing is changed but what each start of a server changes."
    " Exit status 0: sound; 1: damage was found; 2: it could not be checked."
)
_SHOW_S: Final = 0.5
_CLEAR_LINE: Final = "\r\x1b[K"


def main(argv: Sequence[str]) -> int:
    """Checks the store; returns the exit status."""
    parser = Parser("check", _DESCRIPTION)
    parser.add_argument("directory", metavar="DIR", help="the store's directory")
    parser.add_argument(
        "--quick", action="store_true", help="compare rows and files; leave the bodies unread"
    )
    parser.add_argument(
        "--json", action="store_true", help="a JSON line for each problem, and one at the end"
    )
    arguments = parser.parse_args(argv)
    report = _Report(arguments.json, arguments.quick)
    try:
        return asyncio.run(_run(Path(arguments.directory), arguments.quick, report))
    except StoreDamaged as error:  # so that it cannot even be opened
        return report.refused(error, EXIT_DAMAGED)
    except (FastobjError, OSError) as error:
        return report.refused(error, EXIT_NOT_CHECKED)


async def _run(directory: Path, quick: bool, report: _Report) -> int:
    # Only here: help needs none of the store's modules.
    from fastobj.node import store_check

    showing = asyncio.create_task(report.show_progress())
    try:
        done = await store_check.check(directory, report.tell, report.begun, bodies=not quick)
    finally:
        showing.cancel()
        report.clear()
    return report.verdict(done)


class _Report:
    """What a person or a program is told: problems and verdict on stdout, progress on stderr."""

    def __init__(self, is_json: bool, is_quick: bool) -> None:
        self._is_json = is_json
        self._is_quick = is_quick
        self._is_terminal = sys.stderr.isatty()
        self._clock = SystemClock()
        self._began_ns = self._clock.monotonic_ns()
        self._progress: Progress | None = None

    def begun(self, progress: Progress) -> None:
        """The store is open; these figures grow."""
        self._progress = progress
        self._began_ns = self._clock.monotonic_ns()

    def tell(self, problem: Problem) -> None:
        """One line."""
        self.clear()
        if self._is_json:
            self._write_json(problem._asdict())
        else:
            sys.stdout.write(f"{problem.line()}\n")

    def verdict(self, done: Progress) -> int:
        """The last line; returns the exit status."""
        from fastobj.objects.check import as_fields

        if done.problems:
            verdict, status = "damaged", EXIT_DAMAGED
        elif done.missing:
            verdict, status = "not checked", EXIT_NOT_CHECKED
        else:
            verdict, status = "sound", 0
        if self._is_json:
            fields = {"verdict": verdict, "quick": self._is_quick, "seconds": self._seconds()}
            self._write_json({**fields, **as_fields(done)})
        else:
            sys.stdout.write(f"{verdict}: {self._figures(done)}\n")
        return status

    def refused(self, error: Exception, status: int) -> int:
        """It was not checked; returns the exit status."""
        verdict = "damaged" if status == EXIT_DAMAGED else "not checked"
        if self._is_json:
            self._write_json({"verdict": verdict, "reason": str(error)})
        elif status == EXIT_DAMAGED:
            sys.stdout.write(f"{verdict}: the store cannot be opened: {error}\n")
        else:
            sys.stderr.write(f"fastobj check: {error}\n")
        return status

    async def show_progress(self) -> None:
        """Writes a line over and over, where somebody looks."""
        while self._is_terminal:
            await asyncio.sleep(_SHOW_S)
            if self._progress is not None:
                sys.stderr.write(_CLEAR_LINE + self._line(self._progress))
                sys.stderr.flush()

    def clear(self) -> None:
        """Takes the line of the progress away."""
        if self._is_terminal:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()

    def _line(self, now: Progress) -> str:
        line = f"{now.rows} rows, {now.problems} problems"
        if self._is_quick:
            return line
        part = min(1.0, now.read_bytes / now.total_bytes) if now.total_bytes else 1.0
        rate = now.read_bytes / MIB / max(self._seconds(), 1e-3)
        return f"{line}, {now.read_bytes // MIB} MiB read ({part:.0%}), {rate:.0f} MiB/s"

    def _figures(self, done: Progress) -> str:
        rest = f"{done.rows} rows, {done.buckets} buckets and {done.objects} objects were compared"
        if self._is_quick:
            rest += "; no bodies were read (--quick)"
        else:
            rest += f"; {done.bodies} bodies of {done.read_bytes} bytes were read and verified"
        if done.missing:
            rest += f"; BLAKE3 sums could not be compared: {done.missing}"
        found = f"{done.problems} problems, {done.notes} notes. " if done.problems else ""
        return f"{found}{rest} in {self._seconds():.1f} s"

    def _seconds(self) -> float:
        return (self._clock.monotonic_ns() - self._began_ns) / 1e9

    def _write_json(self, fields: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
