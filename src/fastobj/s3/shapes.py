"""The second table: what each XML document holds, read by encoder and decoder alike.

A document is a mapping from element name to value. A flat list is a list under the name of the
element that repeats (`Contents`); a wrapped list is a list under the name of the element around
it (`Buckets`). An element that is None or absent is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What the text of an element means, and its type in a document."""

    TEXT = auto()  # str
    TOKEN = auto()  # str of ours that never holds markup: written as it is
    INT = auto()  # int
    BOOL = auto()  # bool
    TIME = auto()  # int: nanoseconds since the Unix epoch; S3 shows whole seconds
    ETAG = auto()  # str without quotes, and without markup as a token
    PAIRS = auto()  # sequence of (element, text): further elements, in place; never read
    XSI_TYPE = auto()  # str: no element, but the attribute xsi:type of the one around it
    REFUSED = auto()  # a request that holds it asks for something that fastobj does not do


@dataclass(frozen=True, slots=True)
class Field:
    """One element: its name, its kind (or the fields inside it), and how it repeats.

    `many` is a flat list; `item` names the elements of a wrapped one.
    """

    name: str
    kind: Kind | tuple[Field, ...] = Kind.TEXT
    many: bool = False
    item: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One document. `root` is its outermost element, which has `text` or `fields`.

    A request may come without it where it `may_be_absent`.
    """

    name: str
    root: str
    fields: tuple[Field, ...] = ()
    text: bool = False
    has_namespace: bool = True
    may_be_absent: bool = False


_OWNER: Final = (Field("ID"), Field("DisplayName"))

_BUCKET: Final = (Field("Name"), Field("CreationDate", Kind.TIME), Field("BucketRegion"))

_CONTENTS: Final = (
    Field("Key"),
    Field("LastModified", Kind.TIME),
    Field("ETag", Kind.ETAG),
    Field("ChecksumAlgorithm", Kind.TOKEN, many=True),
    Field("ChecksumType", Kind.TOKEN),
    Field("Size", Kind.INT),
    Field("Owner", _OWNER),
    Field("StorageClass", Kind.TOKEN),
)

_VERSION: Final = (*_CONTENTS, Field("VersionId"), Field("IsLatest", Kind.BOOL))

_DELETE_MARKER: Final = (
    Field("Owner", _OWNER),
    Field("Key"),
    Field("VersionId", Kind.TOKEN),
    Field("IsLatest", Kind.BOOL),
    Field("LastModified", Kind.TIME),
)

_LISTED: Final = (
    Field("Contents", _CONTENTS, many=True),
    Field("CommonPrefixes", (Field("Prefix"),), many=True),
)

_TO_DELETE: Final = (
    Field("Key", required=True),
    Field("VersionId"),
    Field("ETag", Kind.ETAG),
    Field("LastModifiedTime", Kind.REFUSED),
    Field("Size", Kind.REFUSED),
)

_DELETED: Final = (
    Field("Key"),
    Field("VersionId"),
    Field("DeleteMarker", Kind.BOOL),
    Field("DeleteMarkerVersionId"),
)

_NOT_DELETED: Final = (Field("Key"), Field("VersionId"), Field("Code"), Field("Message"))

_GRANTEE: Final = (
    Field("Type", Kind.XSI_TYPE),
    Field("ID"),
    Field("DisplayName"),
    Field("EmailAddress"),
    Field("URI"),
)

# Of configurations that no bucket has yet, the shape holds no more than an answer says.
_EMPTY_CONFIGURATIONS: Final = (
    *(
        Shape(name, name, (Field("IsTruncated", Kind.BOOL),))
        for name in (
            "ListBucketAnalyticsConfigurationResult",
            "ListBucketIntelligentTieringConfigurationsOutput",
            "ListInventoryConfigurationsResult",
            "ListMetricsConfigurationsResult",
        )
    ),
    Shape("AccelerateConfiguration", "AccelerateConfiguration"),
    Shape("BucketLoggingStatus", "BucketLoggingStatus"),
    Shape("NotificationConfiguration", "NotificationConfiguration"),
    Shape("RequestPaymentConfiguration", "RequestPaymentConfiguration", (Field("Payer"),)),
    Shape("Tagging", "Tagging", (Field("TagSet", (Field("Key"), Field("Value")), item="Tag"),)),
)

_CHECKSUMS: Final = tuple(
    Field(f"Checksum{name}", Kind.TOKEN)
    for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
)

_PART: Final = (
    Field("PartNumber", Kind.INT),
    Field("LastModified", Kind.TIME),
    Field("ETag", Kind.ETAG),
    Field("Size", Kind.INT),
    *_CHECKSUMS,
)

_UPLOAD: Final = (
    Field("Key"),
    Field("UploadId", Kind.TOKEN),
    Field("Initiator", _OWNER),
    Field("Owner", _OWNER),
    Field("StorageClass", Kind.TOKEN),
    Field("Initiated", Kind.TIME),
    Field("ChecksumAlgorithm", Kind.TOKEN),
    Field("ChecksumType", Kind.TOKEN),
)

_MULTIPART_ROWS: Final = (
    Shape(
        "InitiateMultipartUploadResult",
        "InitiateMultipartUploadResult",
        (Field("Bucket"), Field("Key"), Field("UploadId", Kind.TOKEN)),
    ),
    Shape(
        "CompleteMultipartUpload",
        "CompleteMultipartUpload",
        (
            Field(
                "Part",
                (
                    Field("PartNumber", Kind.INT, required=True),
                    Field("ETag", Kind.ETAG, required=True),
                    *_CHECKSUMS,
                ),
                many=True,
                required=True,
            ),
        ),
    ),
    Shape(
        "CompleteMultipartUploadResult",
        "CompleteMultipartUploadResult",
        (
            Field("Location"),
            Field("Bucket"),
            Field("Key"),
            Field("ETag", Kind.ETAG),
            *_CHECKSUMS,
            Field("ChecksumType", Kind.TOKEN),
        ),
    ),
    Shape(
        "ListPartsResult",
        "ListPartsResult",
        (
            Field("Bucket"),
            Field("Key"),
            Field("UploadId", Kind.TOKEN),
            Field("Initiator", _OWNER),
            Field("Owner", _OWNER),
            Field("StorageClass", Kind.TOKEN),
            Field("PartNumberMarker", Kind.INT),
            Field("NextPartNumberMarker", Kind.INT),
            Field("MaxParts", Kind.INT),
            Field("IsTruncated", Kind.BOOL),
            Field("ChecksumAlgorithm", Kind.TOKEN),
            Field("ChecksumType", Kind.TOKEN),
            Field("Part", _PART, many=True),
        ),
    ),
    Shape(
        "ListMultipartUploadsResult",
        "ListMultipartUploadsResult",
        (
            Field("Bucket"),
            Field("KeyMarker"),
            Field("UploadIdMarker"),
            Field("NextKeyMarker"),
            Field("NextUploadIdMarker"),
            Field("Prefix"),
            Field("Delimiter"),
            Field("EncodingType"),
            Field("MaxUploads", Kind.INT),
            Field("IsTruncated", Kind.BOOL),
            Field("Upload", _UPLOAD, many=True),
            Field("CommonPrefixes", (Field("Prefix"),), many=True),
        ),
    ),
)

_ROWS: Final = (
    Shape(
        "AccessControlPolicy",
        "AccessControlPolicy",
        (
            Field("Owner", _OWNER),
            Field(
                "AccessControlList",
                (Field("Grantee", _GRANTEE), Field("Permission", Kind.TOKEN)),
                item="Grant",
            ),
        ),
        may_be_absent=True,
    ),
    Shape(
        "CopyObjectResult",
        "CopyObjectResult",
        (
            Field("ETag", Kind.ETAG),
            Field("LastModified", Kind.TIME),
            Field("ChecksumType", Kind.TOKEN),
            *_CHECKSUMS,
        ),
    ),
    Shape(
        "CopyPartResult",
        "CopyPartResult",
        (Field("ETag", Kind.ETAG), Field("LastModified", Kind.TIME), *_CHECKSUMS),
    ),
    Shape(
        "CreateBucketConfiguration",
        "CreateBucketConfiguration",
        (
            Field("LocationConstraint"),
            Field("Location", Kind.REFUSED),
            Field("Bucket", Kind.REFUSED),
            Field("Tags", Kind.REFUSED),
        ),
        may_be_absent=True,
    ),
    Shape(
        "Delete",
        "Delete",
        (Field("Object", _TO_DELETE, many=True, required=True), Field("Quiet", Kind.BOOL)),
    ),
    Shape(
        "DeleteResult",
        "DeleteResult",
        (Field("Deleted", _DELETED, many=True), Field("Error", _NOT_DELETED, many=True)),
    ),
    Shape(
        "ListAllMyBucketsResult",
        "ListAllMyBucketsResult",
        (
            Field("Owner", _OWNER),
            Field("Buckets", _BUCKET, item="Bucket"),
            Field("ContinuationToken"),
            Field("Prefix"),
        ),
    ),
    Shape("LocationConstraint", "LocationConstraint", text=True),
    Shape(
        "ListBucketResult",
        "ListBucketResult",
        (
            Field("Name"),
            Field("Prefix"),
            Field("Marker"),
            Field("NextMarker"),
            Field("MaxKeys", Kind.INT),
            Field("Delimiter"),
            Field("EncodingType"),
            Field("IsTruncated", Kind.BOOL),
            *_LISTED,
        ),
    ),
    Shape(
        "ListBucketResultV2",
        "ListBucketResult",
        (
            Field("Name"),
            Field("Prefix"),
            Field("StartAfter"),
            Field("ContinuationToken"),
            Field("NextContinuationToken"),
            Field("KeyCount", Kind.INT),
            Field("MaxKeys", Kind.INT),
            Field("Delimiter"),
            Field("EncodingType"),
            Field("IsTruncated", Kind.BOOL),
            *_LISTED,
        ),
    ),
    Shape(
        "ListVersionsResult",
        "ListVersionsResult",
        (
            Field("Name"),
            Field("Prefix"),
            Field("KeyMarker"),
            Field("VersionIdMarker"),
            Field("NextKeyMarker"),
            Field("NextVersionIdMarker"),
            Field("MaxKeys", Kind.INT),
            Field("Delimiter"),
            Field("EncodingType"),
            Field("IsTruncated", Kind.BOOL),
            Field("Version", _VERSION, many=True),
            Field("DeleteMarker", _DELETE_MARKER, many=True),
            Field("CommonPrefixes", (Field("Prefix"),), many=True),
        ),
    ),
    *_EMPTY_CONFIGURATIONS,
    Shape(
        "VersioningConfiguration",
        "VersioningConfiguration",
        (Field("Status"), Field("MfaDelete")),
    ),
    Shape(
        "Error",
        "Error",
        (
            Field("Code"),
            Field("Message"),
            Field("Extra", Kind.PAIRS),
            Field("Resource"),
            Field("RequestId"),
            Field("HostId"),
        ),
        has_namespace=False,
    ),
)

SHAPES: Final = {shape.name: shape for shape in (*_ROWS, *_MULTIPART_ROWS)}
