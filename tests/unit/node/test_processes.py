"""All processes of a server together: what one writes all see, what they count, and their rest."""

import re
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from fastobj.core.limits import IDLE_S
from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import (
    Client,
    Load,
    all_pids,
    kill,
    metrics,
    on_each_worker,
    pids,
    wait_until,
    workers,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server with a bucket `/bucket`; its processes may be killed."""
    with ProcessServer(tmp_path_factory.mktemp("processes") / "store") as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


@pytest.fixture
def two(server):
    """Two connections, each with a worker of its own."""
    clients = on_each_worker(server)
    yield clients
    for client in clients:
        client.http.close()


def _changes(server, names, work):
    """How much some metrics change by `work`."""
    before = _settled(server)
    work()
    after = _settled(server)
    return [after.get(name, 0) - before.get(name, 0) for name in names]


def _settled(server):
    """The metrics once every request that was answered is counted."""
    wait_until(lambda: metrics(server)["s3_requests_in_flight"] == 0)
    return metrics(server)


def test_a_bucket_made_anew_through_one_worker_is_seen_by_the_other_at_once(two):
    one, other = two
    for turn in range(60):
        here, there = (one, other) if turn % 2 else (other, one)
        assert here("PUT", "/fresh")[0] == 200
        assert there("PUT", "/fresh/k", b"%d" % turn)[0] == 200
        assert here("GET", "/fresh/k") == (200, b"%d" % turn)
        assert there("DELETE", "/fresh/k")[0] == 204
        assert here("DELETE", "/fresh")[0] == 204
        assert there("HEAD", "/fresh")[0] == 404
        assert there("PUT", "/fresh/k", b"late")[0] == 404


def test_a_committer_that_starts_makes_all_caches_stale(server, two):
    one, other = two
    assert one("PUT", "/kept")[0] == 200
    assert other("PUT", "/kept/k", b"1")[0] == 200
    kill(server, "committer")
    assert one("DELETE", "/kept/k")[0] == 204
    assert one("DELETE", "/kept")[0] == 204
    assert other("PUT", "/kept/k", b"2")[0] == 404


def test_batches_form_under_load(server):
    names = ("commit_transactions_total", "commit_batches_total")

    def work():
        with Load(server, _put, threads=16) as load:
            load.go_on(20)

    transactions, batches = _changes(server, names, work)
    assert transactions >= 16 * 20
    assert transactions / batches > 1.1


def _put(client, number, turn):
    assert client("PUT", f"/bucket/{number}-{turn % 5}", b"x" * 1000)[0] == 200


def test_requests_and_bytes_are_counted_over_all_workers(server, two):
    operations = (("PutObject", 200), ("GetObject", 200), ("HeadObject", 200), ("GetObject", 404))
    names = [
        f's3_requests_total{{operation="{op}",status="{number}"}}' for op, number in operations
    ]
    names += ["s3_received_bytes_total", "s3_sent_bytes_total"]

    def work():
        for client in two:
            for _ in range(5):
                assert client("PUT", "/bucket/k", b"x" * 100)[0] == 200
                assert client("GET", "/bucket/k")[0] == 200
                assert client("HEAD", "/bucket/k")[0] == 200
            assert client("GET", "/bucket/missing")[0] == 404

    put, got, headed, missing, received, sent = _changes(server, names, work)
    assert (put, got, headed, missing, received) == (10, 10, 10, 2, 1000)
    assert 1000 < sent < 3000  # the bodies, and two errors


def test_connections_are_counted(server, two):
    wait_until(lambda: metrics(server)["http_connections"] >= 2)
    clients = [Client(server) for _ in range(6)]
    wait_until(lambda: metrics(server)["http_connections"] >= 8)
    for client in clients:
        client.http.close()
    wait_until(lambda: metrics(server)["http_connections"] <= 4)


def test_commits_and_syncs_are_counted(server, two):
    names = ["commit_transactions_total", "log_sync_seconds_count", "log_sync_seconds_sum"]
    names += ["log_last_sequence"]

    def work():
        for _ in range(10):
            assert two[0]("PUT", "/bucket/k", b"x")[0] == 200

    transactions, syncs, seconds, sequence = _changes(server, names, work)
    assert (transactions, syncs, sequence) == (10, 10, 10)
    assert seconds > 0


def test_what_dead_processes_counted_is_kept(server):
    with Client(server) as client:
        assert client("PUT", "/bucket/k", b"x")[0] == 200
    before = _settled(server)
    kill(server, "committer")
    for _ in range(2):
        kill(server, "worker")
    server.wait_ready()
    with Client(server) as client:
        assert client("PUT", "/bucket/k", b"x")[0] == 200
    after = _settled(server)
    for name in (
        's3_requests_total{operation="PutObject",status="200"}',
        "commit_transactions_total",
    ):
        assert after[name] == before[name] + 1
    assert after["process_restarts_total"] == before["process_restarts_total"] + 3
    assert after["log_last_sequence"] > before["log_last_sequence"]
    assert after["http_connections"] <= 2


def test_bytes_that_do_not_verify_are_counted(server):
    with Client(server) as client:
        assert client("PUT", "/bucket/bad", b"recognise this body" * 500)[0] == 200
        damaged = 0
        for path in (server.directory / "log").glob("*.log"):
            content = path.read_bytes()
            at = content.find(b"recognise this body")
            if at >= 0:
                with path.open("r+b") as file:
                    file.seek(at + 5)
                    file.write(b"X")
                damaged += 1
        assert damaged == 1
        names = [
            "checksum_mismatches_total",
            's3_requests_total{operation="GetObject",status="500"}',
        ]
        counted = _changes(server, names, lambda: client("GET", "/bucket/bad"))
        assert counted == [1, 1]
        assert client("DELETE", "/bucket/bad")[0] == 204


def test_both_addresses_show_the_metrics(server):
    url = f"http://127.0.0.1:{server.console_port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as page:
        assert b"fastobj_commit_batches_total" in page.read()


def _rest(pid):
    """Ticks of the processor, and how often the process was woken, over all its threads."""
    ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    woken = sum(int(n) for text in texts for n in re.findall(r"ctxt_switches:\s+(\d+)", text))
    return ticks, woken


def _wait_for_rest(server):
    """Waits until no process has done anything for two seconds; a busy machine takes its time."""
    deadline = time.monotonic() + 40
    seen, since = None, time.monotonic()
    while time.monotonic() - since < 2:
        assert time.monotonic() < deadline, "the server never rests"
        ticks = {pid: _rest(pid)[0] for pid in all_pids(server)}
        if ticks != seen:
            seen, since = ticks, time.monotonic()
        time.sleep(0.1)


def test_an_idle_server_rests(server):
    """Also with connections that are kept alive, and after a load."""
    with Load(server, _put) as load:
        load.go_on(20)
    with ExitStack() as kept_alive:
        for _ in range(4):
            client = kept_alive.enter_context(Client(server))
            assert client("GET", "/bucket/0-0")[0] == 200
        time.sleep(IDLE_S)
        _wait_for_rest(server)  # what is done once after work
        before = {pid: _rest(pid) for pid in all_pids(server)}
        time.sleep(3)
        for pid, (ticks, woken) in before.items():
            ticks_now, woken_now = _rest(pid)
            assert ticks_now - ticks <= 1, pid
            assert woken_now - woken < 10, pid


def test_two_workers_write_at_once_and_every_object_is_the_last_of_its_writer(server):
    """Rivals for one key through both workers: each PUT is whole, the last answered one wins."""
    lock = threading.Lock()
    answered = []

    def work(client, number, turn):
        body = b"%d-%d " % (number, turn) * 50
        status, _ = client("PUT", "/bucket/hot", body)
        assert status == 200
        with lock:
            answered.append(body)

    with Load(server, work, threads=6) as load:
        load.go_on(15)
    with Client(server) as client:
        assert client("GET", "/bucket/hot")[1] in answered[-6:]
    assert len(workers(server)) == 2
    assert len(pids(server, "committer")) == 1
