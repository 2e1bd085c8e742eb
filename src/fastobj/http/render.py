"""Response heads as bytes. Must not know connections."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from fastobj._ext import httphead
from fastobj.core.clock import Clock
from fastobj.http.message import Headers, Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_BODILESS: Final = frozenset((204, 304))
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_CLOSE: Final = b"Connection: close\r\n\r\n"
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
    """Makes response heads; remembers their first lines for as long as the second lasts."""

    __slots__ = ("_clock", "_date", "_second_ns", "_starts")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._date = b""
        self._second_ns = -_NS_PER_S  # so that the first head begins one
        self._starts: dict[int, bytes] = {}

    def head(self, status: int, headers: Headers, length: int | None, *, close: bool) -> bytes:
        """The head, down to the blank line. `length` is the body's, in bytes; None: in chunks.

        Adds Server, Date, Content-Length (not for 204 and 304) or Transfer-Encoding, and
        Connection: `headers` must hold none of them, and names that are tokens. Raises ValueError
        for a control character.
        """
        now_ns = self._clock.now_ns()
        if not self._second_ns <= now_ns < self._second_ns + _NS_PER_S:
            self._begin_second(now_ns)
        start = self._starts.get(status)
        if start is None:
            start = self._starts[status] = _status_line(status) + self._date
        if length is None:
            end = b"Transfer-Encoding: chunked\r\n"
        elif status not in _BODILESS:
            end = b"Content-Length: %d\r\n" % length
        else:
            end = b""
        return httphead.render(start, headers, end + (_CLOSE if close else b"\r\n"))

    def _begin_second(self, now_ns: int) -> None:
        second = now_ns // _NS_PER_S
        self._second_ns = second * _NS_PER_S
        self._date = formatdate(second, usegmt=True).encode() + b"\r\n"
        self._starts.clear()
