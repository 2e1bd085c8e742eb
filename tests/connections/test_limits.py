"""Settings bound what clients may take: time, header bytes, connections, descriptors."""

import contextlib
import os
import resource
import socket
import time

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.clients.signed import signed_headers
from tests.connections.figures import Crowd
from tests.unit.node.running import Client, metrics, pids, wait_until, workers

MIB = 1024 * 1024
QUICK = (
    *("--header-timeout", "1", "--idle-timeout", "1", "--body-timeout", "1"),
    *("--write-timeout", "1", "--body-rate-min", "4KiB", "--header-bytes-max", "8KiB"),
)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A server that waits for nothing longer than a second."""
    store = tmp_path_factory.mktemp("quick") / "store"
    with ProcessServer(store, arguments=QUICK) as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
            assert client("PUT", "/bucket/large", os.urandom(32 * MIB))[0] == 200
        yield running


def _raw(server: ProcessServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def _rest(sock: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(65536):
            received += piece
    return received


def _cuts(server: ProcessServer, limit: str) -> float:
    return metrics(server).get(f'http_cut_total{{limit="{limit}"}}', 0)


def _head(server: ProcessServer, method: str, path: str, *more: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in signed_headers(server, method, path).items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, *more, "", ""]).encode()


def test_a_silent_client_is_closed(quick):
    before = _cuts(quick, "idle")
    with _raw(quick) as sock:
        assert _rest(sock) == b""
    assert _cuts(quick, "idle") > before


def test_a_head_that_stops_is_answered_408(quick):
    before = _cuts(quick, "head")
    with _raw(quick) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = _rest(sock)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\nServer: fastobj\r\nDate: ")
    assert _cuts(quick, "head") > before


def test_51_a_head_that_trickles_is_answered_408(quick):
    with _raw(quick) as sock:
        sock.settimeout(0.05)
        for byte in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000:
            sock.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                assert sock.recv(1000).startswith(b"HTTP/1.1 408 ")
                break
        else:
            raise AssertionError("the head was never refused")


def test_a_head_that_is_too_large_is_answered_431(quick):
    with _raw(quick) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000)
        assert _rest(sock).startswith(b"HTTP/1.1 431 ")
    assert _cuts(quick, "header_bytes") >= 1


@pytest.mark.parametrize("size", [1000, 5 * MIB])
@pytest.mark.parametrize("pause_s", [0, 0.05])
def test_51_a_slow_body_is_answered_request_timeout(quick, size, pause_s):
    limit = "rate" if pause_s else "body"
    before = _cuts(quick, limit)
    with _raw(quick) as sock:
        sock.sendall(_head(quick, "PUT", "/bucket/slow", f"Content-Length: {size}"))
        with contextlib.suppress(ConnectionError):
            while _cuts(quick, limit) == before:
                if pause_s:
                    sock.sendall(b"a")
                time.sleep(pause_s)
        answer = _rest(sock)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"<Code>RequestTimeout</Code>" in answer
    assert b"\r\nConnection: close\r\n" in answer
    with Client(quick) as client:
        assert client("GET", "/bucket/slow")[0] == 404


def test_an_answer_that_is_not_read_is_cut(quick):
    before = _cuts(quick, "write")
    with _raw(quick) as sock:
        sock.sendall(_head(quick, "GET", "/bucket/large"))
        wait_until(lambda: _cuts(quick, "write") > before, "the cut")
    with Client(quick) as client:
        assert client("HEAD", "/bucket/large")[0] == 200


def test_51_many_slow_clients_hold_up_nobody(quick):
    half = "PUT /bucket/k HTTP/1.1\r\nHost: x\r\n"
    with Crowd(quick, 300, "127.0.0.5", half) as slow:
        slow.wait_open()
        with Client(quick) as client:
            for number in range(20):
                assert client("PUT", f"/bucket/{number}", b"x" * 100)[0] == 200
        assert slow.ask("answered 408") == 300


def test_continue_comes_only_after_the_signature(quick):
    expects = ("Expect: 100-continue", "Content-Length: 5")
    with _raw(quick) as sock:
        sock.sendall(_head(quick, "PUT", "/bucket/c", *expects))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"12345")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    with _raw(quick) as sock:
        forged = _head(quick, "PUT", "/bucket/c", *expects).replace(b"Signature=", b"Signature=0")
        sock.sendall(forged)
        answer = _rest(sock)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_pipelined_requests_are_answered_in_order(quick):
    with Client(quick) as client:
        for number in range(50):
            assert client("PUT", f"/bucket/p{number}", b"%d" % number)[0] == 200
    with _raw(quick) as sock:
        heads = [_head(quick, "GET", f"/bucket/p{number}") for number in range(50)]
        heads[-1] = _head(quick, "GET", "/bucket/p49", "Connection: close")
        sock.sendall(b"".join(heads))
        responses = _rest(sock).split(b"HTTP/1.1 200 OK\r\n")[1:]
    bodies = [response.partition(b"\r\n\r\n")[2] for response in responses]
    assert bodies == [b"%d" % number for number in range(50)]


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/bucket/large"), ("HEAD", "/bucket/none")])
def test_no_body_follows_a_head(quick, method, path):
    with _raw(quick) as sock:
        sock.sendall(_head(quick, method, path, "Connection: close"))
        answer = _rest(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nDate: " in head
    assert body == b""


# --- connections


@pytest.fixture
def narrow(tmp_path):
    """A server with one worker that takes 16 connections."""
    arguments = ("--connections-max", "16")
    with ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as running:
        yield running


def test_beyond_the_most_idle_ones_go_and_then_new_ones_are_refused(narrow):
    socks = [_raw(narrow) for _ in range(16)]
    for sock in socks:
        sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    late = _raw(narrow)
    late.sendall(b"GET /health/live HTTP/1.1\r\n")
    assert _rest(socks[0]) == b""
    for sock in socks[1:]:
        sock.sendall(b"GET /health/live HTTP/1.1\r\n")
    refused, answer = _raw(narrow), b""
    while not answer:  # the others may still be idle
        answer = _rest(refused)
        refused.close()
        refused = _raw(narrow) if not answer else refused
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\nServer: fastobj\r\nDate: ")
    assert b"\r\nRetry-After: 1\r\n" in answer
    for sock in [*socks, late]:
        sock.close()
    wait_until(narrow.is_ready, "room")
    assert _cuts(narrow, "connections") >= 2


def test_a_low_limit_of_open_files_lowers_the_most(tmp_path):
    prefix = ("prlimit", "--nofile=400:400")
    with ProcessServer(tmp_path / "store", workers=1, prefix=prefix) as server:
        assert "each worker serves 40 connections at most, not 16000" in server.log_end()
        with Crowd(server, 200, "127.0.0.6") as crowd:
            crowd.wait_open()
            wait_until(lambda: crowd.ask("open") <= 40, "the end of those too many")
            with Client(server) as client:
                assert client("PUT", "/bucket")[0] == 200
                body = os.urandom(3 * MIB)
                for number in range(5):
                    assert client("PUT", f"/bucket/{number}", body)[0] == 200
                    assert client("GET", f"/bucket/{number}") == (200, body)
        assert "ERROR" not in server.log_end(1000)


# --- no descriptors


@contextlib.contextmanager
def _no_more_files(pid: int):
    """The process may open none beyond those that it has."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    next_free = min(set(range(len(taken) + 1)) - taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next_free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_56_a_supervisor_without_descriptors_waits_and_goes_on(narrow):
    [supervisor] = pids(narrow, "supervisor")
    with _no_more_files(supervisor):
        waiting = _raw(narrow)  # the kernel has it, nobody accepts it
        waiting.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: "no connection can be accepted now" in narrow.log_end(), "a word")
    assert waiting.recv(1000).startswith(b"HTTP/1.1 200")
    waiting.close()
    assert narrow.log_end(1000).count("no connection can be accepted now") == 1


def test_56_a_worker_without_descriptors_drops_connections_and_goes_on(narrow):
    [worker] = workers(narrow)
    with Client(narrow) as client:
        assert client("PUT", "/bucket")[0] == 200
        with _no_more_files(worker):
            for _ in range(5):
                with _raw(narrow) as sock:
                    assert _rest(sock) == b""
            assert client("PUT", "/bucket/k", b"small")[0] == 200
    for _ in range(20):
        assert narrow.is_ready()
    assert workers(narrow) == [worker]
