"""Checkpoints: when they run, what they cover, and what readers do to them."""

import threading

import apsw
import pytest

from fastobj.core import limits
from fastobj.core.errors import NoSpace
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, LogPosition, Row, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine

KIB = limits.KIB


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "WAL_BYTES_PASSIVE", 128 * KIB)
    monkeypatch.setattr(limits, "WAL_BYTES_MAX", 512 * KIB)
    monkeypatch.setattr(limits, "WAL_BYTES_RETRY", 64 * KIB)
    monkeypatch.setattr(limits, "WAL_RESTART_WAIT_MS_MAX", 1)
    made = SqliteEngine(tmp_path / "meta.db")
    made.open_now()
    yield made
    made.close_now()


@pytest.fixture
def pin(engine, tmp_path):
    """A reader that holds its snapshot: `pin()` takes it, `pin.close()` lets go."""
    reader = apsw.Connection(str(tmp_path / "meta.db"), flags=apsw.SQLITE_OPEN_READONLY)

    def take():
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM kv").fetchall()

    take.close = lambda: reader.execute("COMMIT")
    yield take
    reader.close()


def commit(engine, sequence, size=20_000):
    """One batch, as the committer makes it."""
    engine.checkpointer.before_batch()
    batch = engine.begin()
    row = Row(keys.CURRENT, b"%d" % (sequence % 40), 0, bytes(size))
    assert batch.apply(Txn(new_txn_id(), [row])) is None
    batch.commit(LogPosition(sequence=sequence))
    engine.checkpointer.committed(sequence)


def test_small_commits_need_no_checkpoint(engine):
    for sequence in range(1, 4):
        commit(engine, sequence, 10)
    checkpointer = engine.checkpointer
    assert (checkpointer.stats.passive_count, checkpointer.stats.restart_count) == (0, 0)
    assert checkpointer.covered_sequence == 0
    assert checkpointer.sequence == 3
    assert 3 * 4096 < checkpointer.wal_bytes < 128 * KIB
    assert checkpointer._pool is None


def test_endless_commits_keep_the_wal_short(engine, tmp_path):
    for sequence in range(1, 400):
        commit(engine, sequence)
    checkpointer = engine.checkpointer
    assert checkpointer.stats.passive_count > 0
    assert checkpointer.stats.restart_count > 5
    assert checkpointer.stats.stall_ns >= checkpointer.stats.stall_ns_max > 0
    assert checkpointer.stats.wal_bytes_max < 640 * KIB
    assert (tmp_path / "meta.db-wal").stat().st_size < 640 * KIB
    assert 0 < checkpointer.covered_sequence < 400
    assert checkpointer.checkpoint_now()
    assert checkpointer.covered_sequence == 399


def test_passive_covers_what_was_committed_when_it_began(engine, monkeypatch):
    checkpointer = engine.checkpointer
    begun, go_on = threading.Event(), threading.Event()
    real = checkpointer._run_passive

    def held():
        begun.set()
        go_on.wait(30)
        return real()

    monkeypatch.setattr(checkpointer, "_run_passive", held)
    monkeypatch.setattr(checkpointer, "_restart", lambda: False)
    sequence = 0
    while not begun.is_set() or checkpointer.sequence == checkpointer._passive_sequence:
        sequence += 1
        commit(engine, sequence)
    began_at = checkpointer._passive_sequence
    assert checkpointer.covered_sequence == 0
    go_on.set()
    checkpointer._passive.result()
    checkpointer._await_passive()
    assert checkpointer.covered_sequence == began_at < sequence


def test_passive_runs_again_where_much_was_written_meanwhile(engine, pin, monkeypatch):
    checkpointer = engine.checkpointer
    monkeypatch.setattr(limits, "WAL_BYTES_MAX", 10**9)
    monkeypatch.setattr(checkpointer, "_due_bytes", 0)
    commit(engine, 1)
    pin()  # a reader of the newest state: all can be copied, but no commit begins the WAL anew
    for sequence in range(2, 8):
        checkpointer._passive.result()
        batch = engine.begin()
        row = Row(keys.CURRENT, b"%d" % sequence, ABSENT, bytes(60_000))
        batch.apply(Txn(new_txn_id(), [row, Row(keys.CURRENT, b"x", 0, bytes(60_000))]))
        batch.commit(LogPosition(sequence=sequence))
        checkpointer.committed(sequence)
        pin.close()
        pin()
        checkpointer.before_batch()
        assert checkpointer.covered_sequence == sequence - 1
    assert checkpointer.stats.restart_count == 0
    checkpointer._passive.result()
    pin.close()
    checkpointer.before_batch()
    assert checkpointer.stats.restart_count == 1
    assert checkpointer.covered_sequence == 7


def test_a_wal_begun_anew_needs_no_restart(engine):
    checkpointer = engine.checkpointer
    while checkpointer._passive is None:
        commit(engine, checkpointer.sequence + 1)
    checkpointer._passive.result()
    batch = engine.begin()
    batch.commit(LogPosition(sequence=99))
    checkpointer.committed(99)
    assert checkpointer.wal_bytes < 16 * KIB
    checkpointer.before_batch()
    assert checkpointer.stats.restart_count == 0
    assert 0 < checkpointer.covered_sequence < 99


def test_at_the_cap_restart_waits_for_passive(engine, monkeypatch):
    checkpointer = engine.checkpointer
    order, go_on = [], threading.Event()
    real_passive, real_restart = checkpointer._run_passive, checkpointer._restart

    def passive():
        go_on.wait(30)
        order.append("passive")
        return real_passive()

    def restart():
        order.append("restart")
        return real_restart()

    monkeypatch.setattr(checkpointer, "_run_passive", passive)
    monkeypatch.setattr(checkpointer, "_restart", restart)
    sequence = 0
    while checkpointer.wal_bytes < limits.WAL_BYTES_MAX:
        sequence += 1
        commit(engine, sequence)
    assert order == []
    threading.Timer(0.05, go_on.set).start()
    commit(engine, sequence + 1)
    assert order == ["passive", "restart"]
    assert checkpointer.wal_bytes < 128 * KIB
    assert checkpointer.covered_sequence == sequence


def test_a_pinned_frame_is_not_covered(engine, pin):
    commit(engine, 1)
    pin()
    commit(engine, 2)
    checkpointer = engine.checkpointer
    assert not checkpointer.checkpoint_now()
    assert checkpointer.stats.restart_busy_count == 1
    assert checkpointer.covered_sequence == 0
    checkpointer._start_passive()
    checkpointer._await_passive()
    assert checkpointer.covered_sequence == 0
    pin.close()
    assert checkpointer.checkpoint_now()
    assert checkpointer.covered_sequence == 2


def test_a_pinned_wal_grows_and_retries_are_spaced(engine, pin):
    commit(engine, 1)
    pin()
    for sequence in range(2, 80):
        commit(engine, sequence)
    stats = engine.checkpointer.stats
    assert stats.wal_bytes_max > limits.WAL_BYTES_MAX
    assert 2 < stats.restart_busy_count < 40
    assert stats.restart_count == 0
    pin.close()
    for sequence in range(80, 90):
        commit(engine, sequence)
    assert stats.restart_count > 0
    assert engine.checkpointer.wal_bytes < limits.WAL_BYTES_MAX


def test_a_reader_of_the_newest_state_stops_only_the_restart(engine, pin):
    commit(engine, 1)
    pin()
    checkpointer = engine.checkpointer
    assert not checkpointer.checkpoint_now()
    checkpointer._start_passive()
    checkpointer._await_passive()
    assert checkpointer.covered_sequence == 1
    pin.close()


def test_a_failed_passive_is_heard_once(engine, monkeypatch):
    checkpointer = engine.checkpointer

    def full():
        raise NoSpace("the disk is full")

    monkeypatch.setattr(checkpointer, "_run_passive", full)
    checkpointer._start_passive()
    with pytest.raises(NoSpace):
        checkpointer.checkpoint_now()
    assert checkpointer.covered_sequence == 0
    monkeypatch.undo()
    assert checkpointer.checkpoint_now()


def test_no_checkpoint_within_a_batch(engine):
    batch = engine.begin()
    with pytest.raises(AssertionError, match="a batch is open"):
        engine.checkpointer.checkpoint_now()
    batch.rollback()


async def test_own_commits_keep_the_wal_short_too(engine):
    for number in range(100):
        row = Row(keys.CURRENT, b"%d" % number, ABSENT, bytes(20_000))
        await engine.commit(Txn(new_txn_id(), [row]))
    assert engine.checkpointer.stats.restart_count > 0
    assert engine.checkpointer.wal_bytes < 640 * KIB
