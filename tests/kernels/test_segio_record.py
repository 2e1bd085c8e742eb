"""The recorder of segio: entries of several threads and processes under one counter."""

import os
import struct
import subprocess
import sys

import pytest

from fastobj._ext import segio
from tests.kernels.test_segio import HEAD, PLACE, Driver
from tests.reference.segio import read_entries

WRITER = """
import sys
from fastobj._ext import segio
segio.record_open(sys.argv[1], sys.argv[2])
for index in range(300):
    begin = segio.record_begin()
    segio.record_end(begin, 1, "/body", index, bytes([index % 256]) * index)
"""


@pytest.fixture
def recorder(tmp_path):
    """The recorder, on, with its two paths."""
    paths = (tmp_path / "record", tmp_path / "counter")
    segio.record_open(*paths)
    yield paths
    segio.record_close()


def test_off_is_nothing():
    assert not segio.recording()
    assert segio.record_begin() == 0
    segio.record_end(0, 1, "/nowhere", 0, b"abc")


def test_an_entry_byte_by_byte(recorder):
    assert segio.recording()
    begin = segio.record_begin()
    segio.record_end(begin, 5, "/a", 9, b"/bc")
    entry = struct.pack("<IBQQQHQ", 39 + 2 + 3, 5, 1, 2, 9, 2, 3) + b"/a/bc"
    assert recorder[0].read_bytes() == entry
    assert recorder[1].read_bytes() == struct.pack("<Q", 2)


def test_jobs_record_themselves(recorder, tmp_path, rng):
    driver = Driver(tmp_path / "file")
    payload = rng.randbytes(70_000)
    buffer = driver.write(payload, offset=4096)
    driver.pool.sync(driver.fd, driver.path, 0)
    driver.wait()
    assert driver.read(len(payload), offset=4096) == (0, payload)
    driver.pool.sync(-1, "failed", 0)
    driver.wait()
    driver.close()
    write, sync = read_entries(recorder[0])
    assert (write.kind, write.offset, write.path) == (1, 4096, str(driver.path))
    assert write.data == buffer
    assert (sync.kind, sync.path, sync.data) == (2, str(driver.path), b"")
    assert write.begin < write.end < sync.begin < sync.end


def test_threads_append_whole_entries(recorder, tmp_path):
    driver = Driver(tmp_path / "file", threads=4)
    for index in range(100):
        buffer = bytearray(HEAD + 1 + index)
        driver.pool.write_piece(
            driver.fd, "/file", index * 8192, buffer, 1 + index, *PLACE, index, False, index
        )
    driver.wait(100)
    driver.close()
    entries = read_entries(recorder[0])
    assert sorted(entry.offset for entry in entries) == [8192 * index for index in range(100)]
    assert all(len(entry.data) == HEAD + 1 + entry.offset // 8192 for entry in entries)


def test_two_processes_share_the_counter(recorder, tmp_path):
    other = tmp_path / "other"
    command = [sys.executable, "-c", WRITER, str(other), str(recorder[1])]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    while process.poll() is None:
        segio.record_end(segio.record_begin(), 2, "/mine")
    assert process.returncode == 0
    theirs, ours = read_entries(other), read_entries(recorder[0])
    assert [(entry.offset, len(entry.data)) for entry in theirs] == [(i, i) for i in range(300)]
    numbers = [number for entry in theirs + ours for number in (entry.begin, entry.end)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for entries in (theirs, ours):
        assert all(entry.begin < entry.end for entry in entries)
        assert [entry.begin for entry in entries] == sorted(entry.begin for entry in entries)


def test_a_child_records_to_its_own_file(recorder, tmp_path):
    child = os.fork()
    if child == 0:
        try:
            segio.record_open(tmp_path / "child", recorder[1])
            segio.record_end(segio.record_begin(), 2, "/child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    segio.record_end(segio.record_begin(), 2, "/parent")
    [theirs], [ours] = read_entries(tmp_path / "child"), read_entries(recorder[0])
    assert (theirs.path, theirs.begin, theirs.end) == ("/child", 1, 2)
    assert (ours.path, ours.begin, ours.end) == ("/parent", 3, 4)


def test_failures_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError):
        segio.record_open(tmp_path / "none" / "record", tmp_path / "counter")
    assert not segio.recording()
    with pytest.raises(FileNotFoundError):
        segio.record_open(tmp_path / "record", tmp_path / "none" / "counter")
    assert not segio.recording()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_record_that_cannot_be_complete_fails_the_change(tmp_path):
    segio.record_open("/dev/full", tmp_path / "counter")
    try:
        with pytest.raises(OSError, match="No space"):
            segio.record_end(segio.record_begin(), 2, "/a")
    finally:
        segio.record_close()
