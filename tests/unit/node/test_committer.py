"""The committer's loop in a thread of the test, with peers that are plain sockets."""

import socket
import threading

import msgspec
import pytest

from fastobj._ext.crc import crc32c
from fastobj.core.errors import Conflict, SyncFailed, Unknown
from fastobj.core.metrics import Metric
from fastobj.core.settings import Settings
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, ANY, DELETE, BodyRef, Row, Txn, new_txn_id
from fastobj.node import frames, links
from fastobj.node.committer import EXIT_FENCED, Committer
from fastobj.node.committer_store import CommitterStore
from fastobj.node.layout import prepare
from fastobj.node.shared_page import MAINTENANCE, SharedPage
from fastobj.objects.ledger import Entry, Outcome
from fastobj.storage.base import SmallBody

SPACE = 2
SETTINGS = Settings(log_segment_bytes_min=256 * 1024, log_segment_bytes_max=256 * 1024)


def entry(key: bytes, value: bytes = b"v", expect=ANY) -> Entry:
    return Entry(Txn(new_txn_id(), [Row(SPACE, key, expect, value)]))


class Peer:
    """One link to the committer."""

    def __init__(self, committer: "Running", owner: int) -> None:
        self.sock, theirs = links.link_pair()
        self.sock.settimeout(20)
        self._reader = frames.FrameReader()
        self._frames: list[frames.Frame] = []
        self._asked: dict[int, int] = {}  # request -> entries
        with theirs:
            links.send(committer.control, links.LINK, owner, theirs.fileno())

    def frame(self) -> frames.Frame:
        while not self._frames:
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def send(self, parts: list[bytes]) -> None:
        self.sock.sendall(b"".join(parts))

    def ready(self) -> int:
        frame = self.frame()
        assert frame.kind == frames.READY
        return frames.decode_ready(frame.head).sequence

    def commit(self, *entries: Entry, request: int = 1) -> None:
        self._asked[request] = len(entries)
        self.send(frames.encode_commit(request, entries))

    def answer(self) -> tuple[int, frames.AnswerHead]:
        """The next answer; one of many that came in one frame as if it had come alone."""
        frame = self.frame()
        if frame.kind == frames.COMMITTED:
            head = frames.decode_committed(frame.head)
            request, *others = head.requests
            if others:
                rest = frames.CommittedHead(head.sequence, others)
                self._frames.insert(0, frame._replace(head=msgspec.msgpack.encode(rest)))
            results = [frames.ResultHead()] * self._asked[request]
            return request, frames.AnswerHead(head.sequence, results)
        assert frame.kind == frames.ANSWER
        return frame.request, frames.decode_answer(frame.head)

    def results(self) -> list:
        return [frames.result_error(result) for result in self.answer()[1].results]

    def is_silent(self) -> bool:
        """Whether nothing comes within the time-out of the socket."""
        try:
            return not self.frame()
        except TimeoutError:
            return True

    def nudge(self) -> frames.NudgeHead:
        while (frame := self.frame()).kind != frames.NUDGE:
            pass
        return frames.decode_nudge(frame.head)


class Running:
    """A committer in a thread."""

    def __init__(self, directory) -> None:
        self.layout = prepare(directory)
        self.page = SharedPage()
        self.control, self._theirs = links.control_pair()
        self.status: int | None = None
        self.peers: list[Peer] = []
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._opened.wait(20)

    def _run(self) -> None:
        self.store = CommitterStore(self.layout, SETTINGS, self.page)
        committer = Committer(self.store, self._theirs)
        self._opened.set()
        try:
            self.status = committer.run()
        finally:
            committer.close()
            self.store.close()

    def peer(self, owner: int = 1) -> Peer:
        made = Peer(self, owner)
        self.peers.append(made)
        return made

    def join(self) -> int | None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.status

    def stop(self) -> int | None:
        if self._thread.is_alive():
            links.send(self.control, links.STOP, 1000)
        self.join()
        for sock in (self.control, self._theirs, *(peer.sock for peer in self.peers)):
            sock.close()
        self.store._store._lock.close()
        return self.status


class Held:
    """Holds the writer until it is let go, and notes what it wrote."""

    def __init__(self, store: CommitterStore, monkeypatch) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.threads: list[str] = []
        self.sizes: list[int] = []
        self._write = store.ledger.write
        monkeypatch.setattr(store.ledger, "write", self)

    def __call__(self, batch) -> None:
        self.threads.append(threading.current_thread().name)
        self.sizes.append(len(batch.accepted))
        self.entered.release()
        assert self.go.acquire(timeout=20)
        self._write(batch)


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path / "store")
    yield made
    made.stop()


def stored(running, key):
    row = running.store.engine.read(SPACE, key)
    return row and row[0]


def test_ready_comes_first_and_a_commit_is_stored_when_it_is_answered(running):
    peer = running.peer()
    sequence = peer.ready()
    peer.commit(entry(b"a"), request=77)
    request, answer = peer.answer()
    assert request == 77
    assert [result.kind for result in answer.results] == [""]
    assert answer.sequence == sequence + 1
    assert running.stop() == 0
    assert running.page.metrics.total(Metric.LOG_SYNCS) == 1


def test_results_of_one_frame_stand_in_its_order(running):
    peer = running.peer()
    peer.ready()
    peer.commit(entry(b"a", expect=ABSENT), entry(b"a", expect=ABSENT), entry(b"b"))
    assert [type(result) for result in peer.results()] == [type(None), Conflict, type(None)]
    assert running.page.metrics.total(Metric.COMMIT_CONFLICTS) == 1


def test_outcomes_are_told(running):
    peer = running.peer()
    since = peer.ready()
    known = entry(b"a")
    peer.commit(known)
    peer.answer()
    question = frames.OutcomeHead([known.txn.id, new_txn_id()], since)
    peer.send(frames.encode(frames.OUTCOME, 5, question))
    request, answer = peer.answer()
    assert request == 5
    assert answer.outcomes == [Outcome.COMMITTED.value, Outcome.NOT_COMMITTED.value]


def test_outcomes_are_known_to_the_next_life(running, tmp_path):
    peer = running.peer()
    since = peer.ready()
    known = entry(b"a")
    peer.commit(known)
    peer.answer()
    running.stop()
    second = Running(tmp_path / "store")
    try:
        peer = second.peer()
        assert peer.ready() > since
        question = frames.OutcomeHead([known.txn.id, new_txn_id()], since)
        peer.send(frames.encode(frames.OUTCOME, 5, question))
        assert peer.answer()[1].outcomes == [
            Outcome.COMMITTED.value,
            Outcome.NOT_COMMITTED.value,
        ]
    finally:
        second.stop()


def test_a_lone_commit_is_written_by_the_loop_itself(running, monkeypatch):
    held = Held(running.store, monkeypatch)
    held.go.release()
    peer = running.peer()
    peer.ready()
    peer.commit(entry(b"a"))
    peer.answer()
    assert held.threads != ["log-writer"]
    assert held.sizes == [1]


def test_what_comes_while_a_batch_is_written_makes_the_next_one(running, monkeypatch):
    held = Held(running.store, monkeypatch)
    peers = [running.peer(owner) for owner in (1, 2)]
    for peer in peers:
        peer.ready()
    peers[0].commit(entry(b"a"), entry(b"b"), request=1)
    assert held.entered.acquire(timeout=20)
    for number in range(10):
        peers[number % 2].commit(entry(b"k%d" % number), request=10 + number)
    held.go.release(2)
    assert [peers[0].answer()[0] for _ in range(6)] == [1, 10, 12, 14, 16, 18]
    assert [peers[1].answer()[0] for _ in range(5)] == [11, 13, 15, 17, 19]
    assert held.threads[0] == "log-writer"
    assert sum(held.sizes) == 12
    metrics = running.page.metrics
    assert metrics.total(Metric.COMMIT_TRANSACTIONS) == 12
    assert metrics.total(Metric.COMMIT_BATCHES) == len(held.sizes)


def test_under_load_batches_form_by_themselves(running):
    peers = [running.peer(owner) for owner in range(1, 5)]
    for peer in peers:
        peer.ready()
    for _ in range(20):
        for number in range(20):
            for peer in peers:
                peer.commit(entry(b"k%d" % number), request=number)
        for _ in range(20):
            for peer in peers:
                peer.answer()
    metrics = running.page.metrics
    assert metrics.total(Metric.COMMIT_TRANSACTIONS) == 1600
    assert metrics.total(Metric.COMMIT_BATCHES) < 1600 / 2


def test_answers_that_do_not_fit_the_socket_arrive_whole(running):
    peer = running.peer()
    peer.ready()
    for request in range(300):
        expect = b"t" * 16 if request else ANY
        peer.commit(entry(b"k", bytes(60_000), expect=expect), request=request)
    answers = [peer.answer() for _ in range(300)]
    kinds = {request: head.results[0].kind for request, head in answers}
    assert kinds == {0: ""} | dict.fromkeys(range(1, 300), "Conflict")  # each with the present row


# --- peers that go


def test_what_a_dead_peer_sent_is_committed_before_its_end_is_told(running, monkeypatch):
    running.page.set_owner(MAINTENANCE, 9)
    maintenance = running.peer(9)
    maintenance.ready()
    held = Held(running.store, monkeypatch)
    peer = running.peer(5)
    peer.ready()
    while 5 not in maintenance.nudge().attached:
        pass
    for number in range(50):
        peer.commit(entry(b"k%d" % number), entry(b"l%d" % number))
    peer.sock.close()
    assert held.entered.acquire(timeout=20)
    maintenance.sock.settimeout(0.1)
    assert maintenance.is_silent(), "the end was told too early"
    maintenance.sock.settimeout(20)
    held.go.release(1000)
    while 5 in maintenance.nudge().attached:
        pass
    assert stored(running, b"k49") == b"v"
    assert stored(running, b"l49") == b"v"


def test_maintenance_hears_of_a_peer_before_the_peer_can_send(running):
    running.page.set_owner(MAINTENANCE, 9)
    maintenance = running.peer(9)
    maintenance.ready()
    peer = running.peer(5)
    peer.ready()
    maintenance.sock.setblocking(False)  # it is there already
    while maintenance.nudge().attached != [9, 5]:
        pass


def test_maintenance_hears_of_events_at_once_and_of_no_work_with_them(running):
    running.page.set_owner(MAINTENANCE, 9)
    maintenance, peer = running.peer(9), running.peer(5)
    while maintenance.nudge().attached != [9, 5]:
        pass
    rows = [Row(keys.OUTBOX, keys.outbox(n), ABSENT, b"event") for n in range(2)]
    written = running.page.metrics.total(Metric.EVENTS_WRITTEN)
    peer.ready()
    peer.commit(Entry(Txn(new_txn_id(), rows), has_events=True))
    assert peer.results() == [None]
    while not (nudge := maintenance.nudge()).has_events:
        pass
    assert not nudge.has_work
    assert running.page.metrics.total(Metric.EVENTS_WRITTEN) == written + 2
    stored = running.store.engine.read_range(keys.OUTBOX, keys.FIRST, keys.LAST, 10)
    assert [row.key[-1] for row in stored] == [0, 1]
    assert all(any(row.key[: keys.COMMIT_ORDER.size]) for row in stored)


def test_a_new_maintenance_process_is_the_one_that_is_nudged(running):
    running.page.set_owner(MAINTENANCE, 9)
    old = running.peer(9)
    old.ready()
    old.sock.close()
    running.page.set_owner(MAINTENANCE, 10)
    new = running.peer(10)
    new.ready()
    assert 10 in new.nudge().attached
    peer = running.peer(5)
    peer.ready()
    while 5 not in new.nudge().attached:
        pass


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff" * 64,
        b"".join(frames.encode(frames.COMMIT, 1, "nothing")),
        b"".join(frames.encode(frames.COMMIT, 1, [])),
        b"".join(frames.encode(frames.OUTCOME, 1, 5)),
    ],
)
def test_rubbish_ends_one_link_and_no_other(running, rubbish):
    good, bad = running.peer(1), running.peer(2)
    good.ready()
    bad.ready()
    bad.sock.sendall(rubbish)
    with pytest.raises((EOFError, ConnectionResetError)):
        bad.frame()
    good.commit(entry(b"a"))
    assert good.results() == [None]


def test_a_damaged_body_fails_alone(running):
    peer = running.peer()
    peer.ready()
    ref = BodyRef(new_txn_id(), 0, 0)
    txn = Txn(new_txn_id(), [Row(SPACE, b"a", ANY, bytes(40))], [], [ref])
    body = SmallBody(ref.data_id, b"payload", crc32c(b"another"), b"")
    peer.commit(entry(b"b"), Entry(txn, [body]), entry(b"c"))
    kinds = [type(result).__name__ for result in peer.results()]
    assert kinds == ["NoneType", "ChecksumMismatch", "NoneType"]


# --- the end


def test_stop_finishes_the_batch_in_flight_and_what_queued(running, monkeypatch):
    held = Held(running.store, monkeypatch)
    peer = running.peer()
    peer.ready()
    peer.commit(entry(b"a"), entry(b"b"), request=1)
    assert held.entered.acquire(timeout=20)
    peer.commit(entry(b"c"), entry(b"d"), request=2)
    links.send(running.control, links.STOP, 1000)
    held.go.release(2)
    assert running.join() == 0
    assert [peer.answer()[0] for _ in range(2)] == [1, 2]


def test_it_ends_when_the_supervisor_is_gone(running):
    running.control.close()
    assert running.join() == 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_failed_sync_is_unknown_and_a_fence(running, monkeypatch, count):
    def fail(batch):
        raise SyncFailed("the drive is broken")

    peer = running.peer()
    peer.ready()
    monkeypatch.setattr(running.store.ledger, "write", fail)
    peer.commit(*(entry(b"k%d" % number) for number in range(count)))
    assert [type(result) for result in peer.results()] == [Unknown] * count
    assert running.join() == EXIT_FENCED
    assert "the drive is broken" in running.layout.fence.read_text()


def test_the_next_life_removes_the_fence_and_goes_on(running, monkeypatch, tmp_path):
    peer = running.peer()
    peer.ready()
    peer.commit(entry(b"a"))
    peer.answer()
    monkeypatch.setattr(running.store.recovered.log._file.__class__, "fdatasync", _broken)
    peer.commit(entry(b"b"))
    assert isinstance(peer.results()[0], Unknown)
    assert running.join() == EXIT_FENCED
    monkeypatch.undo()
    running.stop()
    del peer
    second = Running(tmp_path / "store")
    try:
        assert not second.layout.fence.exists()
        assert stored(second, b"a") == b"v"
        peer = second.peer()
        peer.ready()
        peer.commit(entry(b"a", DELETE))
        assert peer.results() == [None]
    finally:
        second.stop()


def _broken(file):
    raise SyncFailed(f"cannot sync {file.path}")


def test_a_failure_that_nobody_foresaw_ends_the_process(running, monkeypatch):
    """It must not leave a loop that waits for a writer that is gone."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: failures.append(arguments))

    def fail(batch):
        raise ZeroDivisionError

    peer = running.peer()
    peer.ready()
    monkeypatch.setattr(running.store.ledger, "write", fail)
    peer.commit(entry(b"a"), entry(b"b"))
    assert running.join() is None
    assert failures[0].exc_type is ZeroDivisionError


def test_a_link_without_its_socket_ends_the_process(running, monkeypatch):
    failures = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: failures.append(arguments))
    links.send(running.control, links.LINK, 5)
    assert running.join() is None
    assert "open files" in str(failures[0].exc_value)


def test_sockets_of_links_do_not_block():
    ours, theirs = links.link_pair()
    with ours, theirs, pytest.raises(BlockingIOError):
        ours.recv(1, socket.MSG_DONTWAIT)
