"""`fastobj config`: what settings a server would use, and where each came from."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from fastobj.cli.main import Parser
from fastobj.core.settings import add_arguments, load, show

_DESCRIPTION = (
    "show: print every setting with its origin, as a TOML file without the secrets. "
    "check: only say whether the settings can be used."
)


def main(argv: Sequence[str]) -> int:
    """Shows or checks the settings; returns the exit status. Raises SettingsError."""
    parser = Parser("config", _DESCRIPTION)
    parser.add_argument("action", choices=("show", "check"), help="what to do")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    settings = load(arguments, os.environ)
    if arguments.action == "show":
        sys.stdout.write("\n".join(show(settings)) + "\n")
    else:
        sys.stdout.write("the settings can be used\n")
    return 0
