"""The instrumented VFS: what SQLite writes and syncs reaches the record, in order."""

import errno

import apsw
import pytest

from fastobj._ext import segio
from fastobj.core.errors import NoSpace, StoreError, SyncFailed
from fastobj.meta import instrumented_vfs, sqlite_connect
from tests.reference.segio import read_entries

WRITE, SYNC, TRUNCATE, CREATE, UNLINK, SYNC_DIRECTORY = 1, 2, 3, 4, 6, 7


@pytest.fixture
def record(tmp_path):
    segio.record_open(tmp_path / "record", tmp_path / "counter")
    yield tmp_path / "record"
    segio.record_close()


def _connect(path):
    connection = apsw.Connection(str(path), vfs=instrumented_vfs.register())
    assert connection.pragma("journal_mode", "wal") == "wal"
    connection.pragma("synchronous", "FULL")
    return connection


def test_the_files_can_be_made_from_the_record(tmp_path, record):
    path = tmp_path / "a.db"
    connection, other = _connect(path), None
    connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES (randomblob(9000)), (7)")
    other = _connect(path)
    assert other.execute("SELECT count(*) FROM t").get == 2
    other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.execute("INSERT INTO t VALUES (randomblob(5000))")
    names = [str(path), f"{path}-wal"]
    files = _replay(read_entries(record))
    for name in names:
        with open(name, "rb") as file:
            assert bytes(files[name]) == file.read()
    assert not any(name.endswith("-shm") for name in files)
    other.close()
    connection.close()


def _replay(entries):
    files = {}
    for entry in entries:
        if entry.kind == CREATE:
            files[entry.path] = bytearray()
        elif entry.kind == WRITE:
            content = files[entry.path]
            content.extend(bytes(max(0, entry.offset - len(content))))
            content[entry.offset : entry.offset + len(entry.data)] = entry.data
        elif entry.kind == TRUNCATE:
            del files[entry.path][entry.offset :]
        elif entry.kind == UNLINK:
            del files[entry.path]
    return files


def test_a_commit_ends_with_a_sync_of_the_wal(tmp_path, record):
    connection = _connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE t(a)")
    before = len(read_entries(record))
    connection.execute("INSERT INTO t VALUES (1)")
    *writes, sync = read_entries(record)[before:]
    assert {entry.kind for entry in writes} == {WRITE}
    assert sync.kind == SYNC
    assert {entry.path for entry in [*writes, sync]} == {str(tmp_path / "a.db-wal")}
    connection.close()
    kinds = {entry.kind for entry in read_entries(record) if entry.path == str(tmp_path)}
    assert kinds == {SYNC_DIRECTORY}


def test_the_vfs_is_registered_once():
    assert instrumented_vfs.register() == instrumented_vfs.register() == "fastobj-instrumented"
    assert "fastobj-instrumented" in apsw.vfs_names()


@pytest.fixture
def armed():
    """Arms one rule: calls, pattern, first, times, kind, error, drops, amount."""

    def arm(calls, kind, error=0, pattern="*", first=1, times=1, amount=0):
        segio.faults_clear()
        segio.fault_add(calls, pattern, first, times, kind, error, False, amount)

    yield arm
    segio.faults_clear()


def _filled(path):
    connection = _connect(path)
    connection.pragma("wal_autocheckpoint", 0)
    connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(9000))")
    return connection


def _insert(connection):
    connection.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize(
    ("call", "error", "kind"),
    [
        (segio.CALL_WRITE, errno.EIO, StoreError),
        (segio.CALL_WRITE, errno.ENOSPC, NoSpace),
        (segio.CALL_WRITE, errno.EDQUOT, NoSpace),
        (segio.CALL_SYNC, errno.EIO, SyncFailed),
        (segio.CALL_SYNC, errno.ENOSPC, SyncFailed),
    ],
)
def test_what_fails_means_what_it_means_from_the_system(tmp_path, armed, call, error, kind):
    connection = _filled(tmp_path / "a.db")
    armed(call, segio.FAULT_FAIL, error, pattern="*-wal")
    with pytest.raises(apsw.Error) as raised:
        _insert(connection)
    told = sqlite_connect.translated(raised.value, "a.db", connection)
    assert type(told) is kind, told
    _insert(connection)  # once is over
    assert connection.execute("SELECT count(*) FROM t").get == 2
    connection.close()


def test_a_checkpoint_that_cannot_read_or_cut(tmp_path, armed):
    connection = _filled(tmp_path / "a.db")
    armed(segio.CALL_READ, segio.FAULT_FAIL, errno.EIO, pattern="*-wal")
    with pytest.raises(apsw.IOError):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    armed(segio.CALL_TRUNCATE, segio.FAULT_FAIL, errno.EIO)
    with pytest.raises(apsw.IOError):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    assert connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
    connection.close()


def test_too_many_open_files(tmp_path, armed):
    _filled(tmp_path / "a.db").close()
    armed(segio.CALL_OPEN, segio.FAULT_FAIL, errno.EMFILE)
    with pytest.raises(StoreError, match="Too many open files"):
        sqlite_connect.open_reader(str(tmp_path / "a.db"), instrumented_vfs.NAME)


def test_an_interrupted_call_is_tried_again(tmp_path, armed):
    connection = _filled(tmp_path / "a.db")
    armed(segio.CALL_WRITE | segio.CALL_SYNC, segio.FAULT_FAIL, errno.EINTR, times=9)
    _insert(connection)
    assert segio.faults_counted(0) > 9
    connection.close()


def test_a_torn_write_is_recorded_as_far_as_it_went(tmp_path, armed, record):
    connection = _filled(tmp_path / "a.db")
    before = len(read_entries(record))
    armed(segio.CALL_WRITE, segio.FAULT_TEAR, errno.EIO, pattern="*-wal", first=2, amount=700)
    with pytest.raises(apsw.IOError):
        _insert(connection)
    lengths = [len(entry.data) for entry in read_entries(record)[before:]]
    assert lengths == [24, 700]
    armed(segio.CALL_WRITE, segio.FAULT_SHORT, times=0, amount=1000)
    _insert(connection)
    segio.faults_clear()
    connection.close()
    connection = _connect(tmp_path / "a.db")
    assert connection.execute("SELECT count(*) FROM t").get == 2
    connection.close()


def test_what_only_lies_is_not_recorded(tmp_path, armed, record):
    connection = _filled(tmp_path / "a.db")
    before = len(read_entries(record))
    armed(segio.CALL_WRITE | segio.CALL_SYNC, segio.FAULT_LIE, pattern="*-wal", times=0)
    _insert(connection)
    assert read_entries(record)[before:] == []
    segio.faults_clear()
    connection.close()


def test_another_bit_is_read(tmp_path, armed):
    _filled(tmp_path / "a.db").close()
    armed(segio.CALL_READ, segio.FAULT_FLIP, amount=3, pattern="*.db", times=0)
    with pytest.raises(apsw.NotADBError):
        _connect(tmp_path / "a.db")
