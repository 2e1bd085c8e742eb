"""Which error codes an operation may answer, told from its row and from what its requests carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.op import Body, Cost, Op, Scope, Support
from fastobj.s3 import headers
from fastobj.s3.absent import ANSWERS, Absent

Codes = tuple[ErrorCode, ...]

# Before and around every handler: load, names, permission, and what goes wrong here.
_ALL: Final[Codes] = (
    codes.ACCESS_DENIED,
    codes.INTERNAL_ERROR,
    codes.INVALID_ARGUMENT,
    codes.INVALID_REQUEST,
    codes.INVALID_URI,
    codes.NOT_IMPLEMENTED,
    codes.SERVICE_UNAVAILABLE,
    codes.SLOW_DOWN,
)
# All but what nobody signs.
_SIGNATURE: Final[Codes] = (
    codes.AUTHORIZATION_HEADER_MALFORMED,
    codes.AUTHORIZATION_QUERY_PARAMETERS_ERROR,
    codes.INVALID_ACCESS_KEY_ID,
    codes.INVALID_TOKEN,
    codes.REQUEST_TIME_TOO_SKEWED,
    codes.SIGNATURE_DOES_NOT_MATCH,
    codes.X_AMZ_CONTENT_SHA256_MISMATCH,
)
_BODY: Final[Codes] = (
    codes.BAD_DIGEST,
    codes.INCOMPLETE_BODY,
    codes.INVALID_DIGEST,
    codes.REQUEST_TIMEOUT,
)
_XML: Final[Codes] = (codes.MALFORMED_XML,)
_STREAM: Final[Codes] = (
    codes.ENTITY_TOO_LARGE,
    codes.INVALID_CHUNK_SIZE,
    codes.MALFORMED_TRAILER,
    codes.MISSING_CONTENT_LENGTH,
)
_FORM: Final[Codes] = (
    codes.ENTITY_TOO_LARGE,
    codes.ENTITY_TOO_SMALL,
    codes.INVALID_POLICY_DOCUMENT,
    codes.KEY_TOO_LONG,
    codes.MALFORMED_POST_REQUEST,
    codes.MAX_POST_PRE_DATA_LENGTH_EXCEEDED,
    codes.MISSING_CONTENT_LENGTH,
    codes.PRECONDITION_FAILED,
)
_COMMIT: Final[Codes] = (codes.INSUFFICIENT_STORAGE, codes.OPERATION_ABORTED)
_READS: Final = ("GET", "HEAD")
_CONDITIONS: Final = frozenset({b"if-match", b"if-none-match"})

# What a query key or a header brings with it, where the operation takes it.
_BY_QUERY: Final[Mapping[str, Codes]] = {
    "versionId": (codes.NO_SUCH_VERSION, codes.METHOD_NOT_ALLOWED),
    "partNumber": (codes.INVALID_PART_NUMBER,),
    "uploadId": (codes.NO_SUCH_UPLOAD,),
}
_BY_HEADER: Final[Mapping[bytes, Codes]] = {
    b"range": (codes.INVALID_RANGE,),
    b"x-amz-meta-": (codes.METADATA_TOO_LARGE,),
    b"x-amz-acl": (
        codes.UNRESOLVABLE_GRANT_BY_EMAIL_ADDRESS,
        codes.ACCESS_CONTROL_LIST_NOT_SUPPORTED,
    ),
    b"x-amz-object-ownership": (codes.INVALID_BUCKET_ACL_WITH_OBJECT_OWNERSHIP,),
    b"x-amz-server-side-encryption": (codes.KMS_NOT_FOUND,),
    b"x-amz-server-side-encryption-customer-key": (codes.INVALID_ENCRYPTION_ALGORITHM,),
    b"if-match": (codes.PRECONDITION_FAILED,),
    b"if-none-match": (codes.PRECONDITION_FAILED,),
    b"x-amz-if-match-initiated-time": (codes.PRECONDITION_FAILED, codes.INVALID_ARGUMENT),
    b"x-amz-if-match-last-modified-time": (codes.PRECONDITION_FAILED, codes.INVALID_ARGUMENT),
    b"x-amz-if-match-size": (codes.PRECONDITION_FAILED, codes.INVALID_ARGUMENT),
    b"x-amz-write-offset-bytes": (
        codes.ENCRYPTION_TYPE_MISMATCH,
        codes.INVALID_WRITE_OFFSET,
        codes.TOO_MANY_PARTS,
        codes.INVALID_REQUEST,
        codes.INVALID_ARGUMENT,
    ),
    b"x-amz-tagging": (codes.INVALID_TAG, codes.INVALID_ARGUMENT),
    b"x-amz-tagging-directive": (codes.INVALID_ARGUMENT,),
}

_ACL: Final[Codes] = (
    codes.MALFORMED_ACL,
    codes.MISSING_SECURITY_HEADER,
    codes.UNEXPECTED_CONTENT,
)

_LOCK: Final[Codes] = (codes.NO_SUCH_KEY, codes.NO_SUCH_OBJECT_LOCK_CONFIGURATION)

# What only some operations say.
_BY_NAME: Final[Mapping[str, Codes]] = {
    "CreateBucket": (
        codes.BUCKET_ALREADY_EXISTS,
        codes.BUCKET_ALREADY_OWNED_BY_YOU,
        codes.ILLEGAL_LOCATION_CONSTRAINT,
        codes.INVALID_LOCATION_CONSTRAINT,
        codes.INVALID_TAG,
    ),
    "DeleteBucket": (codes.BUCKET_NOT_EMPTY,),
    "PutBucketVersioning": (
        codes.ILLEGAL_VERSIONING_CONFIGURATION,
        codes.INVALID_BUCKET_STATE,
        codes.NOT_IMPLEMENTED,
    ),
    "DeleteObjects": (codes.NO_SUCH_VERSION, codes.PRECONDITION_FAILED, codes.KEY_TOO_LONG),
    "PutBucketAcl": _ACL,
    "GetObjectAcl": (codes.NO_SUCH_KEY,),
    "GetObjectAttributes": (
        codes.NO_SUCH_KEY,
        codes.NOT_MODIFIED,
        codes.INVALID_REQUEST,
        codes.INVALID_ARGUMENT,
    ),
    "RenameObject": (
        codes.NO_SUCH_KEY,
        codes.INVALID_REQUEST,
        codes.INVALID_ARGUMENT,
        codes.IDEMPOTENCY_PARAMETER_MISMATCH,
    ),
    "GetObjectTagging": (codes.NO_SUCH_KEY,),
    "PutObjectTagging": (codes.NO_SUCH_KEY, codes.INVALID_TAG),
    "DeleteObjectTagging": (codes.NO_SUCH_KEY,),
    "PutObjectAcl": (*_ACL, codes.NO_SUCH_KEY),
    "GetObject": (codes.NO_SUCH_KEY, codes.NOT_MODIFIED),
    "HeadObject": (codes.NO_SUCH_KEY, codes.NOT_MODIFIED),
    "CopyObject": (
        codes.INVALID_REQUEST,
        codes.NO_SUCH_KEY,
        codes.NO_SUCH_VERSION,
        codes.PRECONDITION_FAILED,
    ),
    "UploadPartCopy": (
        codes.INVALID_ARGUMENT,
        codes.INVALID_REQUEST,
        codes.NO_SUCH_UPLOAD,
        codes.NO_SUCH_KEY,
        codes.NO_SUCH_VERSION,
        codes.PRECONDITION_FAILED,
    ),
    "CompleteMultipartUpload": (
        codes.ENTITY_TOO_SMALL,
        codes.INVALID_PART,
        codes.INVALID_PART_ORDER,
        codes.ENTITY_TOO_LARGE,
        codes.NO_SUCH_KEY,
    ),
    "GetBucketTagging": (codes.NO_SUCH_TAG_SET,),
    "PutBucketTagging": (codes.INVALID_TAG,),
    "GetBucketCors": (codes.NO_SUCH_CORS_CONFIGURATION,),
    "GetBucketLifecycleConfiguration": (codes.NO_SUCH_LIFECYCLE_CONFIGURATION,),
    "PutBucketLifecycleConfiguration": (codes.INVALID_TAG, codes.INVALID_STORAGE_CLASS),
    "GetBucketEncryption": (codes.SERVER_SIDE_ENCRYPTION_CONFIGURATION_NOT_FOUND,),
    "GetBucketOwnershipControls": (codes.OWNERSHIP_CONTROLS_NOT_FOUND,),
    "PutBucketOwnershipControls": (codes.INVALID_BUCKET_ACL_WITH_OBJECT_OWNERSHIP,),
    "PutObjectLockConfiguration": (codes.INVALID_BUCKET_STATE,),
    "GetObjectLockConfiguration": (codes.OBJECT_LOCK_CONFIGURATION_NOT_FOUND,),
    "GetObjectRetention": _LOCK,
    "PutObjectRetention": (codes.NO_SUCH_KEY,),
    "GetObjectLegalHold": _LOCK,
    "PutObjectLegalHold": (codes.NO_SUCH_KEY,),
    "PreflightBucket": (codes.ACCESS_FORBIDDEN, codes.BAD_REQUEST),
    "PreflightObject": (codes.ACCESS_FORBIDDEN, codes.BAD_REQUEST),
}


def possible_codes(op: Op) -> list[ErrorCode]:
    """The codes of an operation, by status and name."""
    return sorted(set(_codes(op)), key=lambda code: (code.status, code.name))


def _codes(op: Op) -> Iterator[ErrorCode]:
    yield from _ALL
    if op.action:
        yield from _SIGNATURE
    if op.support is Support.REFUSED:
        return
    yield from _of_scope(op)
    yield from _of_body(op)
    yield from _BY_NAME.get(op.name, ())
    if isinstance(absent := ANSWERS.get(op.name), Absent):
        yield absent.code
    if op.cost is Cost.WRITE or (op.action and op.method not in _READS):
        yield from _COMMIT
    said_as = headers.SAID_AS.get(op.name, op.name)
    used = headers.USED.get(said_as, frozenset())
    for name in used:
        yield from _BY_HEADER.get(name, ())
    if op.method not in _READS and not used.isdisjoint(_CONDITIONS):
        yield codes.CONDITIONAL_REQUEST_CONFLICT
    for key in (*op.query, *headers.QUERY_CHECKS.get(said_as, ())):
        yield from _BY_QUERY.get(key, ())
    for refusal in headers.REFUSED.get(said_as, {}).values():
        yield refusal.code


def _of_scope(op: Op) -> Iterator[ErrorCode]:
    if op.scope is not Scope.SERVICE and op.name != "CreateBucket" and op.action:
        yield codes.NO_SUCH_BUCKET
    if op.scope is not Scope.SERVICE and op.method != "HEAD":
        yield codes.INVALID_BUCKET_NAME
    if op.scope is Scope.OBJECT:
        yield codes.KEY_TOO_LONG


def _of_body(op: Op) -> Iterator[ErrorCode]:
    if op.body is not Body.NONE:
        yield from _BODY
    if op.body is Body.XML:
        yield from _XML
    if op.body is Body.STREAM:
        yield from _STREAM
    if op.body is Body.FORM:
        yield from _FORM
