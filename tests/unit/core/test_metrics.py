"""The table of metrics: names by Prometheus' rules, and the document that is made from it."""

import re
from pathlib import Path

import pytest

from fastobj.core.metrics import COUNTER, GAUGE, HISTOGRAM, METRICS, Family, metrics_document

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_names_are_unique() -> None:
    names = [family.name for family in METRICS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("family", METRICS, ids=lambda family: family.name)
def test_a_row_follows_the_rules_of_prometheus(family: Family) -> None:
    assert re.fullmatch(r"fastobj_[a-z0-9_]+", family.name)
    assert family.kind in {COUNTER, GAUGE, HISTOGRAM}
    assert family.name.endswith("_total") == (family.kind == COUNTER)
    assert not family.name.endswith(("_count", "_sum", "_bucket"))
    assert not re.search(r"_(ms|ns|us|milliseconds|kib|mib)(_|$)", family.name)
    assert family.help.endswith(".") or family.name.endswith("_info")
    assert all(re.fullmatch(r"[a-z]+", label.name) for label in family.labels)
    assert "le" not in [label.name for label in family.labels]


@pytest.mark.parametrize("family", METRICS, ids=lambda family: family.name)
def test_cells_of_nanoseconds_are_shown_as_seconds(family: Family) -> None:
    if family.scale != 1:
        assert family.scale == 1e-9
        assert "seconds" in family.name


@pytest.mark.parametrize("family", METRICS, ids=lambda family: family.name)
def test_histograms_have_about_a_dozen_rising_buckets(family: Family) -> None:
    assert bool(family.bounds) == (family.kind == HISTOGRAM)
    if family.bounds:
        assert list(family.bounds) == sorted(set(family.bounds))
        assert 8 <= len(family.bounds) <= 14


def test_request_durations_reach_from_100_us_to_60_s() -> None:
    (family,) = [row for row in METRICS if row.name == "fastobj_s3_request_duration_seconds"]
    assert (family.bounds[0], family.bounds[-1]) == (100_000, 60_000_000_000)


def test_no_label_can_hold_what_a_client_sends() -> None:
    labels = {label.name for family in METRICS for label in family.labels}
    assert labels == {
        *("operation", "status", "class", "limit"),
        *("role", "slot", "kind", "state", "version"),
    }


def test_the_document_is_that_of_the_table() -> None:
    text = metrics_document()
    assert DOCUMENT.read_text() == text
    assert all(text.count(f"| `{family.name}` |") == 1 for family in METRICS)
