"""A full disk below the ledger: who is refused, and that deletes never are."""

import errno
import os

import msgspec
import pytest

from fastobj.core.errors import NoSpace
from fastobj.core.limits import KIB
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, ANY, DELETE, KEEP, Add, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryBatch
from fastobj.objects.room import adds_rows, only_moves
from fastobj.storage import io
from fastobj.storage.log_format import footprint
from fastobj.storage.spares import BALLAST, Spares
from tests.unit.objects.ledgers import SMALL, Driven, entry, put

TOKEN = bytes(16)


class Database:
    """A database with room for `left` bytes of rows; its commits always fit."""

    covered_sequence = 0

    def __init__(self):
        self.left = 1 << 20
        self.commits = []
        self.checkpoints = 0

    def hold_growth(self, txn_bytes):
        if txn_bytes > self.left or not self.left:
            raise NoSpace("no more rows")

    def hold_commit(self, txns, txn_bytes):
        self.commits.append(txns)

    def checkpoint_now(self):
        self.checkpoints += 1
        return True


@pytest.fixture
def database():
    """What the ledger's database holds."""
    return Database()


@pytest.fixture
def driven(tmp_path, database):
    """A ledger over that database, with its ballast."""
    opened = Driven(tmp_path, database=database)
    for _ in range(BALLAST):
        Spares(tmp_path, SMALL[0]).make()
    yield opened
    opened.end()


@pytest.fixture
def full(monkeypatch):
    """The disk takes no new file."""

    def fail(*_):
        raise NoSpace("full")

    monkeypatch.setattr(io.File, "allocate", fail)
    monkeypatch.setattr(io, "free_bytes", lambda path: 0)


@pytest.mark.parametrize(
    ("row", "adds"),
    [
        (Row(keys.CURRENT, b"k", TOKEN, DELETE), False),
        (Row(keys.CURRENT, b"k", TOKEN, KEEP), False),
        (Row(keys.CURRENT, b"k", ABSENT, b"v"), True),
        (Row(keys.CURRENT, b"k", TOKEN, b"v"), True),
        (Row(keys.SEGMENTS, b"k", TOKEN, b"v"), False),
        (Row(keys.SEGMENTS, b"k", ABSENT, b"v"), True),
        (Row(keys.SEGMENTS, b"k", ANY, b"v"), True),
        (Row(keys.BUCKETS, b"k", TOKEN, b"v"), False),
        (Row(keys.BUCKETS, b"k", ABSENT, b"v"), True),
        (Row(keys.OUTBOX, keys.outbox(0), ABSENT, b"v"), False),
        (Row(keys.CURSORS, b"target", ANY, b"v"), False),
    ],
)
def test_what_takes_room_is_told_from_the_rows(row, adds):
    assert adds_rows(Txn(new_txn_id(), [row])) is adds
    both = Txn(new_txn_id(), [Row(keys.BUCKETS, b"b", TOKEN, KEEP), row])
    assert adds_rows(both) is adds


def test_deletes_go_on_for_ever_where_bodies_are_refused(driven, database, full):
    stored = [put(b"%d" % n, bytes(20 * KIB)) for n in range(5)]
    assert driven.run(*stored) == [None] * 5
    refused = put(b"more", bytes(60 * KIB))
    assert isinstance(driven.run(refused)[0], NoSpace)
    token = ABSENT
    for n in range(400):  # many times as many blocks as the ballast has
        change = entry((b"row", token, b"%d" % n))
        assert driven.run(change) == [None]
        token = change.txn.id
    assert isinstance(driven.run(put(b"small", b"small"))[0], NoSpace)
    for one in stored:
        assert driven.run(entry((one.txn.rows[0].key, one.txn.id, DELETE))) == [None]
    assert database.checkpoints
    assert driven.ledger.room.refused


def moved(stored, payload):
    """A transaction that gives the body of another its next place."""
    again = put(stored.txn.rows[0].key, payload, stored.txn.id)
    released = Add(keys.SEGMENTS, keys.segment(1), (-footprint(len(payload)), -1))
    return again._replace(txn=msgspec.structs.replace(again.txn, adds=[released]))


def test_bodies_are_moved_where_others_are_refused(driven, tmp_path, monkeypatch):
    """They may take the reserve, but not the ballast."""
    monkeypatch.setattr(io, "reserve_bytes", lambda path: 1 << 40)
    stored = [put(b"%d" % n, bytes([n]) * 20 * KIB) for n in range(5)]
    assert driven.run(*stored) == [None] * 5
    assert isinstance(driven.run(put(b"more", bytes(60 * KIB)))[0], NoSpace)
    moves = [moved(one, bytes([n]) * 20 * KIB) for n, one in enumerate(stored)]
    assert [driven.run(one) for one in moves] == [[None]] * 5
    assert [driven.read(b"%d" % n) for n in range(5)] == [bytes([n]) * 20 * KIB for n in range(5)]
    assert driven.log.segment > 1
    assert len(Spares(tmp_path, SMALL[0]).list()) == BALLAST
    assert driven.live() == driven.live_recomputed()
    monkeypatch.setattr(io.File, "allocate", _full)
    again = [moved(one, bytes([n]) * 20 * KIB) for n, one in enumerate(moves)]
    answers = [type(driven.run(one)[0]) for one in again]
    assert NoSpace in answers
    assert len(Spares(tmp_path, SMALL[0]).list()) == BALLAST


def _full(*_):
    raise NoSpace("full")


def test_only_a_move_counts_as_one():
    row = Row(keys.CURRENT, b"k", TOKEN, b"v")
    gives_back = Add(keys.SEGMENTS, keys.segment(1), (-100, -1))
    takes = Add(keys.SEGMENTS, keys.segment(2), (100, 1))
    assert only_moves(Txn(new_txn_id(), [row], [gives_back, takes]))
    assert not adds_rows(Txn(new_txn_id(), [row], [gives_back, takes]))
    for rows, adds in (
        ([row], [takes]),
        ([row], []),
        ([Row(keys.BUCKETS, b"b", TOKEN, KEEP), row], [gives_back, takes]),
        ([row], [gives_back, takes, Add(keys.CURRENT, b"b", (0, 5))]),
        ([Row(keys.CURRENT, b"k", ABSENT, b"v")], [gives_back, takes]),
        ([Row(keys.CURRENT, b"k", ANY, b"v")], [gives_back, takes]),
        ([Row(keys.CURRENT, b"k", TOKEN, DELETE)], [gives_back]),
    ):
        assert not only_moves(Txn(new_txn_id(), rows, adds))


def test_a_batch_of_both_refuses_only_what_takes_room(driven, database, full):
    driven.run(put(b"a", bytes(100 * KIB)))
    rows = entry((b"row", ABSENT, b"v"))
    answers = driven.run(put(b"b", bytes(60 * KIB)), rows, put(b"c", b"c"))
    assert [type(answer) for answer in answers] == [NoSpace, type(None), NoSpace]
    assert driven.ledger.fenced is None


def test_rows_are_refused_while_the_database_cannot_grow(driven, database):
    kept = entry((b"k", ABSENT, b"v"))
    driven.run(kept)
    database.left = 0
    more = entry((b"m", ABSENT, b"v"))
    delete = entry((b"k", kept.txn.id, DELETE))
    answers = driven.run(more, delete)
    assert isinstance(answers[0], NoSpace)
    assert answers[1] is None
    assert isinstance(driven.run(put(b"n", b"n"))[0], NoSpace)
    database.left = 1 << 20
    assert driven.run(entry((b"m", ABSENT, b"v"))) == [None]
    assert not driven.ledger.room.is_short


def test_bodies_are_taken_again_once_the_ballast_is_back(driven, tmp_path, monkeypatch, full):
    driven.run(put(b"a", bytes(100 * KIB)))
    assert isinstance(driven.run(put(b"b", bytes(60 * KIB)))[0], NoSpace)
    monkeypatch.undo()
    assert driven.run(put(b"b", bytes(60 * KIB))) == [None]
    assert len(Spares(tmp_path, SMALL[0]).list()) == BALLAST


def test_a_live_segment_is_not_recycled(driven, tmp_path, database, full):
    driven.run(put(b"a", bytes(100 * KIB)))
    for spare in Spares(tmp_path, SMALL[0]).list():
        Spares(tmp_path, SMALL[0]).free(spare)
    filler = [entry((b"%d" % n, ABSENT, bytes(30 * KIB))) for n in range(3)]
    assert [type(driven.run(one)[0]) for one in filler][-1] is NoSpace
    assert driven.read(b"a") == bytes(100 * KIB)


def test_what_the_log_says_is_committed_with_the_ballast(driven, tmp_path, monkeypatch):
    commit = MemoryBatch.commit
    spares = Spares(tmp_path, SMALL[0])

    def full_once(batch, position):
        if len(spares.list()) == BALLAST:
            raise NoSpace("the database is full")
        commit(batch, position)

    monkeypatch.setattr(MemoryBatch, "commit", full_once)
    assert driven.run(put(b"k", b"payload")) == [None]
    assert driven.read(b"k") == b"payload"
    assert len(spares.list()) == BALLAST - 1
    assert driven.live() == driven.live_recomputed()


def test_a_write_without_room_is_refused_and_leaves_no_block(driven, monkeypatch):
    """On a file system that copies on write even an overwrite may find no room."""
    pwritev = os.pwritev
    failing = [True]

    def full_once(fd, buffers, offset):
        if failing.pop() if failing else False:
            pwritev(fd, [memoryview(buffers[0])[:4096]], offset)
            raise OSError(errno.EDQUOT, "quota")
        return pwritev(fd, buffers, offset)

    monkeypatch.setattr(os, "pwritev", full_once)
    refused = put(b"k", b"payload")
    assert isinstance(driven.run(refused)[0], NoSpace)
    assert driven.ledger.fenced is None
    again = driven.again()
    assert again.engine.read(keys.CURRENT, b"k") is None
    assert again.run(put(b"k", b"payload")) == [None]
    again.end()
