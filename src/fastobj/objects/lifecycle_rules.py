"""The rules of a bucket's lifecycle: what they say, whether they can be, and what they apply to.

Nothing here runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.core.limits import GIB
from fastobj.objects import tags

ALL_STORAGE_CLASSES: Final = "all_storage_classes_128K"
TRANSITION_MINIMA: Final = (ALL_STORAGE_CLASSES, "varies_by_storage_class")
NS_PER_S: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * NS_PER_S

# How a rule says what it applies to; it is shown in the form in which it came.
LEGACY: Final = "legacy"  # a prefix without a filter around it
EMPTY: Final = ""
PREFIX: Final = "Prefix"
TAG: Final = "Tag"
LARGER: Final = "ObjectSizeGreaterThan"
SMALLER: Final = "ObjectSizeLessThan"
AND: Final = "And"

_SIZE_MAX: Final = 50 * 1024 * GIB
_DAYS_MAX: Final = 2**31 - 1
_KEPT_MAX: Final = 100


class Rule(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One rule: what it applies to, and what becomes of that.

    Sizes are in bytes, and neither bound is itself inside. Of the actions, None is one that the
    rule does not have; `date_s` is midnight UTC in seconds since the Unix epoch.
    `noncurrent_kept` newest noncurrent versions stay whatever their age. `expires_markers`:
    delete markers go that have no noncurrent version behind them.
    """

    id: str
    is_enabled: bool
    form: str = EMPTY
    prefix: str = ""
    tags: dict[str, str] = {}
    larger_than: int | None = None
    smaller_than: int | None = None
    days: int | None = None
    date_s: int | None = None
    expires_markers: bool | None = None
    noncurrent_days: int | None = None
    noncurrent_kept: int | None = None
    abort_days: int | None = None

    def applies(self, key: str, size: int, tagged: Mapping[str, str]) -> bool:
        """Whether an object with that key, size in bytes and tags is meant."""
        return (
            key.startswith(self.prefix)
            and (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
            and all(tagged.get(name) == value for name, value in self.tags.items())
        )


class Lifecycle(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The lifecycle configuration of a bucket. `transition_minimum` is one of TRANSITION_MINIMA."""

    rules: tuple[Rule, ...]
    transition_minimum: str = ALL_STORAGE_CLASSES


def midnight_s(date_ns: int) -> int:
    """The date of an action in seconds. Raises InvalidArgument where it is no midnight of UTC."""
    if date_ns % _DAY_NS:
        _argument("'Date' must be at midnight GMT", "Date")
    return date_ns // NS_PER_S


def check(rules: Sequence[Rule], transition_minimum: str) -> Lifecycle:
    """The configuration of these rules, each with an id.

    Raises MalformedXML, InvalidArgument, InvalidRequest, InvalidTag.
    """
    if not 1 <= len(rules) <= limits.LIFECYCLE_RULES_MAX:
        raise S3Error(codes.MALFORMED_XML)
    if transition_minimum not in TRANSITION_MINIMA:
        name = "x-amz-transition-default-minimum-object-size"
        _argument(f"Invalid {name} found: {transition_minimum}", name, transition_minimum)
    for rule in rules:
        _check_id(rule)
        _check_filter(rule)
        _check_actions(rule)
    if len({rule.id for rule in rules}) < len(rules):
        _argument("Rule ID must be unique. Found same ID for more than one rule")
    return Lifecycle(tuple(rules), transition_minimum)


def _check_id(rule: Rule) -> None:
    if len(rule.id) > limits.RULE_ID_CHARS_MAX:
        _argument("ID length should not exceed allowed limit of 255", "ID", rule.id)


def _check_filter(rule: Rule) -> None:
    if len(rule.prefix.encode()) > limits.KEY_BYTES_MAX:
        _request(f"The maximum size of a prefix is {limits.KEY_BYTES_MAX}.")
    for name, value in rule.tags.items():
        tags.check_tag(name, value)
    larger, smaller = rule.larger_than, rule.smaller_than
    if larger is not None and not 0 <= larger <= _SIZE_MAX:
        _request(f"'{LARGER}' should be between 0 and {_SIZE_MAX} bytes")
    if smaller is not None and not 1 <= smaller <= _SIZE_MAX:
        _request(f"'{SMALLER}' should be between 1 and {_SIZE_MAX} bytes")
    if larger is not None and smaller is not None and smaller <= larger + 1:
        _request(f"'{SMALLER}' has to be a value greater than '{LARGER}' that lets a size pass")


def _check_actions(rule: Rule) -> None:
    actions = list(_actions(rule))
    if not actions:
        _request("At least one action needs to be specified in a rule")
    for element, action, value in actions:
        if value is not None and value < 1:
            _argument(f"'{element}' for {action} action must be a positive integer", element, value)
        if value is not None and value > _DAYS_MAX:
            _argument(f"'{element}' for {action} action must be at most {_DAYS_MAX}")
    if rule.noncurrent_kept is not None:
        _check_kept(rule)
    if rule.expires_markers is not None and (rule.tags or _has_size(rule)):
        what = "Tags" if rule.tags else "Object Size"
        _request(f"ExpiredObjectDeleteMarker cannot be specified with {what}.")
    if rule.abort_days is not None and (rule.tags or _has_size(rule)):
        what = "Tags" if rule.tags else "Object Size"
        _request(f"AbortIncompleteMultipartUpload cannot be specified with {what}.")


def _actions(rule: Rule) -> Iterator[tuple[str, str, int | None]]:
    """Each action that a rule has: element, action, and its days where it counts such."""
    if rule.days is not None:
        yield "Days", "Expiration", rule.days
    if rule.date_s is not None or rule.expires_markers is not None:
        yield "Date", "Expiration", None
    if rule.noncurrent_days is not None:
        yield "NoncurrentDays", "NoncurrentVersionExpiration", rule.noncurrent_days
    if rule.abort_days is not None:
        yield "DaysAfterInitiation", "AbortIncompleteMultipartUpload", rule.abort_days


def _check_kept(rule: Rule) -> None:
    element, kept = "NewerNoncurrentVersions", rule.noncurrent_kept
    assert kept is not None
    if rule.form == LEGACY:
        _request(f"{element} needs a Filter in its rule, not a Prefix alone")
    if not 1 <= kept <= _KEPT_MAX:
        action = "NoncurrentVersionExpiration"
        message = f"'{element}' for {action} action must be an integer from 1 to {_KEPT_MAX}"
        _argument(message, element, kept)


def _has_size(rule: Rule) -> bool:
    return rule.larger_than is not None or rule.smaller_than is not None


def _request(message: str) -> NoReturn:
    raise S3Error(codes.INVALID_REQUEST, message)


def _argument(message: str, name: str = "", value: Any = "") -> NoReturn:
    shown = str(value)[: limits.SHOWN_CHARS_MAX]
    extra = [("ArgumentName", name), ("ArgumentValue", shown)] if name else []
    raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
