"""The log: lines to standard error, each with time, level and the role of its process.

What clients send may stand in a message, so control characters are escaped: no request can forge
a line or steer a terminal. `request_id` says on whose behalf the present task works.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextvars import ContextVar
from typing import Final, TextIO

# C0 and C1 controls, DEL, the line separators of Unicode, and the signs that reverse direction.
_UNSAFE: Final = [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES: Final = {code: ascii(chr(code))[1:-1] for code in _UNSAFE}
_ESCAPES_IN_TRACEBACK: Final = {code: text for code, text in _ESCAPES.items() if code != 0x0A}
_ESCAPES_IN_JSON: Final = {code: f"\\u{code:04x}" for code in _UNSAFE}
_DATE: Final = "%Y-%m-%dT%H:%M:%S"
_DEL: Final = b"\x7f"

request_id: ContextVar[str] = ContextVar("request_id", default="")


class TextFormatter(logging.Formatter):
    """One line for each message; a traceback follows on lines of its own."""

    converter = staticmethod(time.gmtime)

    def __init__(self, role: str) -> None:
        line = f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {role}[{os.getpid()}]%(request)s"
        super().__init__(f"{line} %(message)s", datefmt=_DATE)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, with what could break it escaped."""
        present = request_id.get()
        record.request = f" [{present}]" if present else ""
        return super().formatMessage(record).translate(_ESCAPES)

    def formatException(self, ei: object) -> str:
        """The traceback, indented, so that none of its lines looks like a message."""
        text = super().formatException(ei)  # type: ignore[arg-type]  # a private type
        return "  " + text.translate(_ESCAPES_IN_TRACEBACK).replace("\n", "\n  ")


class JsonFormatter(logging.Formatter):
    """One JSON object for each message, on one line; a traceback is a field of it."""

    converter = staticmethod(time.gmtime)

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role
        self._pid = os.getpid()

    def format(self, record: logging.LogRecord) -> str:
        """The line. All but ASCII is escaped: no text is unfit to be written."""
        fields: dict[str, str | int] = {
            "time": f"{self.formatTime(record, _DATE)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": self._role,
            "pid": self._pid,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if present := request_id.get():
            fields["request_id"] = present
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields).replace("\x7f", "\\u007f")


FORMATTERS: Final = {"text": TextFormatter, "json": JsonFormatter}


def escaped_json(encoded: bytes) -> bytes:
    """JSON with what could steer a terminal escaped too: JSON itself does only C0."""
    if encoded.isascii() and _DEL not in encoded:
        return encoded
    return encoded.decode().translate(_ESCAPES_IN_JSON).encode()


def configure(
    level: str, stream: TextIO | None = None, role: str = "fastobj", format: str = "text"
) -> None:
    """Sends everything from `level` upwards to `stream` (standard error). May be called again.

    `format` is one of FORMATTERS.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(FORMATTERS[format](role))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def set_role(role: str) -> None:
    """Says what this process is; called once in each process, after the fork."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, TextFormatter | JsonFormatter):
            handler.setFormatter(type(handler.formatter)(role))


def exception_of_child(role: str) -> None:
    """Logs the exception that ends a child process, before it exits."""
    logging.getLogger(f"fastobj.{role}").critical("this process fails and ends", exc_info=True)


def flush() -> None:
    """Writes out what is buffered: `os._exit` does not."""
    for handler in logging.getLogger().handlers:
        handler.flush()
