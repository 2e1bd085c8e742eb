"""When rules act: a table of rules, what they meet, and when."""

import pytest

from fastobj.core.limits import LIFECYCLE_DAY_S
from fastobj.meta.records import ObjectRecord
from fastobj.objects import lifecycle_moments as moments
from fastobj.objects.lifecycle_moments import Calendar, Moment
from fastobj.objects.lifecycle_rules import Rule

S = 10**9
DAY = LIFECYCLE_DAY_S * S
REAL, SHORT = Calendar(), Calendar(2)


def rule(id="r", is_enabled=True, **said):
    return Rule(id, is_enabled, **said)


def record(size=5, modified_ns=10 * DAY + 1, tags=None, **said):
    return ObjectRecord(1, b"", b"", size, "", modified_ns, tags=tags or {}, **said)


@pytest.mark.parametrize(
    ("calendar", "since_ns", "days", "at_ns"),
    [
        (REAL, 0, 0, 0),
        (REAL, 1, 0, DAY),
        (REAL, DAY, 1, 2 * DAY),
        (REAL, DAY + 1, 1, 3 * DAY),
        (REAL, 2 * DAY - 1, 1, 3 * DAY),
        (SHORT, 7, 0, 7),
        (SHORT, 7, 3, 7 + 6 * S),
        (Calendar(LIFECYCLE_DAY_S - 1), 7, 1, 7 + DAY - S),
    ],
)
def test_days_of_a_calendar(calendar, since_ns, days, at_ns):
    assert calendar.after(since_ns, days) == at_ns


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([], None),
        ([rule(noncurrent_days=1, abort_days=1, expires_markers=True)], None),
        ([rule(days=1)], (12, "r")),
        ([rule(days=1, is_enabled=False)], None),
        ([rule("a", days=2), rule("b", days=1), rule("c", days=1)], (12, "b")),
        ([rule(date_s=20 * LIFECYCLE_DAY_S)], (20, "r")),
        ([rule(date_s=5 * LIFECYCLE_DAY_S)], (11, "r")),
        ([rule(days=1, prefix="ke")], (12, "r")),
        ([rule(days=1, prefix="x")], None),
        ([rule(days=1, larger_than=5)], None),
        ([rule(days=1, larger_than=4, smaller_than=6)], (12, "r")),
        ([rule(days=1, tags={"a": "1"})], None),
        ([rule(days=2**31 - 1)], None),
    ],
)
def test_objects(rules, found):
    expected = found and Moment(found[0] * DAY, found[1])
    assert moments.of_object(rules, REAL, "key", record()) == expected


@pytest.mark.parametrize(
    ("rules", "day"),
    [
        ([rule(days=1)], 12),
        ([rule(expires_markers=True)], 11),
        ([rule(expires_markers=False)], None),
        ([rule(expires_markers=True, is_enabled=False)], None),
        ([rule("a", days=1), rule("b", expires_markers=True)], 11),
        ([rule(days=1, larger_than=0)], None),
        ([rule(days=1, smaller_than=10)], None),
        ([rule(days=1, tags={"a": "1"})], None),
        ([rule(expires_markers=True, prefix="x")], None),
        ([rule(date_s=15 * LIFECYCLE_DAY_S)], 15),
        ([rule(noncurrent_days=1)], None),
    ],
)
def test_markers(rules, day):
    found = moments.of_marker(rules, REAL, "key", 10 * DAY + 1)
    assert (found and found.at_ns) == (day and day * DAY)


@pytest.mark.parametrize(
    ("rules", "newer", "day"),
    [
        ([rule(noncurrent_days=3)], 0, 24),
        ([rule(days=1, date_s=0, expires_markers=True)], 0, None),
        ([rule(noncurrent_days=3, noncurrent_kept=2)], 1, None),
        ([rule(noncurrent_days=3, noncurrent_kept=2)], 2, 24),
        ([rule("a", noncurrent_days=3, noncurrent_kept=2), rule("b", noncurrent_days=9)], 1, 30),
        ([rule(noncurrent_days=3, larger_than=5)], 0, None),
        ([rule(noncurrent_days=3, prefix="x")], 0, None),
        ([rule(noncurrent_days=3, is_enabled=False)], 0, None),
    ],
)
def test_versions(rules, newer, day):
    found = moments.of_version(rules, REAL, "key", record(), 20 * DAY + 1, newer)
    assert (found and found.at_ns) == (day and day * DAY)


def test_versions_that_are_markers():
    marker = record(0, is_delete_marker=True)
    for one in (marker, None):
        plain, sized = [rule(noncurrent_days=1)], [rule(noncurrent_days=1, smaller_than=9)]
        assert moments.of_version(plain, REAL, "key", one, 1).at_ns == 2 * DAY
        assert moments.of_version(sized, REAL, "key", one, 1) is None


def test_how_many_are_kept():
    rules = [
        rule("a", noncurrent_days=1, noncurrent_kept=3),
        rule("b", noncurrent_days=1, noncurrent_kept=5, tags={"t": "1"}),
        rule("c", noncurrent_days=1, noncurrent_kept=7, prefix="x"),
        rule("d", False, noncurrent_days=1, noncurrent_kept=9),
        rule("e", noncurrent_days=1),
    ]
    assert moments.kept_counts(rules, "key") == {3, 5}


def test_uploads():
    rules = [rule("a", abort_days=3), rule("b", abort_days=2, prefix="k"), rule("c", days=1)]
    assert moments.of_upload(rules, REAL, "key", 1) == Moment(3 * DAY, "b")
    assert moments.of_upload(rules, SHORT, "other", 1) == Moment(6 * S + 1, "a")
    assert moments.of_upload(rules[2:], REAL, "key", 1) is None
