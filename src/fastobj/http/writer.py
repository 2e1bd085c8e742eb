"""Writes the responses of one connection, never faster than the client reads. Knows no requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from fastobj.core import limits
from fastobj.http.message import Response
from fastobj.http.render import Renderer, has_body, plain_response


class Writer:
    """The outgoing half of a connection.

    `blocked` is True while something is unwritten, `closed` once the transport is gone: then all
    that is written is dropped.
    """

    __slots__ = ("_loop", "_renderer", "_transport", "_waiter", "blocked", "closed")

    def __init__(
        self, transport: asyncio.Transport, renderer: Renderer, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.blocked = False
        self.closed = False
        self._transport = transport
        self._renderer = renderer
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    def release(self) -> None:
        """All is written, or there is nobody left to write to."""
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
            self.report(error, "a response cannot be sent")
            return self.send(method, plain_response(500), False)
        if not with_body or not body:
            self._transport.write(head)
        elif len(body) <= limits.HTTP_JOIN_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return keep_alive

    async def stream(self, method: bytes, response: Response, keep_alive: bool) -> bool:
        """Writes a response whose body comes in pieces; returns whether the connection is kept.

        A failure before the first piece is still answered; one behind the head cuts the connection:
        a short body must never look whole.
        """
        pieces = cast(AsyncIterator[memoryview], response.body)
        unsent = b""
        try:
            if response.length is None:
                raise ValueError("a body in pieces must say its length")
            unsent = self._head(response, response.length, keep_alive)
            if has_body(method, response.status) and not self.closed:
                unsent = await self._pump(unsent, pieces, response.length)
            if unsent and not self.closed:
                self._transport.write(unsent)
        except _CutShort as cut:
            self.report(cut.cause, "a body failed behind its head")
            if not self.closed:
                self._transport.abort()
            return False
        except Exception as error:
            self.report(error, "a response cannot be sent")
            return self.send(method, plain_response(500), False)
        finally:
            await self._close(pieces)
        return keep_alive

    async def _pump(self, head: bytes, pieces: AsyncIterator[memoryview], length: int) -> bytes:
        """Writes all pieces, the head with the first; returns the head where none came."""
        left = length
        try:
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise ValueError("a body is longer than its response says")
                if self.closed:
                    return b""
                if head:
                    self._transport.writelines((head, piece))
                    head = b""
                else:
                    self._transport.write(piece)
                # The transport refers to the piece until it is written, and the iterator may
                # use its memory again.
                if self.blocked and not await self.flushed():
                    return b""
            if left:
                raise ValueError("a body is shorter than its response says")
        except Exception as error:
            if head:
                raise
            raise _CutShort(error) from error
        return head

    def report(self, error: BaseException, message: str) -> None:
        """Tells the loop's exception handler."""
        self._loop.call_exception_handler({"message": message, "exception": error})

    def _head(self, response: Response, length: int, keep_alive: bool) -> bytes:
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
