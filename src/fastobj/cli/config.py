"""`fastobj config`: what settings a server would use, and where each came from."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from fastobj.cli.main import Parser
from fastobj.core.setting_sources import (
    SettingsError,
    add_arguments,
    gather,
    load,
    raise_all,
    show,
    show_json,
    spelled_out,
)

_DESCRIPTION = (
    "show: print every setting with its origin, as a TOML file without the secrets. "
    "check: say whether a server would start with the settings, and all that it would object to."
)


def main(argv: Sequence[str]) -> int:
    """Shows or checks the settings; returns the exit status. Raises SettingsError."""
    parser = Parser("config", _DESCRIPTION)
    parser.add_argument("action", choices=("show", "check"), help="what to do")
    parser.add_argument("--json", action="store_true", help="show as JSON, for programs")
    add_arguments(parser)
    arguments = parser.parse_args(spelled_out(argv))
    if arguments.action == "check":
        settings, faults = gather(arguments, os.environ)
        # Only here: to show settings needs none of the server's modules.
        from fastobj.node import checks

        raise_all([*faults, *map(SettingsError, checks.faults(settings))])
        text = "the settings can be used"
    else:
        settings = load(arguments, os.environ)
        text = show_json(settings) if arguments.json else "\n".join(show(settings))
    sys.stdout.write(f"{text}\n")
    return 0
