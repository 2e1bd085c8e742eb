"""The access log: one JSON line for each exchange with a client, in a file of its own.

Signatures, tokens and whatever else looks like a secret are replaced by `*`; control characters
are escaped. Lines are gathered for a few milliseconds and appended in one write, so that workers
share a file. What cannot be written is lost and counted: no request fails or waits for it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

import msgspec

from fastobj.core.clock import Clock
from fastobj.core.log import escaped_json
from fastobj.s3.context import Exchange

STANDARD_OUTPUT: Final = "-"
_FLUSH_S: Final = 0.005
_PENDING_BYTES_MAX: Final = 64 * 1024
_TEXT_MAX: Final = 1024  # characters of a key or a target
_HEADER_MAX: Final = 256
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK

_SEPARATORS: Final = re.compile(r"([&\s])")
_SECRET: Final = re.compile(
    r"signature|passw|secret|(?<!continuation-)token|authorization|api.?key|customer-key",
    re.IGNORECASE,
)
_encoder: Final = msgspec.json.Encoder()


class Line(msgspec.Struct, frozen=True, gc=False):
    """The fields of a line. `bytes_in` and `bytes_out` are those of bodies that moved."""

    time: str
    request_id: str
    remote: str
    tls: bool
    requester: str
    access_key: str
    operation: str
    bucket: str
    key: str
    method: str
    target: str
    status: int
    error: str
    bytes_in: int
    bytes_out: int
    duration_us: int
    user_agent: str
    referer: str
    complete: bool


def redacted(text: str) -> str:
    """A target, an URL or a key without the secrets that stand in it as `name=value`.

    Percent-encoding, once or around a whole URL, hides none of them.
    """
    if "=" not in text and "%3" not in text:
        return text
    path, mark, query = text.partition("?")
    return _redacted_parts(path) + mark + _redacted_parts(query)


def _redacted_parts(text: str) -> str:
    return "".join(map(_redacted_part, _SEPARATORS.split(text)))


def _redacted_part(part: str) -> str:
    name, equals, value = unquote(part).partition("=")
    if not equals:
        return part
    if _SECRET.search(name) or ("=" in value and _SECRET.search(value)):
        shown, encoded_otherwise, _ = part.partition("=")
        return f"{shown}=*" if encoded_otherwise else "*"
    return part


class AccessLog:
    """The file, as one process appends to it. `lost` is called with a number of lost lines."""

    def __init__(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        lost: Callable[[int], None],
    ) -> None:
        self._path = path
        self._loop = loop
        self._clock = clock
        self._lost = lost
        self._log = logging.getLogger("fastobj.access")
        self._fd = -1
        self._write_max = 0
        self._room: select.poll | None = None  # of a pipe or a terminal
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_torn = False  # the last line was written in part
        self._is_failing = False
        self._second = -1
        self._second_text = ""

    def write(self, exchange: Exchange, elapsed_ns: int) -> None:
        """Takes a line for an exchange that took that long."""
        line = escaped_json(_encoder.encode(self._line(exchange, elapsed_ns))) + b"\n"
        self._pending.append(line)
        self._pending_bytes += len(line)
        if self._pending_bytes >= _PENDING_BYTES_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_FLUSH_S, self.flush)

    def flush(self) -> None:
        """Writes out what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._pending, self._pending_bytes = self._pending, [], 0
        written = 0
        try:
            for group in self._groups(lines):
                self._append(b"".join(group))
                written += len(group)
            self._is_failing = False
        except OSError as error:
            self._fail(error, len(lines) - written)

    def reopen(self) -> None:
        """Goes on in a new file of that name, where the old one was moved away."""
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._is_torn = False

    close = reopen  # a line that came later would open the file again

    def _line(self, exchange: Exchange, elapsed_ns: int) -> Line:
        request, identity = exchange.request, exchange.identity
        return Line(
            time=self._time(self._clock.now_ns() - elapsed_ns),
            request_id=exchange.request_id,
            remote=request.peer,
            tls=request.secure,
            requester=identity.id if identity is not None else "",
            access_key=identity.access_key if identity is not None else "",
            operation=exchange.op.name if exchange.op is not None else "",
            bucket=exchange.bucket[:_HEADER_MAX],
            key=_shown(exchange.key, _TEXT_MAX),
            method=_shown(request.method, _HEADER_MAX),
            target=_shown(request.target, _TEXT_MAX),
            status=exchange.status,
            error=exchange.error.name if exchange.error is not None else "",
            bytes_in=request.body.received,
            bytes_out=exchange.sent_bytes,
            duration_us=elapsed_ns // 1000,
            user_agent=_shown(request.header(b"user-agent"), _HEADER_MAX),
            referer=_shown(request.header(b"referer"), _HEADER_MAX),
            complete=exchange.complete,
        )

    def _time(self, at_ns: int) -> str:
        second, rest_ns = divmod(at_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{rest_ns // 1_000_000:03d}Z"

    def _groups(self, lines: list[bytes]) -> Iterator[list[bytes]]:
        """What one write takes each: all for a file, for a pipe what it never splits."""
        if lines and self._fd < 0:
            self._open()
        group: list[bytes] = []
        size = 0
        for line in lines:
            size += len(line)
            if group and size > self._write_max:
                yield group
                group, size = [], len(line)
            group.append(line)
        if group:
            yield group

    def _open(self) -> None:
        path = self._path
        self._fd = os.dup(1) if path == STANDARD_OUTPUT else os.open(path, _FLAGS, 0o600)
        is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._write_max = sys.maxsize if is_file else select.PIPE_BUF
        self._room = None if is_file else select.poll()
        if self._room is not None:
            self._room.register(self._fd, select.POLLOUT)

    def _append(self, content: bytes) -> None:
        """Raises OSError where it cannot be written now, or not whole."""
        if self._room is not None and not self._room.poll(0):
            raise BlockingIOError(errno.EAGAIN, "nobody reads it")
        if self._is_torn:
            content = b"\n" + content
        written = os.write(self._fd, content)
        self._is_torn = written < len(content)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _fail(self, error: OSError, lines: int) -> None:
        """Counts lost lines, and tells of it once until lines are written again."""
        self._lost(lines)
        if not self._is_failing:
            self._is_failing = True
            self._log.error("the access log %s cannot be written: %s", self._path, error)


def _shown(received: bytes | None, most: int) -> str:
    """What a client sent, as text of bounded length and without secrets."""
    if not received:
        return ""
    text = redacted(received.decode("utf-8", "backslashreplace"))
    return text if len(text) <= most else text[:most] + "..."
