"""Faults on purpose: the rules of the variable, and what calls meet in both seams of storage."""

import errno
import os
import time

import pytest

from fastobj._ext import segio
from fastobj.core.errors import ChecksumMismatch, NoSpace, StoreError, SyncFailed
from fastobj.storage import faults, io
from fastobj.storage.pool import Buffer, IoPool, PieceName
from tests.reference.segio import read_entries


@pytest.fixture(autouse=True)
def armed(monkeypatch):
    """Arms rules as a process does that finds them in its environment."""

    def arm(rules, **more):
        monkeypatch.setenv("FASTOBJ_FAULTS", rules)
        for name, value in more.items():
            monkeypatch.setenv(name, str(value))
        io.configure()

    yield arm
    monkeypatch.undo()
    io.configure()
    assert not io.is_instrumented()


@pytest.fixture
def file(tmp_path):
    file = io.create(tmp_path / "a.log")
    yield file
    file.close()


def test_a_rule_word_by_word():
    text = " write, read:path=*/log/*.log:role=committer:nth=5:times=2:tear=512:error=ENOSPC; ; "
    with pytest.raises(StoreError, match="not every call"):
        faults.parse(text)
    [rule] = faults.parse(text.replace(", read", ""))
    assert (rule.calls, rule.pattern, rule.role) == (segio.CALL_WRITE, "*/log/*.log", "committer")
    assert (rule.first, rule.times, rule.kind) == (5, 2, segio.FAULT_TEAR)
    assert (rule.error, rule.amount, rule.drops) == (errno.ENOSPC, 512, False)


def test_any_is_every_call_that_is_able():
    rules = faults.parse("any:short;any:error=EIO;any:count:nth=3;any:lie;any:drop:error=EIO")
    assert [rule.calls for rule in rules] == [
        segio.CALL_READ | segio.CALL_WRITE,
        sum(faults.CALLS.values()),
        sum(faults.CALLS.values()),
        sum(faults.CALLS.values()) - segio.CALL_READ - segio.CALL_OPEN - segio.CALL_CREATE,
        segio.CALL_SYNC,
    ]


def test_how_often_a_rule_fires():
    texts = ("nth=3", "from=3", "nth=2:times=4", "times=4:nth=2", "times=2", "count")
    rules = [
        faults.parse(f"sync:{text}{'' if text == 'count' else ':error=EIO'}") for text in texts
    ]
    assert [(rule.first, rule.times) for [rule] in rules] == [
        (3, 1),
        (3, 0),
        (2, 4),
        (2, 4),
        (1, 2),
        (1, 0),
    ]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("writes:error=EIO", "'writes' is no call"),
        ("write", "it does nothing"),
        ("write:nth=3", "it does nothing"),
        ("write:error=5", "'5' is no errno"),
        ("write:error", "'error' takes a value"),
        ("write:lie=3", "'lie' takes no value"),
        ("write:nth=0:error=EIO", "'0' is no number"),
        ("write:short:lie", "it does two things"),
        ("write:flip", "not every call"),
        ("read:lie", "not every call"),
        ("write:error=EIO:drop", "not every call"),
        ("sync:lie:drop", "not every call"),
        ("sync:stall=3", "'3' is no time"),
        ("write:from=2:error=EINTR", "never ends"),
        ("write:when=3:error=EIO", "'when' is none of path, role"),
    ],
)
def test_what_is_not_understood_is_told(armed, rule, why):
    with pytest.raises(StoreError, match="FASTOBJ_FAULTS") as raised:
        armed(f"read:count;{rule}")
    assert why in str(raised.value)
    assert repr(rule) in str(raised.value)
    assert "read:count" not in str(raised.value)


def test_the_fifth_write_of_a_log_fails_once(armed, tmp_path, file):
    armed("write:path=*.log:nth=5:error=EIO")
    other = io.create(tmp_path / "b.ext")
    for index in range(4):
        file.pwritev([b"x"], index)
        other.pwritev([b"x"], index)
    with pytest.raises(StoreError, match="replace the drive"):
        file.pwritev([b"y"], 4)
    file.pwritev([b"z"], 4)
    assert file.pread(9, 0) == b"xxxxz"
    assert faults.counted() == 6
    other.close()


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("create", lambda file: io.create(f"{file.path}2")),
        ("open", lambda file: io.open_existing(file.path)),
        ("read", lambda file: file.pread(1, 0)),
        ("write", lambda file: file.pwritev([b"a"], 0)),
        ("sync", lambda file: file.fdatasync()),
        ("sync", lambda file: file.fsync()),
        ("truncate", lambda file: file.truncate(1)),
        ("allocate", lambda file: file.allocate(9000)),
        ("rename", lambda file: io.rename(file.path, f"{file.path}2")),
        ("unlink", lambda file: io.unlink(file.path)),
        ("sync_directory", lambda file: io.sync_directory(os.path.dirname(file.path))),
    ],
)
def test_each_call_can_fail_and_is_not_done(armed, file, call, change):
    armed(f"{call}:error=ENOSPC")
    kind = SyncFailed if call.startswith("sync") else NoSpace
    with pytest.raises(kind, match="No space left"):
        change(file)
    assert os.listdir(os.path.dirname(file.path)) == ["a.log"]
    assert file.size() == 0
    armed(f"{call}:error=EINTR:times=3;{call}:count")  # as after a signal: begun again
    found = change(file)
    assert faults.counted(0) == faults.counted(1) == 4
    if isinstance(found, io.File):
        found.close()


def test_short_reads_and_writes_are_continued(armed, file, rng):
    armed("read,write:short=3;read,write:count")
    content = rng.randbytes(10)
    assert file.pwritev([content[:4], content[4:]], 0) == 10
    assert file.pread(10, 0) == content
    assert faults.counted() == 2 * len((10, 7, 4, 1))


def test_a_torn_write(armed, file):
    armed("write:nth=2:tear=2:error=ENOSPC")
    file.pwritev([b"abcd"], 0)
    with pytest.raises(NoSpace):
        file.pwritev([b"efgh"], 4)
    assert file.pread(9, 0) == b"abcdef"
    file.pwritev([b"efgh"], 4)
    assert file.pread(9, 0) == b"abcdefgh"


def test_lies(armed, tmp_path, file):
    armed("any:lie")
    assert file.pwritev([b"abc", b"d"], 0) == 4
    file.allocate(100)
    file.truncate(7)
    file.fdatasync()
    io.rename(file.path, tmp_path / "b")
    io.unlink(file.path)
    assert os.listdir(tmp_path) == ["a.log"]
    assert file.size() == 0


def test_a_flipped_bit(armed, file):
    file.pwritev([b"\0\0\0"], 0)
    armed("read:flip=9:nth=1;read:flip:from=3")
    assert file.pread(3, 0) == b"\0\2\0"
    assert file.pread(3, 0) == b"\0\0\0"
    seen = {file.pread(3, 0) for _ in range(50)}
    assert len(seen) > 5
    assert all(int.from_bytes(each, "big").bit_count() == 1 for each in seen)


def test_a_stall(armed, file):
    armed("sync:nth=2:stall=20ms")
    began = time.monotonic()
    file.fdatasync()
    file.fdatasync()
    assert time.monotonic() - began >= 0.02


def test_roles(armed, monkeypatch, file):
    monkeypatch.setenv("FASTOBJ_FAULTS", "sync:role=committer:error=EIO;sync:count")
    io.configure("worker")
    file.fdatasync()
    assert (faults.counted(0), faults.counted(1)) == (0, 1)
    io.configure("committer")
    with pytest.raises(SyncFailed):
        file.fdatasync()


def test_processes_count_together(armed, tmp_path, file):
    shared = tmp_path / "counted"
    armed("write:count;write:nth=3:error=EIO", FASTOBJ_FAULTS_COUNTED=shared)
    file.pwritev([b"x"], 0)
    child = os.fork()
    if child == 0:
        io.configure()
        file.pwritev([b"x"], 0)
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(StoreError):
        file.pwritev([b"x"], 0)
    assert int.from_bytes(shared.read_bytes()[:8], "little") == 3


def _piece(length):
    return PieceName(b"d" * 16, 7, 1, 0, length)


async def _written(pool, file, content):
    buffer = Buffer()
    buffer.payload(0, len(content))[:] = content
    await pool.write_piece(file, 0, buffer, _piece(len(content)))


async def _read(pool, file, length):
    buffer = Buffer()
    await pool.read_piece(file, 0, buffer, range(length), _piece(length))
    return bytes(buffer.payload(0, length))


async def test_jobs_of_the_pool_meet_the_same_rules(armed, file, rng):
    pool = IoPool()
    content = rng.randbytes(200_000)
    armed("write:path=*.log:nth=1:error=ENOSPC;read:path=*.log:nth=1:error=EIO")
    with pytest.raises(NoSpace):
        await _written(pool, file, content)
    assert file.size() == 0
    await _written(pool, file, content)
    with pytest.raises(StoreError, match="replace the drive"):
        await _read(pool, file, len(content))
    for rule in (
        "read,write:short=70000",
        "read,write:error=EINTR:times=5",
        "sync:lie",
        "any:count",
    ):
        armed(rule)
        await _written(pool, file, content)
        assert await _read(pool, file, len(content)) == content
        await pool.sync(file)
        assert faults.counted() >= (1 if "lie" in rule else 2)
    pool.close()


async def test_a_flip_under_a_piece_is_noticed(armed, file, rng):
    pool = IoPool()
    content = rng.randbytes(100_000)
    await _written(pool, file, content)
    noticed = 0
    armed("read:flip")
    for _ in range(60):
        try:
            assert await _read(pool, file, len(content)) == content  # a byte that no sum covers
        except StoreError:
            noticed += 1
    assert noticed > 40
    armed("read:flip=64000")
    with pytest.raises(ChecksumMismatch):
        await _read(pool, file, len(content))
    pool.close()


async def test_a_torn_piece(armed, file):
    pool = IoPool()
    armed("write:tear=4608")
    with pytest.raises(StoreError, match="write"):
        await _written(pool, file, b"x" * 9000)
    assert file.size() == 4608
    pool.close()


async def test_a_native_sync_is_never_repeated(armed, file):
    """Not even after a signal, which its threads do not get: a second one may hide a loss."""
    pool = IoPool()
    armed("sync:nth=1:error=EINTR")
    with pytest.raises(SyncFailed):
        await pool.sync(file)
    assert faults.counted() == 1
    pool.close()


def test_the_record_has_what_was_done(armed, tmp_path, file, recorder):
    armed("write:nth=2:tear=2;write:nth=3:lie;sync:nth=1:lie;sync:nth=2:error=EIO:drop")
    file.pwritev([b"abcd"], 0)
    with pytest.raises(StoreError):
        file.pwritev([b"efgh"], 4)
    file.pwritev([b"ijkl"], 8)
    file.fdatasync()
    with pytest.raises(SyncFailed):
        file.fdatasync()
    file.fdatasync()
    entries = read_entries(recorder / f"{os.getpid()}.record")
    assert [(entry.kind, entry.data) for entry in entries] == [
        (io.RECORD_WRITE, b"abcd"),
        (io.RECORD_WRITE, b"ef"),
        (io.RECORD_SYNC_LOST, b""),
        (io.RECORD_SYNC, b""),
    ]
    assert entries[2].path == file.path


def test_nothing_is_met_without_rules(file):
    assert segio.fault_meet(segio.CALL_WRITE, file.path, -1, 7) == 7
    assert segio.fault_meet_read(None, file.fd, 7) == (7, -1)
    assert segio.fault_flip(b"", 3) == b""
    assert faults.counted() == 0


def test_the_rules_are_bounded(armed):
    armed(";".join(["sync:count"] * 32))
    with pytest.raises(OSError, match="too long"):
        armed(";".join(["sync:count"] * 33))
    with pytest.raises(ValueError, match="less than 256 bytes"):
        armed(f"sync:count:path={'x' * 256}")
