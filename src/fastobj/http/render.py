"""Response heads as bytes. Must not know connections."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from fastobj.core.clock import Clock
from fastobj.http.message import Headers, Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# All bytes but those below the space and DEL; the tab may stand in a value.
_PRINTABLE_BYTES: Final = bytes(code for code in range(256) if code == 9 or 31 < code != 127)
_BODILESS: Final = frozenset((204, 304))
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_NS_PER_S: Final = 1_000_000_000


def has_body(method: bytes, status: int) -> bool:
    """Whether a response of that status to that method is followed by a body."""
    return method != b"HEAD" and status not in _BODILESS


def _status_line(status: int) -> bytes:
    phrase = _PHRASES.get(status, "")
    return f"HTTP/1.1 {status} {phrase}\r\nServer: fastobj\r\nDate: ".encode()


def plain_response(status: int) -> Response:
    """A minimal response of the server's own; the connection ends with it."""
    body = f"{status} {_PHRASES.get(status, '')}\n".encode()
    response = Response(status, [(b"Content-Type", b"text/plain")], body)
    response.close = True
    return response


class Renderer:
    """Makes response heads; remembers status lines, and the date for a second."""

    __slots__ = ("_clock", "_date", "_date_s", "_status_lines")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._date = b""
        self._date_s = -1
        self._status_lines: dict[int, bytes] = {}

    def head(self, status: int, headers: Headers, length: int | None, *, close: bool) -> bytes:
        """The head, down to the blank line. `length` is the body's, in bytes; None: in chunks.

        Adds Server, Date, Content-Length (not for 204 and 304) or Transfer-Encoding, and
        Connection: `headers` must hold none of them, and names that are tokens. Raises ValueError
        for a control character.
        """
        line = self._status_lines.get(status)
        if line is None:
            line = self._status_lines[status] = _status_line(status)
        parts = [line, self._today()]
        if headers:
            block = b"".join([b"%b: %b\r\n" % header for header in headers])
            # Whatever is no printable byte must be an end of line of ours: one pass in C.
            if block.translate(None, _PRINTABLE_BYTES) != b"\r\n" * len(headers):
                raise ValueError("a response header holds a control character")
            parts.append(block)
        if length is None:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        elif status not in _BODILESS:
            parts.append(b"Content-Length: %d\r\n" % length)
        parts.append(b"Connection: close\r\n\r\n" if close else b"\r\n")
        return b"".join(parts)

    def _today(self) -> bytes:
        second = self._clock.now_ns() // _NS_PER_S
        if second != self._date_s:
            self._date_s = second
            self._date = formatdate(second, usegmt=True).encode() + b"\r\n"
        return self._date
