"""One HTTP/1.1 connection: heads in, one coroutine per request, answers out in order.

A connection is in one of five states:

    HEAD      waits for a request head, or receives one
    REQUEST   a request is being answered; while its body is incomplete, the connection reads only
              while somebody waits for the body
    DRAIN     the request is answered, the short rest of its body is read away
    LINGER    the last answer is written; what comes is read away, so that no reset overtakes it
    CLOSED    the transport is gone; a task may still run, and its answer is dropped

What arrives behind a request stays in the backlog until that request is answered, and reading
pauses meanwhile: memory is bounded by two reads (256 KiB), whatever the client does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from fastobj.core import limits
from fastobj.http.body import NO_BODY, Body, ChunkedBody, FixedBody, HeldBody
from fastobj.http.cut import Cut
from fastobj.http.deadline import Deadline
from fastobj.http.eager import start
from fastobj.http.goodbye import cut_when_sent
from fastobj.http.head import HeadParser, HeadRefused
from fastobj.http.message import BodyIncomplete, BodyTooLarge, Header, Request, Response
from fastobj.http.queued import descriptor_of, received_bytes
from fastobj.http.render import CONTINUE, plain_response
from fastobj.http.shared import Shared
from fastobj.http.writer import Writer

_TOO_LARGE: Final = frozenset((414, 431))
_RETRY_AFTER: Final = (b"Retry-After", b"1")
_HEAD, _REQUEST, _DRAIN, _LINGER, _CLOSED = range(5)  # see the module's docstring


class Connection(asyncio.BufferedProtocol):
    """The protocol object of one connection."""

    __slots__ = (
        "_body",
        "_deadline",
        "_eof",
        "_expects_continue",
        "_has_room",
        "_lingered_bytes",
        "_loop",
        "_parser",
        "_peer",
        "_reading",
        "_secure",
        "_shared",
        "_state",
        "_target",
        "_task",
        "_transport",
        "_unread_bytes",
        "_writer",
        "backlog",
    )

    _transport: asyncio.Transport
    _writer: Writer

    def __init__(self, shared: Shared, loop: asyncio.AbstractEventLoop) -> None:
        self._shared = shared
        self._loop = loop
        self._deadline = Deadline(loop, self._expired)
        self._parser = HeadParser(shared.head_bytes_max)
        self._state = _HEAD
        self._body: Body = NO_BODY
        self._task: asyncio.Task[None] | None = None
        self._target: memoryview | None = None  # where a reader of the body wants the next bytes
        self._expects_continue = False
        self._has_room: bool | None = None  # None: it has not entered yet
        self._reading = True
        self._eof = False
        self._unread_bytes = 0
        self._lingered_bytes = 0
        self._peer = ""
        self._secure = False
        self.backlog = bytearray()

    # The transport's calls ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open (with TLS: after the handshake)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another base class
        self._secure = transport.get_extra_info("sslcontext") is not None
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        shared = self._shared
        self._writer = Writer(self._transport, shared.renderer, self._loop)
        # Blocked shall mean: something is unwritten. TLS layers of the loops pause at the limit
        # itself, not above it, and would never resume from 0. They may do so in this call: what
        # ends a handshake can be unwritten.
        self._transport.set_write_buffer_limits(high=1 if self._secure else 0, low=0)
        shared.open.add(self)
        shared.changed(len(shared.open))
        if not self.enter():
            self._refuse(503, _RETRY_AFTER)
        elif shared.draining:
            self._part()
        else:
            self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone. A running task goes on: what it sent must end."""
        self._state = _CLOSED
        self._deadline.close()
        self._parser.close()
        self._body.fail(BodyIncomplete("the client went away"))
        self._writer.close()
        del self._transport  # a TLS layer keeps hold of this object: else they would be a cycle
        shared = self._shared
        shared.open.discard(self)
        shared.crowd.leave(self)
        if self._task is None:
            self._body = NO_BODY
        else:
            shared.departed.add(self._task)
            self._task.add_done_callback(shared.departed.discard)
        shared.changed(len(shared.open))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: to the reader of the body, or to the shared buffer."""
        target = self._target
        return self._shared.view if target is None else target

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived where `get_buffer` said."""
        if self._target is not None:
            self._received_body(nbytes)
        elif self._state == _HEAD:
            self._keep(self._receive_head(self._shared.buffer, nbytes), nbytes)
        elif self._state == _REQUEST:
            self._received_ahead(nbytes)
        elif self._state == _DRAIN:
            self._drain(nbytes)
        elif self._state == _LINGER:
            self._lingered_bytes += nbytes
            if self._lingered_bytes > limits.HTTP_LINGER_BYTES_MAX:
                self._cut_off(Cut.LINGER)

    def eof_received(self) -> bool:
        """The client sends no more. True keeps the way open for the answers it still waits for."""
        self._eof = True
        if self._state != _REQUEST:
            return False
        if self._body.is_waiting():
            self._body.fail(BodyIncomplete("the client ended the connection"))
        return not self._secure

    def pause_writing(self) -> None:
        """The socket is full."""
        self._writer.blocked = True
        self._unread_bytes = self._writer.unread_bytes()
        self._deadline.set(self._shared.timeouts.write_s)

    def resume_writing(self) -> None:
        """All is written."""
        self._writer.release()
        if self._state == _REQUEST:
            self._deadline.clear()

    # The body's calls --------------------------------------------------------------------------

    def receive(self, target: memoryview | None) -> None:
        """A reader waits for the body, in `target` if its bytes can go there as they come."""
        if self._state == _CLOSED or self._eof:
            self._body.fail(BodyIncomplete("the client went away"))
            return
        if self._expects_continue:
            self._expects_continue = False
            self._transport.write(CONTINUE)
        self._target = target
        self._deadline.set(self._shared.timeouts.body_s)
        self._resume()

    def rest(self) -> None:
        """Nobody waits for the body any more."""
        self._target = None
        if self._state == _REQUEST:
            self._deadline.clear()
            if not self._body.complete:
                self._pause()

    # The server's calls ------------------------------------------------------------------------

    def enter(self) -> bool:
        """Takes a place among the connections of this process; False where there is no room."""
        if self._has_room is None:
            self._has_room = self._shared.crowd.enter(self)
        return self._has_room

    def retire(self) -> None:
        """Ends the connection now if it is at rest; else it ends with its present request."""
        if self._state == _HEAD and not self._parser.begun:
            self._part()

    def abort(self) -> None:
        """Cuts the connection."""
        if self._state != _CLOSED:
            self._transport.abort()

    # Receiving ---------------------------------------------------------------------------------

    def _receive_head(self, data: bytearray, stop: int) -> int:
        """Takes a head, and a whole small body, from `data[:stop]`; returns how much it took."""
        parser = self._parser
        had_begun = parser.begun
        if not had_begun:
            self._shared.crowd.wake(self)
        try:
            end = parser.feed(data, stop)
        except HeadRefused as refusal:
            if refusal.status in _TOO_LARGE:
                self._shared.cut(Cut.HEADER_BYTES)
            self._refuse(refusal.status)
            return stop
        if parser.complete:
            return self._begin_request(data, end, stop)
        if not had_begun:
            self._deadline.set(self._shared.timeouts.head_s)
        return end

    def _begin_request(self, data: bytearray, end: int, stop: int) -> int:
        """Starts the task that answers the head which ended at `end`."""
        head = self._parser
        length = head.length
        body: Body
        if length == 0:
            body = NO_BODY
            if head.expects_continue:
                # There is nothing to invite, but a client that waits may take whatever comes
                # first for the answer to its next expectation on this connection, too (aws-cli v1).
                self._transport.write(CONTINUE)
        elif length is None:
            body = ChunkedBody(self)
        elif length <= stop - end:
            with memoryview(data) as view:
                body = HeldBody(bytes(view[end : end + length]))
            end += length
        else:
            body = FixedBody(self, length)
        self._body = body
        self._state = _REQUEST
        self._deadline.clear()
        self._expects_continue = False
        if not body.complete:
            self._expects_continue = head.expects_continue
            self._pause()
        request = Request(
            head.method,
            head.target,
            head.headers,
            body,
            peer=self._peer,
            secure=self._secure,
            takes_chunks=head.takes_chunks,
            parts=(head.path, head.query, head.index),
        )
        serving = self._serve(request, head.keep_alive)
        if end < stop or data is not self._shared.buffer:
            self._task = self._loop.create_task(serving)  # the next request is there already
        else:
            self._task = self._start(serving)
        return end

    def _start(self, serving: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Answers at once what needs no waiting; returns the task of what does."""
        try:
            return start(self._loop, serving)
        except Exception as error:
            self._writer.report(error, "a request failed")
            return None

    def _received_body(self, count: int) -> None:
        """Bytes came straight into the reader's buffer."""
        timeouts, target = self._shared.timeouts, self._target
        assert target is not None
        self._deadline.extend(count / timeouts.body_bytes_s, timeouts.body_s)
        self._target = target[count:]
        self._body.filled(count)
        if not self._body.is_waiting():
            self.rest()

    def _received_ahead(self, count: int) -> None:
        """Bytes came while a request runs: for its reader to decode, or for later."""
        taken = 0
        if self._body.is_waiting():
            timeouts = self._shared.timeouts
            self._deadline.extend(count / timeouts.body_bytes_s, timeouts.body_s)
            taken = self._body.feed(self._shared.buffer, count)
            if not self._body.is_waiting():
                self.rest()
        self._keep(taken, count)

    def _keep(self, start: int, stop: int) -> None:
        """Keeps what is left of the shared buffer, and reads no more until it is wanted."""
        if start < stop:
            self.backlog += self._shared.view[start:stop]
            self._pause()

    def _drain(self, count: int) -> None:
        """Reads away the rest of a body whose request is answered."""
        taken = self._body.skip(self._shared.buffer, count)
        self._keep(taken, count)
        if self._body.complete:
            self._next_request()

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self._eof:
            self._reading = True
            self._transport.resume_reading()

    # Answering ---------------------------------------------------------------------------------

    async def _serve(self, request: Request, keep_alive: bool) -> None:
        """Answers one request, then goes on to the next or ends the connection."""
        writer, response, done = self._writer, None, False
        try:
            response = await self._response_to(request)
            keep_alive = keep_alive and not response.close and self._can_go_on()
            if isinstance(response.body, bytes):
                keep_alive = writer.send(request.method, response, keep_alive)
            else:
                keep_alive = await writer.stream(request.method, response, keep_alive)
            done = not writer.blocked or await writer.flushed()
        except BaseException:
            self.abort()
            raise
        finally:
            if response is not None and response.finished is not None:
                self._tell(response.finished, done and writer.whole)
        self._answered(keep_alive)

    def _tell(self, finished: Callable[[int, bool], None], whole: bool) -> None:
        """The response has left, or its client has."""
        try:
            finished(self._writer.sent_bytes, whole)
        except Exception as error:
            self._writer.report(error, "the end of a response could not be told")

    async def _response_to(self, request: Request) -> Response:
        """What the application answers, and something in its place where it fails."""
        try:
            return await self._shared.application(request)
        except BodyIncomplete:
            return plain_response(400)
        except BodyTooLarge:
            return plain_response(413)
        except Exception as error:
            self._writer.report(error, "the application failed")
            return plain_response(500)

    def _can_go_on(self) -> bool:
        """Whether the next request can follow, given how much of the body is still to come."""
        body, backlog = self._body, self.backlog
        if self._shared.draining or body.failed or (self._eof and not backlog):
            return False
        if not body.complete:
            del backlog[: body.skip(backlog, len(backlog))]
        if body.complete:
            return True
        unread = body.unread  # a client that was not told to continue may send all of it, or none
        return not self._expects_continue and (
            unread is not None and unread <= limits.DRAIN_BYTES_MAX
        )

    def _answered(self, keep_alive: bool) -> None:
        """The response is written: on to the next request, or to the end."""
        self._task = None
        if self._state == _CLOSED:
            self._body = NO_BODY
            return
        if not keep_alive:
            self._end()
        elif self._body.complete:
            self._next_request()
        else:
            self._state = _DRAIN
            self._deadline.set(self._shared.timeouts.body_s)
            self._resume()

    def _next_request(self) -> None:
        self._body = NO_BODY
        self._state = _HEAD
        backlog = self.backlog
        if backlog:
            del backlog[: self._receive_head(backlog, len(backlog))]
        if self._state != _HEAD:
            return
        if self._eof:
            self._transport.close()
            return
        if not self._parser.begun:
            if self._shared.draining:
                return self._part()
            self._wait_for_request()
        self._resume()

    def _wait_for_request(self) -> None:
        """Nothing of the next request is there: the connection is at rest."""
        self._shared.crowd.rest(self)
        self._deadline.set(self._shared.timeouts.idle_s)

    # Ending ------------------------------------------------------------------------------------

    def _part(self) -> None:
        """Lets go of a connection at rest: passes it on, or closes it where nothing has come.

        A close that crosses a request looks like its failure. So TLS, whose state cannot be passed
        on, waits a while where others serve on: the answer to a last request says that it is one.
        """
        pass_on = self._shared.pass_on
        descriptor = descriptor_of(self._transport)
        if descriptor is None:
            return  # its end is about to be told
        if pass_on is not None and not self._secure and pass_on(descriptor):
            self._transport.abort()  # here only: the other end stays open
        elif (self._secure and self._shared.last_request) or received_bytes(descriptor):
            self._resume()
            self._deadline.set(self._shared.timeouts.linger_s)
        else:
            self._close()

    def _close(self) -> None:
        """Closes with nothing left to say; a server that ends does not wait for TLS goodbyes."""
        self._transport.close()
        if self._secure and self._shared.draining:
            cut_when_sent(self._loop, self._transport, lambda: self._state == _CLOSED)

    def _refuse(self, status: int, *headers: Header) -> None:
        """Answers a head that cannot be served, and ends the connection."""
        response = plain_response(status)
        response.headers += headers
        self._writer.send(b"GET", response, False)
        self._linger()

    def _cut_off(self, cut: Cut) -> None:
        self._shared.cut(cut)
        self._transport.abort()

    def _end(self) -> None:
        """Ends the connection behind the last answer."""
        if self._body.complete and not self.backlog and self._reading:
            self._close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Closes our side and reads away what still comes, within bounds.

        A close with unread bytes would be a reset, which can destroy the answer on its way.
        """
        self._state = _LINGER
        self._body = NO_BODY
        self.backlog.clear()
        if self._eof:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._resume()
        self._deadline.set(self._shared.timeouts.linger_s)

    def _expired(self) -> None:
        """The deadline has passed: what that means depends on what the connection waits for."""
        if self._writer.blocked and self._state != _LINGER:
            self._expired_writing()
        elif self._state == _REQUEST:
            self._shared.cut(Cut.RATE if self._deadline.is_short else Cut.BODY)
            self._body.fail(BodyIncomplete("the client sends too slowly", stalled=True))
        elif self._state == _HEAD and self._parser.begun:
            self._shared.cut(Cut.HEAD)
            self._refuse(408)
        elif self._state == _HEAD:
            if not self._shared.draining:
                self._shared.cut(Cut.IDLE)
            self._close()
        else:
            self._cut_off(Cut.BODY if self._state == _DRAIN else Cut.LINGER)

    def _expired_writing(self) -> None:
        """Goes on with a client that reads, though slowly, and cuts one that hardly does."""
        timeouts = self._shared.timeouts
        unread = self._writer.unread_bytes()
        read = self._unread_bytes - unread
        if read < timeouts.body_bytes_s * timeouts.write_s:
            self._cut_off(Cut.RATE if read else Cut.WRITE)
        else:
            self._unread_bytes = unread
            self._deadline.set(timeouts.write_s)
