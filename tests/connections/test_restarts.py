"""Restarts under load: what a client notices of replaced, killed and upgraded processes.

A rolling restart fails no attempt of any request; kills, and an end of the whole server, fail none
that the retries of boto3, with its defaults, do not cover. Nothing that was answered is lost.
"""

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.connections.refusals import RefusalWatch
from tests.connections.sdk_load import SdkLoad
from tests.unit.http.certificates import make_pair
from tests.unit.node.running import kill, renew, roll

ROLES = ("worker", "committer", "maintenance")


def _server(tmp_path, scheme: str) -> ProcessServer:
    certs = make_pair(tmp_path / "certs", "localhost") if scheme == "https" else None
    return ProcessServer(tmp_path / "store", certs=certs, activated=True)


def _figures(what: str, count: int, load: SdkLoad, watch: RefusalWatch) -> None:
    """Prints, and begins to count anew."""
    print(
        f"{what} x {count}: {sum(load.operations)} operations, {load.attempts} attempts,"
        f" {load.refused.total()} failed {dict(load.refused)}, {len(load.failed)} failed behind"
        f" retries; {watch.refused} new connections refused, for {watch.reset():.2f} s at most"
    )
    load.attempts = watch.refused = 0
    load.refused.clear()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=pytest.mark.long)])
def test_restarts_under_load(tmp_path, seed, scheme, rounds):
    with (
        _server(tmp_path, scheme) as server,
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
        for turn in range(rounds):
            for role in ROLES:
                kill(server, role)
                load.go_on(1 + turn % 2)
        _figures("kill of each role", rounds, load, watch)
        for _ in range(rounds):
            renew(server)
            load.go_on()
        assert not watch.refused
        assert scheme == "https" or not load.refused, load.refused
        _figures("renewal", rounds, load, watch)
        for _ in range(rounds):
            server.stop()
            server.start()
            load.go_on()
        assert not watch.refused
        _figures("stop and start, with a socket that stays", rounds, load, watch)
        load.stop()
        assert not load.failed, load.failed[:3]
        assert load.check() > 0
        assert server.differences() == []
