"""Names of segment files and the descriptors kept for reading."""

import asyncio
import os

import pytest

from fastobj.core.errors import StaleLocation, StoreError
from fastobj.storage import segment_files
from fastobj.storage.log_format import EXTENT_ID_MIN
from fastobj.storage.segment_files import (
    SegmentFiles,
    make_folders,
    new_extent_id,
    segment_of,
    segment_path,
)


@pytest.fixture
def root(tmp_path):
    make_folders(str(tmp_path))
    return str(tmp_path)


def _make(root, segment, content=b"abc"):
    with open(segment_path(root, segment), "wb") as file:
        file.write(content)


def _fds():
    return len(os.listdir("/proc/self/fd"))


def test_names_follow_from_the_id():
    assert segment_path("/s", 0x1F) == "/s/log/000000000000001f.log"
    assert segment_path("/s", EXTENT_ID_MIN - 1) == "/s/log/7fffffffffffffff.log"
    assert segment_path("/s", EXTENT_ID_MIN) == "/s/extents/8000000000000000.ext"
    assert segment_path("/s", (1 << 64) - 1) == "/s/extents/ffffffffffffffff.body"


@pytest.mark.parametrize("segment", [1, EXTENT_ID_MIN - 1, EXTENT_ID_MIN, (1 << 64) - 1])
def test_ids_follow_from_the_names(segment):
    assert segment_of(os.path.basename(segment_path("", segment))) == segment


@pytest.mark.parametrize(
    "name", ["", "read me", "0000000000000001-2.spare", "1.making", "x.log", "lost+found", "12"]
)
def test_other_names_are_no_segments(name):
    assert segment_of(name) is None


def test_new_ids_are_those_of_their_kind():
    for own_file, suffix in ((False, ".ext"), (True, ".body")):
        ids = {new_extent_id(own_file) for _ in range(50)}
        assert len(ids) == 50
        assert all(EXTENT_ID_MIN <= segment < 1 << 64 for segment in ids)
        assert all(segment_path("", segment).endswith(suffix) for segment in ids)


def test_folders_are_made_once(root):
    make_folders(root)
    assert sorted(os.listdir(root)) == ["extents", "log"]
    with pytest.raises(StoreError, match="make folders"):
        make_folders("/dev/null/store")


async def test_a_file_is_opened_once(root):
    _make(root, 1)
    files = SegmentFiles(root)
    before = _fds()
    file = files.lend(1)
    assert files.lend(1) is file
    assert _fds() == before + 1
    assert os.pread(file.fd, 9, 0) == b"abc"
    files.drop(1)
    files.drop(1)
    assert _fds() == before
    files.close()


async def test_a_file_that_is_gone_is_stale(root):
    files = SegmentFiles(root)
    with pytest.raises(StaleLocation):
        files.lend(7)
    os.symlink(segment_path(root, 9), segment_path(root, 9))
    with pytest.raises(StoreError, match="cannot open") as raised:
        files.lend(9)
    assert not isinstance(raised.value, StaleLocation)
    files.close()


async def test_a_duplicate_outlives_the_name(root):
    _make(root, 1)
    files = SegmentFiles(root)
    file = files.duplicate(1)
    os.unlink(segment_path(root, 1))
    files.drop(1)
    assert file.pread(9, 0) == b"abc"
    file.close()
    with pytest.raises(StaleLocation):
        files.duplicate(1)
    files.close()


async def test_open_files_are_bounded(root, monkeypatch):
    monkeypatch.setattr(segment_files, "OPEN_FILES_MAX", 3)
    files = SegmentFiles(root)
    before = _fds()
    for segment in range(10):
        _make(root, segment, b"%d" % segment)
        assert os.pread(files.lend(segment).fd, 9, 0) == b"%d" % segment
    assert _fds() == before + 3
    files.close()
    assert _fds() == before


async def test_idle_files_are_closed_and_used_ones_are_not(root, monkeypatch):
    files = SegmentFiles(root)
    before = _fds()
    for segment in (1, 2):
        _make(root, segment)
        files.lend(segment)
    monkeypatch.setattr(segment_files, "IDLE_TICKS", 1)
    files._tick()
    assert _fds() == before + 2
    files.lend(2)
    files._tick()
    assert _fds() == before + 1
    monkeypatch.setattr(segment_files, "TICK_S", 0.002)
    files._tick()
    for _ in range(1000):
        await asyncio.sleep(0.002)
        if files._timer is None:
            break
    assert _fds() == before
    assert files._timer is None
    files.close()


async def test_removed_files_are_let_go_at_once(root):
    """A descriptor would keep their room from the disk."""
    files = SegmentFiles(root)
    before = _fds()
    for segment in (1, 2):
        _make(root, segment)
        files.lend(segment)
    os.unlink(segment_path(root, 1))
    files._tick()
    assert _fds() == before + 1
    assert files.lend(2)
    with pytest.raises(StaleLocation):
        files.lend(1)
    files.close()
