"""The scrub of a running server: what is damaged shows in log and metrics, and stays."""

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.unit.node.running import Client, kill, metrics, wait_until

LARGE = bytes(range(256)) * 10_000
OFTEN = ("--scrub-interval", "1s", "--scrub-rate", "1GiB")


@pytest.fixture
def directory(tmp_path):
    """A store with three objects in a bucket; its server has stopped."""
    with ProcessServer(tmp_path / "store") as server, Client(server) as client:
        assert client("PUT", "/bucket")[0] == 200
        for name in ("first", "second", "third"):
            assert client("PUT", f"/bucket/{name}", name.encode() + LARGE)[0] == 200
    return tmp_path / "store"


def _flip(directory, marker: bytes) -> None:
    """Flips a bit of the one body that begins with `marker`."""
    for path in (directory / "extents").iterdir():
        at = path.read_bytes().find(marker + LARGE[:16])
        if at >= 0:
            with path.open("r+b") as file:
                file.seek(at + 1000)
                (byte,) = file.read(1)
                file.seek(at + 1000)
                file.write(bytes([byte ^ 4]))
            return
    raise AssertionError("no such body")


def _is_error_logged(server) -> bool:
    return any(
        'object "bucket/second" at extents/' in line and " ERROR " in line
        for line in server.log_end().splitlines()
    )


def test_damage_is_found_told_and_over_when_the_object_is(directory):
    _flip(directory, b"second")
    with ProcessServer(directory, arguments=OFTEN) as server, Client(server) as client:
        wait_until(lambda: metrics(server)["damaged"] == 1, "the damage")
        assert _is_error_logged(server)
        found = metrics(server)
        assert found["scrub_damage_total"] == 1
        assert client("GET", "/bucket/first") == (200, b"first" + LARGE)
        status, answer = client("GET", "/bucket/second")
        assert status == 500
        assert LARGE[:100] not in answer
        client.http.close()
    with ProcessServer(directory, arguments=OFTEN) as server, Client(server) as client:
        assert metrics(server)["damaged"] == 1  # it is remembered
        assert client("PUT", "/bucket/second", b"whole again")[0] == 200
        wait_until(lambda: metrics(server)["damaged"] == 0, "the end of the damage")
        assert client("GET", "/bucket/second") == (200, b"whole again")
        assert client("GET", "/bucket/third") == (200, b"third" + LARGE)


def test_rounds_go_on_with_another_process(directory):
    with ProcessServer(directory, arguments=OFTEN) as server:
        wait_until(lambda: metrics(server)["scrub_rounds_total"] >= 1, "a round")
        kill(server, "maintenance")
        before = metrics(server)["scrub_rounds_total"]
        wait_until(lambda: metrics(server)["scrub_rounds_total"] > before, "another round")
        found = metrics(server)
        assert found["damaged"] == 0
        assert found["scrub_bytes_total"] >= 3 * len(LARGE)
        assert found["scrub_ended_timestamp_seconds"] > 1_700_000_000
        assert server.differences() == []


def test_an_idle_store_stays_idle(directory):
    """By default the first round is a week away: nothing is read, and nothing is written."""
    with ProcessServer(directory) as server, Client(server) as client:
        assert client("GET", "/bucket/first")[0] == 200
        found = metrics(server)
        assert (found["scrub_bodies_total"], found["scrub_rounds_total"]) == (0, 0)
        assert "scrub_ended_timestamp_seconds" not in found
