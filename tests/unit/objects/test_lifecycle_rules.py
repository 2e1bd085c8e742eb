"""What a rule of a lifecycle applies to; what is a rule at all stands in tests/s3."""

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.objects.lifecycle_rules import AND, PREFIX, Rule, midnight_s

DAY_NS = 86_400 * 10**9
ALL = Rule("id", True, days=1)
SOME = Rule(
    "id",
    True,
    AND,
    prefix="logs/",
    tags={"a": "1", "b": ""},
    larger_than=10,
    smaller_than=12,
    days=1,
)


@pytest.mark.parametrize(
    ("rule", "key", "size", "tags"),
    [
        (ALL, "any", 0, {}),
        (Rule("id", True, PREFIX, prefix="logs/"), "logs/", 0, {}),
        (SOME, "logs/a", 11, {"a": "1", "b": "", "c": "more"}),
    ],
)
def test_applies(rule, key, size, tags):
    assert rule.applies(key, size, tags)


@pytest.mark.parametrize(
    ("key", "size", "tags"),
    [
        ("log", 11, {"a": "1", "b": ""}),
        ("logs/a", 10, {"a": "1", "b": ""}),
        ("logs/a", 12, {"a": "1", "b": ""}),
        ("logs/a", 11, {"a": "2", "b": ""}),
        ("logs/a", 11, {"a": "1"}),
    ],
)
def test_does_not_apply(key, size, tags):
    assert not SOME.applies(key, size, tags)


def test_midnight():
    assert midnight_s(3 * DAY_NS) == 3 * 86_400
    assert midnight_s(-DAY_NS) == -86_400
    with pytest.raises(S3Error) as caught:
        midnight_s(1)
    assert caught.value.code is codes.INVALID_ARGUMENT
