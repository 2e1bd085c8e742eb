"""Cells of metrics: each series has its own, processes add up, and the page can be read."""

import re

import pytest

from fastobj.core.metric_page import CellLayout, MetricsPage
from fastobj.core.metrics import HISTOGRAM, METRICS, Metric

SLOTS = 3
SETS = {
    "operation": ("GetObject", "PutObject", "none"),
    "status": ("200", "404", "other"),
    "class": ("read", "write"),
    "cut": ("idle", "head"),
    "refused": ("requests",),
}
LAYOUT = CellLayout(SETS)


def make_page(slots: int = SLOTS) -> MetricsPage:
    cells = memoryview(bytearray(slots * LAYOUT.cells * 8)).cast("Q")
    return MetricsPage(cells, slots, LAYOUT)


@pytest.fixture
def page() -> MetricsPage:
    return make_page()


def series(page: MetricsPage, scraped=None) -> dict[str, str]:
    """Each series of the page and its value as text."""
    lines = page.render(scraped or {}).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_every_cell_belongs_to_one_series() -> None:
    taken: list[int] = []
    for family in METRICS:
        if not family.scraped:
            width = len(family.bounds) + 2 if family.kind == HISTOGRAM else 1
            for values, at in LAYOUT.series(family):
                assert LAYOUT.at(family, *values) == at
                taken += range(at, at + width)
    assert taken == list(range(LAYOUT.cells))


def test_a_value_from_outside_the_set_is_refused(page: MetricsPage) -> None:
    with pytest.raises(KeyError):
        page.of(0).add(Metric.S3_REQUESTS, 1, "GetObject", "299")
    with pytest.raises(ValueError, match="shorter"):
        page.of(0).add(Metric.S3_REQUESTS, 1, "GetObject")


def test_cells_add_up_over_processes(page: MetricsPage) -> None:
    for slot in range(SLOTS):
        page.of(slot).add(Metric.COMMIT_BATCHES, slot + 1)
        page.of(slot).add(Metric.S3_REQUESTS, slot + 1, "PutObject", "404")
    page.of(1).set(Metric.LAST_SEQUENCE, 77)
    assert page.total(Metric.COMMIT_BATCHES) == 6
    shown = series(page)
    assert shown["fastobj_commit_batches_total"] == "6"
    assert shown["fastobj_log_last_sequence"] == "77"
    assert shown['fastobj_s3_requests_total{operation="PutObject",status="404"}'] == "6"
    assert [name for name in shown if name.startswith("fastobj_s3_requests_total")] == [
        'fastobj_s3_requests_total{operation="PutObject",status="404"}'
    ]


def test_a_wider_row_than_needed_is_used_as_it_is() -> None:
    stride = LAYOUT.cells + 5
    cells = memoryview(bytearray(2 * stride * 8)).cast("Q")
    page = MetricsPage(cells, 2, LAYOUT)
    page.of(1).add(Metric.S3_BYTES_IN, 5)
    assert cells[stride + LAYOUT.at(Metric.S3_BYTES_IN)] == 5
    assert page.total(Metric.S3_BYTES_IN) == 5


def test_too_few_cells_are_refused() -> None:
    cells = memoryview(bytearray(8 * (LAYOUT.cells * 2 - 1))).cast("Q")
    with pytest.raises(ValueError, match="too few"):
        MetricsPage(cells, 2, LAYOUT)


def test_a_dead_process_keeps_its_counters_and_loses_its_gauges(page: MetricsPage) -> None:
    page.of(1).add(Metric.HTTP_CONNECTIONS, 4)
    page.of(2).add(Metric.HTTP_CONNECTIONS, 1)
    page.of(1).add(Metric.S3_BYTES_OUT, 9)
    page.of(1).observe(Metric.LOG_SYNCS, 9)
    page.of(1).forget_gauges()
    assert page.total(Metric.HTTP_CONNECTIONS) == 1
    assert page.total(Metric.S3_BYTES_OUT) == 9
    assert page.total(Metric.LOG_SYNCS) == 1


def test_a_histogram_has_rising_buckets_sum_and_count(page: MetricsPage) -> None:
    bounds = Metric.LOG_SYNCS.bounds
    values = [0, bounds[0], bounds[0] + 1, bounds[-1], bounds[-1] + 1]
    for slot, value in enumerate(values):
        page.of(slot % SLOTS).observe(Metric.LOG_SYNCS, value)
    shown = series(page)
    name = "fastobj_log_sync_seconds"
    buckets = [int(value) for key, value in shown.items() if key.startswith(f"{name}_bucket")]
    assert buckets == [2, *[3] * (len(bounds) - 2), 4, 5]
    assert shown[f'{name}_bucket{{le="5e-05"}}'] == "2"
    assert shown[f'{name}_bucket{{le="+Inf"}}'] == shown[f"{name}_count"] == "5"
    assert shown[f"{name}_sum"] == f"{sum(values) / 1e9:.9f}"
    assert page.total(Metric.LOG_SYNCS) == 5


def test_a_histogram_with_labels_shows_what_has_counted(page: MetricsPage) -> None:
    page.of(0).observe(Metric.S3_RESPONSE_SIZE, 0, "read")
    shown = series(page)
    name = "fastobj_s3_response_size_bytes"
    assert shown[f'{name}_bucket{{class="read",le="0"}}'] == "1"
    assert shown[f'{name}_count{{class="read"}}'] == "1"
    assert shown[f'{name}_sum{{class="read"}}'] == "0"
    assert not any('class="write"' in key for key in shown)


def test_every_family_is_announced_once_and_in_one_place(page: MetricsPage) -> None:
    page.of(0).observe(Metric.S3_DURATION, 1, "none")
    lines = page.render({Metric.BUCKETS: [((), 3)]}).decode().splitlines()
    for family in METRICS:
        assert lines.count(f"# HELP {family.name} {family.help}") == 1
        assert lines.count(f"# TYPE {family.name} {family.kind}") == 1
    line = re.compile(r'[a-z0-9_]+(\{([a-z]+="[^"\\\n]*",?)+\})? [0-9.e+-]+')
    assert all(line.fullmatch(text) for text in lines if not text.startswith("#"))
    assert "fastobj_buckets 3" in lines


def test_what_is_looked_up_is_shown_as_it_came(page: MetricsPage) -> None:
    shown = series(
        page,
        {
            Metric.SEGMENTS: [(("log", "open"), 1), (("body", "sealed"), 0)],
            Metric.PROCESS_CPU: [(("worker", "0"), 1.25)],
            Metric.OBJECT_BYTES: [((), 2**62)],
        },
    )
    assert shown['fastobj_segments{kind="log",state="open"}'] == "1"
    assert shown['fastobj_segments{kind="body",state="sealed"}'] == "0"
    assert shown['fastobj_process_cpu_seconds_total{role="worker",slot="0"}'] == "1.250"
    assert shown["fastobj_object_bytes"] == str(2**62)
