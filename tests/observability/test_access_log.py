"""The access log of a running server: a line for each exchange, through rotation and faults."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from fastobj.testing.process_server import ProcessServer
from tests.observability.scrapes import fetch, leave_early, scrape
from tests.unit.node.running import Client, Load, on_each_worker, wait_until


@pytest.fixture(scope="module")
def path(server) -> Path:
    """The file, of a server that has a bucket."""
    with Client(server) as client:
        assert client("PUT", "/logged")[0] == 200
    return server.directory.with_name("access.log")


def read(path: Path) -> list[dict]:
    """Every line, decoded; the file comes with the first."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def lines_of(path: Path, count: int, **fields) -> list[dict]:
    """The lines with these fields, once there are that many."""
    found: list[dict] = []

    def arrived() -> bool:
        found[:] = [one for one in read(path) if fields.items() <= one.items()]
        return len(found) >= count

    wait_until(arrived, f"{count} lines with {fields}")
    assert len(found) == count
    return found


def test_each_exchange_has_its_line(server, path, client):
    assert client("PUT", "/logged/a%20key", b"12345")[0] == 200
    assert client("GET", "/logged/a%20key") == (200, b"12345")
    assert client("GET", "/logged/missing")[0] == 404
    put, got = lines_of(path, 2, bucket="logged", key="a key")
    assert (put["operation"], put["bytes_in"], put["bytes_out"]) == ("PutObject", 5, 0)
    assert (got["operation"], got["bytes_in"], got["bytes_out"]) == ("GetObject", 0, 5)
    (missing,) = lines_of(path, 1, key="missing")
    assert (missing["status"], missing["error"]) == (404, "NoSuchKey")
    for line in (put, got, missing):
        assert line["remote"] == "127.0.0.1"
        assert line["access_key"] == server.access_key
        assert line["complete"] is True
        assert line["duration_us"] > 0
    assert len({line["request_id"] for line in (put, got, missing)}) == 3


def test_the_request_id_is_the_one_that_the_client_saw(server, path, client):
    client.begin("GET", "/logged/of-that-id")
    response = client.http.getresponse()
    response.read()
    (line,) = lines_of(path, 1, key="of-that-id")
    assert line["request_id"] == response.headers["x-amz-request-id"]


def test_a_sender_who_is_not_known_has_no_name(server, path):
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"GET /logged/unsigned HTTP/1.1\r\nHost: x\r\nUser-Agent: raw\r\n\r\n")
        assert raw.recv(12) == b"HTTP/1.1 403"
    (line,) = lines_of(path, 1, key="unsigned")
    assert (line["requester"], line["access_key"]) == ("", "")
    assert (line["error"], line["user_agent"]) == ("AccessDenied", "raw")


def test_an_upload_that_breaks_off_has_the_bytes_that_came(path, client):
    client.begin("PUT", "/logged/broken", 1000)
    client.http.send(b"x" * 10)
    client.http.close()
    (line,) = lines_of(path, 1, key="broken")
    assert (line["error"], line["bytes_in"]) == ("IncompleteBody", 10)


def test_a_client_that_leaves_early_is_told_as_such(server, path, client):
    large = b"x" * 30_000_000  # more than sockets hold
    assert client("PUT", "/logged/left", large)[0] == 200
    with Client(server) as hasty:
        leave_early(hasty, "/logged/left")
    (line,) = lines_of(path, 1, key="left", operation="GetObject")
    assert (line["complete"], line["status"]) == (False, 200)
    assert line["bytes_out"] < len(large)


def test_pages_of_our_own_are_not_logged(server, path, client):
    for page in ("/metrics", "/health", "/health/ready"):
        fetch(server, page)
    assert client("GET", "/logged/the-last")[0] == 404
    lines_of(path, 1, key="the-last")
    assert not [line for line in read(path) if line["target"].startswith(("/metrics", "/health"))]


def test_the_file_is_its_owners_alone(path):
    assert path.stat().st_mode & 0o777 == 0o600


def test_all_workers_append_whole_lines(tmp_path):
    path = tmp_path / "access.log"
    arguments = ("--access-log", str(path))
    with ProcessServer(tmp_path / "store", arguments=arguments) as server:
        with Client(server) as client:
            assert client("PUT", "/many")[0] == 200

        def work(client, thread, turn) -> None:
            client("GET", f"/many/{thread}-{turn}")

        with Load(server, work, threads=6) as load:
            load.go_on(100)
        rounds = load.rounds
    asked = [line["key"] for line in read(path) if line["operation"] == "GetObject"]
    wanted = [f"{thread}-{turn}" for thread, count in enumerate(rounds) for turn in range(count)]
    assert sorted(asked) == sorted(wanted)  # all of them are there once the server has ended


def test_a_moved_file_is_let_go_at_sighup(server, path):
    clients = on_each_worker(server)
    for client in clients:
        assert client("GET", "/logged/before")[0] == 404
    lines_of(path, 2, key="before")
    moved = path.rename(path.with_suffix(".1"))
    os.kill(server.process.pid, signal.SIGHUP)
    for number, client in enumerate(clients):

        def in_the_new_file(client=client, number=number) -> bool:
            assert client("GET", f"/logged/after-{number}")[0] == 404
            return any(line["key"] == f"after-{number}" for line in read(path))

        wait_until(in_the_new_file, "a line in the new file")
        client.http.close()
    assert len([line for line in read(moved) if line["key"] == "before"]) == 2


def test_a_full_disk_fails_no_request(tmp_path):
    arguments = ("--access-log", "/dev/full")
    with ProcessServer(tmp_path / "store", arguments=arguments) as server, Client(server) as client:
        assert client("PUT", "/unlogged")[0] == 200
        for number in range(20):
            assert client("PUT", f"/unlogged/{number}", b"x")[0] == 200
        wait_until(lambda: scrape(server)("access_log_lost_total") == 21, "all lines lost")
        complaints = server.log_path.read_text().count("the access log /dev/full cannot be written")
        assert complaints == 1


def test_lines_go_to_standard_output_too(tmp_path):
    with (
        ProcessServer(tmp_path / "store", arguments=("--access-log", "-")) as server,
        Client(server) as client,
    ):
        assert client("PUT", "/loud")[0] == 200
    lines = [line for line in server.log_path.read_text().splitlines() if line.startswith("{")]
    assert [json.loads(line)["bucket"] for line in lines] == ["loud"]


def test_without_the_setting_there_is_no_log(tmp_path):
    with ProcessServer(tmp_path / "store") as server, Client(server) as client:
        assert client("PUT", "/silent")[0] == 200
    assert "silent" not in server.log_path.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "store.log"]
