"""The committer: the one writer of the local log and of the metadata database.

The main thread receives frames, applies and answers; a second one writes and syncs. While the
second waits in the kernel, the first receives the next batch: so batches form by themselves
under load, no request waits on a timer, and a lone request commits at once.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Final

import msgspec

from fastobj.core.errors import FastobjError, StoreError
from fastobj.core.limits import IDLE_S
from fastobj.node import frames, links
from fastobj.node.committer_store import CommitterStore
from fastobj.objects.local_ledger import (
    LedgerBatch,
    LocalLedger,
    Pending,
    Result,
)

EXIT_FENCED: Final = 75  # a sync failed: the supervisor starts all processes anew
_RECEIVE_BYTES: Final = 1 << 20
_INLINE_MAX: Final = 1  # a batch up to here is written by the main thread: nothing to overlap


class Peer:
    """One link: a worker's or the maintenance process's.

    `closed` once nothing more is received; it stays attached while `open` requests are not done.
    """

    def __init__(self, sock: socket.socket, owner: int) -> None:
        self.sock = sock
        self.owner = owner
        self.reader = frames.FrameReader()
        self.out: list[bytes] = []
        self.committed: list[int] = []  # requests all of whose entries were, told by one frame
        self.waits_to_send = False
        self.open = 0
        self.closed = False

    def send(self, parts: list[bytes]) -> None:
        """Queues a frame; `flush` sends all that queued at once."""
        self.out += parts

    def flush(self, sequence: int) -> bool:
        """Sends what fits; True when nothing is left. `sequence` is the last block's."""
        if self.committed:
            head = frames.CommittedHead(sequence, self.committed)
            self.send(frames.encode(frames.COMMITTED, 0, head))
            self.committed = []
        if not self.out:
            return True
        data = self.out[0] if len(self.out) == 1 else b"".join(self.out)
        try:
            sent = self.sock.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:  # it died: what it sent before is still read, down to the end
            sent = len(data)
        self.out = [data[sent:]] if sent < len(data) else []
        return not self.out


class _Request:
    """One commit frame on its way: its answer leaves when the last of its entries is done."""

    __slots__ = ("_ledger", "_left", "_peer", "_request", "_results")

    def __init__(self, peer: Peer, request: int, count: int, ledger: LocalLedger) -> None:
        self._peer = peer
        self._request = request
        self._results: list[Result] = [None] * count
        self._left = count
        self._ledger = ledger
        peer.open += 1

    def done(self, index: int, result: Result) -> None:
        self._results[index] = result
        self._left -= 1
        if not self._left:
            self._answer()

    def _answer(self) -> None:
        peer = self._peer
        peer.open -= 1
        if not any(self._results):
            peer.committed.append(self._request)
            return
        results = [frames.result_head(error) for error in self._results]
        answer = frames.AnswerHead(self._ledger.last_sequence, results)
        peer.send(frames.encode(frames.ANSWER, self._request, answer))


class Committer:
    """The loop. `run` returns the exit status of the process."""

    def __init__(self, store: CommitterStore, control: socket.socket) -> None:
        self._store = store
        self._ledger = store.ledger
        self._control = control
        self._epoll = select.epoll()
        self._peers: dict[int, Peer] = {}
        self._writer = _WriterThread(store.write)
        self._batch: LedgerBatch | None = None
        # Kept for good: a fresh megabyte for each receive costs more than all else in it.
        self._received = memoryview(bytearray(_RECEIVE_BYTES))
        self._stopping = False
        self._nudge = self._hinted = True
        self._has_events = False  # committed since the last nudge
        self._worked = True  # since the process was last idle
        control.setblocking(False)
        for fd in (control.fileno(), self._writer.eventfd):
            self._epoll.register(fd, select.EPOLLIN)

    def run(self) -> int:
        """Serves links until told to stop, or until a sync fails.

        The answers of a failed batch leave before it returns, as far as the links take them.
        """
        while not (self._stopping and self._batch is None and not self._ledger.waiting()):
            occurred = self._epoll.poll(IDLE_S if self._worked else None)
            for fd, events in occurred:
                self._on_event(fd, events)
            if not occurred and self._batch is None:
                self._rest()
            self._advance()
            self._flush()
            if self._ledger.fenced is not None:
                self._store.log_fence(self._ledger.fenced)
                return EXIT_FENCED
        self._writer.close()
        return 0

    def _rest(self) -> None:
        """Once after work: nothing is left to replay, and memory goes back."""
        self._worked = False
        self._store.rest()

    def close(self) -> None:
        """Lets go of all links: whoever waits for an answer asks the next committer."""
        for peer in self._peers.values():
            peer.sock.close()
        self._peers.clear()
        self._epoll.close()

    # --- events

    def _on_event(self, fd: int, events: int) -> None:
        if fd == self._control.fileno():
            self._on_control()
        elif fd == self._writer.eventfd:
            self._on_written()
        elif fd in self._peers:
            self._on_link(self._peers[fd], events)

    def _on_control(self) -> None:
        messages, alive = links.receive_all(self._control)
        self._stopping = self._stopping or not alive
        for message in messages:
            if message.kind == links.LINK:
                self._attach(message)
            elif message.kind == links.STOP:
                self._stopping = True

    def _attach(self, message: links.Message) -> None:
        """Takes up a link. Maintenance hears of the peer before the peer can send anything."""
        if message.fd < 0:
            raise StoreError("a link did not arrive: raise the limit of open files (ulimit -n)")
        peer = Peer(socket.socket(fileno=message.fd), message.argument)
        peer.sock.setblocking(False)
        self._peers[message.fd] = peer
        self._epoll.register(message.fd, select.EPOLLIN)
        ready = frames.ReadyHead(self._ledger.last_sequence)
        peer.send(frames.encode(frames.READY, 0, ready))
        self._send_nudge()

    def _on_link(self, peer: Peer, events: int) -> None:
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self._receive(peer)

    def _receive(self, peer: Peer) -> None:
        try:
            count = peer.sock.recv_into(self._received)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self._close(peer)
            return
        try:
            for frame in peer.reader.feed(bytes(self._received[:count])):
                self._on_frame(peer, frame)
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            self._store.log.error("a link is closed: %s", error)
            self._close(peer)

    def _close(self, peer: Peer) -> None:
        """Nothing more is received; what was received goes on."""
        peer.closed = True
        self._epoll.unregister(peer.sock.fileno())

    def _on_frame(self, peer: Peer, frame: frames.Frame) -> None:
        if frame.kind == frames.COMMIT:
            self._submit(peer, frame)
        elif frame.kind == frames.OUTCOME:
            self._answer_outcome(peer, frame)

    def _submit(self, peer: Peer, frame: frames.Frame) -> None:
        entries = frames.decode_commit(frame)
        if not entries:
            raise ValueError("a commit of nothing")
        request = _Request(peer, frame.request, len(entries), self._ledger)
        for index, (entry, payloads) in enumerate(entries):
            self._ledger.submit(Pending(entry, payloads, partial(request.done, index)))

    def _answer_outcome(self, peer: Peer, frame: frames.Frame) -> None:
        asked = frames.decode_outcome(frame.head)
        outcomes = [self._ledger.outcomes.ask(txn_id, asked.since).value for txn_id in asked.ids]
        answer = frames.AnswerHead(self._ledger.last_sequence, [], outcomes)
        peer.send(frames.encode(frames.ANSWER, frame.request, answer))

    # --- batches

    def _advance(self) -> None:
        """Commits until the queue is empty or a batch is with the writer."""
        while self._batch is None:
            batch = self._ledger.prepare()
            if batch is None:
                return
            if batch.block is not None and len(batch.accepted) > _INLINE_MAX:
                self._batch = batch
                self._writer.submit(batch)
                return
            self._finish(batch, self._write_inline(batch))

    def _write_inline(self, batch: LedgerBatch) -> FastobjError | None:
        try:
            self._store.write(batch)
        except FastobjError as error:
            return error
        return None

    def _on_written(self) -> None:
        batch, error = self._writer.result()
        self._batch = None
        self._finish(batch, error)

    def _finish(self, batch: LedgerBatch, error: FastobjError | None) -> None:
        if error is not None:
            self._ledger.fail(batch, error)
        else:
            self._ledger.complete(batch)
            self._has_events = self._has_events or batch.events > 0
        self._nudge = self._nudge or batch.released
        self._hinted = self._hinted or batch.hinted
        self._store.count(batch)
        self._worked = True

    # --- what goes out

    def _flush(self) -> None:
        sequence = self._ledger.last_sequence
        for fd, peer in list(self._peers.items()):
            waits = not peer.flush(sequence)
            if peer.closed:
                if not peer.open:
                    self._detach(fd, peer)
            elif waits != peer.waits_to_send:
                peer.waits_to_send = waits
                self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if waits else 0))
        self._flush_nudge()

    def _detach(self, fd: int, peer: Peer) -> None:
        """All that the peer sent has been committed: what it owned may be sealed behind it."""
        del self._peers[fd]
        peer.sock.close()
        self._nudge = True

    def _flush_nudge(self) -> None:
        has_work = self._store.wants_maintenance() or self._nudge
        if has_work or self._hinted or self._has_events:
            self._send_nudge(has_work, self._hinted, self._has_events)
            self._nudge = self._hinted = self._has_events = False

    def _send_nudge(
        self, has_work: bool = True, hinted: bool = True, has_events: bool = True
    ) -> None:
        attached = [peer.owner for peer in self._peers.values()]
        covered = self._store.covered_sequence
        nudge = frames.NudgeHead(attached, covered, has_work, hinted, has_events)
        for peer in self._peers.values():
            if self._store.is_maintenance(peer.owner):
                peer.send(frames.encode(frames.NUDGE, 0, nudge))
                peer.flush(self._ledger.last_sequence)


class _WriterThread:
    """Writes and syncs one batch at a time; `eventfd` becomes readable when it is done."""

    def __init__(self, write: Callable[[LedgerBatch], None]) -> None:
        self.eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._write = write
        self._in: SimpleQueue[LedgerBatch | None] = SimpleQueue()
        self._out: SimpleQueue[tuple[LedgerBatch, BaseException | None]] = SimpleQueue()
        self._thread = Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: LedgerBatch) -> None:
        """Hands a batch over."""
        self._in.put(batch)

    def result(self) -> tuple[LedgerBatch, FastobjError | None]:
        """The batch that was written, and what it failed with. Raises what nobody foresaw."""
        os.eventfd_read(self.eventfd)
        batch, error = self._out.get()
        if error is not None and not isinstance(error, FastobjError):
            raise error
        return batch, error

    def close(self) -> None:
        """Ends the thread."""
        self._in.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._in.get()) is not None:
            error: BaseException | None = None
            try:
                self._write(batch)
            except BaseException as failure:  # raised again in the main thread
                error = failure
            self._out.put((batch, error))
            os.eventfd_write(self.eventfd, 1)
