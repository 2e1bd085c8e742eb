"""Descriptors and memory run out, the disk is slow, the clock jumps: honest answers, reads go on
where they can, and all is well again by itself."""

import os
import random
import resource
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.faults.load import Sender, body_of

KIB, MIB = 1 << 10, 1 << 20
BUCKET = "full"
RELIEF_S_MAX = 20.0  # generous: this is no measurement
SMALL, LARGE = 3 * KIB, 2 * MIB


class Store:
    """A server, one client, and what was acknowledged."""

    def __init__(self, server):
        self.server = server
        self.stored = {}
        self.client = Sender(server.port)
        assert self.client.send("PUT", f"/{BUCKET}").status == 200

    def put(self, key, size):
        """The status; what was acknowledged is noted."""
        status = self.client.send("PUT", f"/{BUCKET}/{key}", body_of(key, size)).status
        if status == 200:
            self.stored[key] = size
        return status

    def get(self, key):
        answer = self.client.send("GET", f"/{BUCKET}/{key}")
        if answer.status == 200:
            assert answer.body == body_of(key, self.stored[key])
        return answer

    def check(self):
        """Everything that was acknowledged is there."""
        assert {key: self.get(key).status for key in self.stored} == dict.fromkeys(self.stored, 200)

    def recover(self):
        """Waits until puts of both kinds and reads are answered as before."""
        deadline = time.monotonic() + RELIEF_S_MAX
        number = 0
        while True:
            number += 1
            try:
                self.client.close()
                found = [self.put(f"after/{number}/{size}", size) for size in (SMALL, LARGE)]
                found += [self.get(key).status for key in list(self.stored)[:4]]
            except OSError as error:
                found = [error]
            if set(found) == {200}:
                break
            assert time.monotonic() < deadline, (found, self.server.log_end())
            time.sleep(0.1)
        self.check()


@contextmanager
def served(tmp_path, **options):
    """A server with one worker."""
    with ProcessServer(tmp_path / "store", workers=1, **options) as server:
        store = Store(server)
        before = server.pids()
        yield store
        assert server.pids() == before, server.log_end()
        assert server.differences() == []
        store.client.close()


class Shift:
    """By how many seconds the clocks of a server are wrong."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, seconds):
        """From now on; processes that read it see the old figure or the new one."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self.path)


def worker_of(server):
    """Its pid."""
    [pid] = [pid for role, pid in server.pids() if role.startswith("worker")]
    return pid


@contextmanager
def limited(pid, kind, value):
    """A limit of a process, for as long as the block runs."""
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


def test_no_descriptors(tmp_path):
    """Connections hold all of them: those that are served get 503 SlowDown for what needs more."""
    with served(tmp_path) as store:
        assert [store.put("small", SMALL), store.put("large", LARGE)] == [200, 200]
        pid = worker_of(store.server)
        highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
        place = ("127.0.0.1", store.server.port)
        with ExitStack() as held, limited(pid, resource.RLIMIT_NOFILE, highest + 4):
            deadline = time.monotonic() + RELIEF_S_MAX
            while (answer := store.get("large")).status != 503:
                assert time.monotonic() < deadline
                for _ in range(5):
                    held.enter_context(socket.create_connection(place, 5))
            assert b"<Code>SlowDown</Code>" in answer.body
            assert int(answer.headers["retry-after"]) > 0
            head = store.client.send("HEAD", f"/{BUCKET}/small")
            assert (head.status, int(head.headers["content-length"])) == (200, SMALL)
            held.close()
            store.recover()


def test_no_memory(tmp_path):
    """No more address space: refused or served, never wrong; small reads go on."""
    with served(tmp_path) as store:
        assert [store.put(f"small/{n}", SMALL) for n in range(9)] == [200] * 9
        assert store.put("large", 8 * MIB) == 200
        pid = worker_of(store.server)
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        with limited(pid, resource.RLIMIT_AS, used + 256 * KIB):
            statuses = {store.put(f"during/{n}", 12 * MIB) for n in range(6)}
            assert statuses <= {200, 500, 503}, store.server.log_end()
            assert {store.get(f"small/{n}").status for n in range(9)} == {200}
        store.recover()


def test_a_slow_disk(tmp_path, seed):
    """Syncs of the log stall: puts wait for them and are taken, reads do not wait."""
    rule = "sync:path=*/log/*.log:role=committer:from=20:times=12:stall=250ms"
    with served(tmp_path, environment={"FASTOBJ_FAULTS": rule}) as store:
        rng = random.Random(seed)
        for number in range(60):
            size = rng.choice((SMALL, LARGE)) if number % 10 == 0 else SMALL
            assert store.put(f"{number}", size) == 200
            assert store.get(f"{rng.randrange(number + 1)}").status == 200
        store.check()


def test_syncs_that_fail_now_and_then(tmp_path):
    """A failed sync starts all processes anew; what was acknowledged is there, puts go on."""
    counted = tmp_path / "counted"
    environment = {
        "FASTOBJ_FAULTS": "sync:path=*/log/*.log:role=committer:nth=30:error=EIO",
        "FASTOBJ_FAULTS_COUNTED": str(counted),  # once for all lives of the committer
    }
    with ProcessServer(tmp_path / "store", workers=1, environment=environment) as server:
        store = Store(server)
        statuses = []
        for number in range(60):
            try:
                statuses.append(store.put(f"{number}", SMALL))
            except OSError:  # the connection ended with its worker
                store.client.close()
        assert statuses.count(200) > 20
        store.recover()
        assert int.from_bytes(counted.read_bytes()[:8], "little") > 30
        assert "a sync failed" in server.log_path.read_text()
        assert server.differences() == []
        store.client.close()


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_clock_that_jumps(tmp_path, seconds):
    """By minutes, there and back: the last write wins whatever the clock said of it."""
    shift = Shift(tmp_path / "shift")
    with served(tmp_path, environment={"FASTOBJ_CLOCK_SHIFT": str(shift.path)}) as store:
        for jump in (0, seconds, 0, -seconds, 0):
            shift.set(jump)
            for key in ("one", "two"):
                store.stored.pop(key, None)
                size = SMALL + len(store.stored)
                assert store.put(key, size) == 200
            assert store.put(f"more {jump} {len(store.stored)}", LARGE) == 200
            store.check()


def test_a_clock_that_is_days_off(tmp_path):
    """What is signed by the right time is refused as too far off, and taken again afterwards."""
    shift = Shift(tmp_path / "shift")
    with served(tmp_path, environment={"FASTOBJ_CLOCK_SHIFT": str(shift.path)}) as store:
        assert store.put("before", SMALL) == 200
        for days in (40, -40):
            shift.set(days * 86400)
            answer = store.client.send("GET", f"/{BUCKET}/before")
            assert (answer.status, b"RequestTimeTooSkewed" in answer.body) == (403, True)
        shift.set(0)
        store.recover()
