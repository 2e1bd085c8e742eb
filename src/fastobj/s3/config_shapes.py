"""The XML documents of a bucket's configurations: part of the second table (`shapes`)."""

from __future__ import annotations

from typing import Final

from fastobj.s3.shape_kinds import Field, Kind, Shape

_TAG: Final = (Field("Key", required=True), Field("Value", required=True))

_CORS_RULE: Final = (
    Field("ID"),
    Field("AllowedHeader", many=True),
    Field("AllowedMethod", many=True, required=True),
    Field("AllowedOrigin", many=True, required=True),
    Field("ExposeHeader", many=True),
    Field("MaxAgeSeconds", Kind.INT),
)

_SIZES: Final = (
    Field("ObjectSizeGreaterThan", Kind.SIGNED),
    Field("ObjectSizeLessThan", Kind.SIGNED),
)

_LIFECYCLE_FILTER: Final = (
    Field("Prefix"),
    Field("Tag", _TAG),
    *_SIZES,
    Field("And", (Field("Prefix"), Field("Tag", _TAG, many=True), *_SIZES)),
)

_LIFECYCLE_RULE: Final = (
    Field("ID"),
    Field("Prefix"),
    Field("Filter", _LIFECYCLE_FILTER),
    Field("Status", Kind.TOKEN, required=True),
    Field(
        "Expiration",
        (
            Field("Date", Kind.TIME),
            Field("Days", Kind.SIGNED),
            Field("ExpiredObjectDeleteMarker", Kind.BOOL),
        ),
    ),
    Field(
        "Transition",
        (
            Field("Date", Kind.TIME),
            Field("Days", Kind.SIGNED),
            Field("StorageClass", Kind.TOKEN, required=True),
        ),
        many=True,
    ),
    Field(
        "NoncurrentVersionExpiration",
        (
            Field("NoncurrentDays", Kind.SIGNED, required=True),
            Field("NewerNoncurrentVersions", Kind.SIGNED),
        ),
    ),
    Field(
        "NoncurrentVersionTransition",
        (
            Field("NoncurrentDays", Kind.SIGNED, required=True),
            Field("NewerNoncurrentVersions", Kind.SIGNED),
            Field("StorageClass", Kind.TOKEN, required=True),
        ),
        many=True,
    ),
    Field(
        "AbortIncompleteMultipartUpload",
        (Field("DaysAfterInitiation", Kind.SIGNED, required=True),),
    ),
)

_ENCRYPTION_RULE: Final = (
    Field(
        "ApplyServerSideEncryptionByDefault",
        (Field("SSEAlgorithm", Kind.TOKEN, required=True), Field("KMSMasterKeyID")),
        required=True,
    ),
    Field("BucketKeyEnabled", Kind.BOOL),
    Field("BlockedEncryptionTypes", Kind.REFUSED),
)

_DEFAULT_RETENTION: Final = (
    Field("Mode", Kind.TOKEN, required=True),
    Field("Days", Kind.SIGNED),
    Field("Years", Kind.SIGNED),
    Field("DefaultEventHold", Kind.REFUSED),
)

_KEY_FILTER: Final = (
    Field(
        "S3Key",
        (
            Field(
                "FilterRule",
                (Field("Name", required=True), Field("Value", required=True)),
                many=True,
            ),
        ),
    ),
)


def _notification(kind: str, destination: str) -> Field:
    """The notifications whose destinations are of one kind."""
    inside = (
        Field("Id"),
        Field(destination, required=True),
        Field("Event", many=True, required=True),
        Field("Filter", _KEY_FILTER),
    )
    return Field(kind, inside, many=True)


CONFIGURATIONS: Final = (
    Shape(
        "NotificationConfiguration",
        "NotificationConfiguration",
        (
            _notification("TopicConfiguration", "Topic"),
            _notification("QueueConfiguration", "Queue"),
            _notification("CloudFunctionConfiguration", "CloudFunction"),
            Field("EventBridgeConfiguration", Kind.REFUSED),
        ),
        strict=True,
    ),
    Shape("AccelerateConfiguration", "AccelerateConfiguration", (Field("Status"),), strict=True),
    Shape(
        "BucketLoggingStatus",
        "BucketLoggingStatus",
        (Field("LoggingEnabled", Kind.REFUSED),),
        strict=True,
    ),
    Shape(
        "RequestPaymentConfiguration",
        "RequestPaymentConfiguration",
        (Field("Payer", required=True),),
        strict=True,
    ),
    Shape(
        "Tagging",
        "Tagging",
        (Field("TagSet", _TAG, item="Tag", required=True),),
        strict=True,
    ),
    Shape(
        "CORSConfiguration",
        "CORSConfiguration",
        (Field("CORSRule", _CORS_RULE, many=True, required=True),),
        strict=True,
    ),
    Shape(
        "LifecycleConfiguration",
        "LifecycleConfiguration",
        (Field("Rule", _LIFECYCLE_RULE, many=True, required=True),),
        strict=True,
    ),
    Shape(
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfiguration",
        (Field("Rule", _ENCRYPTION_RULE, many=True, required=True),),
        strict=True,
    ),
    Shape(
        "OwnershipControls",
        "OwnershipControls",
        (
            Field(
                "Rule",
                (Field("ObjectOwnership", Kind.TOKEN, required=True),),
                many=True,
                required=True,
            ),
        ),
        strict=True,
    ),
    Shape(
        "ObjectLockConfiguration",
        "ObjectLockConfiguration",
        (
            Field("ObjectLockEnabled", Kind.TOKEN, required=True),
            Field("Rule", (Field("DefaultRetention", _DEFAULT_RETENTION, required=True),)),
        ),
        strict=True,
    ),
    Shape(
        "Retention",
        "Retention",
        (
            Field("Mode", Kind.TOKEN),
            Field("RetainUntilDate", Kind.TIME),
            Field("EventHold", Kind.REFUSED),
            Field("EventHoldDuration", Kind.REFUSED),
        ),
        strict=True,
    ),
    Shape(
        "LegalHold",
        "LegalHold",
        (Field("Status", Kind.TOKEN, required=True),),
        strict=True,
    ),
)
