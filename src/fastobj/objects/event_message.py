"""An event as targets are told of it: the message of S3, in the frame of MinIO's webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec

from fastobj.meta.records import EventRecord
from fastobj.objects.events import TEST_EVENT

_MS: Final = 1_000_000
_VERSION: Final = "2.1"
# Kinds of events that S3 has added since, with the version of the message that they came with.
_LATER: Final = ("s3:ObjectAcl:", "s3:ObjectTagging:", "s3:LifecycleExpiration:")
_VERSION_LATER: Final = "2.3"
_encode: Final = msgspec.json.Encoder().encode


def message(event: EventRecord, row_key: bytes, configuration: str) -> bytes:
    """What a target is sent, in JSON. `configuration` is the id of the notification.

    `row_key` is that of the event in the outbox: it orders the events of a key.
    """
    if event.name == TEST_EVENT:
        return _encode(_test(event))
    record = _record(event, row_key, configuration)
    place = f"{event.bucket}/{event.key}"
    return _encode({"EventName": event.name, "Key": place, "Records": [record]})


def _record(event: EventRecord, row_key: bytes, configuration: str) -> dict[str, Any]:
    return {
        "eventVersion": _VERSION_LATER if event.name.startswith(_LATER) else _VERSION,
        "eventSource": "aws:s3",
        "awsRegion": event.region,
        "eventTime": _time(event.at_ns),
        "eventName": event.name.removeprefix("s3:"),
        "userIdentity": {"principalId": event.principal},
        "requestParameters": {"sourceIPAddress": event.source_ip},
        "responseElements": {"x-amz-request-id": event.request_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": event.owner},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": _object(event, row_key),
        },
    }


def _object(event: EventRecord, row_key: bytes) -> dict[str, Any]:
    shown: dict[str, Any] = {"key": quote_plus(event.key, safe="/")}
    if event.size >= 0:
        shown |= {"size": event.size, "eTag": event.etag}
    if event.version:
        shown["versionId"] = event.version
    return shown | {"sequencer": row_key.hex().upper()}


def _test(event: EventRecord) -> dict[str, str]:
    return {
        "Service": "Amazon S3",
        "Event": event.name,
        "Time": _time(event.at_ns),
        "Bucket": event.bucket,
        "RequestId": event.request_id,
    }


def _time(at_ns: int) -> str:
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns // _MS % 1000:03d}Z"
