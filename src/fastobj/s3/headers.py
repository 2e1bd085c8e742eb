"""The third table: what each served operation does with each request header and parameter of S3.

It is used, or harmless to pass over, or refused before the body is read. Nothing that a client
may rely on is ignored in silence. Names outside the S3 API are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fastobj.core import codes, limits
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.core.op import Op
from fastobj.http.message import Headers, Request
from fastobj.objects import versions


@dataclass(frozen=True, slots=True)
class Refusal:
    """A header that is refused, unless its value says no more than the default does.

    `accepted` are such values, in lower case.
    """

    code: ErrorCode
    accepted: frozenset[bytes] = frozenset()


Refusals = Mapping[bytes, Refusal]
_Check = Callable[[str], None]


def _refuse(*names: bytes, code: ErrorCode = codes.NOT_IMPLEMENTED) -> dict[bytes, Refusal]:
    return dict.fromkeys(names, Refusal(code))


def _only(
    name: bytes, *accepted: bytes, code: ErrorCode = codes.NOT_IMPLEMENTED
) -> dict[bytes, Refusal]:
    return {name: Refusal(code, frozenset(accepted))}


# --- used: by dispatch for all operations, and by handlers for theirs

USED_BY_ALL: Final = frozenset({b"x-amz-expected-bucket-owner"})

CONDITIONS: Final = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"}
)

DELETE_CONDITIONS: Final = frozenset(
    {b"if-match", b"x-amz-if-match-last-modified-time", b"x-amz-if-match-size"}
)

_CHECKSUMS: Final = frozenset(
    {
        b"x-amz-checksum-crc32",
        b"x-amz-checksum-crc32c",
        b"x-amz-checksum-crc64nvme",
        b"x-amz-checksum-sha1",
        b"x-amz-checksum-sha256",
        b"x-amz-checksum-sha512",
        b"x-amz-checksum-md5",
        b"x-amz-checksum-xxhash64",
        b"x-amz-checksum-xxhash3",
        b"x-amz-checksum-xxhash128",
    }
)

_BODY_CHECKS: Final = _CHECKSUMS | {b"content-md5", b"x-amz-sdk-checksum-algorithm"}
_ACL: Final = frozenset(
    {
        b"x-amz-acl",
        b"x-amz-grant-full-control",
        b"x-amz-grant-read",
        b"x-amz-grant-read-acp",
        b"x-amz-grant-write",
        b"x-amz-grant-write-acp",
    }
)

# The system headers that are kept with an object and given back with it, in this order.
STORED: Final = (
    b"cache-control",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
    b"content-type",
    b"expires",
)

CUSTOMER_KEY: Final = (
    b"x-amz-server-side-encryption-customer-algorithm",
    b"x-amz-server-side-encryption-customer-key",
    b"x-amz-server-side-encryption-customer-key-md5",
)

SOURCE_KEY: Final = (
    b"x-amz-copy-source-server-side-encryption-customer-algorithm",
    b"x-amz-copy-source-server-side-encryption-customer-key",
    b"x-amz-copy-source-server-side-encryption-customer-key-md5",
)

ENCRYPTION: Final = frozenset(
    {
        *CUSTOMER_KEY,
        b"x-amz-server-side-encryption",
        b"x-amz-server-side-encryption-aws-kms-key-id",
        b"x-amz-server-side-encryption-context",
        b"x-amz-server-side-encryption-bucket-key-enabled",
    }
)

# What keeps an object that is stored.
LOCK: Final = frozenset(
    {
        b"x-amz-object-lock-legal-hold",
        b"x-amz-object-lock-mode",
        b"x-amz-object-lock-retain-until-date",
    }
)
_BYPASS: Final = frozenset({b"x-amz-bypass-governance-retention"})

_READ: Final = CONDITIONS.union(CUSTOMER_KEY, {b"range", b"x-amz-checksum-mode"})

_COPY_SOURCE: Final = frozenset(
    {
        b"x-amz-copy-source",
        b"x-amz-copy-source-if-match",
        b"x-amz-copy-source-if-none-match",
        b"x-amz-copy-source-if-modified-since",
        b"x-amz-copy-source-if-unmodified-since",
        b"x-amz-source-expected-bucket-owner",
        *SOURCE_KEY,
    }
)

_COPY: Final = _COPY_SOURCE.union(
    {
        b"x-amz-metadata-directive",
        b"x-amz-meta-",
        b"x-amz-checksum-algorithm",
        b"if-match",
        b"if-none-match",
        b"x-amz-tagging",
        b"x-amz-tagging-directive",
    }
)

CONFIGURATION_PUTS: Final = (
    "PutBucketAccelerateConfiguration",
    "PutBucketCors",
    "PutBucketEncryption",
    "PutBucketLifecycleConfiguration",
    "PutBucketLogging",
    "PutBucketNotificationConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketRequestPayment",
    "PutBucketTagging",
)

USED: Final[Mapping[str, frozenset[bytes]]] = {
    "PutObject": _BODY_CHECKS.union(STORED, _ACL, ENCRYPTION, LOCK)
    | {b"x-amz-meta-", b"x-amz-tagging"}
    | {b"content-length", b"if-match", b"if-none-match", b"x-amz-write-offset-bytes"},
    "CopyObject": _COPY.union(STORED, _ACL, ENCRYPTION, LOCK),
    "GetObject": _READ,
    "HeadObject": _READ,
    "DeleteObject": DELETE_CONDITIONS | _BYPASS,
    "AbortMultipartUpload": frozenset({b"x-amz-if-match-initiated-time"}),
    "DeleteObjects": _BODY_CHECKS | _BYPASS,
    "CreateMultipartUpload": _ACL.union(
        STORED,
        ENCRYPTION,
        LOCK,
        {b"x-amz-meta-", b"x-amz-checksum-algorithm", b"x-amz-checksum-type", b"x-amz-tagging"},
    ),
    "UploadPart": _BODY_CHECKS.union(CUSTOMER_KEY, {b"content-length"}),
    "UploadPartCopy": _COPY_SOURCE.union(CUSTOMER_KEY, {b"x-amz-copy-source-range"}),
    "CompleteMultipartUpload": _CHECKSUMS.union(
        CUSTOMER_KEY,
        {b"x-amz-checksum-type", b"x-amz-mp-object-size", b"if-match", b"if-none-match"},
    ),
    "ListParts": frozenset(CUSTOMER_KEY),
    "CreateBucket": _BODY_CHECKS
    | _ACL
    | {b"x-amz-object-ownership", b"x-amz-bucket-object-lock-enabled"},
    "PutBucketAcl": _BODY_CHECKS | _ACL,
    "PutObjectAcl": _BODY_CHECKS | _ACL,
    **dict.fromkeys(CONFIGURATION_PUTS, _BODY_CHECKS),
    "PutBucketLifecycleConfiguration": _BODY_CHECKS
    | {b"x-amz-transition-default-minimum-object-size"},
    "PutObjectTagging": _BODY_CHECKS,
    "RenameObject": CONDITIONS
    | {
        b"x-amz-rename-source",
        b"x-amz-rename-source-if-match",
        b"x-amz-rename-source-if-none-match",
        b"x-amz-rename-source-if-modified-since",
        b"x-amz-rename-source-if-unmodified-since",
        b"x-amz-client-token",
    },
    "GetObjectAttributes": CONDITIONS.union(
        CUSTOMER_KEY,
        {b"x-amz-object-attributes", b"x-amz-max-parts", b"x-amz-part-number-marker"},
    ),
    "PutBucketVersioning": _BODY_CHECKS,
    "PutObjectLockConfiguration": _BODY_CHECKS,
    "PutObjectRetention": _BODY_CHECKS | _BYPASS,
    "PutObjectLegalHold": _BODY_CHECKS,
}

# Nothing is lost by passing these over: there is no billing, and until there are MFA delete and
# archives, nothing to unlock or to report. The token came from the support of S3, once.
HARMLESS: Final = frozenset(
    {
        b"x-amz-request-payer",
        b"x-amz-bucket-object-lock-token",
        b"x-amz-mfa",
        b"x-amz-optional-object-attributes",
    }
)

# --- refused

_LOCK: Final = _refuse(
    b"x-amz-object-lock-event-hold",
    b"x-amz-object-lock-event-hold-duration-days",
    b"x-amz-object-lock-event-hold-duration-years",
)


_STORAGE_CLASS: Final = _only(b"x-amz-storage-class", b"standard", code=codes.INVALID_STORAGE_CLASS)

# There are no annotations, so they may as well be copied as replaced by none.
_DIRECTIVES: Final = _only(
    b"x-amz-object-annotation-directive", b"copy", b"replace", code=codes.INVALID_ARGUMENT
)

REFUSED: Final[Mapping[str, Refusals]] = {
    "CreateBucket": _only(b"x-amz-bucket-namespace", b"global"),
    "PutObject": {
        **_LOCK,
        **_STORAGE_CLASS,
        **_refuse(
            b"x-amz-website-redirect-location",
        ),
    },
    "CopyObject": {
        **_LOCK,
        **_STORAGE_CLASS,
        **_DIRECTIVES,
        **_refuse(b"x-amz-website-redirect-location"),
    },
    "CreateMultipartUpload": {
        **_LOCK,
        **_only(b"x-amz-storage-class", b"standard", code=codes.INVALID_STORAGE_CLASS),
        **_refuse(b"x-amz-website-redirect-location"),
    },
    "PutBucketNotificationConfiguration": _only(b"x-amz-skip-destination-validation", b"false"),
}

# --- query parameters


_SHOWN_MAX: Final = 100  # of a value that makes no sense
_DIGITS_MAX: Final = 10  # leading zeros are digits too


def _check_version_id(value: str) -> None:
    versions.parse_id(value)


def _check_no_version_id(_: str) -> None:
    raise S3Error(codes.INVALID_ARGUMENT, "This operation does not accept a version-id.")


def check_part_number(value: str, most: int = limits.PART_NUMBER_MAX) -> None:
    """Refuses what is the number of no part: from 1 to `most`. Raises InvalidArgument."""
    is_number = value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX
    if not is_number or not 1 <= int(value) <= most:
        message = f"Part number must be an integer between 1 and {most}"
        extra = [("ArgumentName", "partNumber"), ("ArgumentValue", value[:_SHOWN_MAX])]
        raise S3Error(codes.INVALID_ARGUMENT, f"{message}, inclusive", extra=extra)


def _check_no_part_number(_: str) -> None:
    message = "This operation does not accept partNumber without uploadId"
    raise S3Error(codes.INVALID_ARGUMENT, message)


def _check_no_token(token: str) -> None:
    """Such listings have one page at most, so no token was ever answered."""
    extra = [("ArgumentName", "continuation-token"), ("ArgumentValue", token)]
    message = "The continuation token provided is incorrect"
    raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)


_NO_TOKEN: Final = {"continuation-token": _check_no_token}
_READ_CHECKS: Final = {"versionId": _check_version_id, "partNumber": check_part_number}

QUERY_CHECKS: Final[Mapping[str, Mapping[str, _Check]]] = {
    "GetObject": _READ_CHECKS,
    "HeadObject": _READ_CHECKS,
    "DeleteObject": {"versionId": _check_version_id},
    "GetObjectAcl": {"versionId": _check_version_id},
    "PutObjectAcl": {"versionId": _check_version_id},
    "GetObjectLegalHold": {"versionId": _check_version_id},
    "GetObjectRetention": {"versionId": _check_version_id},
    "PutObjectLegalHold": {"versionId": _check_version_id},
    "PutObjectRetention": {"versionId": _check_version_id},
    "GetObjectTagging": {"versionId": _check_version_id},
    "PutObjectTagging": {"versionId": _check_version_id},
    "GetObjectAttributes": {"versionId": _check_version_id},
    "DeleteObjectTagging": {"versionId": _check_version_id},
    "ListBucketAnalyticsConfigurations": _NO_TOKEN,
    "ListBucketIntelligentTieringConfigurations": _NO_TOKEN,
    "ListBucketInventoryConfigurations": _NO_TOKEN,
    "ListBucketMetricsConfigurations": _NO_TOKEN,
    "PutObject": {"versionId": _check_no_version_id, "partNumber": _check_no_part_number},
    "CopyObject": {"versionId": _check_no_version_id, "partNumber": _check_no_part_number},
    "UploadPart": {"partNumber": check_part_number},
    "UploadPartCopy": {"partNumber": check_part_number},
}

_RESPONSE_HEADERS: Final = frozenset(
    {
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    }
)

_LISTING: Final = frozenset({"delimiter", "encoding-type", "max-keys", "prefix"})

QUERY_USED: Final[Mapping[str, frozenset[str]]] = {
    "ListBuckets": frozenset({"max-buckets", "continuation-token", "prefix", "bucket-region"}),
    "GetObject": _RESPONSE_HEADERS,
    "HeadObject": _RESPONSE_HEADERS,
    "GetBucketAnalyticsConfiguration": frozenset({"id"}),
    "GetBucketIntelligentTieringConfiguration": frozenset({"id"}),
    "GetBucketInventoryConfiguration": frozenset({"id"}),
    "GetBucketMetricsConfiguration": frozenset({"id"}),
    "ListObjects": _LISTING | {"marker"},
    "ListObjectVersions": _LISTING | {"key-marker", "version-id-marker"},
    "ListObjectsV2": _LISTING | {"continuation-token", "fetch-owner", "start-after"},
    "UploadPart": frozenset({"uploadId"}),
    "UploadPartCopy": frozenset({"uploadId"}),
    "CompleteMultipartUpload": frozenset({"uploadId"}),
    "AbortMultipartUpload": frozenset({"uploadId"}),
    "ListParts": frozenset({"uploadId", "max-parts", "part-number-marker"}),
    "ListMultipartUploads": frozenset(
        {"delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"}
    ),
}

# --- headers that a client has moved into the query of a URL that it presigns

_NAME: Final = re.compile(r"x-amz-[a-z0-9!#$%&'*+.^_`|~-]+")
_FIELD: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SIGNING: Final = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
# S3 passes these over in a query: where nobody has a body yet, SDKs sign the checksum of none.
_NOT_MOVED: Final = _SIGNING.union(
    [name.decode() for name in _CHECKSUMS], {"x-amz-sdk-checksum-algorithm"}
)
_CHOOSES_OPERATION: Final = "x-amz-copy-source"


def moved(query: Mapping[str, str]) -> Headers:
    """The headers in the query of a presigned URL; its signature has been verified.

    Raises InvalidArgument for what is no header, and NotImplemented for the source of a copy.
    """
    found: Headers = []
    for said, value in query.items():
        name = said.lower()
        if not name.startswith("x-amz-") or name in _NOT_MOVED:
            continue
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            extra = [("ArgumentName", said[:_SHOWN_MAX])]
            raise S3Error(codes.INVALID_ARGUMENT, extra=extra)
        if name.startswith(_CHOOSES_OPERATION):
            message = f"{name} is taken as a header only"
            raise S3Error(codes.NOT_IMPLEMENTED, message, extra=[("Header", name)])
        found.append((name.encode(), value.strip(" \t").encode()))
    return found


# --- headers that a form has as fields

# A form says in its fields what PutObject says in its headers, and the same is done with them.
SAID_AS: Final = {"PostObject": "PutObject"}
# Beside all that begin like this:
_AMZ: Final = "x-amz-"
_OF_FORMS: Final = frozenset(
    name.decode() for name in (*STORED, b"content-md5", b"if-match", b"if-none-match")
)
_RENAMED: Final = {"acl": "x-amz-acl"}
_NO_FIELDS: Final = frozenset({"x-amz-write-offset-bytes"})


def of_form(fields: Mapping[str, str]) -> Headers:
    """The headers in the fields of a form by lower-case name; other fields are passed over.

    Raises InvalidArgument for what is not one header, and NotImplemented for the source of a copy.
    """
    found: Headers = []
    for said, value in fields.items():
        name = _RENAMED.get(said, said)
        if (not name.startswith(_AMZ) and name not in _OF_FORMS) or name in _SIGNING:
            continue
        if (
            not _FIELD.fullmatch(name)
            or _CONTROL.search(value)
            or (said != name and name in fields)
        ):
            extra = [("ArgumentName", said[:_SHOWN_MAX])]
            raise S3Error(codes.INVALID_ARGUMENT, extra=extra)
        if name.startswith(_CHOOSES_OPERATION) or name in _NO_FIELDS:
            message = f"{name} is taken as a header only"
            raise S3Error(codes.NOT_IMPLEMENTED, message, extra=[("Header", name)])
        found.append((name.encode(), value.strip(" \t").encode()))
    return found


_NO_REFUSALS: Final[Refusals] = {}
_NO_CHECKS: Final[Mapping[str, _Check]] = {}


def check(op: Op, request: Request, query: Mapping[str, str]) -> None:
    """Refuses what the operation does not do. Raises NotImplemented or what fits better."""
    operation = SAID_AS.get(op.name, op.name)
    refusals = REFUSED.get(operation, _NO_REFUSALS)
    if refusals:
        for name, value in request.headers:
            refusal = refusals.get(name)
            if refusal is not None and value.lower() not in refusal.accepted:
                raise _refused(name, refusal)
    for key, check_value in QUERY_CHECKS.get(operation, _NO_CHECKS).items() if query else ():
        value_asked = query.get(key)
        if value_asked is not None:
            check_value(value_asked)


def _refused(name: bytes, refusal: Refusal) -> S3Error:
    # The value stays out of it: it may be a customer's key.
    extra = [("Header", name.decode("latin-1"))]
    return S3Error(refusal.code, extra=extra)
