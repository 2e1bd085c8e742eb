"""THE TABLE: every operation of the S3 API, served or refused. Imports no handler.

A row's first query key is its sub-resource: where a request carries it, no row without it is
ever chosen, so that `DELETE /bucket?acl` never deletes a bucket.
"""

from __future__ import annotations

from typing import Final

from fastobj.core.op import Body, Cost, Op, Scope, Support

GET: Final = "GET"
HEAD: Final = "HEAD"
PUT: Final = "PUT"
POST: Final = "POST"
DELETE: Final = "DELETE"
OPTIONS: Final = "OPTIONS"

SERVICE: Final = Scope.SERVICE
BUCKET: Final = Scope.BUCKET
OBJECT: Final = Scope.OBJECT


def _refused(
    name: str, method: str, scope: Scope, action: str, *query: str, header: str | None = None
) -> Op:
    """A row that answers NotImplemented once the request is authenticated."""
    return Op(name, method, scope, action, query, header=header, support=Support.REFUSED)


_SERVED: Final = (
    Op(
        "ListBuckets", GET, SERVICE, "s3:ListAllMyBuckets",
        cost=Cost.LIST, xml_out="ListAllMyBucketsResult",
    ),
    Op(
        "CreateBucket", PUT, BUCKET, "s3:CreateBucket",
        body=Body.XML, xml_in="CreateBucketConfiguration",
    ),
    Op("HeadBucket", HEAD, BUCKET, "s3:ListBucket", cost=Cost.READ),
    Op("DeleteBucket", DELETE, BUCKET, "s3:DeleteBucket"),
    Op(
        "GetBucketLocation", GET, BUCKET, "s3:GetBucketLocation", ("location",),
        xml_out="LocationConstraint",
    ),
    Op(
        "ListObjects", GET, BUCKET, "s3:ListBucket",
        cost=Cost.LIST, xml_out="ListBucketResult",
    ),
    Op(
        "ListObjectsV2", GET, BUCKET, "s3:ListBucket", pinned=(("list-type", "2"),),
        cost=Cost.LIST, xml_out="ListBucketResultV2",
    ),
    Op(
        "DeleteObjects", POST, BUCKET, "s3:DeleteObject", ("delete",),
        cost=Cost.WRITE, body=Body.XML, xml_in="Delete", xml_out="DeleteResult",
        event="s3:ObjectRemoved:Delete",
    ),
    Op(
        "PutObject", PUT, OBJECT, "s3:PutObject",
        cost=Cost.WRITE, body=Body.STREAM, event="s3:ObjectCreated:Put",
    ),
    Op(
        "CopyObject", PUT, OBJECT, "s3:PutObject", header="x-amz-copy-source",
        also=("s3:GetObject@source",), cost=Cost.WRITE, xml_out="CopyObjectResult",
        event="s3:ObjectCreated:Copy", is_slow=True,
    ),
    Op("GetObject", GET, OBJECT, "s3:GetObject", cost=Cost.READ),
    Op("HeadObject", HEAD, OBJECT, "s3:GetObject", cost=Cost.READ),
    Op(
        "DeleteObject", DELETE, OBJECT, "s3:DeleteObject",
        cost=Cost.WRITE, event="s3:ObjectRemoved:Delete",
    ),
)  # fmt: skip

_SERVED_MULTIPART: Final = (
    Op(
        "CreateMultipartUpload", POST, OBJECT, "s3:PutObject", ("uploads",),
        cost=Cost.WRITE, xml_out="InitiateMultipartUploadResult",
    ),
    Op(
        "UploadPart", PUT, OBJECT, "s3:PutObject", ("uploadId", "partNumber"),
        cost=Cost.WRITE, body=Body.STREAM,
    ),
    Op(
        "UploadPartCopy", PUT, OBJECT, "s3:PutObject", ("uploadId", "partNumber"),
        header="x-amz-copy-source", also=("s3:GetObject@source",), cost=Cost.WRITE,
        xml_out="CopyPartResult", is_slow=True,
    ),
    Op(
        "CompleteMultipartUpload", POST, OBJECT, "s3:PutObject", ("uploadId",),
        cost=Cost.WRITE, body=Body.XML, xml_in="CompleteMultipartUpload",
        xml_out="CompleteMultipartUploadResult", event="s3:ObjectCreated:CompleteMultipartUpload",
        is_slow=True,
    ),
    Op(
        "AbortMultipartUpload", DELETE, OBJECT, "s3:AbortMultipartUpload", ("uploadId",),
        cost=Cost.WRITE,
    ),
    Op(
        "ListParts", GET, OBJECT, "s3:ListMultipartUploadParts", ("uploadId",),
        cost=Cost.LIST, xml_out="ListPartsResult",
    ),
    Op(
        "ListMultipartUploads", GET, BUCKET, "s3:ListBucketMultipartUploads", ("uploads",),
        cost=Cost.LIST, xml_out="ListMultipartUploadsResult",
    ),
)  # fmt: skip

# The upload from an HTML form.
_SERVED_FORM: Final = (
    Op(
        "PostObject", POST, BUCKET, "s3:PutObject",
        cost=Cost.WRITE, body=Body.FORM, xml_out="PostResponse", event="s3:ObjectCreated:Post",
    ),
)  # fmt: skip

_SERVED_ACCESS: Final = (
    Op("GetBucketAcl", GET, BUCKET, "s3:GetBucketAcl", ("acl",), xml_out="AccessControlPolicy"),
    Op(
        "PutBucketAcl", PUT, BUCKET, "s3:PutBucketAcl", ("acl",),
        body=Body.XML, xml_in="AccessControlPolicy",
    ),
    Op("GetObjectAcl", GET, OBJECT, "s3:GetObjectAcl", ("acl",), xml_out="AccessControlPolicy"),
    Op(
        "PutObjectAcl", PUT, OBJECT, "s3:PutObjectAcl", ("acl",),
        body=Body.XML, xml_in="AccessControlPolicy", event="s3:ObjectAcl:Put",
    ),
)  # fmt: skip

_SERVED_ATTRIBUTES: Final = (
    Op("GetObjectTagging", GET, OBJECT, "s3:GetObjectTagging", ("tagging",), xml_out="Tagging"),
    Op(
        "PutObjectTagging", PUT, OBJECT, "s3:PutObjectTagging", ("tagging",),
        cost=Cost.WRITE, body=Body.XML, xml_in="Tagging", event="s3:ObjectTagging:Put",
    ),
    Op(
        "DeleteObjectTagging", DELETE, OBJECT, "s3:DeleteObjectTagging", ("tagging",),
        cost=Cost.WRITE, event="s3:ObjectTagging:Delete",
    ),
    Op(
        "GetObjectAttributes", GET, OBJECT, "s3:GetObjectAttributes", ("attributes",),
        cost=Cost.READ, xml_out="GetObjectAttributesResponse",
    ),
    Op(
        "RenameObject", PUT, OBJECT, "s3:PutObject", ("renameObject",),
        cost=Cost.WRITE, event="s3:ObjectCreated:Put",
    ),
)  # fmt: skip

# Configurations that no bucket has yet are told to be absent: clients ask for them unprompted.
_SERVED_PROBES: Final = (
    Op(
        "GetBucketAccelerateConfiguration", GET, BUCKET, "s3:GetAccelerateConfiguration",
        ("accelerate",), xml_out="AccelerateConfiguration",
    ),
    Op(
        "GetBucketAnalyticsConfiguration", GET, BUCKET, "s3:GetAnalyticsConfiguration",
        ("analytics", "id"),
    ),
    Op(
        "GetBucketIntelligentTieringConfiguration", GET, BUCKET,
        "s3:GetIntelligentTieringConfiguration",
        ("intelligent-tiering", "id"),
    ),
    Op(
        "GetBucketInventoryConfiguration", GET, BUCKET, "s3:GetInventoryConfiguration",
        ("inventory", "id"),
    ),
    Op(
        "GetBucketLogging", GET, BUCKET, "s3:GetBucketLogging",
        ("logging",), xml_out="BucketLoggingStatus",
    ),
    Op(
        "GetBucketMetricsConfiguration", GET, BUCKET, "s3:GetMetricsConfiguration",
        ("metrics", "id"),
    ),
    Op("GetBucketPolicy", GET, BUCKET, "s3:GetBucketPolicy", ("policy",)),
    Op("GetBucketPolicyStatus", GET, BUCKET, "s3:GetBucketPolicyStatus", ("policyStatus",)),
    Op("GetBucketReplication", GET, BUCKET, "s3:GetReplicationConfiguration", ("replication",)),
    Op(
        "GetBucketRequestPayment", GET, BUCKET, "s3:GetBucketRequestPayment",
        ("requestPayment",), xml_out="RequestPaymentConfiguration",
    ),
    Op("GetBucketWebsite", GET, BUCKET, "s3:GetBucketWebsite", ("website",)),
    Op(
        "GetPublicAccessBlock", GET, BUCKET, "s3:GetBucketPublicAccessBlock",
        ("publicAccessBlock",),
    ),
    Op(
        "ListBucketAnalyticsConfigurations", GET, BUCKET, "s3:GetAnalyticsConfiguration",
        ("analytics",), xml_out="ListBucketAnalyticsConfigurationResult",
    ),
    Op(
        "ListBucketIntelligentTieringConfigurations", GET, BUCKET,
        "s3:GetIntelligentTieringConfiguration",
        ("intelligent-tiering",), xml_out="ListBucketIntelligentTieringConfigurationsOutput",
    ),
    Op(
        "ListBucketInventoryConfigurations", GET, BUCKET, "s3:GetInventoryConfiguration",
        ("inventory",), xml_out="ListInventoryConfigurationsResult",
    ),
    Op(
        "ListBucketMetricsConfigurations", GET, BUCKET, "s3:GetMetricsConfiguration",
        ("metrics",), xml_out="ListMetricsConfigurationsResult",
    ),
)  # fmt: skip

_SERVED_VERSIONS: Final = (
    Op(
        "GetBucketVersioning", GET, BUCKET, "s3:GetBucketVersioning",
        ("versioning",), xml_out="VersioningConfiguration",
    ),
    Op(
        "PutBucketVersioning", PUT, BUCKET, "s3:PutBucketVersioning",
        ("versioning",), body=Body.XML, xml_in="VersioningConfiguration",
    ),
    Op(
        "ListObjectVersions", GET, BUCKET, "s3:ListBucketVersions",
        ("versions",), cost=Cost.LIST, xml_out="ListVersionsResult",
    ),
)  # fmt: skip

_SERVED_CONFIGURATIONS: Final = (
    Op("GetBucketTagging", GET, BUCKET, "s3:GetBucketTagging", ("tagging",), xml_out="Tagging"),
    Op(
        "PutBucketTagging", PUT, BUCKET, "s3:PutBucketTagging", ("tagging",),
        body=Body.XML, xml_in="Tagging",
    ),
    Op("DeleteBucketTagging", DELETE, BUCKET, "s3:PutBucketTagging", ("tagging",)),
    Op("GetBucketCors", GET, BUCKET, "s3:GetBucketCORS", ("cors",), xml_out="CORSConfiguration"),
    Op(
        "PutBucketCors", PUT, BUCKET, "s3:PutBucketCORS", ("cors",),
        body=Body.XML, xml_in="CORSConfiguration",
    ),
    Op("DeleteBucketCors", DELETE, BUCKET, "s3:PutBucketCORS", ("cors",)),
    Op(
        "GetBucketLifecycleConfiguration", GET, BUCKET, "s3:GetLifecycleConfiguration",
        ("lifecycle",), xml_out="LifecycleConfiguration",
    ),
    Op(
        "PutBucketLifecycleConfiguration", PUT, BUCKET, "s3:PutLifecycleConfiguration",
        ("lifecycle",), body=Body.XML, xml_in="LifecycleConfiguration",
    ),
    Op("DeleteBucketLifecycle", DELETE, BUCKET, "s3:PutLifecycleConfiguration", ("lifecycle",)),
    Op(
        "GetBucketEncryption", GET, BUCKET, "s3:GetEncryptionConfiguration", ("encryption",),
        xml_out="ServerSideEncryptionConfiguration",
    ),
    Op(
        "PutBucketEncryption", PUT, BUCKET, "s3:PutEncryptionConfiguration", ("encryption",),
        body=Body.XML, xml_in="ServerSideEncryptionConfiguration",
    ),
    Op("DeleteBucketEncryption", DELETE, BUCKET, "s3:PutEncryptionConfiguration", ("encryption",)),
    Op(
        "GetBucketOwnershipControls", GET, BUCKET, "s3:GetBucketOwnershipControls",
        ("ownershipControls",), xml_out="OwnershipControls",
    ),
    Op(
        "PutBucketOwnershipControls", PUT, BUCKET, "s3:PutBucketOwnershipControls",
        ("ownershipControls",), body=Body.XML, xml_in="OwnershipControls",
    ),
    Op(
        "DeleteBucketOwnershipControls", DELETE, BUCKET, "s3:PutBucketOwnershipControls",
        ("ownershipControls",),
    ),
    Op(
        "GetBucketNotificationConfiguration", GET, BUCKET, "s3:GetBucketNotification",
        ("notification",), xml_out="NotificationConfiguration",
    ),
    Op(
        "PutBucketNotificationConfiguration", PUT, BUCKET, "s3:PutBucketNotification",
        ("notification",), body=Body.XML, xml_in="NotificationConfiguration",
    ),
    Op(
        "PutBucketAccelerateConfiguration", PUT, BUCKET, "s3:PutAccelerateConfiguration",
        ("accelerate",), body=Body.XML, xml_in="AccelerateConfiguration",
    ),
    Op(
        "PutBucketLogging", PUT, BUCKET, "s3:PutBucketLogging", ("logging",),
        body=Body.XML, xml_in="BucketLoggingStatus",
    ),
    Op(
        "PutBucketRequestPayment", PUT, BUCKET, "s3:PutBucketRequestPayment",
        ("requestPayment",), body=Body.XML, xml_in="RequestPaymentConfiguration",
    ),
)  # fmt: skip

_SERVED_LOCKS: Final = (
    Op(
        "GetObjectLockConfiguration", GET, BUCKET, "s3:GetBucketObjectLockConfiguration",
        ("object-lock",), xml_out="ObjectLockConfiguration",
    ),
    Op(
        "PutObjectLockConfiguration", PUT, BUCKET, "s3:PutBucketObjectLockConfiguration",
        ("object-lock",), body=Body.XML, xml_in="ObjectLockConfiguration",
    ),
    Op(
        "GetObjectRetention", GET, OBJECT, "s3:GetObjectRetention", ("retention",),
        xml_out="Retention",
    ),
    Op(
        "PutObjectRetention", PUT, OBJECT, "s3:PutObjectRetention", ("retention",),
        cost=Cost.WRITE, body=Body.XML, xml_in="Retention", event="s3:ObjectRetention:Put",
    ),
    Op(
        "GetObjectLegalHold", GET, OBJECT, "s3:GetObjectLegalHold", ("legal-hold",),
        xml_out="LegalHold",
    ),
    Op(
        "PutObjectLegalHold", PUT, OBJECT, "s3:PutObjectLegalHold", ("legal-hold",),
        cost=Cost.WRITE, body=Body.XML, xml_in="LegalHold",
    ),
)  # fmt: skip

# Nobody signs what a browser asks before it sends a request: such a row has no action.
_SERVED_PREFLIGHTS: Final = (
    Op("PreflightBucket", OPTIONS, BUCKET, ""),
    Op("PreflightObject", OPTIONS, OBJECT, ""),
)

# `max-directory-buckets` is all that tells ListDirectoryBuckets from ListBuckets on one endpoint.
_REFUSED_SERVICE: Final = (
    _refused(
        "ListDirectoryBuckets", GET, SERVICE, "s3express:ListAllMyDirectoryBuckets",
        "max-directory-buckets",
    ),
)  # fmt: skip

_REFUSED_BUCKET_GET: Final = (
    _refused("CreateSession", GET, BUCKET, "s3express:CreateSession", "session"),
    _refused("GetBucketAbac", GET, BUCKET, "s3:GetBucketAbac", "abac"),
    _refused(
        "GetBucketMetadataConfiguration", GET, BUCKET, "s3:GetBucketMetadataTableConfiguration",
        "metadataConfiguration",
    ),
    _refused(
        "GetBucketMetadataTableConfiguration", GET, BUCKET,
        "s3:GetBucketMetadataTableConfiguration", "metadataTable",
    ),
)  # fmt: skip

_REFUSED_BUCKET_PUT: Final = (
    _refused("PutBucketAbac", PUT, BUCKET, "s3:PutBucketAbac", "abac"),
    _refused(
        "PutBucketAnalyticsConfiguration", PUT, BUCKET, "s3:PutAnalyticsConfiguration",
        "analytics", "id",
    ),
    _refused(
        "PutBucketIntelligentTieringConfiguration", PUT, BUCKET,
        "s3:PutIntelligentTieringConfiguration", "intelligent-tiering", "id",
    ),
    _refused(
        "PutBucketInventoryConfiguration", PUT, BUCKET, "s3:PutInventoryConfiguration",
        "inventory", "id",
    ),
    _refused(
        "PutBucketMetricsConfiguration", PUT, BUCKET, "s3:PutMetricsConfiguration",
        "metrics", "id",
    ),
    _refused("PutBucketPolicy", PUT, BUCKET, "s3:PutBucketPolicy", "policy"),
    _refused(
        "PutBucketReplication", PUT, BUCKET, "s3:PutReplicationConfiguration", "replication"
    ),
    _refused("PutBucketWebsite", PUT, BUCKET, "s3:PutBucketWebsite", "website"),
    _refused(
        "PutPublicAccessBlock", PUT, BUCKET, "s3:PutBucketPublicAccessBlock", "publicAccessBlock"
    ),
    _refused(
        "UpdateBucketMetadataAnnotationTableConfiguration", PUT, BUCKET,
        "s3:UpdateBucketMetadataAnnotationTableConfiguration", "metadataAnnotationTable",
    ),
    _refused(
        "UpdateBucketMetadataInventoryTableConfiguration", PUT, BUCKET,
        "s3:UpdateBucketMetadataInventoryTableConfiguration", "metadataInventoryTable",
    ),
    _refused(
        "UpdateBucketMetadataJournalTableConfiguration", PUT, BUCKET,
        "s3:UpdateBucketMetadataJournalTableConfiguration", "metadataJournalTable",
    ),
)  # fmt: skip

_REFUSED_BUCKET_DELETE: Final = (
    _refused(
        "DeleteBucketAnalyticsConfiguration", DELETE, BUCKET, "s3:PutAnalyticsConfiguration",
        "analytics", "id",
    ),
    _refused(
        "DeleteBucketIntelligentTieringConfiguration", DELETE, BUCKET,
        "s3:PutIntelligentTieringConfiguration", "intelligent-tiering", "id",
    ),
    _refused(
        "DeleteBucketInventoryConfiguration", DELETE, BUCKET, "s3:PutInventoryConfiguration",
        "inventory", "id",
    ),
    _refused(
        "DeleteBucketMetadataConfiguration", DELETE, BUCKET,
        "s3:DeleteBucketMetadataTableConfiguration", "metadataConfiguration",
    ),
    _refused(
        "DeleteBucketMetadataTableConfiguration", DELETE, BUCKET,
        "s3:DeleteBucketMetadataTableConfiguration", "metadataTable",
    ),
    _refused(
        "DeleteBucketMetricsConfiguration", DELETE, BUCKET, "s3:PutMetricsConfiguration",
        "metrics", "id",
    ),
    _refused("DeleteBucketPolicy", DELETE, BUCKET, "s3:DeleteBucketPolicy", "policy"),
    _refused(
        "DeleteBucketReplication", DELETE, BUCKET, "s3:PutReplicationConfiguration",
        "replication",
    ),
    _refused("DeleteBucketWebsite", DELETE, BUCKET, "s3:DeleteBucketWebsite", "website"),
    _refused(
        "DeletePublicAccessBlock", DELETE, BUCKET, "s3:PutBucketPublicAccessBlock",
        "publicAccessBlock",
    ),
)  # fmt: skip

# WriteGetObjectResponse is sent to a path that looks like a bucket; only its header tells.
_REFUSED_BUCKET_OTHER: Final = (
    _refused(
        "CreateBucketMetadataConfiguration", POST, BUCKET,
        "s3:CreateBucketMetadataTableConfiguration", "metadataConfiguration",
    ),
    _refused(
        "CreateBucketMetadataTableConfiguration", POST, BUCKET,
        "s3:CreateBucketMetadataTableConfiguration", "metadataTable",
    ),
    _refused(
        "WriteGetObjectResponse", POST, BUCKET, "s3-object-lambda:WriteGetObjectResponse",
        header="x-amz-request-route",
    ),
)  # fmt: skip

_REFUSED_OBJECT: Final = (
    _refused(
        "GetObjectAnnotation", GET, OBJECT, "s3:GetObjectAnnotation",
        "annotation", "annotationName",
    ),
    _refused("GetObjectTorrent", GET, OBJECT, "s3:GetObjectTorrent", "torrent"),
    _refused("ListObjectAnnotations", GET, OBJECT, "s3:ListObjectAnnotations", "annotation"),
    _refused(
        "PutObjectAnnotation", PUT, OBJECT, "s3:PutObjectAnnotation",
        "annotation", "annotationName",
    ),
    _refused("UpdateObjectEncryption", PUT, OBJECT, "s3:UpdateObjectEncryption", "encryption"),
    _refused("RestoreObject", POST, OBJECT, "s3:RestoreObject", "restore"),
    Op(
        "SelectObjectContent", POST, OBJECT, "s3:GetObject", ("select",),
        pinned=(("select-type", "2"),), support=Support.REFUSED,
    ),
    _refused(
        "DeleteObjectAnnotation", DELETE, OBJECT, "s3:DeleteObjectAnnotation",
        "annotation", "annotationName",
    ),
)  # fmt: skip

OPERATIONS: Final[tuple[Op, ...]] = (
    *_SERVED,
    *_SERVED_MULTIPART,
    *_SERVED_ACCESS,
    *_SERVED_ATTRIBUTES,
    *_SERVED_FORM,
    *_SERVED_PROBES,
    *_SERVED_CONFIGURATIONS,
    *_SERVED_PREFLIGHTS,
    *_SERVED_VERSIONS,
    *_SERVED_LOCKS,
    *_REFUSED_SERVICE,
    *_REFUSED_BUCKET_GET,
    *_REFUSED_BUCKET_PUT,
    *_REFUSED_BUCKET_DELETE,
    *_REFUSED_BUCKET_OTHER,
    *_REFUSED_OBJECT,
)

# Deprecated operations of the API that are one with a later one on the wire.
ALIASES: Final = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
