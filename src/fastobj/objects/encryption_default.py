"""How objects of a bucket are encrypted whose writers do not say how: the bucket's default."""

from __future__ import annotations

from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import SSE_KMS, SSE_S3

ALGORITHMS: Final = (SSE_S3, SSE_KMS)


class EncryptionDefault(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`algorithm` is one of ALGORITHMS; `key_id` is "" for the key that the server chooses."""

    algorithm: str
    key_id: str = ""
    bucket_key: bool = False


def check(default: EncryptionDefault) -> EncryptionDefault:
    """The default, if there can be such a one. Raises MalformedXML, InvalidArgument."""
    if default.algorithm not in ALGORITHMS:
        raise S3Error(codes.MALFORMED_XML)
    if default.key_id and default.algorithm != SSE_KMS:
        message = (
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or"
            " aws:kms:dsse"
        )
        raise S3Error(codes.INVALID_ARGUMENT, message, extra=[("ArgumentName", "KMSMasterKeyID")])
    return default
