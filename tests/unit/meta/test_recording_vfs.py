"""The recording VFS: what SQLite writes and syncs reaches the record, in order."""

import apsw
import pytest

from fastobj._ext import segio
from fastobj.meta import recording_vfs
from tests.reference.segio import read_entries

WRITE, SYNC, TRUNCATE, CREATE, UNLINK, SYNC_DIRECTORY = 1, 2, 3, 4, 6, 7


@pytest.fixture
def record(tmp_path):
    segio.record_open(tmp_path / "record", tmp_path / "counter")
    yield tmp_path / "record"
    segio.record_close()


def _connect(path):
    connection = apsw.Connection(str(path), vfs=recording_vfs.register())
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
    assert recording_vfs.register() == recording_vfs.register() == "fastobj-record"
    assert "fastobj-record" in apsw.vfs_names()
