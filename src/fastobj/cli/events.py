"""`fastobj events`: has a running server tell a target again of what has happened."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fastobj.cli.main import Parser
from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError
from fastobj.core.setting_kinds import DURATION
from fastobj.core.setting_sources import add_arguments, load, spelled_out
from fastobj.node import layout as layouts
from fastobj.node.event_delivery import ReplayFolder

_DESCRIPTION = (
    "replay: have the server of a store send a webhook again what has happened since some time ago,"
    " as far as the setting events-retention has kept it. The running server begins within ten"
    " seconds, a stopped one when it starts."
)
_NS_PER_S = 1_000_000_000


class ReplayRefused(FastobjError):
    """A replay that would do nothing; the message says why."""


def main(argv: Sequence[str]) -> int:
    """Asks for a replay; returns the exit status. Raises ReplayRefused, StoreError, OSError."""
    parser = Parser("events", _DESCRIPTION)
    parser.add_argument("action", choices=("replay",), help="what to do")
    parser.add_argument("directory", type=Path, help="the store's directory")
    parser.add_argument("target", help="the id of the webhook")
    parser.add_argument(
        "--since", default="", metavar="AGO", help="such as 30m, 12h or 7d (default: all there is)"
    )
    add_arguments(parser)
    arguments = parser.parse_args(spelled_out(argv))
    settings = load(arguments, os.environ)
    known = [webhook.id for webhook in settings.notify_webhook]
    if arguments.target not in known:
        raise ReplayRefused(f"notify-webhook names no target {arguments.target!r}, but {known}")
    if not settings.events_retention:
        raise ReplayRefused("events-retention is 0: delivered events are not kept")
    since_ns = 0
    if arguments.since:
        try:
            since_ns = SystemClock().now_ns() - DURATION.parse(arguments.since) * _NS_PER_S
        except ValueError as error:
            parser.error(f"--since: {error}")
    layout = layouts.find(arguments.directory)
    ReplayFolder(layout.replays).ask(arguments.target, since_ns)
    sys.stdout.write(f"asked: what is kept is sent to {arguments.target} again\n")
    return 0
