"""The seam of writes: files, errors and what the recorder sees."""

import errno
import os

import pytest

from fastobj._ext import segio
from fastobj.core.errors import NoSpace, StoreError, SyncFailed, TooManyFiles
from fastobj.storage import io
from tests.reference.segio import read_entries


@pytest.fixture
def file(tmp_path):
    file = io.create(tmp_path / "file")
    yield file
    file.close()


def _fails(number):
    def call(*arguments):
        raise OSError(number, os.strerror(number))

    return call


def test_many_buffers_one_behind_the_other(file):
    assert file.pwritev([b"abc", b"", bytearray(b"de"), memoryview(b"f")], 5) == 6
    assert file.pread(100, 0) == bytes(5) + b"abcdef"
    assert file.pread(2, 6) == b"bc"
    assert file.pread(2, 99) == b""
    assert file.size() == 11


def test_short_writes_are_continued(file, monkeypatch):
    whole = os.pwritev

    def in_threes(fd, views, offset):
        joined = b"".join(views)[:3]
        return whole(fd, [joined], offset)

    monkeypatch.setattr(os, "pwritev", in_threes)
    assert file.pwritev([b"ab", b"cdefg", b"h", b"ijkl"], 0) == 12
    assert file.pread(20, 0) == b"abcdefghijkl"


def test_the_vectors_of_one_write_are_bounded(file):
    assert file.pwritev([b"x"] * 1024, 0) == 1024
    with pytest.raises(ValueError, match="1025 buffers"):
        file.pwritev([b"x"] * 1025, 0)


def test_space_and_size(file):
    file.allocate(100_000)
    assert file.size() == 100_000
    file.truncate(5)
    assert file.size() == 5
    file.fsync()
    file.drop_cache()
    file.close()
    file.close()


def test_names(tmp_path, file):
    with pytest.raises(StoreError, match="File exists"):
        io.create(file.path)
    io.rename(file.path, tmp_path / "other")
    with pytest.raises(StoreError, match="No such file"):
        io.open_existing(file.path)
    other = io.open_existing(tmp_path / "other")
    assert other.path == str(tmp_path / "other")
    other.close()
    io.unlink(tmp_path / "other")
    io.sync_directory(tmp_path)
    with pytest.raises(StoreError, match="No such file"):
        io.unlink(tmp_path / "other")
    with pytest.raises(StoreError, match="No such file"):
        io.rename(tmp_path / "other", tmp_path / "x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_space(file, monkeypatch, number):
    monkeypatch.setattr(os, "pwritev", _fails(number))
    monkeypatch.setattr(os, "posix_fallocate", _fails(number))
    with pytest.raises(NoSpace, match="free some space") as raised:
        file.pwritev([b"x"], 0)
    assert file.path in str(raised.value)
    with pytest.raises(NoSpace):
        file.allocate(1)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_files_are_told_apart(file, monkeypatch, number):
    monkeypatch.setattr(os, "open", _fails(number))
    with pytest.raises(TooManyFiles, match=r"raise the .*limit of open files"):
        io.open_existing(file.path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_is_never_anything_else(file, monkeypatch, number):
    monkeypatch.setattr(os, "fdatasync", _fails(number))
    monkeypatch.setattr(os, "fsync", _fails(number))
    for sync in (file.fdatasync, file.fsync, lambda: io.sync_directory(os.path.dirname(file.path))):
        with pytest.raises(SyncFailed):
            sync()


def test_errors_name_the_path_and_the_cure(file, monkeypatch):
    monkeypatch.setattr(os, "pwritev", _fails(errno.EIO))
    monkeypatch.setattr(os, "ftruncate", _fails(errno.EROFS))
    monkeypatch.setattr(os, "pread", _fails(errno.EBADMSG))
    for call, cure in (
        (lambda: file.pwritev([b"x"], 0), "replace the drive"),
        (lambda: file.truncate(0), "mount the file system for writing"),
        (lambda: file.pread(1, 0), "look into the system log"),
    ):
        with pytest.raises(StoreError, match=cure) as raised:
            call()
        assert file.path in str(raised.value)


def test_every_change_is_recorded(tmp_path, recorder):
    io.configure()
    path = str(tmp_path / "file")
    file = io.create(path)
    file.allocate(4096)
    file.pwritev([b"ab", b"", b"c"], 7)
    file.fdatasync()
    file.truncate(9)
    file.fsync()
    file.pread(3, 0)
    file.close()
    io.rename(path, path + "2")
    io.sync_directory(tmp_path)
    io.unlink(path + "2")
    entries = read_entries(recorder / f"{os.getpid()}.record")
    assert [(entry.kind, entry.path, entry.offset, entry.data) for entry in entries] == [
        (io.RECORD_CREATE, path, 0, b""),
        (io.RECORD_ALLOCATE, path, 0, (4096).to_bytes(8, "little")),
        (io.RECORD_WRITE, path, 7, b"abc"),
        (io.RECORD_SYNC, path, 0, b""),
        (io.RECORD_TRUNCATE, path, 9, b""),
        (io.RECORD_SYNC, path, 0, b""),
        (io.RECORD_RENAME, path, 0, (path + "2").encode()),
        (io.RECORD_SYNC_DIRECTORY, str(tmp_path), 0, b""),
        (io.RECORD_UNLINK, path + "2", 0, b""),
    ]
    numbers = [number for entry in entries for number in (entry.begin, entry.end)]
    assert numbers == list(range(1, 19))


def test_a_write_that_fails_half_way_is_recorded_as_far_as_it_went(file, recorder, monkeypatch):
    io.configure()
    whole = os.pwritev

    def three_then_none(fd, views, offset):
        monkeypatch.setattr(os, "pwritev", _fails(errno.ENOSPC))
        return whole(fd, [b"".join(views)[:3]], offset)

    monkeypatch.setattr(os, "pwritev", three_then_none)
    with pytest.raises(NoSpace):
        file.pwritev([b"abcd", b"ef"], 0)
    [entry] = read_entries(recorder / f"{os.getpid()}.record")
    assert entry.data == b"abc"


def test_a_failed_sync_is_not_recorded(file, recorder, monkeypatch):
    io.configure()
    monkeypatch.setattr(os, "fdatasync", _fails(errno.EIO))
    with pytest.raises(SyncFailed):
        file.fdatasync()
    assert read_entries(recorder / f"{os.getpid()}.record") == []


def test_the_recorder_is_off_without_the_variable(recorder, monkeypatch):
    io.configure()
    assert segio.recording()
    monkeypatch.delenv("FASTOBJ_IO_RECORD")
    io.configure()
    assert not segio.recording()
