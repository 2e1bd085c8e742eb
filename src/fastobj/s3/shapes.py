"""The second table: what each XML document holds, read by encoder and decoder alike.

A document is a mapping from element name to value. A flat list is a list under the name of the
element that repeats (`Contents`); a wrapped list is a list under the name of the element around
it (`Buckets`). An element that is None or absent is left out.
"""

from __future__ import annotations

from typing import Final

from fastobj.s3.config_shapes import CONFIGURATIONS
from fastobj.s3.shape_kinds import Field, Kind, Shape

__all__ = ["SHAPES", "Field", "Kind", "Shape"]

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
    Field("LastModifiedTime"),  # of HTTP or ISO 8601: SDKs write both
    Field("Size", Kind.INT),
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
)

_CHECKSUMS: Final = tuple(
    Field(f"Checksum{name}", Kind.TOKEN)
    for name in (
        *("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"),
        *("SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"),
    )
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
            Field(
                "Tags",
                (Field("Key", required=True), Field("Value", required=True)),
                item="Tag",
            ),
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
        "PostResponse",
        "PostResponse",
        (Field("Location"), Field("Bucket"), Field("Key"), Field("ETag", Kind.ETAG)),
        has_namespace=False,
    ),
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

_ATTRIBUTES_ROWS: Final = (
    Shape(
        "GetObjectAttributesResponse",
        "GetObjectAttributesResponse",
        (
            Field("ETag", Kind.TOKEN),  # here S3 writes it without quotes
            Field("Checksum", (*_CHECKSUMS, Field("ChecksumType", Kind.TOKEN))),
            Field(
                "ObjectParts",
                (
                    Field("PartsCount", Kind.INT),
                    Field("PartNumberMarker", Kind.INT),
                    Field("NextPartNumberMarker", Kind.INT),
                    Field("MaxParts", Kind.INT),
                    Field("IsTruncated", Kind.BOOL),
                    Field(
                        "Part",
                        (Field("PartNumber", Kind.INT), Field("Size", Kind.INT), *_CHECKSUMS),
                        many=True,
                    ),
                ),
            ),
            Field("StorageClass", Kind.TOKEN),
            Field("ObjectSize", Kind.INT),
        ),
    ),
)

SHAPES: Final = {
    shape.name: shape for shape in (*_ROWS, *_MULTIPART_ROWS, *_ATTRIBUTES_ROWS, *CONFIGURATIONS)
}
