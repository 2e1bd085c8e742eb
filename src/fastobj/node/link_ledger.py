"""A peer's end of the link: the ledger of a worker, asked over a socket.

When the committer goes away, what was never sent waits for the next one, and what was sent is
asked about: only "not committed" is sent again. Both wait a bounded time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

import msgspec

from fastobj.core import limits
from fastobj.core.crash_points import reach
from fastobj.core.errors import FastobjError, Unavailable, Unknown
from fastobj.node import frames
from fastobj.objects.ledger import Entry, Outcome

# Answers are short; more at once would cost fresh pages for each.
_RECEIVE_BYTES: Final = 64 * limits.KIB
_LATE: Final = "the committer did not come back in time; the transaction may have been committed"

_log = logging.getLogger("fastobj.link")


class _Ask:
    """One commit asked for. `open` are the indices whose result is not known."""

    __slots__ = ("entries", "future", "open", "results", "sent", "since")

    def __init__(
        self, entries: Sequence[Entry], future: asyncio.Future[list[FastobjError | None]]
    ) -> None:
        self.entries = entries
        self.future = future
        self.open: Sequence[int] = range(len(entries))
        self.results: list[FastobjError | None] = [None] * len(entries)
        self.sent = False
        self.since = 0

    def open_entries(self) -> list[Entry]:
        """The entries whose result is not known."""
        return [self.entries[index] for index in self.open]

    def settle(self, results: Sequence[FastobjError | None]) -> None:
        """Takes the results of the open entries, in order, and answers the caller."""
        for index, result in zip(self.open, results, strict=True):
            self.results[index] = result
        self.succeed()

    def succeed(self) -> None:
        """Answers the caller: the open entries were committed."""
        self.open = ()
        if not self.future.done():
            self.future.set_result(self.results)


class LinkLedger:
    """Implements `objects.ledger.Ledger` over one link at a time.

    `on_lost` is called when a link has been gone for `wait_s_max` seconds and no other came;
    `ready` tells whether a committer is at the other end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        wait_s_max: float = limits.COMMITTER_WAIT_S_MAX,
        on_ready: Callable[[], None] | None = None,
        on_nudge: Callable[[frames.NudgeHead], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._wait_s_max = wait_s_max
        self._on_ready = on_ready
        self._on_nudge = on_nudge
        self._on_lost = on_lost
        self._numbers = count(1)
        self._asks: dict[int, _Ask] = {}
        self._questions: dict[int, _Ask] = {}
        self._sock: socket.socket | None = None
        self._reader = frames.FrameReader()
        self._out = bytearray()
        self._flushing = False
        self._deadline: asyncio.TimerHandle | None = None
        self._lost_at = -math.inf
        self._sequence = 0
        self.ready = False

    @property
    def available(self) -> bool:
        """Whether writes are served: a committer is there, or not away for too long yet."""
        return self.ready or self._loop.time() - self._lost_at < self._wait_s_max

    # --- the ledger

    async def commit(self, entry: Entry) -> None:
        """Commits one. Raises Conflict, Unknown, Unavailable, NoSpace."""
        (error,) = await self._ask((entry,))
        if error is not None:
            raise error

    async def commit_many(self, entries: Sequence[Entry]) -> list[FastobjError | None]:
        """Commits independent transactions in one frame; one result each."""
        return await self._ask(entries) if entries else []

    def _ask(self, entries: Sequence[Entry]) -> asyncio.Future[list[FastobjError | None]]:
        """What the caller awaits: one result each. Raises Unavailable."""
        if len(self._asks) >= limits.COMMIT_QUEUE_MAX:
            raise Unavailable("too many commits wait for the committer")
        ask = _Ask(entries, self._loop.create_future())
        number = next(self._numbers)
        if self.ready:
            self._send_ask(number, ask)
        else:
            self._arm()
        self._asks[number] = ask
        return ask.future

    def _send_ask(self, number: int, ask: _Ask) -> None:
        self._queue(frames.encode_commit(number, ask.open_entries()))
        ask.sent = True
        ask.since = self._sequence

    # --- the link

    def attach(self, sock: socket.socket) -> None:
        """Takes over the link to a new committer."""
        self._detach()
        self._sock = sock
        sock.setblocking(False)
        self._reader = frames.FrameReader()
        self._loop.add_reader(sock.fileno(), self._receive)

    def close(self) -> None:
        """Lets go of the link; whatever is open is answered as if the committer were away."""
        self._detach()
        self._disarm()
        self._answer_open()

    def _detach(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
            self._sock = None
            self._arm()
        if self.ready:
            self.ready = False
            self._lost_at = self._loop.time()
        self._out.clear()
        self._flushing = False
        self._questions.clear()

    def _receive(self) -> None:
        assert self._sock is not None
        try:
            data = self._sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._detach()
            return
        try:
            for frame in self._reader.feed(data):
                self._on_frame(frame)
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            _log.error("the link to the committer is given up: %r", error)
            self._detach()

    def _on_frame(self, frame: frames.Frame) -> None:
        if frame.kind == frames.COMMITTED:
            self._on_committed(frames.decode_committed(frame.head))
        elif frame.kind == frames.ANSWER:
            self._on_answer(frame)
        elif frame.kind == frames.READY:
            self._on_link_ready(frames.decode_ready(frame.head).sequence)
        elif frame.kind == frames.NUDGE and self._on_nudge is not None:
            self._on_nudge(frames.decode_nudge(frame.head))

    def _on_committed(self, head: frames.CommittedHead) -> None:
        self._sequence = head.sequence
        reach("link.answered")
        if not self._questions.keys().isdisjoint(head.requests):
            raise ValueError("a question about outcomes is answered with success")
        for number in head.requests:
            self._asks.pop(number).succeed()

    def _on_answer(self, frame: frames.Frame) -> None:
        answer = frames.decode_answer(frame.head)
        self._sequence = answer.sequence
        reach("link.answered")
        if frame.request in self._questions:
            self._on_outcomes(frame.request, answer.outcomes)
            return
        ask = self._asks[frame.request]
        ask.settle([frames.result_error(result) for result in answer.results])
        del self._asks[frame.request]

    def _on_link_ready(self, sequence: int) -> None:
        """The committer is there: ask about what was sent, send what was not."""
        self.ready = True
        self._disarm()
        for number, ask in self._asks.items():
            if ask.sent:
                ids = [entry.txn.id for entry in ask.open_entries()]
                self._questions[number] = ask
                question = frames.OutcomeHead(ids, ask.since)
                self._queue(frames.encode(frames.OUTCOME, number, question))
        self._sequence = sequence
        for number, ask in self._asks.items():
            if not ask.sent:
                self._send_ask(number, ask)
        if self._on_ready is not None:
            self._on_ready()

    def _on_outcomes(self, number: int, outcomes: Sequence[str]) -> None:
        ask = self._questions.pop(number)
        again: list[int] = []
        for index, outcome in zip(ask.open, outcomes, strict=True):
            if outcome == Outcome.NOT_COMMITTED.value:
                again.append(index)
            elif outcome == Outcome.TOO_OLD.value:
                ask.results[index] = Unknown(_LATE)
        ask.open = again
        if again:
            self._send_ask(number, ask)
        else:
            del self._asks[number]
            ask.settle([])

    # --- sending

    def _queue(self, parts: list[bytes]) -> None:
        """Frames of one turn of the loop leave in one send."""
        for part in parts:
            self._out += part
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        sock = self._sock
        if sock is None or not self._out:
            return
        try:
            sent = sock.send(self._out, socket.MSG_NOSIGNAL)
            reach("link.sent")
        except BlockingIOError:
            sent = 0
        except OSError:  # the end of the link is seen, and handled, by the reader
            sent = len(self._out)
        del self._out[:sent]
        if self._out:
            self._flushing = True
            self._loop.add_writer(sock.fileno(), self._flush_rest)

    def _flush_rest(self) -> None:
        if self._sock is not None:
            self._loop.remove_writer(self._sock.fileno())
        self._flush()

    # --- waiting for a committer

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(self._wait_s_max, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self._answer_open()
        if self._sock is None and self._on_lost is not None:
            self._on_lost()

    def _answer_open(self) -> None:
        asks, self._asks = self._asks, {}
        self._questions.clear()
        for ask in asks.values():
            error: FastobjError = (
                Unknown(_LATE) if ask.sent else Unavailable("the committer is away")
            )
            ask.settle([error] * len(ask.open))
