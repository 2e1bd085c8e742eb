"""What is answered about configurations that no bucket has yet: one row for each operation.

Clients ask for these unprompted, and take any other answer for a fault of the server. Whoever
serves one takes its row out of here and writes a handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fastobj.core import codes
from fastobj.core.codes import ErrorCode


class Absent(NamedTuple):
    """The error that says so; `message` where it is not the code's own."""

    code: ErrorCode
    message: str | None = None


_EMPTY: Final[Mapping[str, Any]] = {}
_NONE_LISTED: Final = {"IsTruncated": False}
_NO_CONFIGURATION: Final = Absent(codes.NO_SUCH_CONFIGURATION)

# Operation -> the error, or the document that says so.
ANSWERS: Final[Mapping[str, Absent | Mapping[str, Any]]] = {
    "GetBucketAccelerateConfiguration": _EMPTY,
    "GetBucketAnalyticsConfiguration": _NO_CONFIGURATION,
    "GetBucketIntelligentTieringConfiguration": _NO_CONFIGURATION,
    "GetBucketInventoryConfiguration": _NO_CONFIGURATION,
    "GetBucketLogging": _EMPTY,
    "GetBucketMetricsConfiguration": _NO_CONFIGURATION,
    "GetBucketPolicy": Absent(codes.NO_SUCH_BUCKET_POLICY),
    "GetBucketPolicyStatus": Absent(codes.NO_SUCH_BUCKET_POLICY),
    "GetBucketReplication": Absent(codes.REPLICATION_CONFIGURATION_NOT_FOUND),
    "GetBucketRequestPayment": {"Payer": "BucketOwner"},
    "GetBucketWebsite": Absent(codes.NO_SUCH_WEBSITE_CONFIGURATION),
    "GetPublicAccessBlock": Absent(codes.NO_SUCH_PUBLIC_ACCESS_BLOCK_CONFIGURATION),
    "ListBucketAnalyticsConfigurations": _NONE_LISTED,
    "ListBucketIntelligentTieringConfigurations": _NONE_LISTED,
    "ListBucketInventoryConfigurations": _NONE_LISTED,
    "ListBucketMetricsConfigurations": _NONE_LISTED,
}
