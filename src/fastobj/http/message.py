"""Requests and responses: all that the layers above see of HTTP.

Header names are lower-case bytes; values are bytes as received, stripped of outer blanks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, KeysView
from typing import Protocol

Header = tuple[bytes, bytes]
Headers = list[Header]
Parts = tuple[bytes, bytes, dict[bytes, bytes]]  # path, query, the first value of each header


def first_values(headers: Headers) -> dict[bytes, bytes]:
    """The first value of each header."""
    return dict(reversed(headers))


class BodyReader(Protocol):
    """The body of one request. Nothing is read, and no 100 Continue sent, before the first call."""

    @property
    def length(self) -> int | None:
        """The declared length in bytes; None for a chunked transfer."""
        ...

    @property
    def received(self) -> int:
        """How many bytes of the decoded body have been taken from the connection so far."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge above `limit` bytes, BodyIncomplete if cut off."""
        ...

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the body's end; 0 means that it has ended.

        Raises BodyIncomplete where the connection ends or stalls before the body does, and
        ReadInterrupted.
        """
        ...

    def interrupt(self) -> None:
        """Ends the present wait for bytes, if there is one, with ReadInterrupted."""
        ...


class ReadInterrupted(Exception):
    """Somebody else has ended the wait for bytes. Those that came are in the reader's buffer."""


class BodyTooLarge(Exception):
    """The body has more bytes than the caller takes."""


class BodyIncomplete(Exception):
    """The client went away, stalled or sent nonsense before its body was complete.

    `stalled` tells a client that was too slow.
    """

    def __init__(self, message: str, *, stalled: bool = False) -> None:
        super().__init__(message)
        self.stalled = stalled


class BytesBody:
    """A body that is in memory as a whole."""

    __slots__ = ("_content", "_position")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    @property
    def length(self) -> int:
        """The body's length in bytes."""
        return len(self._content)

    @property
    def received(self) -> int:
        """All of it has arrived."""
        return len(self._content)

    async def read(self, limit: int) -> bytes:
        """The rest of the body. Raises BodyTooLarge above `limit` bytes."""
        rest = self._content[self._position :]
        if len(rest) > limit:
            raise BodyTooLarge
        self._position = len(self._content)
        return rest

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the body's end."""
        piece = self._content[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def interrupt(self) -> None:
        """Nothing: nobody ever waits."""


class Request:
    """One request head, and its body to read.

    `header(name)` is the value of a header (lower-case name), the first where it repeats; None if
    absent. `takes_chunks` tells whether the client knows the chunked coding, as all but HTTP/1.0
    do. `parts` are those of target and headers, where the caller has them.
    """

    __slots__ = (
        "_index",
        "body",
        "header",
        "headers",
        "method",
        "path",
        "peer",
        "query",
        "secure",
        "takes_chunks",
        "target",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: BodyReader,
        *,
        peer: str = "",
        secure: bool = False,
        takes_chunks: bool = True,
        parts: Parts | None = None,
    ) -> None:
        self.method = method
        self.target = target
        if parts is None:
            path, _, query = target.partition(b"?")
            parts = path, query, first_values(headers)
        self.path, self.query, self._index = parts  # raw, still percent-encoded
        self.headers = headers
        self.body = body
        self.peer = peer
        self.secure = secure
        self.takes_chunks = takes_chunks
        # No method: it is called so often that a frame for each call would show.
        self.header: Callable[[bytes], bytes | None] = self._index.get

    @property
    def names(self) -> KeysView[bytes]:
        """The names of all headers, each once."""
        return self._index.keys()

    def count(self, name: bytes) -> int:
        """How many headers of that name there are."""
        if len(self._index) == len(self.headers):  # none repeats
            return int(name in self._index)
        return sum(name == other for other, _ in self.headers)

    def with_body(self, headers: Headers, body: BodyReader) -> Request:
        """The request as if it had come with these headers alone, and that body."""
        return Request(
            self.method,
            self.target,
            headers,
            body,
            peer=self.peer,
            secure=self.secure,
            takes_chunks=self.takes_chunks,
        )

    def add(self, headers: Headers) -> None:
        """Adds headers that were said elsewhere; one of a name that is there already is not."""
        new = [(name, value) for name, value in headers if self.header(name) is None]
        if new:
            self.headers = [*self.headers, *new]
            self._index |= first_values(new)


class Response:
    """One response. `body` is bytes, or an iterator with `length` bytes in all.

    A `chunked` one is an iterator whose length nobody knows yet, for clients that take chunks.
    A HEAD response carries the `length` that GET would send, and no body. `finished` is called
    once, when the last byte has been handed over or the connection is gone: with the bytes of the
    body that were sent, and whether that was all of the response.
    """

    __slots__ = ("body", "chunked", "close", "finished", "headers", "length", "status")

    def __init__(
        self,
        status: int,
        headers: Headers | None = None,
        body: bytes | AsyncIterator[memoryview] = b"",
        length: int | None = None,
    ) -> None:
        self.status = status
        self.headers: Headers = headers if headers is not None else []
        self.body = body
        self.length = len(body) if length is None and isinstance(body, bytes) else length
        self.chunked = False
        self.close = False  # end the connection after this response
        self.finished: Callable[[int, bool], None] | None = None


class Application(Protocol):
    """What the HTTP server calls for each request. It must not raise."""

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answers one request."""
        ...
