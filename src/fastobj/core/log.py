"""The log: lines to standard error, each with time, level and the role of its process.

What clients send may stand in a message, so control characters are escaped: no request can forge
a line or steer a terminal.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Final, TextIO

# C0 and C1 controls, DEL, the line separators of Unicode, and the signs that reverse direction.
_ESCAPED: Final = [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES: Final = {code: ascii(chr(code))[1:-1] for code in _ESCAPED}
_ESCAPES_IN_TRACEBACK: Final = {code: text for code, text in _ESCAPES.items() if code != 0x0A}
_FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)-7s {role}[{pid}] %(message)s"


class LineFormatter(logging.Formatter):
    """One line for each message; a traceback follows on lines of its own."""

    converter = staticmethod(time.gmtime)

    def __init__(self, role: str) -> None:
        text = _FORMAT.format(role=role, pid=os.getpid())
        super().__init__(text, datefmt="%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, with what could break it escaped."""
        return super().formatMessage(record).translate(_ESCAPES)

    def formatException(self, ei: object) -> str:
        """The traceback, indented, so that none of its lines looks like a message."""
        text = super().formatException(ei)  # type: ignore[arg-type]  # a private type
        return "  " + text.translate(_ESCAPES_IN_TRACEBACK).replace("\n", "\n  ")


def configure(level: str, stream: TextIO | None = None, role: str = "fastobj") -> None:
    """Sends everything from `level` upwards to `stream` (standard error). May be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(role))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def set_role(role: str) -> None:
    """Says what this process is; called once in each process, after the fork."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LineFormatter(role))


def exception_of_child(role: str) -> None:
    """Logs the exception that ends a child process, before it exits."""
    logging.getLogger(f"fastobj.{role}").critical("this process fails and ends", exc_info=True)


def flush() -> None:
    """Writes out what is buffered: `os._exit` does not."""
    for handler in logging.getLogger().handlers:
        handler.flush()
