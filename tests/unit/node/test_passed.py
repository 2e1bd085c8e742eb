"""Sockets passed to a server: by who starts it, and by the server that it was before."""

import os
import selectors
import signal
import socket

import pytest

from fastobj.core.clock import SystemClock
from fastobj.core.errors import StoreError
from fastobj.core.setting_kinds import Address
from fastobj.node import passed
from fastobj.node.acceptor import Acceptor
from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import Client, Load, all_pids, is_alive, renew, wait_until

PID = 4711


def _environ(**more):
    return {"LISTEN_PID": str(PID), "PATH": "/bin", **more}


def test_what_is_for_another_process_is_let_be():
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "PATH": "/bin"}
    assert passed.take(environ, PID) == passed.Passed()
    assert environ == {"PATH": "/bin"}  # nor is it for a child


@pytest.mark.parametrize(
    "variables",
    [
        {"LISTEN_FDS": "x"},
        {"LISTEN_FDS": "-1"},
        {"LISTEN_FDS": ""},
        {"LISTEN_FDS": "1", "LISTEN_PASSED": "0,1"},
    ],
)
def test_what_makes_no_sense_is_told(variables):
    with pytest.raises(StoreError, match="cannot be understood"):
        passed.take(_environ(**variables), PID)


def test_a_descriptor_that_is_no_socket_is_named(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(passed, "FIRST_FD", reading)
    with pytest.raises(StoreError, match=f"descriptor {reading} was passed and is no socket"):
        passed.take(_environ(LISTEN_FDS="1"), PID)
    os.close(reading)
    os.close(writing)


def test_a_socket_of_another_kind_is_named(monkeypatch):
    ours, theirs = socket.socketpair()
    fd = theirs.detach()
    monkeypatch.setattr(passed, "FIRST_FD", fd)
    with pytest.raises(StoreError, match=f"descriptor {fd} was passed and is no TCP .*AF_UNIX"):
        passed.take(_environ(LISTEN_FDS="1"), PID)
    assert ours.recv(1) == b""
    ours.close()


@pytest.fixture
def acceptor():
    made = Acceptor(selectors.DefaultSelector(), lambda *_: True, SystemClock())
    yield made
    made.close()


def test_passed_listeners_are_taken_by_port(acceptor, caplog):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        acceptor.listen([Address("0.0.0.0", port), Address("127.0.0.1", 0)], [listener, other])
        assert acceptor.passed().listeners[0] is listener
        assert not listener.getblocking()
        assert other.fileno() == -1
    assert "is not that of a setting" in caplog.text


def test_a_passed_socket_must_listen(acceptor):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    with pytest.raises(StoreError, match=f"127.0.0.1:{port}: .* does not listen"):
        acceptor.listen([Address("127.0.0.1", port)], [sock])
    sock.close()


# --- on running servers


def test_between_two_servers_connections_wait(tmp_path):
    """Whoever holds the socket for them, as systemd does, has nobody refused."""
    with ProcessServer(tmp_path / "store", activated=True) as server:
        with Client(server) as client:
            assert client("PUT", "/bucket")[0] == 200
        for _ in range(2):
            server.stop()
            with Client(server) as client:  # connected, though nobody serves
                client.begin("PUT", "/bucket/early", 2)
                server.start()
                client.http.send(b"ok")
                assert client.answer()[0] == 200


@pytest.fixture
def server(tmp_path):
    """A server with a bucket `/bucket`."""
    with ProcessServer(tmp_path / "store") as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


def _put_and_get(client, number, turn):
    """No request may fail: this client tries none again."""
    path, body = f"/bucket/{number}-{turn % 7}", b"%d %d" % (number, turn)
    assert client("PUT", path, body)[0] == 200
    assert client("GET", path) == (200, body)


def test_a_server_renews_itself_under_load_and_no_request_fails(server):
    supervisor, *children = all_pids(server)
    idle = [Client(server) for _ in range(20)]
    for client in idle[:10]:
        assert client("PUT", "/bucket/idle", b"1")[0] == 200
    ports = [client.http.sock.getsockname() for client in idle]
    with Load(server, _put_and_get, threads=6) as load:
        for _ in range(3):
            load.go_on(3)
            renew(server)
        load.go_on(3)
    for client in idle:
        assert client("PUT", "/bucket/idle", b"2")[0] == 200
    assert [client.http.sock.getsockname() for client in idle] == ports  # the same connections
    for client in idle:
        client.http.close()
    assert all_pids(server)[0] == supervisor
    assert not any(map(is_alive, children))
    assert "ERROR" not in server.log_end(1000)


def test_the_next_program_holds_no_more_than_the_one_before(server):
    def descriptors():
        server.wait_ready()
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    before = descriptors()
    for _ in range(2):
        renew(server)
    wait_until(lambda: descriptors() <= before, "as few descriptors")


def test_one_that_would_not_start_goes_on_as_it_is(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("workers = 2\n")
    server = ProcessServer(tmp_path / "store", arguments=("--config", str(file)))
    with server, Client(server) as client:
        assert client("PUT", "/bucket")[0] == 200
        file.write_text("wrokers = 3\n")
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "would not start anew" in server.log_end(), "a word about it")
        assert "wrokers" in server.log_end()
        assert client("PUT", "/bucket/k", b"1")[0] == 200
        file.write_text('log-format = "json"\n')  # a better one is taken
        renew(server)
        assert server.log_end(1).startswith('{"')
        assert client("PUT", "/bucket/k", b"1")[0] == 200


def test_a_stop_meanwhile_is_a_stop(server):
    with Client(server) as slow:
        slow.begin("PUT", "/bucket/slow", 2)
        slow.http.send(b"1")
        slow.worker()
        server.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: "starts anew" in server.log_end(), "the end of the requests")
        server.process.send_signal(signal.SIGTERM)
        slow.http.send(b"2")
        assert slow.answer()[0] == 200
        assert server.process.wait(30) == 0
