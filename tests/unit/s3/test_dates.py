"""Dates of HTTP headers, both ways."""

import pytest

from fastobj.s3.dates import http_date, parse_http_date

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0, "Thu, 01 Jan 1970 00:00:00 GMT"), (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT")],
)
def test_both_ways(time_s, text):
    assert http_date(time_s * SECOND_NS) == text
    assert http_date(time_s * SECOND_NS + SECOND_NS - 1) == text
    assert parse_http_date(text) == time_s


@pytest.mark.parametrize(
    ("text", "time_s"),
    [
        ("Tue, 14 Nov 2023 23:13:20 +0100", 1_700_000_000),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", 1_700_000_000),
        ("Tue Nov 14 22:13:20 2023", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000),
    ],
)
def test_other_forms(text, time_s):
    assert parse_http_date(text) == time_s


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 99 Nov 2023 22:13:20 GMT", "2023-99-01"])
def test_what_is_no_date(text):
    assert parse_http_date(text) is None
