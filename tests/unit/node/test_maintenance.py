"""Reclaim on a running server: space comes back while clients read and write."""

import fcntl
import os
import signal
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import Client, Load, kill, metrics, wait_until

SMALL_SEGMENTS = ("--log-segment-bytes-min", "256KiB", "--log-segment-bytes-max", "256KiB")
SEGMENT_BYTES = 256 * 1024
MIB = 1 << 20


@pytest.fixture
def server(tmp_path):
    """A server whose log has small segments, and a bucket `/bucket`."""
    with ProcessServer(tmp_path / "store", arguments=SMALL_SEGMENTS) as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


def _segments(server) -> list[Path]:
    return list((server.directory / "log").glob("*.log"))


def _older(server, last: int) -> int:
    """How many segments there are up to half way to `last`."""
    return sum(_number(path) <= last / 2 for path in _segments(server))


def _extents(server) -> list[Path]:
    return list((server.directory / "extents").iterdir())


def _overwrite(client, number, turn):
    """Each thread has its own keys, and reads back what it wrote a while ago."""
    body = b"%d %d " % (number, turn) * 1500
    assert client("PUT", f"/bucket/{number}-{turn % 4}", body)[0] == 200
    if turn % 4 == 3:
        before = b"%d %d " % (number, turn - 2) * 1500
        assert client("GET", f"/bucket/{number}-{(turn - 2) % 4}") == (200, before)


def _number(path: Path) -> int:
    return int(path.stem, 16)


@pytest.mark.parametrize("rounds", [1, pytest.param(8, marks=pytest.mark.long)])
def test_endless_overwrite_takes_bounded_space(server, rounds):
    """All that a checkpoint covers goes while clients write, and nothing that they read."""
    most = []
    with Load(server, _overwrite, threads=8) as load:
        for _ in range(rounds):
            covered = metrics(server)["log_covered_sequence"]
            while metrics(server)["log_covered_sequence"] == covered and not load.errors:
                load.go_on(10)
            last = max(map(_number, _segments(server)))
            most.append(len(_segments(server)))
            # Most of what there was is gone: what stays holds what nobody has overwritten yet.
            wait_until(lambda last=last: load.errors or _older(server, last) < 20, "reclaim")
    assert rounds == 1 or most[-1] < last / 2, (most, last)
    server.kill_supervisor()
    server.start()
    with Client(server) as client:
        for number in range(8):
            turn = load.rounds[number] - 1
            body = b"%d %d " % (number, turn) * 1500
            assert client("GET", f"/bucket/{number}-{turn % 4}") == (200, body)


def test_spares_are_made_ahead(server):
    def spares():
        found = list((server.directory / "log").glob("*.spare"))
        return [path.stat().st_size for path in found]

    wait_until(lambda: spares().count(SEGMENT_BYTES) >= 2, "two spares")
    with Client(server) as client:
        for number in range(40):
            assert client("PUT", f"/bucket/{number}", bytes(30_000))[0] == 200
    assert len(_segments(server)) >= 4
    wait_until(lambda: spares().count(SEGMENT_BYTES) >= 2, "two spares again")


def _large(size, letter=b"x"):
    return letter * size


def test_a_body_with_a_file_of_its_own_goes_when_it_is_overwritten(server):
    with Client(server) as client:
        for letter in (b"a", b"b"):
            assert client("PUT", "/bucket/large", _large(64 * MIB, letter))[0] == 200
        wait_until(lambda: len(_extents(server)) == 1, "the end of the first file")
        assert client("GET", "/bucket/large") == (200, _large(64 * MIB, b"b"))
        assert client("DELETE", "/bucket/large")[0] == 204
    wait_until(lambda: not _extents(server), "the end of the second file")


def test_the_open_file_of_a_killed_worker_is_sealed_and_goes_when_it_is_empty(server):
    with Client(server) as client:
        pid = client.worker()
        assert client("PUT", "/bucket/large", _large(2 * MIB))[0] == 200
        assert len(_extents(server)) == 1
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "of a dead process is sealed" in server.log_end(), "the sealing")
    with Client(server) as client:
        assert client("GET", "/bucket/large") == (200, _large(2 * MIB))
        assert len(_extents(server)) == 1
        assert client("DELETE", "/bucket/large")[0] == 204
    wait_until(lambda: not _extents(server), "the end of the file")


def test_what_a_killed_worker_had_not_committed_goes(server):
    """Only the row and the file of a body that never came are left of it."""
    with Client(server) as client:
        pid = client.worker()
        client.begin("PUT", "/bucket/large", 64 * MIB)
        client.http.send(bytes(MIB))
        wait_until(lambda: _extents(server), "the file")
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _extents(server), "the end of the file")


def test_a_new_maintenance_process_goes_on(server):
    kill(server, "maintenance")
    with Client(server) as client:
        assert client("PUT", "/bucket/large", _large(64 * MIB))[0] == 200
        assert client("DELETE", "/bucket/large")[0] == 204
    wait_until(lambda: not _extents(server), "the end of the file")


def test_it_goes_on_with_a_new_committer(server):
    with Client(server) as client:
        assert client("PUT", "/bucket/large", _large(64 * MIB))[0] == 200
        kill(server, "committer")
        assert client("DELETE", "/bucket/large")[0] == 204
    wait_until(lambda: not _extents(server), "the end of the file")


def test_files_without_a_row_are_settled(server):
    """At the start and after a death, unless somebody is making them."""
    server.stop()
    extents = server.directory / "extents"
    (extents / "8000000000000001.ext").write_bytes(bytes(100_000))
    (extents / "8000000000000002.ext").write_bytes(bytes(50_000) + b"something" + bytes(9))
    with (extents / "8000000000000003.ext").open("wb") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        server.start()
        wait_until(lambda: len(_extents(server)) == 1, "the others' end")
        quarantine = server.directory / "quarantine"
        assert [path.name for path in quarantine.iterdir()] == ["8000000000000002.ext"]
        assert b"something" in (quarantine / "8000000000000002.ext").read_bytes()
    kill(server, "worker")
    wait_until(lambda: not _extents(server), "the end of what is nobody's")
