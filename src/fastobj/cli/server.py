"""`fastobj server`: builds the settings and hands over to the supervisor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastobj.cli.main import Parser
from fastobj.core import log
from fastobj.core.setting_sources import add_arguments, load, spelled_out


def main(argv: Sequence[str]) -> int:
    """Serves until a signal ends it; returns the exit status. Raises FastobjError, OSError."""
    parser = Parser("server", "Serve the store in DIR, which is made if it does not exist.")
    parser.add_argument("directory", metavar="DIR", help="the store's directory")
    parser.add_argument(
        "--check", action="store_true", help="only say whether the settings could be used"
    )
    add_arguments(parser)
    arguments = parser.parse_args(spelled_out(argv))
    settings = load(arguments, os.environ)
    log.configure(settings.log_level, format=settings.log_format)
    # Only now: bad settings are told at once, and help needs none of the server's modules.
    from fastobj.node import checks, supervisor

    if arguments.check:
        checks.check(settings)
        return 0
    return supervisor.run(settings, Path(arguments.directory).absolute())
