"""Handlers of the notification configuration of a bucket."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from fastobj.core import codes, ids
from fastobj.core.errors import S3Error
from fastobj.objects import configs, events, notifications
from fastobj.objects.notifications import Notification
from fastobj.s3.context import Context, Document, Result

_ID_BYTES: Final = 16
# Kinds of destinations, and the element that names one of them.
_KINDS: Final = {
    "TopicConfiguration": "Topic",
    "QueueConfiguration": "Queue",
    "CloudFunctionConfiguration": "CloudFunction",
}


async def get_bucket_notification_configuration(ctx: Context) -> Result:
    """What events are told to whom; nothing where that was never said."""
    found = await configs.find(ctx.store, ctx.existing(), configs.NOTIFICATION)
    rows = [] if found is None else [_shown(row) for row in found.rows]
    return Result(document={"QueueConfiguration": rows})


async def put_bucket_notification_configuration(ctx: Context) -> Result:
    """Replaces what events are told to whom; by an empty configuration none is.

    Each target is sent a test event, as S3 does, in the same transaction.
    """
    bucket = ctx.existing()
    known = ctx.store.event_targets
    rows = [
        _notification(row, element, known)
        for kind, element in _KINDS.items()
        for row in (ctx.document or {}).get(kind, ())
    ]
    if rows:
        config = notifications.check(rows)
        events.ask(ctx)
        told = events.test_rows(ctx.store, bucket, config)
        kind, adds = configs.NOTIFICATION, events.counted(told)
        await configs.put(ctx.store, bucket, kind, config, beside=told, adds=adds)
    else:
        await configs.delete(ctx.store, bucket, configs.NOTIFICATION)
    return Result()


def _notification(row: Document, element: str, known: Container[str]) -> Notification:
    """A notification as it stands in XML. All targets are webhooks, which are named as queues."""
    filters = _filters(row)
    return Notification(
        id=row.get("Id") or ids.random_id(_ID_BYTES).hex(),
        target=notifications.target_of(row[element], known),
        events=tuple(dict.fromkeys(row["Event"])),
        prefix=filters.get("prefix"),
        suffix=filters.get("suffix"),
    )


def _filters(row: Document) -> dict[str, str]:
    """The values of a filter, by the names of its rules in lower case."""
    found: dict[str, str] = {}
    for rule in row.get("Filter", {}).get("S3Key", {}).get("FilterRule", ()):
        name = rule["Name"].lower()
        if name not in ("prefix", "suffix"):
            message = "filter rule name must be either prefix or suffix"
            extra = [("ArgumentName", "FilterRule.Name"), ("ArgumentValue", rule["Name"][:100])]
            raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
        if name in found:
            message = f"Cannot specify more than one {name} rule in a filter."
            raise S3Error(codes.INVALID_ARGUMENT, message)
        found[name] = rule["Value"]
    return found


def _shown(row: Notification) -> dict[str, Any]:
    rules = [
        {"Name": name, "Value": value}
        for name, value in (("Prefix", row.prefix), ("Suffix", row.suffix))
        if value is not None
    ]
    return {
        "Id": row.id,
        "Queue": row.arn,
        "Event": row.events,
        "Filter": {"S3Key": {"FilterRule": rules}} if rules else None,
    }
