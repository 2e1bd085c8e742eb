"""What only the SQLite engine has: files, connections, formats and errors."""

import os
import sqlite3

import apsw
import pytest

from fastobj.core.errors import (
    NoSpace,
    StoreDamaged,
    StoreError,
    StoreLocked,
    SyncFailed,
    Unknown,
    UnknownFormat,
)
from fastobj.core.limits import SQLITE_CHUNK_BYTES
from fastobj.meta import keys, sqlite_connect
from fastobj.meta.base import ABSENT, KEEP, LogPosition, Row, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine


def put(key: bytes, value: bytes = b"v", space: int = keys.CURRENT) -> Txn:
    return Txn(new_txn_id(), [Row(space, key, ABSENT, value)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "meta.db"


@pytest.fixture
def engine(path):
    made = SqliteEngine(path)
    made.open_now()
    yield made
    made.close_now()


class FaultyVFS(apsw.VFS):
    """The system's VFS, with syncs that fail when told."""

    name = "fastobj-faulty"

    def __init__(self):
        self.sync_fails = False
        super().__init__(self.name, base="")

    def xOpen(self, name, flags):
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(self, vfs, name, flags):
        self.vfs = vfs
        super().__init__("", name, flags)

    def xSync(self, flags):
        if self.vfs.sync_fails:
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


@pytest.fixture
def faulty():
    vfs = FaultyVFS()
    yield vfs
    vfs.unregister()


# --- two engines on one file


async def test_a_reader_sees_what_was_committed(engine, path):
    reader = SqliteEngine(path, read_only=True)
    await reader.open()
    batch = engine.begin()
    batch.apply(put(b"k"))
    assert await reader.get(keys.CURRENT, b"k") is None
    batch.commit(LogPosition(sequence=1))
    assert await reader.get(keys.CURRENT, b"k") is not None
    assert reader.position().sequence == 1
    assert len(await reader.scan(keys.CURRENT, b"", keys.LAST, 5000)) == 1
    await reader.close()


async def test_a_reader_does_not_write(engine, path):
    reader = SqliteEngine(path, read_only=True)
    await reader.open()
    with pytest.raises(StoreError, match="not open for writing"):
        await reader.commit(put(b"k"))
    with pytest.raises(StoreError, match="not open for writing"):
        reader.begin()
    await reader.close()


async def test_bucket_tokens_notice_another_writer(engine, path):
    bucket = put(b"b", space=keys.BUCKETS)
    await engine.commit(bucket)
    other = SqliteEngine(path)
    await other.open()
    changed = Txn(new_txn_id(), [Row(keys.BUCKETS, b"b", bucket.id, b"2")])
    await other.commit(changed)
    batch = engine.begin()
    assert batch.apply(Txn(new_txn_id(), [Row(keys.BUCKETS, b"b", bucket.id, KEEP)])) is not None
    assert batch.apply(Txn(new_txn_id(), [Row(keys.BUCKETS, b"b", changed.id, KEEP)])) is None
    batch.rollback()
    await other.close()


def test_a_second_writer_is_told(engine, path, monkeypatch):
    monkeypatch.setattr("fastobj.core.limits.SQLITE_BUSY_MS_MAX", 1)
    other = SqliteEngine(path)
    other.open_now()
    batch = engine.begin()
    with pytest.raises(StoreLocked):
        other.begin()
    batch.rollback()
    other.begin().rollback()
    other.close_now()


def test_no_read_holds_the_wal(engine):
    batch = engine.begin()
    for number in range(300):
        batch.apply(put(b"%d" % number))
    batch.commit(LogPosition(sequence=1))
    engine.read(keys.CURRENT, b"7")
    engine.read_range(keys.CURRENT, b"", keys.LAST, 5)
    engine.position()
    assert engine.checkpointer.checkpoint_now()


# --- life


async def test_closing_drops_an_open_batch(engine, path):
    engine.begin().apply(put(b"k"))
    await engine.close()
    await engine.open()
    assert await engine.get(keys.CURRENT, b"k") is None


async def test_a_closed_engine_says_so(path):
    engine = SqliteEngine(path)
    with pytest.raises(StoreError, match="not open"):
        await engine.get(1, b"k")
    await engine.close()
    await engine.open()
    await engine.close()
    with pytest.raises(StoreError, match="not open"):
        await engine.scan(1, b"", b"x", 5000)


def test_close_leaves_the_wal(engine, path):
    batch = engine.begin()
    batch.apply(put(b"k"))
    batch.commit(LogPosition(sequence=1))
    engine.close_now()
    assert path.with_name("meta.db-wal").stat().st_size > 0
    engine.open_now()
    assert engine.read(keys.CURRENT, b"k") is not None


def test_a_fork_is_noticed(engine, monkeypatch):
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    with pytest.raises(AssertionError, match="fork"):
        engine.begin()
    with pytest.raises(AssertionError, match="fork"):
        engine.close_now()
    monkeypatch.undo()


def test_memory_is_given_back_between_batches(engine):
    batch = engine.begin()
    for number in range(300):
        batch.apply(put(b"%d" % number, bytes(1000)))
    batch.commit(LogPosition(sequence=1))
    engine.release_memory()
    assert len(engine.read_range(keys.CURRENT, b"", keys.LAST, 999)) == 300


# --- versions and formats


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.52.0"])
def test_a_faulty_sqlite_is_refused(version, path, monkeypatch):
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: version)
    for read_only in (False, True):
        with pytest.raises(StoreError, match="WAL-reset"):
            SqliteEngine(path, read_only=read_only).open_now()
    assert not path.exists()


@pytest.mark.parametrize("version", ["3.51.3", "3.52.1", "3.53.0", "4.0.0"])
def test_a_sound_sqlite_is_taken(version):
    sqlite_connect.check_version(version)


def test_a_newer_format_is_refused(engine, path):
    engine.close_now()
    raw = sqlite_connect.open_writer(str(path), "NORMAL")
    raw.execute("UPDATE state SET value = 3 WHERE name = 'format'")
    raw.close()
    for read_only in (False, True):
        with pytest.raises(UnknownFormat, match="format 3"):
            SqliteEngine(path, read_only=read_only).open_now()


def test_a_foreign_database_is_refused(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t(x)")
    other.commit()
    other.close()
    for read_only in (False, True):
        with pytest.raises(StoreDamaged, match="not"):
            SqliteEngine(path, read_only=read_only).open_now()


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"no database, but long enough to look like one " * 100)
    for read_only in (False, True):
        with pytest.raises(StoreDamaged):
            SqliteEngine(path, read_only=read_only).open_now()


def test_a_reader_needs_the_database(path):
    with pytest.raises(StoreError):
        SqliteEngine(path, read_only=True).open_now()
    assert not path.exists()


# --- errors


async def test_a_full_disk_is_no_space_and_leaves_the_engine_usable(engine):
    writer = engine.begin()._writer
    writer.batch.rollback()
    pages = SQLITE_CHUNK_BYTES // sqlite_connect.PAGE_BYTES  # what the file has from its making
    writer.connection.pragma("max_page_count", pages)
    big = [Txn(new_txn_id(), [Row(1, b"%d" % n, ABSENT, bytes(60_000))]) for n in range(20)]
    with pytest.raises(NoSpace):
        await engine.commit_many(big)
    assert await engine.get(1, b"0") is None
    writer.connection.pragma("max_page_count", 10**6)
    await engine.commit_many(big)
    assert await engine.get(1, b"19") is not None


async def test_a_failed_sync_is_unknown(path, faulty):
    engine = SqliteEngine(path, synchronous="FULL", vfs=faulty.name)
    await engine.open()
    await engine.commit(put(b"a"))
    faulty.sync_fails = True
    with pytest.raises(Unknown):
        await engine.commit(put(b"b"))
    with pytest.raises(SyncFailed):
        engine.checkpointer.checkpoint_now()
    faulty.sync_fails = False
    assert await engine.get(keys.CURRENT, b"a") is not None
    await engine.close()


def test_a_failed_sync_of_a_checkpoint_covers_nothing(path, faulty):
    engine = SqliteEngine(path, vfs=faulty.name)
    engine.open_now()
    batch = engine.begin()
    batch.apply(put(b"a"))
    batch.commit(LogPosition(sequence=1))
    engine.checkpointer.committed(1)
    faulty.sync_fails = True
    with pytest.raises(SyncFailed):
        engine.checkpointer.checkpoint_now()
    assert engine.checkpointer.covered_sequence == 0
    faulty.sync_fails = False
    assert engine.checkpointer.checkpoint_now()
    assert engine.checkpointer.covered_sequence == 1
    engine.close_now()
