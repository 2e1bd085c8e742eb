"""What the documents say in words: a sentence for operations, headers and query parameters.

An operation without a sentence is told by its name; a parameter of a served operation has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OPERATIONS: Final[Mapping[str, str]] = {
    "AbortMultipartUpload": "Ends an upload and lets go of its parts.",
    "CompleteMultipartUpload": "Makes one object of the parts that the request lists.",
    "CopyObject": "Makes an object from another one; the bytes are not sent again.",
    "CreateBucket": "Makes a bucket.",
    "CreateMultipartUpload": "Begins an upload in parts and answers its id.",
    "PutBucketAcl": "Stores who is granted what on a bucket. Only its owner has access yet.",
    "PutObjectAcl": "Stores who is granted what on an object. Only its owner has access yet.",
    "GetBucketAcl": "Answers who is granted what on a bucket.",
    "GetObjectAcl": "Answers who is granted what on an object.",
    "DeleteBucket": "Deletes an empty bucket.",
    "DeleteObject": "Deletes an object; one that is not there is no error.",
    "DeleteObjects": "Deletes up to 1,000 objects, each for itself.",
    "GetBucketLocation": "Tells the region of a bucket; us-east-1 is told as nothing.",
    "GetObject": "Reads an object, or one range of it.",
    "HeadBucket": "Tells whether a bucket exists and may be used.",
    "HeadObject": "Answers what GetObject would, without the body.",
    "ListBuckets": "Lists the buckets of the sender.",
    "ListMultipartUploads": "Lists the uploads of a bucket that are not complete.",
    "ListObjects": "Lists the keys of a bucket, the older form: pages are found by marker.",
    "ListObjectsV2": "Lists the keys of a bucket; pages are found by continuation token.",
    "ListObjectVersions": "Lists versions and delete markers by key, the newest of each first.",
    "GetObjectAttributes": "Answers what is named of an object: ETag, checksum, parts, size.",
    "RenameObject": "Gives an object another key, at once and whatever its size.",
    "GetObjectTagging": "Answers the tags of an object.",
    "PutObjectTagging": "Stores the tags of an object in place of those that it has.",
    "DeleteObjectTagging": "Takes all tags from an object.",
    "ListParts": "Lists the parts of an upload that are there.",
    "GetObjectLockConfiguration": "Answers whether objects may be locked, and the default.",
    "PutObjectLockConfiguration": (
        "Lets objects of a bucket with versions be locked, for good; sets the default retention."
    ),
    "GetObjectRetention": "Answers until when a version is kept, and in which mode.",
    "PutObjectRetention": (
        "Keeps a version until a date. Compliance can only be made longer, governance by all; an"
        " empty document ends it."
    ),
    "GetObjectLegalHold": "Answers whether a version is under a legal hold.",
    "PutObjectLegalHold": "Puts a version under a legal hold, or ends that.",
    "PreflightBucket": "Answers a browser that asks whether it may send a request to a bucket.",
    "PreflightObject": "Answers a browser that asks whether it may send a request to an object.",
    "PutObject": "Stores an object; 200 means that it is on the disk.",
    "PostObject": (
        "Stores the file of an HTML form, as far as the policy in the form lets it. Other fields"
        " mean what PutObject's headers of that name do."
    ),
    "UploadPart": "Stores one part of an upload.",
    "UploadPartCopy": "Makes one part of an upload from an object or a range of it.",
}

_STORED: Final = "Stored with the object and given back with it."
_OVERRIDE: Final = "Takes the place of the stored header in this answer."
_CHECKSUM: Final = "Checksum of the body in base64: checked, stored, given back on request."
_GRANT: Final = 'Who is granted that: id="...", uri="..." or emailAddress="...", with commas.'
_RENAME_CONDITION: Final = "Condition on the object that is renamed."
_CUSTOMER_KEY: Final = (
    "The customer's own key: AES256, 32 bytes in base64, and their MD5 in base64."
)
_SOURCE_CUSTOMER_KEY: Final = "The same for the source, where it is encrypted so."
_SOURCE_CONDITION: Final = "Condition on the object that is copied from."

PARAMETERS: Final[Mapping[str, str]] = {
    # path
    "Bucket": "Name of the bucket.",
    "Key": "Key of the object. Slashes in it stand as they are.",
    # query
    "annotationName": "Name of the annotation.",
    "bucket-region": "Only buckets of this region.",
    "continuation-token": "Goes on where the page ended that answered this token.",
    "delimiter": "Keys that agree up to this text, behind the prefix, are listed as one.",
    "encoding-type": "With `url`, keys in the answer are percent-encoded.",
    "fetch-owner": "With `true`, each entry names its owner.",
    "id": "Name of the configuration.",
    "key-marker": "Starts behind this key.",
    "list-type": "Tells this form from the older one.",
    "marker": "Starts behind this key.",
    "max-buckets": "Most buckets on a page.",
    "max-keys": "Most entries on a page; 1,000 if unsaid or more.",
    "max-parts": "Most parts on a page; 1,000 if unsaid or more.",
    "max-uploads": "Most uploads on a page; 1,000 if unsaid or more.",
    "part-number-marker": "Starts behind this part.",
    "partNumber": "Number of a part, from 1 to 10,000.",
    "prefix": "Only names that begin with this text.",
    "response-cache-control": _OVERRIDE,
    "response-content-disposition": _OVERRIDE,
    "response-content-encoding": _OVERRIDE,
    "response-content-language": _OVERRIDE,
    "response-content-type": _OVERRIDE,
    "response-expires": _OVERRIDE,
    "start-after": "Starts behind this key, on the first page.",
    "upload-id-marker": "With key-marker: starts behind this upload.",
    "uploadId": "The upload, as CreateMultipartUpload answered it.",
    "version-id-marker": "With key-marker: starts behind this version.",
    "versionId": "The version that is meant; `null` for the one without an id.",
    # headers
    "cache-control": _STORED,
    "content-disposition": _STORED,
    "content-encoding": f"{_STORED} The word aws-chunked is left out.",
    "content-language": _STORED,
    "content-length": "Length of the body in bytes.",
    "content-md5": "MD5 of the body in base64; a body that differs is refused.",
    "content-type": _STORED,
    "expires": _STORED,
    "if-match": "Only if the object has one of these ETags, or with * if it exists.",
    "if-modified-since": "Only if the object is newer.",
    "if-none-match": "Only if the object has none of these ETags, or with * if it does not exist.",
    "if-unmodified-since": "Only if the object is not newer.",
    "range": "One range of bytes, such as bytes=0-99; several are answered with all of it.",
    "x-amz-acl": "A canned access control list, such as private. Stored, not enforced yet.",
    "x-amz-grant-full-control": _GRANT,
    "x-amz-grant-read": _GRANT,
    "x-amz-grant-read-acp": _GRANT,
    "x-amz-grant-write": _GRANT,
    "x-amz-grant-write-acp": _GRANT,
    "x-amz-checksum-algorithm": "The checksum to compute and to store.",
    "x-amz-checksum-crc32": _CHECKSUM,
    "x-amz-checksum-crc32c": _CHECKSUM,
    "x-amz-checksum-crc64nvme": _CHECKSUM,
    "x-amz-checksum-mode": "With ENABLED, the answer carries the stored checksums.",
    "x-amz-checksum-sha1": _CHECKSUM,
    "x-amz-checksum-md5": _CHECKSUM,
    "x-amz-checksum-sha256": _CHECKSUM,
    "x-amz-checksum-sha512": _CHECKSUM,
    "x-amz-checksum-xxhash128": _CHECKSUM,
    "x-amz-checksum-xxhash3": _CHECKSUM,
    "x-amz-checksum-xxhash64": _CHECKSUM,
    "x-amz-checksum-type": "What checksums of parts make: COMPOSITE or FULL_OBJECT.",
    "x-amz-copy-source": "Where to copy from: /bucket/key, percent-encoded.",
    "x-amz-copy-source-if-match": _SOURCE_CONDITION,
    "x-amz-copy-source-if-modified-since": _SOURCE_CONDITION,
    "x-amz-copy-source-if-none-match": _SOURCE_CONDITION,
    "x-amz-copy-source-if-unmodified-since": _SOURCE_CONDITION,
    "x-amz-copy-source-server-side-encryption-customer-algorithm": _SOURCE_CUSTOMER_KEY,
    "x-amz-copy-source-server-side-encryption-customer-key": _SOURCE_CUSTOMER_KEY,
    "x-amz-copy-source-server-side-encryption-customer-key-md5": _SOURCE_CUSTOMER_KEY,
    "x-amz-server-side-encryption": "How to encrypt the object: AES256 or aws:kms.",
    "x-amz-server-side-encryption-aws-kms-key-id": "Which key, with aws:kms.",
    "x-amz-server-side-encryption-bucket-key-enabled": "Taken with aws:kms, and told again.",
    "x-amz-server-side-encryption-context": "Base64 of a JSON object of texts, with aws:kms.",
    "x-amz-server-side-encryption-customer-algorithm": _CUSTOMER_KEY,
    "x-amz-server-side-encryption-customer-key": _CUSTOMER_KEY,
    "x-amz-server-side-encryption-customer-key-md5": _CUSTOMER_KEY,
    "x-amz-copy-source-range": "Only these bytes of the source.",
    "x-amz-decoded-content-length": "Length of an aws-chunked body once it is decoded.",
    "x-amz-expected-bucket-owner": "Refused with AccessDenied unless this is the bucket's owner.",
    "x-amz-if-match-initiated-time": "Only if the upload was begun at that second.",
    "x-amz-if-match-last-modified-time": "Only if the object was stored at that second.",
    "x-amz-if-match-size": "Only if the object has that many bytes.",
    "x-amz-max-parts": "Most parts on a page; 1,000 if unsaid or more.",
    "x-amz-meta-*": "User metadata: any number of headers whose names begin so, 2 KiB in all.",
    "x-amz-metadata-directive": "COPY (the default) or REPLACE the headers of the source.",
    "x-amz-mp-object-size": "Size that the complete object must have.",
    "x-amz-bucket-object-lock-enabled": "With true, objects may be locked, and have versions.",
    "x-amz-bypass-governance-retention": "With true, governance does not bind the bucket's owner.",
    "x-amz-object-lock-legal-hold": "ON or OFF: a legal hold keeps the version while it is on.",
    "x-amz-object-lock-mode": "GOVERNANCE or COMPLIANCE, beside a date.",
    "x-amz-object-lock-retain-until-date": "Until when the version is kept, as ISO 8601.",
    "x-amz-object-ownership": "BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter.",
    "x-amz-object-attributes": (
        "Which of ETag, Checksum, ObjectParts, StorageClass and ObjectSize to answer."
    ),
    "x-amz-part-number-marker": "Starts behind this part.",
    "x-amz-client-token": "Tells a rename that is asked for again: it is done once.",
    "x-amz-rename-source": "The key that the object has now, percent-encoded.",
    "x-amz-rename-source-if-match": _RENAME_CONDITION,
    "x-amz-rename-source-if-modified-since": _RENAME_CONDITION,
    "x-amz-rename-source-if-none-match": _RENAME_CONDITION,
    "x-amz-rename-source-if-unmodified-since": _RENAME_CONDITION,
    "x-amz-sdk-checksum-algorithm": "Announces which x-amz-checksum header is there.",
    "x-amz-source-expected-bucket-owner": "The same for the bucket that is copied from.",
    "x-amz-tagging": "Tags of the object, as the query of a URL: key=value&key=value.",
    "x-amz-tagging-directive": "COPY (the default) or REPLACE the tags of the source.",
    "x-amz-trailer": "Names the checksum that follows an aws-chunked body.",
    "x-amz-transition-default-minimum-object-size": (
        "all_storage_classes_128K (the default) or varies_by_storage_class: kept and told."
    ),
    "x-amz-write-offset-bytes": "Appends to the object: its size, 0 where there is none.",
}

# The fields of a form that are about the form.
FIELDS: Final[Mapping[str, str]] = {
    "key": "The object's key; in all fields, `${filename}` stands for the name of the file.",
    "policy": "What the form may be, as JSON in base64; it has an expiration and conditions.",
    "x-amz-algorithm": "AWS4-HMAC-SHA256.",
    "x-amz-credential": "Access key, date, region, service and aws4_request, with slashes.",
    "x-amz-date": "When the policy was signed.",
    "x-amz-signature": "The signature of the policy as it is sent.",
    "AWSAccessKeyId": "The access key, with Signature Version 2.",
    "signature": "The signature of the policy, with Signature Version 2.",
    "success_action_redirect": "Where the browser is sent then, with bucket, key and etag.",
    "success_action_status": "200, 201 (with a document) or 204.",
    "acl": "A canned access control list.",
}
