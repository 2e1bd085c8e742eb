"""/metrics of a running server: whole, exact, clean by promtool's rules, not counting itself."""

import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fastobj import __version__
from fastobj.core.metrics import HISTOGRAM, METRICS
from fastobj.testing.process_server import ProcessServer
from tests.observability.scrapes import Page, fetch, leave_early, scrape
from tests.unit.node.running import Client, wait_until
from tools import debian

LARGE = b"a large body " * 100_000
KEY = "/metered/a-key-of-ours"


@pytest.fixture(scope="module")
def busy(server):
    """The server after requests of many kinds."""
    with Client(server) as client:
        assert client("PUT", "/metered")[0] == 200
        for number in range(5):
            assert client("PUT", f"{KEY}-{number}", b"x" * 1000)[0] == 200
        assert client("PUT", f"{KEY}-large", LARGE)[0] == 200
        assert client("GET", f"{KEY}-large")[1] == LARGE
        assert client("HEAD", f"{KEY}-0")[0] == 200
        assert client("DELETE", f"{KEY}-1")[0] == 204
        assert client("GET", f"{KEY}-1")[0] == 404
        assert client("GET", "/metered")[0] == 200
        assert client("PATCH", "/metered")[0] == 405
    return server


def unsigned(server: ProcessServer, method: str, path: str) -> int:
    """The status of a request that nobody signed."""
    request = urllib.request.Request(f"{server.endpoint}{path}", method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value:
        return caught.value.code


# --- the page as a whole


def test_every_metric_of_the_table_is_announced_once_with_its_series(busy):
    page = scrape(busy)
    lines = page.text.splitlines()
    endings = {HISTOGRAM: ("_bucket", "_sum", "_count")}
    known = set()
    for family in METRICS:
        assert lines.count(f"# HELP {family.name} {family.help}") == 1
        assert lines.count(f"# TYPE {family.name} {family.kind}") == 1
        names = {family.name + ending for ending in endings.get(family.kind, ("",))}
        labels = {label.name for label in family.labels}
        known |= names
        for one in page.series:
            if one.name in names:
                assert set(one.labels) - {"le"} == labels, one
    assert {one.name for one in page.series} <= known
    assert len([line for line in lines if line.startswith("#")]) == 2 * len(METRICS)


def test_no_series_stands_twice(busy):
    series = [(one.name, *sorted(one.labels.items())) for one in scrape(busy).series]
    assert len(set(series)) == len(series)


def test_promtool_finds_nothing(busy):
    program = debian.provide("prometheus", "promtool")
    done = subprocess.run(
        [program, "check", "metrics"], input=fetch(busy), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_no_label_holds_a_bucket_or_a_key(busy):
    text = scrape(busy).text
    assert "metered" not in text
    assert "a-key" not in text
    assert busy.access_key not in text


# --- requests


def test_requests_are_counted_by_operation_and_status(busy):
    page = scrape(busy)
    assert page("s3_requests_total", operation="CreateBucket", status="200") == 1
    assert page("s3_requests_total", operation="PutObject", status="200") == 6
    assert page("s3_requests_total", operation="GetObject", status="404") == 1
    assert page("s3_requests_total", operation="none", status="405") == 1
    assert page("s3_request_duration_seconds_count", operation="PutObject") == 6
    assert page("s3_request_duration_seconds_sum", operation="PutObject") > 0
    assert page("s3_request_size_bytes_sum", **{"class": "write"}) == 5000 + len(LARGE)
    assert page("s3_received_bytes_total") == 5000 + len(LARGE)
    assert page("s3_response_size_bytes_sum", **{"class": "read"}) > len(LARGE)


def test_pages_of_our_own_are_not_counted(busy):
    before = scrape(busy)
    for path in ("/metrics", "/health", "/health/ready", "/metrics"):
        fetch(busy, path)
    after = scrape(busy)
    for name in ("s3_requests_total", "s3_received_bytes_total", "s3_sent_bytes_total"):
        assert after(name) == before(name)


def test_refused_requests_are_counted_with_their_status_and_bytes(busy):
    before = scrape(busy)
    assert unsigned(busy, "DELETE", KEY) == 403
    with socket.create_connection(("127.0.0.1", busy.port)) as raw:
        raw.sendall(
            b"PUT /metered/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
        )
        assert raw.recv(12) == b"HTTP/1.1 403"
    after = scrape(busy)
    for operation in ("DeleteObject", "PutObject"):
        labels = {"operation": operation, "status": "403"}
        assert after("s3_requests_total", **labels) == before("s3_requests_total", **labels) + 1
    assert after("s3_received_bytes_total") - before("s3_received_bytes_total") == 1000


def test_an_upload_that_breaks_off_is_counted(busy, client):
    before = scrape(busy)
    client.begin("PUT", f"{KEY}-broken", 1000)
    client.http.send(b"x" * 400)
    wait_until(lambda: Page(fetch(busy).decode())("s3_requests_in_flight") == 1, "the request")
    client.http.close()
    after = scrape(busy)
    labels = {"operation": "PutObject", "status": "400"}
    assert after("s3_requests_total", **labels) == before("s3_requests_total", **labels) + 1
    assert after("s3_received_bytes_total") - before("s3_received_bytes_total") == 400


def test_a_client_that_leaves_early_is_counted(busy, client):
    large = b"x" * 30_000_000  # more than sockets hold
    assert client("PUT", f"{KEY}-left", large)[0] == 200
    before = scrape(busy)
    with Client(busy) as hasty:
        leave_early(hasty, f"{KEY}-left")
    after = scrape(busy)
    name = "s3_requests_cut_short_total"
    assert after(name, operation="GetObject") == before(name, operation="GetObject") + 1
    assert after("s3_sent_bytes_total") - before("s3_sent_bytes_total") < len(large)


def test_connections_are_counted_and_cuts_by_limit(tmp_path):
    with ProcessServer(tmp_path / "store", workers=1, arguments=("--idle-timeout", "1")) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as idle:
            wait_until(lambda: Page(fetch(server).decode())("http_connections") >= 2)
            assert idle.recv(1) == b""  # cut
        page = scrape(server)
        assert page("http_cut_total", limit="idle") >= 1
        assert page("http_connections") == 1


def test_requests_beyond_a_limit_are_counted(tmp_path, make_s3):
    arguments = ("--requests-max", "1")
    with (
        ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as server,
        Client(server) as one,
        Client(server) as other,
    ):
        assert one("PUT", "/limited")[0] == 200
        one.begin("PUT", "/limited/k", 10)
        wait_until(lambda: Page(fetch(server).decode())("s3_requests_in_flight") == 1)
        assert other("GET", "/limited/k")[0] == 503
        one.http.send(b"0123456789")
        assert one.answer()[0] == 200
        page = scrape(server)
        assert page("s3_refused_total", limit="requests") == 1
        assert page("s3_requests_total", operation="GetObject", status="503") == 1


# --- what is stored


def test_what_is_stored_is_exact(tmp_path):
    with ProcessServer(tmp_path / "store") as server, Client(server) as client:
        page = scrape(server)
        stored = ("buckets", "objects", "object_bytes")
        assert [page(name) for name in stored] == [0, 0, 0]
        for number in range(120):  # more than a page of rows
            assert client("PUT", f"/bucket-{number}")[0] == 200
            assert client("PUT", f"/bucket-{number}/k", b"x" * number)[0] == 200
        page = scrape(server)
        assert [page(name) for name in stored] == [120, 120, sum(range(120))]
        assert client("PUT", "/bucket-0/k", b"y" * 50)[0] == 200  # in place of an empty one
        assert client("PUT", "/bucket-1/large", LARGE)[0] == 200
        assert client("DELETE", "/bucket-119/k")[0] == 204
        assert client("DELETE", "/bucket-119")[0] == 204
        page = scrape(server)
        expected = sum(range(119)) + 50 + len(LARGE)
        assert [page(name) for name in stored] == [119, 120, expected]


def test_segments_are_those_on_the_disk(busy):
    page = scrape(busy)
    for kind, folder, suffix in (("log", "log", "log"), ("extents", "extents", "ext")):
        files = list((busy.directory / folder).glob(f"*.{suffix}"))
        assert page("segments", kind=kind) == len(files)
        assert page("segment_bytes", kind=kind) == sum(path.stat().st_size for path in files)
        assert 0 < page("segment_live_bytes", kind=kind) <= page("segment_bytes", kind=kind)
    assert page("segment_live_bytes", kind="extents") >= len(LARGE)


def test_spares_and_the_file_system_are_shown(busy):
    def agrees() -> bool:  # maintenance makes them when it has the time
        spares = list((busy.directory / "log").glob("*.spare"))
        page = scrape(busy)
        sizes = sum(path.stat().st_size for path in spares)
        return (page("log_spares"), page("log_spare_bytes")) == (len(spares), sizes)

    wait_until(agrees)
    page = scrape(busy)
    system = os.statvfs(busy.directory)
    assert page("filesystem_size_bytes") == system.f_blocks * system.f_frsize
    assert 0 < page("filesystem_free_bytes") <= page("filesystem_size_bytes")


# --- commits and processes


def test_batches_and_syncs_have_histograms(busy, client):
    before = scrape(busy)
    for number in range(10):
        assert client("PUT", f"{KEY}-{number}", b"x")[0] == 200
    after = scrape(busy)
    for name in ("commit_batch_transactions_count", "commit_batch_transactions_sum"):
        assert after(name) - before(name) == 10
    assert after("log_sync_seconds_count") - before("log_sync_seconds_count") == 10
    assert after("log_sync_seconds_sum") > before("log_sync_seconds_sum")
    assert after("commit_batches_total") == after("commit_batch_transactions_count")
    assert after("commit_transactions_total") == after("commit_batch_transactions_sum")


def test_every_process_is_shown_with_its_role(busy):
    page = scrape(busy)
    running = sorted(role for role, _ in busy.pids())
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
        series = page.find(f"process_{name}")
        assert sorted(one.labels["role"] for one in series) == running
        assert all(one.value >= (name != "cpu_seconds_total") for one in series)
    workers = page.find("process_open_fds", role="worker")
    assert [one.labels["slot"] for one in workers] == ["0", "1"]


def test_figures_of_a_process_are_the_systems(busy):
    (pid,) = [pid for role, pid in busy.pids() if role == "supervisor"]
    page = scrape(busy)
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0]) * 1024
    shown = page("process_resident_memory_bytes", role="supervisor")
    assert abs(shown - resident) < resident / 2
    assert page("process_open_fds", role="supervisor") == len(os.listdir(f"/proc/{pid}/fd"))
    started = page("process_start_time_seconds", role="supervisor")
    assert abs(started - Path(f"/proc/{pid}").stat().st_mtime) < 3600


def test_the_build_is_named(busy):
    assert scrape(busy)("build_info", version=__version__) == 1
