"""The bodies of requests: what the handlers read, and what the connection fills.

Bytes of a body of known length go straight into the reader's buffer. Must not know transports:
a body asks its `Source` to receive, and is told what came.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from httptools import HttpParserError, HttpRequestParser

from fastobj.core import limits
from fastobj.http.head import cut_at_blank_line, tail_of
from fastobj.http.message import BodyIncomplete, BodyTooLarge, BytesBody, ReadInterrupted

# What makes a fresh parser expect a chunked body. It reports no headers, so that trailers can
# never become any.
_CHUNKED_HEAD: Final = b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


class Source(Protocol):
    """What a body needs of its connection."""

    @property
    def backlog(self) -> bytearray:
        """Bytes received and not yet taken; while the body is incomplete they start with it."""
        ...

    def receive(self, target: memoryview | None) -> None:
        """Starts to receive, into `target` where there is one, until `rest`."""
        ...

    def rest(self) -> None:
        """Ends what `receive` started: nobody waits any more."""
        ...


class HeldBody(BytesBody):
    """A body that had arrived with its head, or an empty one."""

    __slots__ = ()

    complete = True
    failed = False
    unread = 0

    def is_waiting(self) -> bool:
        """Never: there is nothing to wait for."""
        return False

    def feed(self, data: bytearray, stop: int) -> int:
        """Takes nothing: the body is complete."""
        return 0

    def skip(self, data: bytearray, stop: int) -> int:
        """Takes nothing: the body is complete."""
        return 0

    def filled(self, count: int) -> None:
        """Never called: this body never receives."""
        raise AssertionError("a body that is complete received bytes")

    def fail(self, error: BodyIncomplete) -> None:
        """Changes nothing: the body is complete, whatever became of the client."""


class _ArrivingBody:
    """What bodies have in common that are still on their way."""

    __slots__ = ("_error", "_filled", "_source", "_target", "_waiter", "complete", "length")

    def __init__(self, source: Source, length: int | None) -> None:
        self.length = length
        self.complete = False
        self._source = source
        self._error: BodyIncomplete | None = None
        self._target: memoryview | None = None
        self._filled = 0
        self._waiter: asyncio.Future[None] | None = None

    def is_waiting(self) -> bool:
        """Whether a reader waits for bytes."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def failed(self) -> bool:
        """Whether the body ended before its end."""
        return self._error is not None

    def fail(self, error: BodyIncomplete) -> None:
        """Ends the body before its end: the present reader and later ones get the error."""
        if self.complete or self._error is not None:
            return
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def interrupt(self) -> None:
        """Ends the wait of the present reader with ReadInterrupted; the body goes on."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ReadInterrupted())

    async def _wait(self, direct: memoryview | None) -> None:
        """Waits until the buffer is full or the body has ended.

        Raises BodyIncomplete, ReadInterrupted.
        """
        assert self._waiter is None, "one reader at a time"
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        self._source.receive(direct)
        try:
            await waiter
        finally:
            self._waiter = None
            self._source.rest()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class FixedBody(_ArrivingBody):
    """A body of known length."""

    __slots__ = ("unread",)

    length: int

    def __init__(self, source: Source, length: int) -> None:
        super().__init__(source, length)
        self.unread = length

    @property
    def received(self) -> int:
        """How many bytes of the body have been taken from the connection so far."""
        return self.length - self.unread

    async def read(self, limit: int) -> bytes:
        """The rest of the body. Raises BodyTooLarge above `limit` bytes, BodyIncomplete."""
        if self.unread > limit:
            raise BodyTooLarge
        content = bytearray(self.unread)
        await self.readinto(memoryview(content))
        return bytes(content)

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the body's end. Raises BodyIncomplete."""
        wanted = buffer[: self.unread]
        size = len(wanted)
        if not size:
            return 0
        if self._error is not None:
            raise self._error
        at_hand = self._take(self._source.backlog, wanted)
        if at_hand < size:
            self._target, self._filled = wanted[at_hand:], 0
            try:
                await self._wait(self._target)
            finally:
                self._target = None
        return size

    def filled(self, count: int) -> None:
        """Counts bytes that were received straight into the reader's buffer."""
        assert self._target is not None
        self._filled += count
        self._count(count)
        if self._filled == len(self._target):
            self._wake()

    def feed(self, data: bytearray, stop: int) -> int:
        """Takes nothing: this body receives straight into the reader's buffer."""
        return 0

    def skip(self, data: bytearray, stop: int) -> int:
        """Throws away what of `data[:stop]` belongs to the body, and returns its size."""
        taken = min(self.unread, stop)
        self._count(taken)
        return taken

    def _take(self, backlog: bytearray, wanted: memoryview) -> int:
        taken = min(len(backlog), len(wanted))
        if taken:
            with memoryview(backlog) as view:
                wanted[:taken] = view[:taken]
            del backlog[:taken]
            self._count(taken)
        return taken

    def _count(self, count: int) -> None:
        self.unread -= count
        if not self.unread:
            self.complete = True


class ChunkedBody(_ArrivingBody):
    """A body in chunked transfer coding, decoded as it arrives."""

    __slots__ = ("_framing_bytes", "_parser", "_skipping", "_spill", "_tail", "received")

    length: None
    unread = None  # nobody knows how much there is to come

    def __init__(self, source: Source) -> None:
        super().__init__(source, None)
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)
        self._tail = b""
        self.received = 0
        self._framing_bytes = 0
        self._skipping = False
        self._spill = bytearray()  # decoded, and more than the reader's buffer took

    async def read(self, limit: int) -> bytes:
        """The rest of the body. Raises BodyTooLarge above `limit` bytes, BodyIncomplete."""
        content = bytearray()
        piece = bytearray(min(limit + 1, limits.SMALL_BODY_BYTES_MAX))
        while count := await self.readinto(memoryview(piece)):
            content += memoryview(piece)[:count]
            if len(content) > limit:
                raise BodyTooLarge
        return bytes(content)

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the body's end. Raises BodyIncomplete."""
        if not len(buffer):
            return 0
        self._target, self._filled = buffer, 0
        try:
            self._take_spill()
            backlog = self._source.backlog
            if backlog and not self._satisfied:
                del backlog[: self.feed(backlog, len(backlog))]
            if not self._satisfied:
                if self._error is not None:
                    raise self._error
                await self._wait(None)
            return self._filled
        finally:
            self._target = None

    def feed(self, data: bytearray, stop: int) -> int:
        """Decodes `data[:stop]` up to the body's end, and returns how many bytes it took."""
        start = 0
        while start < stop and not self.complete and self._error is None:
            end = cut_at_blank_line(self._tail, data, start, stop)
            self._decode(data, start, end)
            self._tail = tail_of(self._tail, data, start, end)
            start = end
        if self._satisfied:
            self._wake()
        return start if self._error is None else stop

    def skip(self, data: bytearray, stop: int) -> int:
        """Throws away what of `data[:stop]` belongs to the body, and returns its size."""
        self._skipping = True
        return self.feed(data, stop)

    def filled(self, count: int) -> None:
        """Never called: what arrives has to be decoded first."""
        raise AssertionError("a chunked body received bytes undecoded")

    def on_body(self, piece: bytes) -> None:
        """Called by the parser with decoded bytes."""
        self.received += len(piece)
        self._framing_bytes = 0
        if self._skipping:
            return
        target, filled = self._target, self._filled
        room = 0 if target is None else len(target) - filled
        if target is not None and len(piece) <= room:
            target[filled : filled + len(piece)] = piece
            self._filled = filled + len(piece)
            return
        self._spill += piece
        self._take_spill()

    def on_message_complete(self) -> None:
        """Called by the parser behind the last chunk and the trailers."""
        self.complete = True

    @property
    def _satisfied(self) -> bool:
        """Whether a reader that waits has all it can get."""
        if self.complete and not self._spill:
            return True
        return self._target is not None and self._filled == len(self._target)

    def _decode(self, data: bytearray, start: int, end: int) -> None:
        """Feeds one slice. Chunk sizes, extensions and trailers are bounded like a head."""
        assert self._parser is not None
        self._framing_bytes += end - start
        try:
            with memoryview(data) as view:
                self._parser.feed_data(view[start:end])
        except HttpParserError:
            self.fail(BodyIncomplete("malformed chunked body"))
        if self._framing_bytes > limits.HEAD_BYTES_MAX:
            self.fail(BodyIncomplete("chunk framing without content"))
        if self.complete or self._error is not None:
            self._parser = None  # its callbacks point back here

    def _take_spill(self) -> None:
        """Moves decoded bytes into the reader's buffer as far as they fit."""
        if self._target is None or not self._spill:
            return
        taken = min(len(self._spill), len(self._target) - self._filled)
        with memoryview(self._spill) as view:
            self._target[self._filled : self._filled + taken] = view[:taken]
        del self._spill[:taken]
        self._filled += taken


Body = HeldBody | FixedBody | ChunkedBody
NO_BODY: Final = HeldBody(b"")
