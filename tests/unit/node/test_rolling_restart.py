"""SIGHUP on a running server: all processes are replaced, and no client notices."""

import asyncio
import os
import signal
import time

import pytest

from fastobj.core.segments import SEGMENT_EXTENTS, SEGMENT_OPEN
from fastobj.meta import keys, records
from fastobj.testing.audited import audited_at
from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import (
    Client,
    Load,
    all_pids,
    hang_up,
    is_alive,
    kill,
    metrics,
    on_each_worker,
    pids,
    roll,
    rolls_done,
    wait_until,
    workers,
)

MIB = 1 << 20


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def any_server(request, tmp_path_factory):
    """A server with one worker, and one with two; with a bucket `/bucket`."""
    yield from _serving(tmp_path_factory, request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with two workers and a bucket `/bucket`."""
    yield from _serving(tmp_path_factory, 2)


def _serving(tmp_path_factory, workers_count):
    directory = tmp_path_factory.mktemp("rolling") / "store"
    with ProcessServer(directory, workers=workers_count) as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


def _put_and_get(client, number, turn):
    """No request may fail: this client tries none again."""
    path = f"/bucket/{number}-{turn % 7}"
    body = b"%d %d" % (number, turn) * (20_000 if turn % 5 == 4 else 1)
    assert client("PUT", path, body)[0] == 200
    assert client("GET", path) == (200, body)


def test_under_load_every_process_is_replaced_and_no_request_fails(any_server):
    restarts = metrics(any_server)["process_restarts_total"]
    with Load(any_server, _put_and_get, threads=6) as load:
        for _ in range(4):
            load.go_on(3)
            old = set(all_pids(any_server)[1:])
            roll(any_server)
            wait_until(lambda old=old: not set(all_pids(any_server)) & old, "new processes")
            assert len(all_pids(any_server)) == len(old) + 1
        load.go_on(3)
    assert metrics(any_server)["process_restarts_total"] == restarts  # none of them failed
    assert "ERROR" not in any_server.log_end(1000)


def test_idle_connections_go_on_with_another_worker(any_server):
    clients = [Client(any_server) for _ in range(10)]
    for client in clients[:5]:  # the others have not sent a byte yet
        assert client("PUT", "/bucket/idle", b"1")[0] == 200
    ports = [client.http.sock.getsockname() for client in clients]
    roll(any_server)
    for client in clients:
        assert client("GET", "/bucket/idle")[0] == 200
    assert [client.http.sock.getsockname() for client in clients] == ports
    wait_until(lambda: metrics(any_server)["http_connections"] >= 10)
    for client in clients:
        client.http.close()


def test_a_request_under_way_ends_well_and_is_its_connections_last(any_server):
    with Client(any_server) as slow:
        slow.begin("PUT", "/bucket/slow", 2 * MIB)
        slow.http.send(bytes(MIB))
        old = slow.worker()
        done = rolls_done(any_server)
        with _idle_at(any_server, old) as idle:
            hang_up(any_server)
            wait_until(lambda: idle.worker() != old, "a successor that takes connections")
            assert idle("PUT", "/bucket/other", b"2")[0] == 200
        assert is_alive(old)
        slow.http.send(bytes(MIB))
        response = slow.http.getresponse()
        assert (response.status, response.headers["Connection"]) == (200, "close")
    wait_until(lambda: rolls_done(any_server) > done, "the end of the rolling restart")
    assert not is_alive(old)
    with Client(any_server) as client:
        assert client("GET", "/bucket/slow") == (200, bytes(2 * MIB))


def _idle_at(server, pid):
    """A connection at rest with that worker: once it has another, that one is retired."""
    clients = [Client(server)]
    while clients[-1].worker() != pid:
        clients.append(Client(server))
    for client in clients[:-1]:
        client.http.close()
    return clients[-1]


def test_a_download_under_way_ends_well(server):
    with Client(server) as client:
        assert client("PUT", "/bucket/large", bytes(32 * MIB))[0] == 200
        client.begin("GET", "/bucket/large")
        response = client.http.getresponse()
        assert response.read(MIB) == bytes(MIB)
        done = rolls_done(server)
        with _idle_at(server, client.worker()) as idle:
            old = idle.worker()
            hang_up(server)
            wait_until(lambda: idle.worker() != old, "a successor that takes connections")
        assert is_alive(old)
        assert response.read() == bytes(31 * MIB)
        wait_until(lambda: rolls_done(server) > done, "the end of the rolling restart")
        assert client("GET", "/bucket/large")[0] == 200


def test_hangups_meanwhile_are_remembered_once(server):
    done = rolls_done(server)
    with Client(server) as slow:
        slow.begin("PUT", "/bucket/slow", 2)
        slow.http.send(b"1")
        hang_up(server)
        wait_until(lambda: len(workers(server)) > 2, "a successor")
        for _ in range(5):
            hang_up(server)
            time.sleep(0.01)
        slow.http.send(b"2")
        assert slow.answer()[0] == 200
    wait_until(lambda: rolls_done(server) == done + 2, "a second rolling restart")
    roll(server)
    assert rolls_done(server) == done + 3


def test_nothing_is_left_of_those_that_were_replaced(server):
    for client in on_each_worker(server):
        with client:
            for _ in range(2):
                assert client("PUT", "/bucket/extent", bytes(MIB))[0] == 200
    assert _open_extents(server)
    roll(server)
    wait_until(lambda: not _open_extents(server), "all segments sealed")
    assert server.differences() == []


def _open_extents(server):
    """The segments of large bodies that some process may still write to."""

    async def ask(store):
        rows = await store.meta.scan(keys.SEGMENTS, keys.FIRST, keys.LAST, 1000)
        found = [records.decode(records.SegmentRecord, row.value) for row in rows]
        return [r for r in found if r.kind == SEGMENT_EXTENTS and r.state == SEGMENT_OPEN]

    return asyncio.run(audited_at(server.directory, ask))


def test_processes_killed_meanwhile_do_not_stop_it(server):
    done = rolls_done(server)
    with Client(server) as slow:
        slow.begin("PUT", "/bucket/slow", 2)
        slow.http.send(b"1")
        retired = slow.worker()
        hang_up(server)
        wait_until(lambda: len(workers(server)) > 2, "a successor")
        for role in ("committer", "maintenance"):
            kill(server, role)
        slow.http.send(b"2")
        assert slow.answer()[0] == 200  # retired, it got its link to the new committer
    wait_until(lambda: rolls_done(server) > done, "the end of the rolling restart")
    assert not is_alive(retired)
    server.wait_ready()
    assert len(workers(server)) == 2


def test_a_worker_that_does_not_end_is_killed(tmp_path):
    arguments = ("--shutdown-timeout", "0.1")
    with ProcessServer(tmp_path / "store", arguments=arguments) as server:
        stopped = workers(server)[0]
        os.kill(stopped, signal.SIGSTOP)
        roll(server)
        assert not is_alive(stopped)
        assert "worker did not end in time and is killed" in server.log_end()
        assert len(workers(server)) == 2
        server.wait_ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_in_the_middle_of_it(tmp_path, number):
    with ProcessServer(tmp_path / "store") as server, Client(server) as slow:
        assert slow("PUT", "/bucket")[0] == 200
        slow.begin("PUT", "/bucket/slow", 2)
        slow.http.send(b"1")
        slow.worker()
        hang_up(server)
        wait_until(lambda: len(workers(server)) > 2, "a successor")
        children = all_pids(server)[1:]
        server.process.send_signal(number)
        if number == signal.SIGTERM:
            slow.http.send(b"2")
            assert slow.answer()[0] == 200
        assert server.process.wait(30) == (0 if number == signal.SIGTERM else -number)
        wait_until(lambda: not any(map(is_alive, children)), "the end of all")
        server.start()
        assert len(pids(server, "worker")) == 2
