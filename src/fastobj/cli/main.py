"""The `fastobj` command: finds the verb's module and runs it. A verb is one row and one module."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from fastobj import __version__
from fastobj.core.errors import FastobjError
from fastobj.core.nearest import nearest

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

# Verb -> what it does; `fastobj.cli.<verb>` has `main(argv)`, imported only when it is called.
VERBS: Final = {
    "server": "serve the store in a directory",
    "config": "show or check the settings that a server would use",
    "check": "say whether the store in a directory is sound",
    "kms": "list, make, rotate and retire the keys that encrypt objects",
    "clock": "confirm that the clock is right, for locked objects",
    "events": "send events again to a webhook",
    "health": "say whether the server on this machine is ready",
}
_VERSION_WORDS: Final = ("version", "--version", "-V")
_HELP_WORDS: Final = ("help", "--help", "-h")


class Parser(argparse.ArgumentParser):
    """Parses a verb's arguments; a wrong call ends with two lines, not with the whole usage."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"fastobj {verb}", description=description, allow_abbrev=False)

    def parse_args(  # type: ignore[override]  # verbs give words only, and get what is usual
        self, args: Sequence[str]
    ) -> argparse.Namespace:
        """The arguments; of an unknown flag the nearest known one is named."""
        known, left = self.parse_known_args(args)
        unknown = next((word.partition("=")[0] for word in left if word.startswith("-")), None)
        if unknown is not None:
            flags = [flag for action in self._actions for flag in action.option_strings]
            hint = nearest(unknown, flags, f"see `{self.prog} --help`")
            self.error(f"there is no flag {unknown}{hint}")
        if left:
            self.error(f"there is one word too many: {left[0]}")
        return known

    def error(self, message: str) -> NoReturn:
        """Names the fault and where help is; exits with status 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\nSee `{self.prog} --help`.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status: 1 for an error, 2 for a wrong call."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in _VERSION_WORDS:
        sys.stdout.write(f"fastobj {__version__}\n")
        return 0
    if not words or words[0] in _HELP_WORDS:
        (sys.stdout if words else sys.stderr).write(_overview())
        return 0 if words else EXIT_USAGE
    if words[0] not in VERBS:
        hint = nearest(words[0], [*VERBS, "version", "help"], "see `fastobj --help`")
        sys.stderr.write(f"fastobj: there is no command {words[0]!r}{hint}\n")
        return EXIT_USAGE
    return _run(words[0], words[1:])


def _run(verb: str, arguments: list[str]) -> int:
    try:
        module = importlib.import_module(f"fastobj.cli.{verb}")
        return int(module.main(arguments))
    except (FastobjError, OSError) as error:
        sys.stderr.write(f"fastobj {verb}: {error}\n")
        return EXIT_USAGE if getattr(error, "usage", False) else EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _overview() -> str:
    verbs = "".join(f"  {verb:10}{text}\n" for verb, text in VERBS.items())
    return f"""usage: fastobj COMMAND ...

An S3-compatible object store that starts with one command.

commands:
{verbs}  version   say which version this is

`fastobj COMMAND --help` tells more. To begin: fastobj server ./data
"""
