"""The head of a request: parsed while it arrives, bounded while it grows, refused when unclear.

Where two readings of a head are possible the request is refused, because another server on the way
may have chosen the other one. Must not know connections or bodies.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from fastobj._ext import httphead
from fastobj.core import limits
from fastobj.http.message import Headers, first_values

_BLANK_LINE: Final = b"\r\n\r\n"
# Headers that decide where a message ends or whether it is refused.
_FRAMING: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
_LENGTH_DIGITS_MAX: Final = 18


class HeadRefused(Exception):
    """The head cannot be served; `status` is the answer, and the connection ends with it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"request head refused with {status}")
        self.status = status


def cut_at_blank_line(tail: bytes, data: bytearray, start: int, stop: int) -> int:
    """The index behind the first blank line in `data[start:stop]`, or `stop` where there is none.

    `tail` is what came before, at most 3 bytes, so a blank line is found across two reads. A head
    and a chunked body both end with a blank line: a parser that is fed slices cut here never sees
    a byte of what follows its message.
    """
    if tail:
        across = (tail + data[start : min(start + 3, stop)]).find(_BLANK_LINE)
        if across >= 0:
            return start + across + len(_BLANK_LINE) - len(tail)
    found = data.find(_BLANK_LINE, start, stop)
    return stop if found < 0 else found + len(_BLANK_LINE)


def tail_of(tail: bytes, data: bytearray, start: int, stop: int) -> bytes:
    """The last 3 bytes of `tail + data[start:stop]`, for the next `cut_at_blank_line`."""
    return (tail + data[max(start, stop - 3) : stop])[-3:]


class HeadParser:
    """Parses the heads of one connection, one after the other; its attributes are the latest head.

    `bytes_max` bounds the size of each. `length` is the body's length in bytes, None for a chunked
    transfer. `keep_alive` is False where the client wants the connection to end. `index` has the
    first value of each header.

    A head that has arrived as a whole and is of the ordinary form is read by a kernel in one pass.
    All others are for the general parser, which also says what is wrong with them.
    """

    __slots__ = (
        "_bytes_max",
        "_fed",
        "_framing",
        "_parser",
        "_refusal",
        "_spent",
        "_tail",
        "_version",
        "complete",
        "expects_continue",
        "headers",
        "index",
        "keep_alive",
        "length",
        "method",
        "path",
        "query",
        "takes_chunks",
        "target",
    )

    headers: Headers
    index: dict[bytes, bytes]
    length: int | None

    def __init__(self, bytes_max: int = limits.HEAD_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._parser: HttpRequestParser | None = None
        self._spent = True
        self._version = ""
        self._tail = b""
        self.complete = False
        self.keep_alive = False
        self.method = b""
        self._restart()

    @property
    def begun(self) -> bool:
        """Whether bytes of an incomplete head have arrived."""
        return self._fed > 0 and not self.complete

    def close(self) -> None:
        """Lets go of the parser, whose callbacks point back here."""
        self._parser = None

    def feed(self, data: bytearray, stop: int) -> int:
        """Takes `data[:stop]` up to the end of one head, and returns how many bytes it took.

        `complete` tells whether the head has ended. Raises HeadRefused.
        """
        if self.complete:
            self._fed = 0
        if not self._fed:
            size = self._read_whole(data, stop)
            if size:
                return size
            self._restart()
        if self._spent:
            self._parser, self._spent = HttpRequestParser(self), False
        start = 0
        while start < stop:
            end = cut_at_blank_line(self._tail, data, start, stop)
            self._execute(data, start, end)
            if self.complete:
                self._check()
                return end
            self._tail = tail_of(self._tail, data, start, end)
            start = end
        return stop

    def _read_whole(self, data: bytearray, stop: int) -> int:
        """Takes a head that is ordinary and there as a whole; returns its size, else 0."""
        found = httphead.read(data, stop)
        if found is None or found[0] > self._bytes_max or len(found[2]) > limits.TARGET_BYTES_MAX:
            return 0
        (
            size,
            self.method,
            self.target,
            self.path,
            self.query,
            self.headers,
            self.index,
            self.length,
            self.keep_alive,
            self.expects_continue,
        ) = found
        self._fed = size
        self.takes_chunks = self.complete = True
        return size

    def _restart(self) -> None:
        self._fed = 0
        self._framing: Headers = []
        self._refusal = 400
        self._tail = b""
        self.complete = False
        self.takes_chunks = True
        self.expects_continue = False
        self.headers = []
        self.index = {}
        self.length = 0
        self.target = self.path = self.query = b""

    def _execute(self, data: bytearray, start: int, end: int) -> None:
        """Feeds one slice, counted first: the parser calls nothing while one header grows."""
        parser = self._parser
        assert parser is not None
        allowed = start + self._bytes_max - self._fed
        self._fed += end - start
        try:
            with memoryview(data) as view:
                parser.feed_data(view[start : min(end, allowed)])
        except HttpParserUpgrade:
            # An upgrade may be ignored (RFC 9110, 7.8); the parser itself is of no more use.
            self._spent = True
        except HttpParserError:
            raise HeadRefused(self._refusal) from None
        if end > allowed:
            raise HeadRefused(431)  # a target too long was refused by its own limit

    def on_message_begin(self) -> None:
        """Called by the parser; a slice never holds two messages."""
        if self.complete:
            raise ValueError("bytes behind the head")

    def on_body(self, piece: bytes) -> None:
        """Called by the parser, which is never given a body."""
        raise ValueError("bytes behind the head")

    def on_url(self, part: bytes) -> None:
        """Called by the parser, once for each read that the target spans."""
        self.target += part
        if len(self.target) > limits.TARGET_BYTES_MAX:
            self._refusal = 414
            raise ValueError("target too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each complete header."""
        name = name.lower()
        header = (name, value.strip())
        self.headers.append(header)
        if name in _FRAMING:
            self._framing.append(header)

    def on_headers_complete(self) -> None:
        """Called by the parser while its flags still are those of this message."""
        parser = self._parser
        assert parser is not None
        self.method = parser.get_method()
        self._version = parser.get_http_version()
        self.keep_alive = parser.should_keep_alive()
        self.complete = True

    def _check(self) -> None:
        """Refuses what is unclear, and sets what the framing headers say."""
        if len(self.headers) > limits.HEADERS_MAX:
            raise HeadRefused(431)
        newest = self._version == "1.1"
        if not newest:
            if self._version != "1.0":
                raise HeadRefused(505)
            self.keep_alive = False
        self.takes_chunks = newest
        hosts = lengths = 0
        codings: list[bytes] = []
        for name, value in self._framing:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                lengths += 1
                self.length = _parse_length(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"expect":
                self.expects_continue = newest and value.lower() == b"100-continue"
        if hosts > 1 or (newest and not hosts) or lengths > 1:
            raise HeadRefused(400)
        if not self.target.startswith(b"/"):
            raise HeadRefused(400)  # absolute form, `*`, or the authority of a CONNECT
        if codings:
            self._check_codings(codings, lengths)
        self.path, _, self.query = self.target.partition(b"?")
        self.index = first_values(self.headers)
        if self.length != 0:
            self._spent = True  # it now waits for a body that it will not be given

    def _check_codings(self, codings: list[bytes], lengths: int) -> None:
        if lengths or len(codings) > 1 or self._version != "1.1":
            raise HeadRefused(400)
        if codings[0] != b"chunked":
            raise HeadRefused(501)
        self.length = None


def _parse_length(value: bytes) -> int:
    if not value.isdigit() or len(value) > _LENGTH_DIGITS_MAX:
        raise HeadRefused(400)
    return int(value)
