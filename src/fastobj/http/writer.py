"""Writes the responses of one connection, never faster than the client reads. Knows no requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, cast

from fastobj.core import limits
from fastobj.http.message import Response
from fastobj.http.queued import unsent_bytes
from fastobj.http.render import Renderer, has_body, plain_response

_LAST_CHUNK: Final = b"0\r\n\r\n"


class Writer:
    """The outgoing half of a connection.

    `blocked` is True while something is unwritten, `closed` once the transport is gone: then all
    that is written is dropped. Of the latest response, `sent_bytes` counts the body's bytes, and
    `whole` tells whether all of it was handed to the transport.
    """

    __slots__ = (
        "_loop",
        "_renderer",
        "_transport",
        "_waiter",
        "blocked",
        "closed",
        "sent_bytes",
        "whole",
    )

    def __init__(
        self, transport: asyncio.Transport, renderer: Renderer, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.blocked = False
        self.closed = False
        self.sent_bytes = 0
        self.whole = False
        self._transport = transport
        self._renderer = renderer
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    def unread_bytes(self) -> int:
        """What was written and has not reached the client: here, and in the kernel's buffer.

        That buffer takes more in large steps, and so alone would hide a client that reads slowly.
        """
        return self._transport.get_write_buffer_size() + unsent_bytes(self._transport)

    def close(self) -> None:
        """There is nobody left to write to."""
        self.closed = True
        self.release()
        del self._transport

    def release(self) -> None:
        """All is written, or never will be."""
        self.blocked = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def flushed(self) -> bool:
        """Waits until all is written (True) or the connection is gone (False)."""
        if self.blocked:
            self._waiter = self._loop.create_future()
            await self._waiter
        return not self.closed

    def send(self, method: bytes, response: Response, keep_alive: bool) -> bool:
        """Writes a response whose body is bytes; returns whether the connection can be kept."""
        self.sent_bytes, self.whole = 0, False
        if self.closed:
            return False
        body = cast(bytes, response.body)
        length = response.length if response.length is not None else len(body)
        with_body = has_body(method, response.status)
        try:
            if with_body and length != len(body):
                raise ValueError("a body is not as long as its response says")
            head = self._head(response, length, keep_alive)
        except ValueError as error:
            return self._send_failure(method, error)
        if not with_body or not body:
            self._transport.write(head)
        elif len(body) <= limits.HTTP_JOIN_BYTES_MAX:
            self._transport.write(head + body)
            self.sent_bytes = len(body)
        else:
            self._transport.writelines((head, body))
            self.sent_bytes = len(body)
        self.whole = True
        return keep_alive

    async def stream(self, method: bytes, response: Response, keep_alive: bool) -> bool:
        """Writes a response whose body comes in pieces; returns whether the connection is kept.

        A failure before the first piece is still answered; one behind the head cuts the connection:
        a short body must never look whole.
        """
        pieces = cast(AsyncIterator[memoryview], response.body)
        self.sent_bytes, self.whole = 0, False
        unsent = b""
        try:
            length = None if response.chunked else response.length
            if length is None and not response.chunked:
                raise ValueError("a body in pieces must say its length")
            unsent = self._head(response, length, keep_alive)
            if has_body(method, response.status) and not self.closed:
                unsent = await self._pump(unsent, pieces, length)
            if unsent and not self.closed:
                self._transport.write(unsent)
            self.whole = not self.closed
        except _CutShort as cut:
            self.report(cut.cause, "a body failed behind its head")
            if not self.closed:
                self._transport.abort()
            return False
        except Exception as error:
            return self._send_failure(method, error)
        finally:
            await self._close(pieces)
        return keep_alive

    async def _pump(
        self, head: bytes, pieces: AsyncIterator[memoryview], length: int | None
    ) -> bytes:
        """Writes all pieces, the head with the first; returns what is unwritten in the end.

        Without a length each piece is a chunk, and the last chunk tells the end.
        """
        left = length or 0
        try:
            async for piece in pieces:
                left -= len(piece)
                if left < 0 and length is not None:
                    raise ValueError("a body is longer than its response says")
                if self.closed:
                    return b""
                if not piece:
                    continue  # as a chunk it would be the last one
                if length is None:
                    self._transport.writelines((head + b"%x\r\n" % len(piece), piece, b"\r\n"))
                elif head:
                    self._transport.writelines((head, piece))
                else:
                    self._transport.write(piece)
                head = b""
                # The transport refers to the piece until it is written, and the iterator may
                # use its memory again.
                if self.blocked and not await self.flushed():
                    return b""
                self.sent_bytes += len(piece)
            if left and length is not None:
                raise ValueError("a body is shorter than its response says")
        except Exception as error:
            if head:
                raise
            raise _CutShort(error) from error
        return head if length is not None else head + _LAST_CHUNK

    def report(self, error: BaseException, message: str) -> None:
        """Tells the loop's exception handler."""
        self._loop.call_exception_handler({"message": message, "exception": error})

    def _send_failure(self, method: bytes, error: Exception) -> bool:
        """Answers 500 in place of a response that cannot be sent; the connection ends with it."""
        self.report(error, "a response cannot be sent")
        if not self.closed:
            failure = plain_response(500)
            body = cast(bytes, failure.body)
            head = self._head(failure, len(body), False)
            self._transport.write(head + body if has_body(method, 500) else head)
        return False

    def _head(self, response: Response, length: int | None, keep_alive: bool) -> bytes:
        return self._renderer.head(response.status, response.headers, length, close=not keep_alive)

    async def _close(self, pieces: AsyncIterator[memoryview]) -> None:
        """Ends a generator that was not read to its end, so that it lets go of what it holds."""
        aclose = getattr(pieces, "aclose", None)
        if aclose is not None:
            try:
                await aclose()
            except Exception as error:
                self.report(error, "a body could not be closed")


class _CutShort(Exception):
    """A body failed when its head had left."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause
