"""`fastobj clock`: an operator confirms that the machine's clock is right."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastobj.background.timekeeping import LOOK_S, confirmation
from fastobj.cli.main import Parser
from fastobj.core import clock
from fastobj.node import layout as layouts
from fastobj.node.layout import StoreLayout
from fastobj.objects import trusted_time
from fastobj.objects.trusted_time import Reading
from fastobj.s3.dates import instant

_DESCRIPTION: Final = (
    "confirm: say that this machine's clock is right. Retention of locked objects ends by it from"
    " then on, after it was set ahead or the machine was off for more than an hour. Look at the"
    " clock first: what has ended by a wrong one may be deleted. A running server takes it within"
    " half a minute, a stopped one with its next start."
)
_WAIT_S: Final = LOOK_S + 5
_POLL_S: Final = 0.1


def main(argv: Sequence[str]) -> int:
    """Confirms the time; returns the exit status. Raises StoreError."""
    parser = Parser("clock", _DESCRIPTION)
    parser.add_argument("action", choices=("confirm",), help="what to do")
    parser.add_argument("directory", type=Path, help="the store's directory")
    arguments = parser.parse_args(argv)
    layout = layouts.find(arguments.directory)
    clock.configure()
    now = Reading(clock.SystemClock().now_ns(), clock.uptime())
    layouts.write_durably(layout.trusted_time, confirmation(trusted_time.confirmed(now)))
    _give_to_owner(layout.trusted_time)
    sys.stdout.write(f"{instant(now.wall_ns // 10**9)} {_outcome(layout)}\n")
    return 0


def _give_to_owner(path: Path) -> None:
    """The server must read it, whoever this is."""
    owner = path.parent.stat()
    if os.geteuid() != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def _outcome(layout: StoreLayout) -> str:
    """Waits for a server that runs, and says what has become of it."""
    for _ in range(int(_WAIT_S / _POLL_S)):
        if not layout.trusted_time.exists():
            return "is confirmed: the server trusts its clock"
        if not layout.processes.exists():
            break
        time.sleep(_POLL_S)
    return "is confirmed: no server has taken it yet, the next one that starts does"
