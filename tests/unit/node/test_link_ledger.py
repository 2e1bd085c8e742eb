"""A worker's end of the link, against a peer that plays the committer as the test wants."""

import asyncio
import socket

import msgspec
import pytest

from fastobj._ext.crc import crc32c
from fastobj.core import limits
from fastobj.core.errors import Conflict, NoSpace, StoreError, Unavailable, Unknown
from fastobj.meta.base import ABSENT, BodyRef, Row, Txn, new_txn_id
from fastobj.node import frames, links
from fastobj.node.link_ledger import LinkLedger
from fastobj.objects.encoded import EncodedEntry, encode_entry
from fastobj.objects.ledger import Entry, Outcome
from fastobj.storage.base import SmallBody

WAIT_S = 0.05
COMMITTED, NOT_COMMITTED, TOO_OLD = (outcome.value for outcome in Outcome)

_sockets: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed():
    """No test leaves a socket open, however it ends."""
    yield
    while _sockets:
        _sockets.pop().close()


def entry(payload: bytes = b"") -> Entry:
    """A transaction with one row, and one body where there is a payload."""
    row = Row(2, b"key", ABSENT, bytes(40))
    if not payload:
        return Entry(Txn(new_txn_id(), [row]))
    ref = BodyRef(new_txn_id(), 0, 3)
    body = SmallBody(ref.data_id, payload, crc32c(payload), b"")
    return Entry(Txn(new_txn_id(), [row], [], [ref]), [body])


# An entry as it travels, and its bodies.
Sent = tuple[EncodedEntry, list[bytes]]


def sent(one: Entry) -> Sent:
    return encode_entry(one), [body.payload for body in one.bodies]


def sent_id(one: Sent) -> bytes:
    txn: Txn = msgspec.msgpack.decode(one[0].txn, type=Txn)
    return txn.id


class Peer:
    """The committer's end, played by hand."""

    def __init__(self, ledger: LinkLedger) -> None:
        self.sock, theirs = links.link_pair()
        _sockets.extend((self.sock, theirs))
        self._reader = frames.FrameReader()
        self._frames: list[frames.Frame] = []
        ledger.attach(theirs)

    async def send(self, kind, request, head) -> None:
        data = b"".join(frames.encode(kind, request, head))
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def ready(self, sequence: int = 1) -> None:
        await self.send(frames.READY, 0, frames.ReadyHead(sequence))

    async def frame(self) -> frames.Frame:
        """The next frame that came."""
        while not self._frames:
            data = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 20)
            assert data, "the ledger has closed its end"
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    async def commit(self) -> tuple[int, list[Sent]]:
        """The next frame, which must be a commit."""
        frame = await self.frame()
        assert frame.kind == frames.COMMIT
        return frame.request, frames.decode_commit(frame)

    async def question(self) -> tuple[int, frames.OutcomeHead]:
        """The next frame, which must ask for outcomes."""
        frame = await self.frame()
        assert frame.kind == frames.OUTCOME
        return frame.request, frames.decode_outcome(frame.head)

    async def answer(self, request, *errors, sequence=2) -> None:
        results = [frames.result_head(error) for error in errors]
        await self.send(frames.ANSWER, request, frames.AnswerHead(sequence, results))

    async def committed(self, *requests, sequence=2) -> None:
        await self.send(frames.COMMITTED, 0, frames.CommittedHead(sequence, list(requests)))

    async def tell(self, request, *outcomes, sequence=2) -> None:
        await self.send(frames.ANSWER, request, frames.AnswerHead(sequence, [], list(outcomes)))

    async def silent(self) -> bool:
        """Whether nothing more comes."""
        for _ in range(3):
            await asyncio.sleep(0)
        try:
            self._frames += self._reader.feed(self.sock.recv(1 << 20))
        except BlockingIOError:
            return not self._frames
        return False

    async def ended(self) -> bool:
        """Waits until the ledger has let go of the link."""
        return not await asyncio.get_running_loop().sock_recv(self.sock, 1)

    def die(self) -> None:
        self.sock.close()


def made(**arguments) -> LinkLedger:
    return LinkLedger(asyncio.get_running_loop(), **{"wait_s_max": 30.0, **arguments})


async def linked(**arguments) -> tuple[LinkLedger, Peer]:
    """A ledger with a link that is ready."""
    became_ready = asyncio.Event()
    ledger = made(on_ready=became_ready.set, **arguments)
    peer = Peer(ledger)
    await peer.ready()
    await became_ready.wait()
    return ledger, peer


def start(coroutine) -> asyncio.Task:
    return asyncio.get_running_loop().create_task(coroutine)


async def started(coroutine) -> asyncio.Task:
    """A task that has run to its first wait."""
    task = start(coroutine)
    await asyncio.sleep(0)
    return task


# --- one life of the committer


async def test_a_commit_goes_out_and_its_answer_comes_back():
    ledger, peer = await linked()
    wanted = entry(b"body")
    task = start(ledger.commit(wanted))
    request, entries = await peer.commit()
    assert entries == [sent(wanted)]
    assert not task.done()
    await peer.answer(request, None)
    assert await task is None


async def test_commits_before_the_link_is_ready_wait_for_it():
    ledger = made()
    task = await started(ledger.commit(entry()))
    peer = Peer(ledger)
    assert await peer.silent()
    await peer.ready()
    request, _ = await peer.commit()
    await peer.answer(request, None)
    await task


@pytest.mark.parametrize("error", [NoSpace("full"), Unknown("perhaps"), StoreError("no")])
async def test_errors_are_raised_as_they_came(error):
    ledger, peer = await linked()
    task = start(ledger.commit(entry()))
    request, _ = await peer.commit()
    await peer.answer(request, error)
    with pytest.raises(type(error), match=str(error)):
        await task


async def test_a_conflict_brings_the_rows_that_are_there():
    ledger, peer = await linked()
    task = start(ledger.commit(entry()))
    request, _ = await peer.commit()
    await peer.answer(request, Conflict([(b"v", b"t" * 16)], 3))
    with pytest.raises(Conflict) as caught:
        await task
    assert [tuple(row) for row in caught.value.present] == [(b"v", b"t" * 16)]
    assert caught.value.arrival == 3


async def test_many_commits_in_one_frame_have_a_result_each():
    ledger, peer = await linked()
    task = start(ledger.commit_many([entry(), entry(b"x"), entry()]))
    request, entries = await peer.commit()
    assert len(entries) == 3
    await peer.answer(request, None, Conflict([None]), None)
    results = await task
    assert [type(result) for result in results] == [type(None), Conflict, type(None)]


async def test_no_commits_ask_nobody():
    assert await made().commit_many([]) == []


async def test_answers_may_come_in_any_order():
    ledger, peer = await linked()
    tasks = [start(ledger.commit(entry())) for _ in range(5)]
    requests = [(await peer.commit())[0] for _ in tasks]
    for request, task in reversed(list(zip(requests, tasks, strict=True))):
        await peer.answer(request, None)
        await task


async def test_one_frame_answers_many_requests():
    ledger, peer = await linked()
    many = start(ledger.commit_many([entry(), entry()]))
    tasks = [start(ledger.commit(entry())) for _ in range(3)]
    requests = [(await peer.commit())[0] for _ in range(4)]
    await peer.committed(*requests[:3], sequence=7)
    assert await many == [None, None]
    await asyncio.gather(*tasks[:2])
    await asyncio.sleep(0)
    assert not tasks[2].done()
    await peer.committed(requests[3])
    await tasks[2]


async def test_success_is_no_answer_to_a_question():
    ledger, peer = await linked()
    task = start(ledger.commit(entry()))
    await peer.commit()
    peer.die()
    second = Peer(ledger)
    await second.ready()
    request, _ = await second.question()
    await second.committed(request)
    assert await second.ended()
    third = Peer(ledger)
    await third.ready()
    await third.tell((await third.question())[0], COMMITTED)
    await task


async def test_frames_of_one_turn_leave_in_one_send():
    ledger, peer = await linked()
    tasks = [start(ledger.commit(entry())) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    data = peer.sock.recv(1 << 20)
    assert len(list(frames.FrameReader().feed(data))) == 20
    ledger.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_more_than_the_socket_holds_arrives_whole():
    ledger, peer = await linked()
    payloads = [bytes([number]) * 1_000_000 for number in range(24)]
    tasks = [await started(ledger.commit(entry(payload))) for payload in payloads]
    await asyncio.sleep(0)
    assert ledger._out, "the socket took it all: nothing is tried here"
    last = start(ledger.commit(entry(b"last")))
    for payload in (*payloads, b"last"):
        request, [came] = await peer.commit()
        assert came[1] == [payload]
        await peer.answer(request, None)
    await asyncio.gather(*tasks, last)


async def test_a_cancelled_caller_disturbs_nobody():
    ledger, peer = await linked()
    gone = start(ledger.commit(entry()))
    stays = start(ledger.commit(entry()))
    requests = [(await peer.commit())[0] for _ in range(2)]
    gone.cancel()
    for request in requests:
        await peer.answer(request, None)
    await stays
    assert gone.cancelled()
    assert not ledger._asks


async def test_the_queue_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "COMMIT_QUEUE_MAX", 2)
    ledger = made()
    tasks = [await started(ledger.commit(entry())) for _ in range(2)]
    with pytest.raises(Unavailable):
        await ledger.commit(entry())
    ledger.close()
    assert {type(e) for e in await asyncio.gather(*tasks, return_exceptions=True)} == {Unavailable}


async def test_nudges_are_passed_on():
    nudges = []
    _, peer = await linked(on_nudge=nudges.append)
    await peer.send(frames.NUDGE, 0, frames.NudgeHead([1, 2**64 - 1], 9))
    while not nudges:
        await asyncio.sleep(0.001)
    assert (nudges[0].attached, nudges[0].covered) == ([1, 2**64 - 1], 9)


# --- the next life of the committer


async def test_what_was_never_sent_is_sent_to_the_next_committer():
    ledger, first = await linked()
    first.die()
    while ledger.ready:
        await asyncio.sleep(0.001)
    task = await started(ledger.commit(entry()))
    second = Peer(ledger)
    await second.ready()
    request, _ = await second.commit()
    await second.answer(request, None)
    await task


async def _sent_and_died(ledger, peer, *coroutines):
    """Starts commits, sees them arrive, and kills the committer before it answers."""
    tasks = [start(coroutine) for coroutine in coroutines]
    for _ in tasks:
        await peer.commit()
    peer.die()
    return tasks


async def test_what_was_committed_is_not_sent_again():
    ledger, first = await linked()
    wanted = entry()
    [task] = await _sent_and_died(ledger, first, ledger.commit(wanted))
    second = Peer(ledger)
    await second.ready(9)
    request, asked = await second.question()
    assert asked.ids == [wanted.txn.id]
    assert asked.since == 1  # what it knew when it sent, not what it knows now
    await second.tell(request, COMMITTED)
    await task
    assert await second.silent()


async def test_what_was_not_committed_is_sent_again_once():
    ledger, first = await linked()
    wanted = entry(b"body")
    [task] = await _sent_and_died(ledger, first, ledger.commit(wanted))
    second = Peer(ledger)
    await second.ready(9)
    request, _ = await second.question()
    await second.tell(request, NOT_COMMITTED)
    again, entries = await second.commit()
    assert entries == [sent(wanted)]
    await second.answer(again, None)
    await task
    assert await second.silent()


async def test_what_is_too_old_to_tell_is_unknown():
    ledger, first = await linked()
    [task] = await _sent_and_died(ledger, first, ledger.commit(entry()))
    second = Peer(ledger)
    await second.ready()
    request, _ = await second.question()
    await second.tell(request, TOO_OLD)
    with pytest.raises(Unknown):
        await task
    assert await second.silent()


async def test_many_with_mixed_outcomes_send_only_what_is_missing():
    ledger, first = await linked()
    entries = [entry(), entry(), entry(), entry()]
    [task] = await _sent_and_died(ledger, first, ledger.commit_many(entries))
    second = Peer(ledger)
    await second.ready()
    request, asked = await second.question()
    assert asked.ids == [one.txn.id for one in entries]
    await second.tell(request, NOT_COMMITTED, COMMITTED, TOO_OLD, NOT_COMMITTED)
    request, again = await second.commit()
    assert [sent_id(one) for one in again] == [entries[0].txn.id, entries[3].txn.id]
    await second.answer(request, Conflict([None]), None)
    kinds = [type(result) for result in await task]
    assert kinds == [Conflict, type(None), Unknown, type(None)]


async def test_a_committer_that_dies_while_asked_is_asked_again():
    ledger, peer = await linked()
    wanted = entry()
    [task] = await _sent_and_died(ledger, peer, ledger.commit(wanted))
    for _ in range(3):
        peer = Peer(ledger)
        await peer.ready()
        _, asked = await peer.question()
        assert asked.ids == [wanted.txn.id]
        peer.die()
    peer = Peer(ledger)
    await peer.ready()
    request, _ = await peer.question()
    await peer.tell(request, COMMITTED)
    await task


async def test_sent_again_and_then_asked_about_with_what_was_known_then():
    ledger, peer = await linked()
    [task] = await _sent_and_died(ledger, peer, ledger.commit(entry()))
    second = Peer(ledger)
    await second.ready(50)
    request, _ = await second.question()
    await second.tell(request, NOT_COMMITTED, sequence=51)
    await second.commit()
    second.die()
    third = Peer(ledger)
    await third.ready(60)
    request, asked = await third.question()
    assert asked.since == 51
    await third.tell(request, COMMITTED)
    await task


async def test_half_sent_when_the_committer_dies_the_next_one_gets_it_whole():
    """The rest of a frame must never reach the next link, and that link must not stay stuck."""
    ledger, first = await linked()
    tasks = [await started(ledger.commit(entry(bytes(1_000_000)))) for _ in range(24)]
    await asyncio.sleep(0)
    assert ledger._out, "the socket took it all: nothing is tried here"
    first.die()
    while ledger.ready:
        await asyncio.sleep(0.001)
    second = Peer(ledger)
    await second.ready()
    for _ in tasks:
        request, _ = await second.question()
        await second.tell(request, NOT_COMMITTED)
    for _ in tasks:
        request, [came] = await second.commit()
        assert len(came[1][0]) == 1_000_000
        await second.answer(request, None)
    await asyncio.gather(*tasks)


async def test_a_new_link_replaces_one_whose_end_was_not_seen_yet():
    ledger, first = await linked()
    task = start(ledger.commit(entry()))
    await first.commit()
    second = Peer(ledger)
    assert await first.ended()
    await second.ready()
    request, _ = await second.question()
    await second.tell(request, COMMITTED)
    await task


# --- how long it waits


async def test_without_a_committer_nothing_sent_is_unavailable():
    ledger = made(wait_s_max=WAIT_S)
    with pytest.raises(Unavailable):
        await ledger.commit(entry())
    assert await ledger.commit_many([entry(), entry()]) != [None, None]


async def test_without_a_committer_what_was_sent_is_unknown():
    ledger, peer = await linked(wait_s_max=WAIT_S)
    [sent] = await _sent_and_died(ledger, peer, ledger.commit(entry()))
    with pytest.raises(Unknown):
        await sent


async def test_an_answer_that_was_given_up_is_not_waited_for_again():
    ledger, peer = await linked(wait_s_max=WAIT_S)
    [sent] = await _sent_and_died(ledger, peer, ledger.commit(entry()))
    await asyncio.wait([sent])
    assert isinstance(sent.exception(), Unknown)
    second = Peer(ledger)
    await second.ready()
    task = start(ledger.commit(entry()))
    request, _ = await second.commit()  # the first frame: nothing is asked about
    await second.answer(request, None)
    await task


async def test_waiting_ends_when_a_committer_is_ready():
    ledger = made(wait_s_max=WAIT_S)
    task = await started(ledger.commit(entry()))
    peer = Peer(ledger)
    await peer.ready()
    request, _ = await peer.commit()
    await asyncio.sleep(2 * WAIT_S)  # a committer that takes long is not one that is away
    assert not task.done()
    await peer.answer(request, None)
    await task


async def test_it_is_available_until_the_committer_is_away_for_long():
    ledger = made(wait_s_max=WAIT_S)
    assert not ledger.available
    ledger, peer = await linked(wait_s_max=WAIT_S)
    assert ledger.available
    peer.die()
    while ledger.available:
        await asyncio.sleep(0.001)
    assert not ledger.ready
    await asyncio.wait([start(ledger.commit(entry()))])
    assert not ledger.available


async def test_a_lost_link_is_told_of_once_when_no_other_came():
    told = []
    ledger, peer = await linked(wait_s_max=WAIT_S, on_lost=lambda: told.append(1))
    peer.die()
    while not told:
        await asyncio.sleep(0.001)
    await asyncio.sleep(3 * WAIT_S)
    assert told == [1]
    assert not ledger.ready


async def test_a_committer_that_recovers_for_long_is_not_lost():
    told = []
    ledger = made(wait_s_max=WAIT_S, on_lost=lambda: told.append(1))
    peer = Peer(ledger)
    with pytest.raises(Unavailable):
        await ledger.commit(entry())
    assert told == []
    await peer.ready()
    while not ledger.ready:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff" * 64,
        b"".join(frames.encode(frames.ANSWER, 1, "no answer")),
        b"".join(frames.encode(frames.ANSWER, 999, frames.AnswerHead(1, [frames.ResultHead()]))),
        b"".join(frames.encode(frames.ANSWER, 1, frames.AnswerHead(1, []))),
        b"".join(frames.encode(frames.READY, 0, [])),
        b"".join(frames.encode(frames.COMMITTED, 0, frames.CommittedHead(1, [999]))),
        b"".join(frames.encode(frames.COMMITTED, 0, [])),
    ],
)
async def test_rubbish_ends_the_link_and_not_the_loop(rubbish):
    ledger, peer = await linked()
    wanted = entry()
    task = start(ledger.commit(wanted))
    await peer.commit()
    await asyncio.get_running_loop().sock_sendall(peer.sock, rubbish)
    assert await peer.ended()
    second = Peer(ledger)
    await second.ready()
    request, asked = await second.question()
    assert asked.ids == [wanted.txn.id]
    await second.tell(request, COMMITTED)
    await task


async def test_close_answers_what_is_open():
    ledger, peer = await linked()
    sent = start(ledger.commit(entry()))
    await peer.commit()
    ledger.close()
    with pytest.raises(Unknown):
        await sent
    assert await peer.ended()
    ledger.close()
