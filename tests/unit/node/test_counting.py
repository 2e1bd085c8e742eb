"""What a worker counts, without a server around it."""

import asyncio
import time

import pytest

from fastobj.core import codes
from fastobj.core.clock import FixedClock, SystemClock
from fastobj.core.errors import ChecksumMismatch, StaleLocation
from fastobj.core.metric_page import CellLayout, MetricsPage
from fastobj.core.metrics import Metric
from fastobj.core.op import Cost
from fastobj.http.cut import Cut
from fastobj.http.message import BytesBody, Request
from fastobj.node.counting import LABEL_VALUES, CountingVolume, LoopStalls, RequestCounter
from fastobj.s3.context import Exchange
from fastobj.s3.operations import OPERATIONS
from fastobj.storage.local_volume import LocalVolume

SLOT = 1
LAYOUT = CellLayout(LABEL_VALUES)
OPS = {op.name: op for op in OPERATIONS}


class NoStalls:
    """Watches nothing: tests of counting have no loop."""

    watching = True


class Lines:
    """An access log that keeps what it is given."""

    def __init__(self) -> None:
        self.taken = []

    def write(self, exchange, elapsed_ns) -> None:
        self.taken.append((exchange, elapsed_ns))


def make_page() -> MetricsPage:
    return MetricsPage(memoryview(bytearray(2 * LAYOUT.cells * 8)).cast("Q"), 2, LAYOUT)


@pytest.fixture
def page():
    return make_page()


@pytest.fixture
def clock():
    return FixedClock(1_000_000_000)


@pytest.fixture
def counter(page, clock):
    return RequestCounter(page.of(SLOT), NoStalls(), clock)


def exchange(op="GetObject", status=200, body=b"", sent=0, **fields) -> Exchange:
    """One that has just begun."""
    request = Request(b"GET", b"/b/k", [], BytesBody(body))
    found = Exchange(request, "ID", 1_000_000_000, op=OPS.get(op), **fields)
    found.status, found.sent_bytes = status, sent
    return found


def count(counter, one) -> None:
    counter.begun(one)
    counter.ended(one)


def series(page) -> dict[str, str]:
    lines = page.render({}).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("fastobj_"): value for name, value in pairs}


@pytest.mark.parametrize("op", [*OPERATIONS, None], ids=lambda op: op.name if op else "none")
def test_each_operation_is_counted_under_its_own_name(page, counter, op):
    name = op.name if op else None
    count(counter, exchange(name, 200))
    count(counter, exchange(name, 403))
    shown = series(page)
    for status in ("200", "403"):
        labels = f'operation="{name or "none"}",status="{status}"'
        assert shown[f"s3_requests_total{{{labels}}}"] == "1"
    assert page.total(Metric.S3_REQUESTS) == 2
    assert page.total(Metric.S3_DURATION) == 2
    assert shown[f's3_request_duration_seconds_count{{operation="{name or "none"}"}}'] == "2"
    kind = op.cost.name.lower() if op else "none"
    assert shown[f's3_response_size_bytes_count{{class="{kind}"}}'] == "2"


def test_every_status_of_every_error_has_a_column_of_its_own(page, counter):
    statuses = {code.status for code in codes.ALL} | {200, 204, 206}
    for status in statuses:
        count(counter, exchange(status=status))
    shown = series(page)
    for status in statuses:
        assert shown[f's3_requests_total{{operation="GetObject",status="{status}"}}'] == "1"


@pytest.mark.parametrize("status", [0, 299, 599])
def test_a_status_that_nobody_foresaw_is_counted_as_other(page, counter, status):
    count(counter, exchange(status=status))
    assert series(page)['s3_requests_total{operation="GetObject",status="other"}'] == "1"


def test_classes_are_those_of_the_table_of_operations():
    assert set(LABEL_VALUES["class"]) == {cost.name.lower() for cost in Cost} | {"none"}


def test_durations_go_to_their_buckets(page, counter, clock):
    one = exchange()
    counter.begun(one)
    clock.advance(2_000_000)  # 2 ms
    counter.ended(one)
    shown = series(page)
    name = 's3_request_duration_seconds_bucket{operation="GetObject",le="%s"}'
    assert (shown[name % "0.001"], shown[name % "0.003"]) == ("0", "1")
    assert shown['s3_request_duration_seconds_sum{operation="GetObject"}'] == "0.002000000"


def test_bytes_are_those_that_moved_also_of_refused_requests(page, counter):
    count(counter, exchange("PutObject", 200, b"x" * 100))
    count(counter, exchange("PutObject", 403, b"x" * 50, sent=7))
    count(counter, exchange("GetObject", 200, sent=1000))
    shown = series(page)
    assert (shown["s3_received_bytes_total"], shown["s3_sent_bytes_total"]) == ("150", "1007")
    assert shown['s3_request_size_bytes_sum{class="write"}'] == "150"
    assert shown['s3_request_size_bytes_bucket{class="write",le="1024"}'] == "2"
    assert shown['s3_response_size_bytes_sum{class="read"}'] == "1000"


def test_requests_in_flight_come_and_go(page, counter):
    first, second = exchange(), exchange()
    counter.begun(first)
    counter.begun(second)
    assert page.total(Metric.S3_IN_FLIGHT) == 2
    counter.ended(first)
    counter.ended(second)
    assert page.total(Metric.S3_IN_FLIGHT) == 0


def test_clients_that_left_early_are_counted(page, counter):
    count(counter, exchange(complete=False))
    count(counter, exchange())
    assert series(page)['s3_requests_cut_short_total{operation="GetObject"}'] == "1"


def test_every_limit_of_connections_and_requests_has_a_series(page, counter):
    for cut in Cut:
        counter.cut(cut)
    for limit in LABEL_VALUES["refused"]:
        counter.refused(limit)
    shown = series(page)
    assert all(shown[f'http_cut_total{{limit="{cut}"}}'] == "1" for cut in Cut)
    assert shown['s3_refused_total{limit="requests"}'] == "1"
    assert page.total(Metric.S3_REFUSED) == len(LABEL_VALUES["refused"])


def test_the_access_log_gets_each_exchange_with_its_time(page, clock):
    lines, one = Lines(), exchange()
    counter = RequestCounter(page.of(SLOT), NoStalls(), clock, lines)
    counter.begun(one)
    clock.advance(5)
    counter.ended(one)
    assert lines.taken == [(one, 5)]


# --- stalls of the loop


class Watched:
    """A counter with a real loop; `until_still` waits until the timer has ended."""

    def __init__(self, clock) -> None:
        self.page = make_page()
        cells = self.page.of(SLOT)
        self.stalls = LoopStalls(cells, asyncio.get_running_loop(), clock)
        self.counter = RequestCounter(cells, self.stalls, clock)

    async def until_still(self) -> None:
        while self.stalls.watching:
            await asyncio.sleep(0.001)


async def test_a_turn_that_takes_long_is_counted():
    watched, one = Watched(SystemClock()), exchange()
    watched.counter.begun(one)
    time.sleep(0.05)  # blocks the loop, as a read of a cold page may
    watched.counter.ended(one)
    await watched.until_still()
    assert watched.page.total(Metric.LOOP_STALLS) == 1
    assert watched.page.total(Metric.LOOP_STALL_NS) >= 5_000_000


async def test_the_timer_runs_while_requests_do_and_not_longer(clock):
    watched, one = Watched(clock), exchange()
    assert not watched.stalls.watching
    watched.counter.begun(one)
    await asyncio.sleep(0.05)
    assert watched.stalls.watching
    watched.counter.ended(one)
    await watched.until_still()
    watched.counter.begun(one)
    assert watched.stalls.watching
    watched.counter.ended(one)
    await watched.until_still()
    assert watched.page.total(Metric.LOOP_STALLS) == 0  # the clock stood still


# --- bytes that do not verify


class _Stream:
    def __init__(self, error):
        self._error = error
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise self._error

    async def aclose(self):
        self.closed = True


@pytest.mark.parametrize(
    ("error", "counted"), [(ChecksumMismatch("x"), 1), (StaleLocation("x"), 0)]
)
async def test_only_bytes_that_do_not_verify_are_counted(
    monkeypatch, page, counter, error, counted
):
    stream = _Stream(error)

    async def read(*_):
        raise error

    monkeypatch.setattr(LocalVolume, "read", read)
    monkeypatch.setattr(LocalVolume, "stream", lambda *_: stream)
    volume = CountingVolume.__new__(CountingVolume)
    volume.mismatch = counter.mismatch
    with pytest.raises(type(error)):
        await volume.read(None, b"", 0, 1)
    slices = volume.stream(None, b"", 0, 1)
    with pytest.raises(type(error)):
        await anext(aiter(slices))
    await slices.aclose()
    assert stream.closed
    assert page.total(Metric.CHECKSUM_MISMATCHES) == 2 * counted
