"""What headers say about encryption: asked for on the way in, told on the way out.

A customer's key is taken from its header, and goes nowhere but into a Secret.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import Final

import msgspec

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.core.secret import Secret
from fastobj.http.message import Headers, Request
from fastobj.meta.records import SSE_C, SSE_KMS, SSE_S3, Encryption
from fastobj.objects import encryption
from fastobj.objects.encryption import Wish
from fastobj.s3.context import Context
from fastobj.s3.headers import CUSTOMER_KEY, ENCRYPTION, SOURCE_KEY

_METHOD: Final = b"x-amz-server-side-encryption"
_KEY_ID: Final = b"x-amz-server-side-encryption-aws-kms-key-id"
_CONTEXT: Final = b"x-amz-server-side-encryption-context"
_BUCKET_KEY: Final = b"x-amz-server-side-encryption-bucket-key-enabled"
_CUSTOMER_ALGORITHM, _CUSTOMER_KEY, _CUSTOMER_MD5 = CUSTOMER_KEY
_DSSE: Final = b"aws:kms:dsse"
_ALGORITHM: Final = b"AES256"
_KEY_BYTES: Final = 32
_CONTEXT_BYTES_MAX: Final = 8192
_KEY_ID_LENGTH_MAX: Final = 2048
_WITH_CUSTOMERS_KEYS: Final = (
    "Requests specifying Server Side Encryption with Customer provided keys must"
)
_TRUTH: Final = {b"true": True, b"false": False}

# --- in


async def wish(ctx: Context) -> Wish | None:
    """How the request, or else its bucket, has the object encrypted; None: not at all.

    Raises InvalidArgument, InvalidRequest, InvalidEncryptionAlgorithmError, NotImplemented.
    """
    found = asked(ctx)
    return found or await encryption.default_encryption(ctx.store, ctx.existing())


def asked(ctx: Context) -> Wish | None:
    """How the request itself has the object encrypted. Raises what `wish` raises."""
    request = ctx.request
    if request.names.isdisjoint(ENCRYPTION):
        return None
    method, customer = request.header(_METHOD), customer_key(ctx)
    if customer is not None:
        if method is not None:
            message = "Server Side Encryption with Customer provided key is incompatible with the"
            raise _invalid(_METHOD, f"{message} encryption method specified")
        _refuse_kms(request)
        return Wish(SSE_C, customer=customer)
    if method == _DSSE:
        message = "A header you provided implies functionality that is not implemented"
        raise S3Error(codes.NOT_IMPLEMENTED, f"{message}: {_DSSE.decode()}")
    if method == SSE_KMS.encode():
        return Wish(SSE_KMS, _key_id(request), _context(request), _bucket_key(request))
    _refuse_kms(request)
    if method is None:
        return None
    if method != _ALGORITHM:
        raise _invalid(_METHOD, "The encryption method specified is not supported")
    return Wish(SSE_S3)


def customer_key(ctx: Context, *, of_source: bool = False) -> Secret | None:
    """The key that the request brings, to read the source of a copy or else for its object.

    Raises InvalidArgument, InvalidRequest, InvalidEncryptionAlgorithmError.
    """
    request, names = ctx.request, SOURCE_KEY if of_source else CUSTOMER_KEY
    if request.names.isdisjoint(names):
        return None
    refusal = ctx.store.encryption.sse_c_refusal
    if refusal:
        raise S3Error(codes.INVALID_REQUEST, refusal)
    algorithm, key, md5 = map(request.header, names)
    if algorithm is None:
        raise _wanting(names[0], "provide a valid encryption algorithm.")
    if algorithm != _ALGORITHM:
        raise _invalid(names[0], None, codes.INVALID_ENCRYPTION_ALGORITHM)
    if key is None:
        raise _wanting(names[1], "provide an appropriate secret key.")
    if md5 is None:
        raise _wanting(names[2], "provide the client calculated MD5 of the secret key.")
    found = _decode(key)
    if found is None or len(found) != _KEY_BYTES:
        raise _invalid(names[1], "The secret key was invalid for the specified algorithm.")
    if not hmac.compare_digest(_md5(found), _decode(md5) or b""):
        message = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise _invalid(names[2], message)
    return Secret(found)


def reader_key(ctx: Context) -> Secret | None:
    """The key that a reader brings; more than that a read does not say of encryption.

    Raises what `customer_key` raises.
    """
    if ctx.request.names.isdisjoint(ENCRYPTION):
        return None
    if ctx.request.header(_METHOD) is not None:
        message = f"The header {_METHOD.decode()} is not supported for this operation."
        raise _invalid(_METHOD, message)
    return customer_key(ctx)


def _md5(key: bytes) -> bytes:
    return hashlib.md5(key, usedforsecurity=False).digest()


def _decode(value: bytes) -> bytes | None:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _refuse_kms(request: Request) -> None:
    for name in (_KEY_ID, _CONTEXT):
        if request.header(name) is not None:
            message = "Server Side Encryption with AWS KMS managed key requires HTTP header"
            raise _invalid(name, f"{message} {_METHOD.decode()} : {SSE_KMS}")


def _key_id(request: Request) -> str:
    """The id of a key as the request has it; "" for the default one."""
    value = (request.header(_KEY_ID) or b"").decode("latin-1").strip()
    if not value.isprintable() or len(value) > _KEY_ID_LENGTH_MAX:
        raise _invalid(_KEY_ID, "The key id is not valid.")
    return value


def _context(request: Request) -> str:
    """The encryption context as JSON with sorted keys; "" where there is none."""
    value = request.header(_CONTEXT)
    if value is None:
        return ""
    try:
        pairs = msgspec.json.decode(_decode(value) or b"", type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pairs = None
    if pairs is None or len(value) > _CONTEXT_BYTES_MAX:
        message = "shall be Base64-encoded UTF-8 string holding JSON which represents a"
        raise _invalid(_CONTEXT, f"The header {_CONTEXT.decode()} {message} string-string map")
    return msgspec.json.encode(pairs, order="deterministic").decode()


def _bucket_key(request: Request) -> bool:
    value = request.header(_BUCKET_KEY)
    found = False if value is None else _TRUTH.get(value.lower())
    if found is None:
        raise _invalid(_BUCKET_KEY, f"The value of {_BUCKET_KEY.decode()} is true or false")
    return found


def _invalid(name: bytes, message: str | None, code: ErrorCode = codes.INVALID_ARGUMENT) -> S3Error:
    """The value stays out of it: it may be a customer's key."""
    return S3Error(code, message, extra=[("ArgumentName", name.decode())])


def _wanting(name: bytes, what: str) -> S3Error:
    return _invalid(name, f"{_WITH_CUSTOMERS_KEYS} {what}")


# --- out


def told(found: Encryption | None, customer: Secret | None = None) -> Headers:
    """What an answer tells of how an object is encrypted; nothing where it is not."""
    if found is None:
        return []
    if found.kind == SSE_C:
        shown = [(_CUSTOMER_ALGORITHM, _ALGORITHM)]
        if customer is not None:
            shown.append((_CUSTOMER_MD5, b64encode(_md5(customer.value))))
        return shown
    shown = [(_METHOD, found.kind.encode())]
    if found.kind == SSE_KMS:
        shown.append((_KEY_ID, found.key_id.encode("latin-1")))
        if found.context:
            shown.append((_CONTEXT, b64encode(found.context.encode())))
        if found.bucket_key:
            shown.append((_BUCKET_KEY, b"true"))
    return shown
