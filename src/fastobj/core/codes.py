"""The error codes of S3: one row each, used as names so that a typo fails on import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code: its name on the wire, its HTTP status, and what it says when nobody says more."""

    name: str
    status: int
    message: str


# --- who asks, and whether the request is really theirs
ACCESS_DENIED: Final = ErrorCode("AccessDenied", 403, "Access Denied")
AUTHORIZATION_HEADER_MALFORMED: Final = ErrorCode(
    "AuthorizationHeaderMalformed", 400, "The authorization header is malformed."
)
AUTHORIZATION_QUERY_PARAMETERS_ERROR: Final = ErrorCode(
    "AuthorizationQueryParametersError", 400, "The authorization query parameters are malformed."
)
INVALID_ACCESS_KEY_ID: Final = ErrorCode(
    "InvalidAccessKeyId",
    403,
    "The AWS Access Key Id you provided does not exist in our records.",
)
INVALID_TOKEN: Final = ErrorCode(
    "InvalidToken", 400, "The provided token is malformed or otherwise invalid."
)
MISSING_SECURITY_HEADER: Final = ErrorCode(
    "MissingSecurityHeader", 400, "Your request was missing a required header."
)
REQUEST_TIME_TOO_SKEWED: Final = ErrorCode(
    "RequestTimeTooSkewed",
    403,
    "The difference between the request time and the current time is too large.",
)
SIGNATURE_DOES_NOT_MATCH: Final = ErrorCode(
    "SignatureDoesNotMatch",
    403,
    "The request signature we calculated does not match the signature you provided."
    " Check your key and signing method.",
)

# --- pages of other origins
ACCESS_FORBIDDEN: Final = ErrorCode("AccessForbidden", 403, "Access Forbidden")
BAD_REQUEST: Final = ErrorCode("BadRequest", 400, "Bad Request")

# --- names
INVALID_BUCKET_NAME: Final = ErrorCode(
    "InvalidBucketName", 400, "The specified bucket is not valid."
)
INVALID_URI: Final = ErrorCode("InvalidURI", 400, "Couldn't parse the specified URI.")
KEY_TOO_LONG: Final = ErrorCode("KeyTooLongError", 400, "Your key is too long.")

# --- buckets
BUCKET_ALREADY_EXISTS: Final = ErrorCode(
    "BucketAlreadyExists",
    409,
    "The requested bucket name is not available. The bucket namespace is shared by all users of"
    " the system. Please select a different name and try again.",
)
BUCKET_ALREADY_OWNED_BY_YOU: Final = ErrorCode(
    "BucketAlreadyOwnedByYou",
    409,
    "Your previous request to create the named bucket succeeded and you already own it.",
)
BUCKET_NOT_EMPTY: Final = ErrorCode(
    "BucketNotEmpty", 409, "The bucket you tried to delete is not empty."
)
ILLEGAL_LOCATION_CONSTRAINT: Final = ErrorCode(
    "IllegalLocationConstraintException",
    400,
    "The location constraint is incompatible with the region of the endpoint that this request"
    " was sent to.",
)
INVALID_BUCKET_STATE: Final = ErrorCode(
    "InvalidBucketState", 409, "The request is not valid with the current state of the bucket."
)
INVALID_LOCATION_CONSTRAINT: Final = ErrorCode(
    "InvalidLocationConstraint", 400, "The specified location constraint is not valid."
)
NO_SUCH_BUCKET: Final = ErrorCode("NoSuchBucket", 404, "The specified bucket does not exist.")
TOO_MANY_BUCKETS: Final = ErrorCode(
    "TooManyBuckets", 400, "You have attempted to create more buckets than allowed."
)

# --- objects
INVALID_OBJECT_STATE: Final = ErrorCode(
    "InvalidObjectState", 403, "The operation is not valid for the object's storage class."
)
INVALID_PART: Final = ErrorCode(
    "InvalidPart",
    400,
    "One or more of the specified parts could not be found. The part may not have been uploaded,"
    " or the specified entity tag may not match the part's entity tag.",
)
INVALID_PART_NUMBER: Final = ErrorCode(
    "InvalidPartNumber", 416, "The requested partnumber is not satisfiable."
)
INVALID_PART_ORDER: Final = ErrorCode(
    "InvalidPartOrder",
    400,
    "The list of parts was not in ascending order. Parts must be ordered by part number.",
)
INVALID_RANGE: Final = ErrorCode("InvalidRange", 416, "The requested range is not satisfiable.")
INVALID_STORAGE_CLASS: Final = ErrorCode(
    "InvalidStorageClass", 400, "The storage class you specified is not valid."
)
ENCRYPTION_TYPE_MISMATCH: Final = ErrorCode(
    "EncryptionTypeMismatch",
    400,
    "The object was created with another encryption type than that of the write request.",
)
INVALID_WRITE_OFFSET: Final = ErrorCode(
    "InvalidWriteOffset",
    400,
    "The write offset value that you specified does not match the current object size.",
)
NO_SUCH_KEY: Final = ErrorCode("NoSuchKey", 404, "The specified key does not exist.")
NO_SUCH_UPLOAD: Final = ErrorCode(
    "NoSuchUpload",
    404,
    "The specified multipart upload does not exist. The upload ID may be invalid, or the upload"
    " may have been aborted or completed.",
)
ILLEGAL_VERSIONING_CONFIGURATION: Final = ErrorCode(
    "IllegalVersioningConfigurationException",
    400,
    "The versioning configuration specified in the request is invalid.",
)
NO_SUCH_VERSION: Final = ErrorCode("NoSuchVersion", 404, "The specified version does not exist.")
TOO_MANY_PARTS: Final = ErrorCode(
    "TooManyParts",
    400,
    "You have attempted to add more parts than the maximum that is allowed for this object. You can"
    " copy the object and then add more data to the copy.",
)

# --- conditions
CONDITIONAL_REQUEST_CONFLICT: Final = ErrorCode(
    "ConditionalRequestConflict",
    409,
    "The conditional request cannot succeed due to a conflicting operation against this resource.",
)
IDEMPOTENCY_PARAMETER_MISMATCH: Final = ErrorCode(
    "IdempotencyParameterMismatch",
    400,
    "Parameters on this idempotent request are inconsistent with those of an earlier request that"
    " had the same client token.",
)
NOT_MODIFIED: Final = ErrorCode("NotModified", 304, "Not Modified")
OPERATION_ABORTED: Final = ErrorCode(
    "OperationAborted",
    409,
    "A conflicting conditional operation is currently in progress against this resource."
    " Try again.",
)
PRECONDITION_FAILED: Final = ErrorCode(
    "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold."
)

# --- what a request holds
BAD_DIGEST: Final = ErrorCode(
    "BadDigest", 400, "The Content-MD5 or checksum you specified did not match what we received."
)
ENTITY_TOO_LARGE: Final = ErrorCode(
    "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size."
)
ENTITY_TOO_SMALL: Final = ErrorCode(
    "EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size."
)
INCOMPLETE_BODY: Final = ErrorCode(
    "IncompleteBody",
    400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header.",
)
INVALID_ARGUMENT: Final = ErrorCode("InvalidArgument", 400, "Invalid Argument")
INVALID_CHUNK_SIZE: Final = ErrorCode(
    "InvalidChunkSizeError", 400, "The size of a chunk is not valid."
)
INVALID_DIGEST: Final = ErrorCode(
    "InvalidDigest", 400, "The Content-MD5 you specified was invalid."
)
INVALID_REQUEST: Final = ErrorCode("InvalidRequest", 400, "Invalid Request")
INVALID_TAG: Final = ErrorCode("InvalidTag", 400, "The tag provided was not a valid tag.")
MALFORMED_XML: Final = ErrorCode(
    "MalformedXML",
    400,
    "The XML you provided was not well-formed or did not validate against our published schema.",
)
MALFORMED_TRAILER: Final = ErrorCode(
    "MalformedTrailerError",
    400,
    "The request contained trailing data that was not well-formed or did not conform to our"
    " published schema.",
)
METADATA_TOO_LARGE: Final = ErrorCode(
    "MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size."
)
MISSING_CONTENT_LENGTH: Final = ErrorCode(
    "MissingContentLength", 411, "You must provide the Content-Length HTTP header."
)
REQUEST_TIMEOUT: Final = ErrorCode(
    "RequestTimeout",
    400,
    "Your socket connection to the server was not read from or written to within the timeout"
    " period.",
)
X_AMZ_CONTENT_SHA256_MISMATCH: Final = ErrorCode(
    "XAmzContentSHA256Mismatch",
    400,
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
)

# --- configurations that a bucket does not have
NO_SUCH_BUCKET_POLICY: Final = ErrorCode(
    "NoSuchBucketPolicy", 404, "The bucket policy does not exist"
)
NO_SUCH_CONFIGURATION: Final = ErrorCode(
    "NoSuchConfiguration", 404, "The specified configuration does not exist."
)
NO_SUCH_CORS_CONFIGURATION: Final = ErrorCode(
    "NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"
)
NO_SUCH_LIFECYCLE_CONFIGURATION: Final = ErrorCode(
    "NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"
)
NO_SUCH_PUBLIC_ACCESS_BLOCK_CONFIGURATION: Final = ErrorCode(
    "NoSuchPublicAccessBlockConfiguration",
    404,
    "The public access block configuration was not found",
)
NO_SUCH_TAG_SET: Final = ErrorCode("NoSuchTagSet", 404, "The TagSet does not exist")
NO_SUCH_WEBSITE_CONFIGURATION: Final = ErrorCode(
    "NoSuchWebsiteConfiguration",
    404,
    "The specified bucket does not have a website configuration",
)
NO_SUCH_OBJECT_LOCK_CONFIGURATION: Final = ErrorCode(
    "NoSuchObjectLockConfiguration",
    404,
    "The specified object does not have a ObjectLock configuration",
)
OBJECT_LOCK_CONFIGURATION_NOT_FOUND: Final = ErrorCode(
    "ObjectLockConfigurationNotFoundError",
    404,
    "Object Lock configuration does not exist for this bucket",
)
OWNERSHIP_CONTROLS_NOT_FOUND: Final = ErrorCode(
    "OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found"
)
REPLICATION_CONFIGURATION_NOT_FOUND: Final = ErrorCode(
    "ReplicationConfigurationNotFoundError",
    404,
    "The replication configuration was not found",
)
SERVER_SIDE_ENCRYPTION_CONFIGURATION_NOT_FOUND: Final = ErrorCode(
    "ServerSideEncryptionConfigurationNotFoundError",
    404,
    "The server side encryption configuration was not found",
)

# --- access control lists
ACCESS_CONTROL_LIST_NOT_SUPPORTED: Final = ErrorCode(
    "AccessControlListNotSupported", 400, "The bucket does not allow ACLs"
)
INVALID_BUCKET_ACL_WITH_OBJECT_OWNERSHIP: Final = ErrorCode(
    "InvalidBucketAclWithObjectOwnership",
    400,
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
)
MALFORMED_ACL: Final = ErrorCode(
    "MalformedACLError",
    400,
    "The ACL that you provided was not well-formed or did not validate against our published"
    " schema.",
)
UNEXPECTED_CONTENT: Final = ErrorCode(
    "UnexpectedContent", 400, "This request does not support content."
)
UNRESOLVABLE_GRANT_BY_EMAIL_ADDRESS: Final = ErrorCode(
    "UnresolvableGrantByEmailAddress",
    400,
    "The email address you provided does not match any account on record.",
)

# --- uploads from forms
INVALID_POLICY_DOCUMENT: Final = ErrorCode(
    "InvalidPolicyDocument",
    400,
    "The content of the form does not meet the conditions specified in the policy document.",
)
MALFORMED_POST_REQUEST: Final = ErrorCode(
    "MalformedPOSTRequest",
    400,
    "The body of your POST request is not well-formed multipart/form-data.",
)
MAX_POST_PRE_DATA_LENGTH_EXCEEDED: Final = ErrorCode(
    "MaxPostPreDataLengthExceeded",
    400,
    "Your POST request fields preceding the upload file were too large.",
)

# --- what fastobj does not do
METHOD_NOT_ALLOWED: Final = ErrorCode(
    "MethodNotAllowed", 405, "The specified method is not allowed against this resource."
)
NOT_IMPLEMENTED: Final = ErrorCode(
    "NotImplemented", 501, "A header you provided implies functionality that is not implemented."
)

# --- what went wrong here
INSUFFICIENT_STORAGE: Final = ErrorCode(
    "InsufficientStorage", 507, "The server has no room left to store this."
)
INTERNAL_ERROR: Final = ErrorCode(
    "InternalError", 500, "We encountered an internal error. Please try again."
)
SERVICE_UNAVAILABLE: Final = ErrorCode(
    "ServiceUnavailable", 503, "Service is unable to handle request."
)
SLOW_DOWN: Final = ErrorCode("SlowDown", 503, "Please reduce your request rate.")

# --- encryption
INVALID_ENCRYPTION_ALGORITHM: Final = ErrorCode(
    "InvalidEncryptionAlgorithmError",
    400,
    "The Encryption request you specified is not valid. Supported value: AES256.",
)
KMS_NOT_FOUND: Final = ErrorCode(
    "KMS.NotFoundException", 400, "The key of the key service does not exist."
)

ALL: Final = tuple(row for row in tuple(globals().values()) if isinstance(row, ErrorCode))
