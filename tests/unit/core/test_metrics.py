"""Metrics: the table is whole, cells add up over processes, and Prometheus can read the page."""

import re

import pytest

from fastobj.core.metrics import METRICS, Metric, MetricsPage

ROWS = 3


@pytest.fixture
def page() -> MetricsPage:
    return MetricsPage(memoryview(bytearray(ROWS * len(METRICS) * 8)).cast("Q"), ROWS)


def test_each_metric_has_one_row_in_the_order_of_cells() -> None:
    assert [row.metric for row in METRICS] == list(Metric)
    assert [int(metric) for metric in Metric] == list(range(len(METRICS)))


def test_names_follow_the_rules_of_prometheus() -> None:
    for row in METRICS:
        assert re.fullmatch(r"fastobj_[a-z_]+", row.name)
        assert row.name.endswith("_total") == row.counter
        assert row.help.endswith(".")
        assert (row.scale == 1) == ("seconds" not in row.name)
    series = [row.name + row.labels for row in METRICS]
    assert len(set(series)) == len(series)


def test_cells_add_up_over_processes(page: MetricsPage) -> None:
    for slot in range(ROWS):
        page.add(slot, Metric.COMMIT_BATCHES, slot + 1)
    page.add(2, Metric.COMMIT_BATCHES, 10)
    page.set(1, Metric.LAST_SEQUENCE, 77)
    assert page.total(Metric.COMMIT_BATCHES) == 16
    assert page.total(Metric.LAST_SEQUENCE) == 77
    assert page.total(Metric.COMMIT_CONFLICTS) == 0


def test_wider_rows_than_needed_are_used_as_they_are() -> None:
    cells = memoryview(bytearray(2 * 64 * 8)).cast("Q")
    page = MetricsPage(cells, 2)
    page.add(1, Metric.HTTP_BYTES_IN, 5)
    assert cells[64 + Metric.HTTP_BYTES_IN] == 5
    assert page.total(Metric.HTTP_BYTES_IN) == 5


def test_too_few_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        MetricsPage(memoryview(bytearray(8 * (len(METRICS) * 2 - 1))).cast("Q"), 2)


def test_a_dead_process_keeps_its_counters_and_loses_its_gauges(page: MetricsPage) -> None:
    page.add(1, Metric.HTTP_CONNECTIONS, 4)
    page.add(2, Metric.HTTP_CONNECTIONS, 1)
    page.add(1, Metric.HTTP_REQUESTS_2XX, 9)
    page.forget(1)
    assert page.total(Metric.HTTP_CONNECTIONS) == 1
    assert page.total(Metric.HTTP_REQUESTS_2XX) == 9


def test_the_page_names_each_family_once_and_scales_to_base_units(page: MetricsPage) -> None:
    page.add(0, Metric.HTTP_REQUESTS_4XX, 2)
    page.add(0, Metric.LOG_SYNC_NS, 1_500_000_000)
    text = page.render().decode()
    assert text.count("# TYPE fastobj_http_requests_total counter\n") == 1
    assert 'fastobj_http_requests_total{class="4xx"} 2\n' in text
    assert "# TYPE fastobj_http_connections gauge\n" in text
    assert "fastobj_log_sync_seconds_total 1.500000000\n" in text
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(METRICS)
    assert all(re.fullmatch(r"fastobj_[a-z_]+(\{[^}]*\})? [0-9.]+", line) for line in series)
