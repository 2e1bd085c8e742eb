"""The supervisor and its children, as real processes: who ends, who stays, who comes back."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.descriptors import targets
from tests.unit.node.running import (
    Client,
    Load,
    all_pids,
    is_alive,
    kill,
    metrics,
    on_each_worker,
    pids,
    wait_until,
    workers,
)


@pytest.fixture
def server(tmp_path):
    """A running server with a bucket `/bucket`."""
    with ProcessServer(tmp_path / "store") as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


def _put_and_get(client, number, turn):
    path = f"/bucket/{number}-{turn % 7}"
    body = b"%d %d" % (number, turn)
    assert client("PUT", path, body)[0] == 200
    assert client("GET", path) == (200, body)


# --- children that end


def test_a_dead_worker_is_replaced_and_the_other_serves_on(server):
    one, two = on_each_worker(server)
    with one, two:
        killed = one.worker()
        new = kill(server, "worker", workers(server).index(killed))
        assert two("PUT", "/bucket/k", b"still here")[0] == 200
        for third in on_each_worker(server):
            with third:
                assert third.worker() in (new, two.worker())
                assert third("GET", "/bucket/k")[1] == b"still here"
    assert metrics(server)["process_restarts_total"] == 1


def test_children_that_die_again_and_again_come_back(server):
    for role in ("worker", "maintenance", "committer") * 2:
        kill(server, role)
        assert len(all_pids(server)) == 5
        server.wait_ready()
    with Client(server) as client:
        _put_and_get(client, 0, 0)
    assert metrics(server)["process_restarts_total"] == 6


def test_the_committer_dies_under_load_and_every_request_succeeds(server):
    with Load(server, _put_and_get) as load:
        for _ in range(3):
            load.go_on()
            kill(server, "committer")
        load.go_on()


def test_reads_go_on_while_there_is_no_committer(server):
    with Client(server) as client, Client(server) as writer:
        assert client("PUT", "/bucket/k", b"here")[0] == 200
        os.kill(pids(server, "committer")[0], signal.SIGSTOP)
        writer.begin("PUT", "/bucket/k", 4)
        writer.http.send(b"next")
        for _ in range(20):
            assert client("GET", "/bucket/k") == (200, b"here")
        kill(server, "committer")
        assert writer.answer()[0] == 200
        assert client("GET", "/bucket/k") == (200, b"next")


def test_nothing_is_left_of_a_killed_supervisor(server):
    children = all_pids(server)[1:]
    with Client(server) as client:
        assert client("PUT", "/bucket/k", b"kept")[0] == 200
    server.kill_supervisor()
    wait_until(lambda: not any(map(is_alive, children)), "the end of all children")
    server.start()  # same port, same directory: no lock and no listener is held
    with Client(server) as client:
        assert client("GET", "/bucket/k") == (200, b"kept")


def test_a_new_server_need_not_wait_for_the_children_of_a_killed_one(server):
    server.kill_supervisor()
    server.start()
    assert len(all_pids(server)) == 5


def test_the_list_of_processes_is_true_and_goes_with_the_server(server):
    assert [role for role, _ in server.pids()] == [
        "supervisor",
        "committer",
        "maintenance",
        "worker",
        "worker",
    ]
    assert all(map(is_alive, all_pids(server)))
    assert server.process is not None
    assert pids(server, "supervisor") == [server.process.pid]
    server.stop()
    assert not (server.directory / "processes").exists()


# --- descriptors


def test_children_hold_only_what_is_theirs(tmp_path):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    server = ProcessServer(tmp_path / "store")
    pipe = os.readlink(f"/proc/self/fd/{writing}")
    started = subprocess.Popen

    def popen(*arguments, **options):
        return started(*arguments, **{**options, "pass_fds": [writing]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", popen)
        server.launch()
    try:
        server.wait_ready()
        held = {pid: targets(pid) for pid in all_pids(server)}
        supervisor, *children = held
        assert pipe in held[supervisor].values()
        ours = _own_sockets(held)
        for pid in children:
            named = [link for link in held[pid].values() if not link.startswith("anon_inode")]
            assert pipe not in named
            assert not [link for link in named if link.endswith("server.lock")]
            assert len(ours[pid]) == len(set(ours[pid]))
        _no_socket_twice(ours, children)
    finally:
        server.stop()
        os.close(reading)
        os.close(writing)


def _own_sockets(held):
    return {
        pid: [link for fd, link in links.items() if link.startswith("socket:") and int(fd) > 2]
        for pid, links in held.items()
    }


def _no_socket_twice(ours, children):
    """A socket that two processes hold, a listener or an end of a link, would outlive one."""
    seen = {}
    for pid in ours:
        for link in ours[pid]:
            assert link not in seen, f"{pid} and {seen[link]} hold {link}"
            seen[link] = pid
    for pid in children:
        assert 0 < len(ours[pid]) <= 8


# --- connections


def test_connections_are_spread_evenly(server):
    for client in on_each_worker(server):  # one that does not serve yet comes behind the other
        client.http.close()
    wait_until(lambda: metrics(server)["http_connections"] <= 1)
    clients = [Client(server) for _ in range(20)]
    counts = [[client.worker() for client in clients].count(pid) for pid in workers(server)]
    assert all(9 <= count <= 11 for count in counts)
    for client in clients[::2]:
        client.http.close()
    wait_until(lambda: metrics(server)["http_connections"] <= 11)
    again = [Client(server) for _ in range(10)]
    kept = [*clients[1::2], *again]
    counts = [[client.worker() for client in kept].count(pid) for pid in workers(server)]
    assert all(8 <= count <= 12 for count in counts)
    for client in kept:
        client.http.close()


def test_a_worker_that_does_not_read_is_passed_over_and_gets_its_link_later(server):
    """Its control socket is full of connections when the committer is replaced."""
    with Client(server) as one:
        stopped = one.worker()
        os.kill(stopped, signal.SIGSTOP)
        connections = [_ask_health(server) for _ in range(800)]
        kill(server, "committer")
        os.kill(stopped, signal.SIGCONT)
        for connection in connections:
            with connection:
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert one("PUT", "/bucket/k", b"written")[0] == 200
        assert one.worker() == stopped


def _ask_health(server):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


def test_connections_wait_while_there_is_no_worker(tmp_path):
    with ProcessServer(tmp_path / "store", workers=1) as server:
        for _ in range(3):
            [pid] = workers(server)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: pid not in workers(server))
            with _ask_health(server) as connection:
                assert connection.recv(100).startswith(b"HTTP/1.1 200")


# --- the end, and servers that cannot begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_end(server, number):
    idle = Client(server)
    with Client(server) as client:
        client.begin("PUT", "/bucket/slow", 9)
        client.http.send(b"one ")
        client.worker()
        time.sleep(0.05)  # so that it has read the head
        children = all_pids(server)
        server.process.send_signal(number)
        assert idle.http.sock.recv(1) == b""
        client.http.send(b"three")
        assert client.answer()[0] == 200
    assert server.process.wait(30) == 0
    assert not any(map(is_alive, children))
    idle.http.close()
    server.start()
    with Client(server) as client:
        assert client("GET", "/bucket/slow") == (200, b"one three")


def test_requests_that_do_not_end_are_cut_in_the_end(tmp_path):
    server = ProcessServer(tmp_path / "store", arguments=("--shutdown-timeout", "0.2"))
    with server:
        with Client(server) as client:
            assert client("PUT", "/bucket")[0] == 200
            client.begin("PUT", "/bucket/slow", 9)
            client.http.send(b"one ")
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0
        server.start()
        with Client(server) as client:
            assert client("GET", "/bucket/slow")[0] == 404


def test_a_worker_that_hangs_is_killed_in_the_end(tmp_path):
    server = ProcessServer(tmp_path / "store", arguments=("--shutdown-timeout", "0"))
    with server:
        [first, _] = workers(server)
        os.kill(first, signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 1
        assert not is_alive(first)
        assert "worker did not end in time" in server.log_end()


def _refused(server):
    """Launches a server that must not come up; returns the last line of its log."""
    server.launch()
    assert server.process.wait(30) == 1
    return server.log_end().splitlines()[-1]


def test_a_second_server_on_a_directory_is_refused(server):
    second = ProcessServer(server.directory)
    message = _refused(second)
    assert f"process {server.process.pid}" in message
    assert message.startswith("fastobj server:")
    assert server.is_ready()


@pytest.mark.parametrize("console", [False, True])
def test_an_address_that_is_taken_is_named(tmp_path, console):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = ProcessServer(tmp_path / "store", port=None if console else port)
        if console:
            server.console_port = port
        message = _refused(server)
    assert message == f"fastobj server: cannot listen on 127.0.0.1:{port}: is in use already"
    assert not (tmp_path / "store" / "processes").exists()
    assert not _processes_of(server.directory)
    ProcessServer(tmp_path / "store").__enter__().stop()


def _processes_of(directory):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(str(directory)) in path.read_bytes().split(b"\0"):
                found.append(path)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_a_damaged_store_is_refused_with_its_reason(tmp_path):
    with ProcessServer(tmp_path / "store") as server:
        pass
    for database in (tmp_path / "store").glob("meta.db*"):
        database.write_bytes(b"this is no database of SQLite" * 1000)
    message = _refused(server)
    assert "the store cannot be opened" in message
    assert "Traceback" not in server.log_end()
    assert not _processes_of(server.directory)


# --- a sync that fails

_FAILING_SYNC = """
import os
_sync = os.fdatasync
def fdatasync(fd):
    flag = os.environ["FAIL_SYNC"]
    if os.path.exists(flag) and os.readlink(f"/proc/self/fd/{fd}").endswith(".log"):
        os.unlink(flag)
        raise OSError(5, "Input/output error")
    _sync(fd)
os.fdatasync = fdatasync
"""


@pytest.fixture
def fragile(tmp_path):
    """A server whose next sync of the log fails as soon as the file `flag` exists."""
    (tmp_path / "sitecustomize.py").write_text(_FAILING_SYNC)
    flag = tmp_path / "flag"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"PYTHONPATH": path, "FAIL_SYNC": str(flag)}
    with ProcessServer(tmp_path / "store", environment=environment) as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running, flag


def test_after_a_failed_sync_all_processes_start_anew(fragile):
    server, flag = fragile
    with Client(server) as client:
        assert client("PUT", "/bucket/k", b"before")[0] == 200
        old = all_pids(server)
        flag.touch()
        client.begin("PUT", "/bucket/k", 3)
        client.http.send(b"new")
        try:
            status = client.answer()[0]
        except OSError:
            status = 0  # its worker was killed before it could answer
        assert status in (0, 500, 503)
    wait_until(lambda: len(set(all_pids(server)) - set(old)) == 4, "four new processes")
    server.wait_ready()
    wait_until(lambda: not (server.directory / "fence").exists(), "the end of the fence")
    assert "committer ended with status 75" in server.log_end()
    with Client(server) as client:
        assert client("GET", "/bucket/k")[1] in (b"before", b"new")
        _put_and_get(client, 0, 0)


def test_under_load_a_failed_sync_loses_nothing_that_was_answered(fragile):
    server, flag = fragile
    stored = {}

    def put(client, number, turn):
        path, body = f"/bucket/{number}-{turn}", b"%d" % turn
        try:
            if client("PUT", path, body)[0] == 200:
                stored[path] = body
        except OSError:
            client.http.close()
            wait_until(server.is_ready)

    with Load(server, put) as load:
        load.go_on()
        flag.touch()
        wait_until(lambda: not flag.exists(), "the failing sync")
        load.go_on()
    with Client(server) as client:
        for path, body in stored.items():
            assert client("GET", path) == (200, body)
