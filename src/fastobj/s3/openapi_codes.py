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

# Before and around every handler: load, names, signature, permission, and what goes wrong here.
_ALL: Final[Codes] = (
    codes.ACCESS_DENIED,
    codes.AUTHORIZATION_HEADER_MALFORMED,
    codes.AUTHORIZATION_QUERY_PARAMETERS_ERROR,
    codes.INTERNAL_ERROR,
    codes.INVALID_ACCESS_KEY_ID,
    codes.INVALID_ARGUMENT,
    codes.INVALID_REQUEST,
    codes.INVALID_TOKEN,
    codes.INVALID_URI,
    codes.NOT_IMPLEMENTED,
    codes.REQUEST_TIME_TOO_SKEWED,
    codes.SERVICE_UNAVAILABLE,
    codes.SIGNATURE_DOES_NOT_MATCH,
    codes.SLOW_DOWN,
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
    b"x-amz-acl": (codes.UNRESOLVABLE_GRANT_BY_EMAIL_ADDRESS,),
    b"if-match": (codes.PRECONDITION_FAILED,),
    b"if-none-match": (codes.PRECONDITION_FAILED,),
}

_ACL: Final[Codes] = (
    codes.MALFORMED_ACL,
    codes.MISSING_SECURITY_HEADER,
    codes.UNEXPECTED_CONTENT,
)

# What only some operations say.
_BY_NAME: Final[Mapping[str, Codes]] = {
    "CreateBucket": (
        codes.BUCKET_ALREADY_EXISTS,
        codes.BUCKET_ALREADY_OWNED_BY_YOU,
        codes.ILLEGAL_LOCATION_CONSTRAINT,
        codes.INVALID_LOCATION_CONSTRAINT,
    ),
    "DeleteBucket": (codes.BUCKET_NOT_EMPTY,),
    "PutBucketVersioning": (codes.ILLEGAL_VERSIONING_CONFIGURATION, codes.NOT_IMPLEMENTED),
    "DeleteObjects": (codes.NO_SUCH_VERSION, codes.PRECONDITION_FAILED, codes.KEY_TOO_LONG),
    "PutBucketAcl": _ACL,
    "GetObjectAcl": (codes.NO_SUCH_KEY,),
    "GetObjectTagging": (codes.NO_SUCH_KEY,),
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
}


def possible_codes(op: Op) -> list[ErrorCode]:
    """The codes of an operation, by status and name."""
    return sorted(set(_codes(op)), key=lambda code: (code.status, code.name))


def _codes(op: Op) -> Iterator[ErrorCode]:
    yield from _ALL
    if op.support is Support.REFUSED:
        return
    yield from _of_scope(op)
    yield from _of_body(op)
    yield from _BY_NAME.get(op.name, ())
    if isinstance(absent := ANSWERS.get(op.name), Absent):
        yield absent.code
    if op.cost is Cost.WRITE or op.method not in _READS:
        yield from _COMMIT
    used = headers.USED.get(op.name, frozenset())
    for name in used:
        yield from _BY_HEADER.get(name, ())
    if op.method not in _READS and not used.isdisjoint(_CONDITIONS):
        yield codes.CONDITIONAL_REQUEST_CONFLICT
    for key in (*op.query, *headers.QUERY_CHECKS.get(op.name, ())):
        yield from _BY_QUERY.get(key, ())
    for refusal in headers.REFUSED.get(op.name, {}).values():
        yield refusal.code


def _of_scope(op: Op) -> Iterator[ErrorCode]:
    if op.scope is not Scope.SERVICE and op.name != "CreateBucket":
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
