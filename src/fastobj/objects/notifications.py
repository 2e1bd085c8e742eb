"""Which events of a bucket are told to whom: what a configuration says, and who is told of one.

Nothing here tells anybody.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import combinations
from typing import Final, NoReturn

import msgspec

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error

# All that S3 knows, those that never happen here included.
EVENTS: Final = frozenset(
    {
        "s3:IntelligentTiering",
        "s3:LifecycleExpiration:*",
        "s3:LifecycleExpiration:Delete",
        "s3:LifecycleExpiration:DeleteMarkerCreated",
        "s3:LifecycleTransition",
        "s3:ObjectAcl:Put",
        "s3:ObjectAnnotation:*",
        "s3:ObjectAnnotation:Delete",
        "s3:ObjectAnnotation:Put",
        "s3:ObjectCreated:*",
        "s3:ObjectCreated:CompleteMultipartUpload",
        "s3:ObjectCreated:Copy",
        "s3:ObjectCreated:Post",
        "s3:ObjectCreated:Put",
        "s3:ObjectRemoved:*",
        "s3:ObjectRemoved:Delete",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectRestore:*",
        "s3:ObjectRestore:Completed",
        "s3:ObjectRestore:Delete",
        "s3:ObjectRestore:Post",
        "s3:ObjectRetention:Put",
        "s3:ObjectTagging:*",
        "s3:ObjectTagging:Delete",
        "s3:ObjectTagging:Put",
        "s3:ReducedRedundancyLostObject",
        "s3:Replication:*",
        "s3:Replication:OperationFailedReplication",
        "s3:Replication:OperationMissedThreshold",
        "s3:Replication:OperationNotTracked",
        "s3:Replication:OperationReplicatedAfterThreshold",
    }
)
_ALL_OF_A_KIND: Final = "*"
_ARN: Final = re.compile(r"arn:fastobj:sqs::([A-Za-z0-9_-]{1,64}):webhook")


class Notification(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Events of keys with that prefix and suffix, and the target that is told of them.

    `prefix` and `suffix` are None where the filter does not say them.
    """

    id: str
    target: str
    events: tuple[str, ...]
    prefix: str | None = None
    suffix: str | None = None

    @property
    def arn(self) -> str:
        """The target as clients name it."""
        return f"arn:fastobj:sqs::{self.target}:webhook"

    def tells(self, event: str, key: str) -> bool:
        """Whether the target is told of that event of that key."""
        return (
            any(_covers(told, event) for told in self.events)
            and key.startswith(self.prefix or "")
            and key.endswith(self.suffix or "")
        )


class Notifications(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The notification configuration of a bucket."""

    rows: tuple[Notification, ...]


def matching(config: Notifications, event: str, key: str) -> list[Notification]:
    """Whom an event such as `s3:ObjectCreated:Put` of a key is told to; `target` says the id."""
    return [row for row in config.rows if row.tells(event, key)]


def target_of(arn: str, known: Container[str]) -> str:
    """The id of the target that an ARN names. Raises InvalidArgument for one that is not known."""
    if not arn.startswith("arn:"):
        _refuse("The ARN could not be parsed", "Queue", arn)
    match = _ARN.fullmatch(arn)
    if match is None or match[1] not in known:
        _refuse(
            "Unable to validate the following destination configurations",
            arn,
            "The destination queue does not exist",
        )
    return match[1]


def check(rows: Sequence[Notification]) -> Notifications:
    """The configuration of these notifications, each with an id. Raises InvalidArgument."""
    if len(rows) > limits.NOTIFICATIONS_MAX:
        _refuse(f"A bucket has at most {limits.NOTIFICATIONS_MAX} notification configurations")
    for row in rows:
        _check_row(row)
    if len({row.id for row in rows}) < len(rows):
        _refuse("Same ID used for multiple configurations. IDs must be unique")
    for one, other in combinations(rows, 2):
        _check_overlap(one, other)
    return Notifications(tuple(rows))


def _check_row(row: Notification) -> None:
    if len(row.id) > limits.RULE_ID_CHARS_MAX:
        _refuse(f"An ID has at most {limits.RULE_ID_CHARS_MAX} characters", "Id", row.id)
    for event in row.events:
        if event not in EVENTS:
            _refuse("A specified event is not supported for notifications.", "Event", event)
    for value in (row.prefix or "", row.suffix or ""):
        if len(value.encode()) > limits.KEY_BYTES_MAX:
            message = f"Size of filter rule value cannot exceed {limits.KEY_BYTES_MAX} bytes"
            _refuse(f"{message} in UTF-8 representation", "FilterRule.Value", value)


def _check_overlap(one: Notification, other: Notification) -> None:
    """No event of a key is told twice. Raises InvalidArgument."""
    if not any(_meet(event, told) for event in one.events for told in other.events):
        return
    first, second = (one.prefix or "", other.prefix or ""), (one.suffix or "", other.suffix or "")
    if not any(first + second):
        _refuse(
            "Configurations overlap. Configurations on the same bucket cannot share a common event"
            " type."
        )
    prefixes_meet = first[0].startswith(first[1]) or first[1].startswith(first[0])
    if prefixes_meet and (second[0].endswith(second[1]) or second[1].endswith(second[0])):
        _refuse(
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if"
            " the prefixes are overlapping for the same event type."
        )


def _covers(told: str, event: str) -> bool:
    return told == event or (told[-1:] == _ALL_OF_A_KIND and event.startswith(told[:-1]))


def _meet(one: str, other: str) -> bool:
    return _covers(one, other) or _covers(other, one)


def _refuse(message: str, name: str = "", value: str = "") -> NoReturn:
    shown = [text[: limits.SHOWN_CHARS_MAX] for text in (name, value)]
    extra = [("ArgumentName", shown[0]), ("ArgumentValue", shown[1])] if name else []
    raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
