"""Restarts under load: what a client notices of replaced, killed and upgraded processes.

A rolling restart fails no attempt of any request; kills, and an end of the whole server, fail none
that the retries of boto3, with its defaults, do not cover. Nothing that was answered is lost.
"""

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.connections.figures import Crowd, descriptors, settled_descriptors
from tests.connections.refusals import RefusalWatch
from tests.connections.sdk_load import SdkLoad
from tests.unit.http.certificates import make_pair
from tests.unit.node.running import Client, kill, metrics, on_each_worker, renew, roll, wait_until

ROLES = ("worker", "committer", "maintenance")
KILLS_MAX = 8  # of each: one that dies again and again is started later each time


def _server(tmp_path, scheme: str, *, activated: bool) -> ProcessServer:
    certs = make_pair(tmp_path / "certs", "localhost") if scheme == "https" else None
    return ProcessServer(tmp_path / "store", certs=certs, activated=activated)


def _figures(what: str, count: int, load: SdkLoad, watch: RefusalWatch) -> None:
    """Prints, and begins to count anew."""
    print(
        f"{what} x {count}: {load.attempts} requests, {load.refused.total()} failed"
        f" {dict(load.refused)}, {len(load.failed)} behind retries; {watch.asked} new connections,"
        f" {watch.refused} refused, for {watch.longest_s:.2f} s at most"
    )
    load.forget()
    watch.forget()


def _check(server: ProcessServer, load: SdkLoad) -> None:
    load.stop()
    assert not load.failed, load.failed[:3]
    assert load.check() > 0
    assert server.differences() == []


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.long)])
def test_restarts_under_load(tmp_path, seed, scheme, rounds):
    with (
        _server(tmp_path, scheme, activated=True) as server,
        SdkLoad(server, f"{seed}") as load,
        RefusalWatch(server) as watch,
    ):
        load.go_on()
        for _ in range(rounds):
            roll(server)
            load.go_on()
        assert not load.refused, load.refused
        assert not watch.refused
        _figures("rolling restart", rounds, load, watch)
        kills = min(rounds, KILLS_MAX)
        for turn in range(kills):
            for role in ROLES:
                kill(server, role)
                load.go_on(1 + turn % 2)
        _figures("kill of each role", kills, load, watch)
        for _ in range(rounds):
            renew(server)
            load.go_on()
        # A TLS connection that has just been opened cannot be passed on, and is closed.
        assert scheme == "https" or not (load.refused or watch.refused), load.refused
        _figures("renewal", rounds, load, watch)
        for _ in range(rounds):
            server.stop()
            server.start()
            load.go_on()
        _figures("stop and start, with a socket that stays", rounds, load, watch)
        _check(server, load)


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_crowd_at_rest_outlives_its_server(tmp_path, count):
    """Each connection is passed on, by a process that ends, and nothing is left open behind it."""
    with ProcessServer(tmp_path / "store") as server:
        for client in on_each_worker(server):
            with client:
                assert client("PUT", "/bucket")[0] == 200
        files = settled_descriptors(server)
        with Crowd(server, count, "127.0.0.9") as idle:
            idle.wait_open()
            for restart in (roll, renew, roll):
                restart(server)
                wait_until(lambda: metrics(server)["http_connections"] > count, "the crowd")
                assert idle.ask("open") == count
            for _ in range(8):  # by each of the workers
                with Client(server) as client:
                    assert client("PUT", "/bucket/k", b"1")[0] == 200
        wait_until(lambda: descriptors(server) <= files, "the end of all connections")
        assert "ERROR" not in server.log_end(1000)


@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.long)])
def test_a_plain_stop_and_start_refuses_for_a_moment(tmp_path, seed, rounds):
    """Nobody holds the socket: only clients that try for longer than the start takes go through.

    boto3's present mode tries three times within 0.15 s, and less after many failures.
    """
    patient = {"mode": "legacy", "total_max_attempts": 10}
    with (
        _server(tmp_path, "http", activated=False) as server,
        SdkLoad(server, f"{seed}", retries=patient) as load,
        RefusalWatch(server) as watch,
    ):
        load.go_on()
        for _ in range(rounds):
            server.stop()
            server.start()
            load.go_on()
        _figures("stop and start", rounds, load, watch)
        _check(server, load)
