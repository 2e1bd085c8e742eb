"""What maintenance is told of hints: each that is due sooner than it knows, and few others."""

from fastobj.meta import keys
from fastobj.meta.base import ANY, DELETE, Row
from fastobj.objects.soonest import Soonest, is_hint

ID8 = b"8 bytes."


def hint(at_ns, value=b"x", key=b"key"):
    return Row(keys.DUE, keys.due_version(at_ns, ID8, key), ANY, value)


def test_only_what_is_sooner_is_news():
    soonest = Soonest()
    assert soonest.has_news([hint(50)])
    assert not soonest.has_news([hint(50, key=b"other"), hint(60)])
    assert soonest.has_news([hint(70), hint(40)])
    assert not soonest.has_news([hint(45)])


def test_what_was_told_and_is_worked_off_is_told_no_more():
    soonest = Soonest()
    assert soonest.has_news([hint(50)])
    assert not soonest.has_news([hint(60, DELETE)])
    assert not soonest.has_news([hint(70)])
    assert not soonest.has_news([hint(50, DELETE)])
    assert soonest.has_news([hint(70)])


def test_changed_rules_are_told_whenever_they_are_written():
    soonest = Soonest()
    row = Row(keys.DUE, keys.due(0, keys.DUE_RULES, ID8), ANY, b"x")
    assert soonest.has_news([row])
    assert soonest.has_news([row])
    assert not soonest.has_news([Row(keys.DUE, row.key, ANY, DELETE)])
    assert not soonest.has_news([])


def test_rows_of_others_are_no_hints():
    assert is_hint(hint(50))
    assert not is_hint(Row(keys.DUE, keys.due(0, keys.DUE_PARTS, bytes(16)), ANY, b"x"))
