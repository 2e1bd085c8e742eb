"""When lifecycle rules act on what: pure functions of rules, of what they judge, and of times.

S3 counts days from a moment and rounds the end up to midnight UTC. What would be due after the
year 2261 is never due.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from fastobj.core.limits import LIFECYCLE_DAY_S
from fastobj.meta.records import ObjectRecord
from fastobj.objects.lifecycle_rules import NS_PER_S, Rule

_NEVER_NS: Final = 2**63 - 1
MANY: Final = 1_000_000  # more newer versions than any rule keeps


class Calendar(NamedTuple):
    """How long a day of the rules is. Only whole ones end at midnight."""

    day_s: int = LIFECYCLE_DAY_S

    def after(self, since_ns: int, days: int) -> int:
        """When so many days since then have ended."""
        day_ns = self.day_s * NS_PER_S
        end_ns = since_ns + days * day_ns
        return -(-end_ns // day_ns) * day_ns if self.day_s == LIFECYCLE_DAY_S else end_ns


class Moment(NamedTuple):
    """When a rule acts, in nanoseconds since the Unix epoch, and which."""

    at_ns: int
    rule_id: str


def of_object(
    rules: Sequence[Rule], calendar: Calendar, key: str, record: ObjectRecord
) -> Moment | None:
    """When the current object expires; None for never, as in all that follow."""
    applying = [rule for rule in rules if rule.applies(key, record.size, record.tags)]
    return _first(_expirations(applying, calendar, record.modified_ns))


def of_marker(
    rules: Sequence[Rule], calendar: Calendar, key: str, modified_ns: int
) -> Moment | None:
    """When a delete marker is taken away of whose key nothing else is left."""
    applying = _by_prefix(rules, key)
    at_once = (
        Moment(calendar.after(modified_ns, 0), rule.id)
        for rule in _enabled(applying)
        if rule.expires_markers
    )
    return _first([*at_once, *_expirations(applying, calendar, modified_ns)])


def _expirations(rules: Iterable[Rule], calendar: Calendar, since_ns: int) -> Iterator[Moment]:
    """A date goes on to count behind it, for what is younger."""
    for rule in _enabled(rules):
        if rule.days is not None:
            yield Moment(calendar.after(since_ns, rule.days), rule.id)
        if rule.date_s is not None:
            at_ns = max(rule.date_s * NS_PER_S, calendar.after(since_ns, 0))
            yield Moment(at_ns, rule.id)


def of_version(
    rules: Sequence[Rule],
    calendar: Calendar,
    key: str,
    record: ObjectRecord | None,
    since_ns: int,
    newer: int = MANY,
) -> Moment | None:
    """When a version goes that is noncurrent since then, with so many newer noncurrent ones.

    A record of None is any delete marker.
    """
    if record is None or record.is_delete_marker:
        applying = _by_prefix(rules, key)
    else:
        applying = [rule for rule in rules if rule.applies(key, record.size, record.tags)]
    return _first(
        Moment(calendar.after(since_ns, rule.noncurrent_days), rule.id)
        for rule in _enabled(applying)
        if rule.noncurrent_days is not None and newer >= (rule.noncurrent_kept or 0)
    )


def kept_counts(rules: Sequence[Rule], key: str) -> set[int]:
    """How many newer noncurrent versions of that key rules keep."""
    return {
        rule.noncurrent_kept
        for rule in _enabled(rules)
        if rule.noncurrent_kept is not None
        and rule.noncurrent_days is not None
        and key.startswith(rule.prefix)
    }


def of_upload(
    rules: Sequence[Rule], calendar: Calendar, key: str, created_ns: int
) -> Moment | None:
    """When an upload is aborted that is not complete."""
    return _first(
        Moment(calendar.after(created_ns, rule.abort_days), rule.id)
        for rule in _enabled(_by_prefix(rules, key))
        if rule.abort_days is not None
    )


def _enabled(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in rules if rule.is_enabled)


def _by_prefix(rules: Sequence[Rule], key: str) -> list[Rule]:
    """Those for what has neither tags nor a size."""
    return [
        rule
        for rule in rules
        if key.startswith(rule.prefix)
        and not rule.tags
        and rule.larger_than is None
        and rule.smaller_than is None
    ]


def _first(moments: Iterable[Moment]) -> Moment | None:
    """The earliest; of several the one whose rule stands first."""
    found = [moment for moment in moments if moment.at_ns < _NEVER_NS]
    return min(found, key=lambda moment: moment.at_ns, default=None)
