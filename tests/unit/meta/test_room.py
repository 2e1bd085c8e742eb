"""The database holds its room of the disk before it needs it."""

import errno
import os

import pytest

from fastobj.core.errors import NoSpace, StoreError
from fastobj.core.limits import MIB, SQLITE_CHUNK_BYTES
from fastobj.meta.base import ABSENT, LogPosition, Row, Txn, new_txn_id
from fastobj.meta.room import SLACK_PAGES, WAL_HELD_BYTES_MIN
from fastobj.meta.sqlite import SqliteEngine
from fastobj.meta.sqlite_connect import PAGE_BYTES


@pytest.fixture
def path(tmp_path):
    """Where the database is."""
    return tmp_path / "meta.db"


@pytest.fixture
def engine(path):
    """An open engine."""
    opened = SqliteEngine(path)
    opened.open_now()
    yield opened
    opened.close_now()


def commit(engine, key, size=100):
    batch = engine.begin()
    assert batch.apply(Txn(new_txn_id(), [Row(2, key, ABSENT, bytes(size))])) is None
    batch.commit(LogPosition())


def full(monkeypatch, number=errno.ENOSPC):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", fail)


def wal_size(path):
    return path.with_name("meta.db-wal").stat().st_size


def test_the_wal_is_allocated_before_the_first_commit(engine, path):
    engine.checkpointer.hold_commit(1, 100)
    assert wal_size(path) == WAL_HELD_BYTES_MIN
    commit(engine, b"k")
    assert wal_size(path) == WAL_HELD_BYTES_MIN
    engine.close_now()
    engine.open_now()  # the zeros behind the frames do no harm
    assert engine.read(2, b"k") is not None


def test_a_large_commit_holds_more(engine, path):
    engine.checkpointer.hold_commit(1, 5 * MIB)
    assert wal_size(path) > 20 * MIB


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_disk_the_wal_begins_anew_in_what_it_holds(engine, path, monkeypatch, number):
    checkpointer = engine.checkpointer
    checkpointer.hold_commit(1, 100)
    full(monkeypatch, number)
    for n in range(200):
        checkpointer.hold_commit(1, 60_000)
        commit(engine, b"%d" % n, 60_000)
    assert checkpointer.stats.restart_count
    assert wal_size(path) == WAL_HELD_BYTES_MIN
    with pytest.raises(NoSpace):
        checkpointer.hold_commit(1, 5 * MIB)


def test_what_a_former_writer_left_in_the_wal_counts(engine, path):
    for n in range(50):
        commit(engine, b"%d" % n, 60_000)
    held = engine.checkpointer.wal_bytes
    engine.close_now()
    engine.open_now()
    assert engine.checkpointer.wal_bytes == held > 50 * 60_000


def test_another_fault_than_a_full_disk_is_told(engine, monkeypatch):
    full(monkeypatch, errno.EIO)
    with pytest.raises(StoreError) as raised:
        engine.checkpointer.hold_commit(1, 100)
    assert not isinstance(raised.value, NoSpace)


def test_the_database_has_its_pages_before_it_grows(engine, path):
    assert path.stat().st_size == SQLITE_CHUNK_BYTES
    checkpointer = engine.checkpointer
    for n in range(40):
        checkpointer.hold_growth(60_000)
        commit(engine, b"%d" % n, 60_000)
        pages = engine._writer.connection.pragma("page_count")
        assert path.stat().st_size >= (pages + SLACK_PAGES) * PAGE_BYTES
        if n % 10 == 0:
            assert checkpointer.checkpoint_now()
    blocks = path.stat().st_blocks * 512
    assert blocks >= path.stat().st_size  # no holes


def test_growth_is_refused_where_the_file_cannot_grow(engine, path, monkeypatch):
    checkpointer = engine.checkpointer
    checkpointer.hold_growth(1000)
    monkeypatch.setattr(checkpointer._room, "_lengthen", lambda size: None)
    with pytest.raises(NoSpace):
        checkpointer.hold_growth(2 * MIB)
    checkpointer.hold_growth(1000)  # there is room for that
