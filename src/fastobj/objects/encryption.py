"""What encryption means for objects: who has which key, and what opens with it.

Every object, and every upload for all of its parts, has a random key of its own, with which its
bodies are encrypted (objects.frames). The record holds that key wrapped: by a key service's key,
or by one that is derived from the customer's and a random salt. So the same body may stand under
another key: only the object's key is wrapped anew. A customer's key is never kept; that the right
one was given shows when the object's key unwraps.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from fastobj.core import codes
from fastobj.core.errors import ChecksumMismatch, S3Error
from fastobj.core.secret import Secret
from fastobj.kms import wrapping
from fastobj.kms.base import KeyNotFound, Kms, WrapMismatch
from fastobj.meta.records import SSE_C, SSE_S3, Encryption, ObjectRecord, UploadRecord
from fastobj.objects import configs, kms_keys
from fastobj.objects.buckets import Bucket
from fastobj.objects.frames import OpenedVolume
from fastobj.objects.store import Store
from fastobj.storage.base import BodyStream, Location

T = TypeVar("T")

_ARN: Final = "arn:aws:kms:"
_ARN_KEY: Final = ":key/"
_ETAG_BYTES: Final = 16
_ETAG_PURPOSE: Final = b"fastobj etag 1"


class Wish(NamedTuple):
    """How an object is to be encrypted; the fields are those of records.Encryption."""

    kind: str
    key_id: str = ""
    context: str = ""
    bucket_key: bool = False
    customer: Secret | None = None


class Seal(NamedTuple):
    """The key that new bodies of an object are encrypted with, and what its record says of it."""

    key: Secret
    encryption: Encryption


class Readable(Protocol):
    """Where bodies are read from: a volume, or one whose bodies are decrypted on the way."""

    async def read(self, location: Location, data_id: bytes, offset: int, length: int) -> bytes:
        """Verified bytes of a body. Raises ChecksumMismatch, StaleLocation."""
        ...

    def stream(self, location: Location, data_id: bytes, offset: int, length: int) -> BodyStream:
        """Verified bytes in slices. It raises what `read` raises."""
        ...


async def default_encryption(store: Store, bucket: Bucket) -> Wish | None:
    """How the bucket has objects encrypted whose writers do not say it; None: not at all."""
    found = await configs.find(store, bucket, configs.ENCRYPTION)
    if found is None:
        return None
    return Wish(found.algorithm, found.key_id, bucket_key=found.bucket_key)


def key_named(text: str) -> str:
    """The id of a key as the key service knows it: an ARN stands for what is at its end."""
    before, mark, name = text.partition(_ARN_KEY)
    return name if mark and before.startswith(_ARN) else text


async def begin(store: Store, wish: Wish) -> Seal:
    """A fresh key for an object. Raises KMS.NotFoundException, NotImplemented, KmsUnavailable."""
    if wish.kind == SSE_C:
        plain = Secret(os.urandom(wrapping.KEY_BYTES))
        return Seal(plain, _wrap_for_customer(plain, wish))
    key_id, made = await _ask(store, wish, lambda kms, *place: kms.generate(*place))
    await kms_keys.note(store, key_id)
    return Seal(made.plain, _of_service(wish, key_id, made.wrapped))


async def wrap(store: Store, plain: Secret, wish: Wish) -> Encryption:
    """The object's key as the record holds it. Raises what `begin` raises."""
    if wish.kind == SSE_C:
        return _wrap_for_customer(plain, wish)
    key_id, wrapped = await _ask(
        store, wish, lambda kms, key_id, context: kms.wrap(key_id, plain, context)
    )
    await kms_keys.note(store, key_id)
    return _of_service(wish, key_id, wrapped)


def _wrap_for_customer(plain: Secret, wish: Wish) -> Encryption:
    assert wish.customer is not None, "the customer's key is what this kind is about"
    return Encryption(SSE_C, wrapping.wrap(wish.customer, plain, bound(SSE_C)))


def _of_service(wish: Wish, key_id: str, wrapped: bytes) -> Encryption:
    return Encryption(wish.kind, wrapped, key_id, wish.context, wish.bucket_key)


async def _ask(
    store: Store, wish: Wish, call: Callable[[Kms, str, bytes], Awaitable[T]]
) -> tuple[str, T]:
    """The id of the key that is wished for, and what the key service does with it."""
    rules = store.encryption
    if wish.kind == SSE_S3 and not rules.sse_s3:
        message = "This server does not encrypt with AES256: its setting sse-s3 is off."
        raise S3Error(codes.NOT_IMPLEMENTED, message)
    key_id = key_named(wish.key_id) or rules.key_id
    try:
        return key_id, await call(rules.service(), key_id, bound(wish.kind, wish.context))
    except KeyNotFound as error:
        message = f"Key '{key_id}' does not exist"
        raise S3Error(codes.KMS_NOT_FOUND, message) from error


def bound(kind: str, context: str = "") -> bytes:
    """What is bound into a wrapped key beside itself."""
    return f"{kind}\n{context}".encode()


def check(encryption: Encryption | None, customer: Secret | None) -> Secret | None:
    """Whether a reader has brought the right key, or none where none is needed.

    The object's key where it is a customer's. Raises InvalidRequest, and AccessDenied for another
    customer's key.
    """
    if encryption is None or encryption.kind != SSE_C:
        if customer is not None:
            message = "The encryption parameters are not applicable to this object."
            raise S3Error(codes.INVALID_REQUEST, message)
        return None
    if customer is None:
        message = (
            "The object was stored using a form of Server Side Encryption. The correct parameters"
            " must be provided to retrieve the object."
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    return _unwrap_customers(encryption, customer)


def _unwrap_customers(encryption: Encryption, customer: Secret) -> Secret:
    try:
        return wrapping.unwrap(customer, encryption.wrapped, bound(SSE_C))
    except WrapMismatch:
        raise S3Error(codes.ACCESS_DENIED) from None


async def unlock(store: Store, encryption: Encryption, customer: Secret | None) -> Secret:
    """The object's key. Raises what `check` raises, KeyNotFound, KmsUnavailable, and
    ChecksumMismatch where the record does not hold what was wrapped."""
    customers = check(encryption, customer) if encryption.kind == SSE_C else None
    if customers is not None:
        return customers
    context = bound(encryption.kind, encryption.context)
    try:
        return await store.encryption.service().unwrap(
            encryption.key_id, encryption.wrapped, context
        )
    except WrapMismatch as error:
        raise ChecksumMismatch(f"the key of an object: {error}") from error


async def opened(
    store: Store, encryption: Encryption | None, customer: Secret | None = None
) -> Readable:
    """Where the bodies of an object are read from. Raises what `unlock` raises."""
    if encryption is None:
        return store.volume
    return OpenedVolume(store.volume, await unlock(store, encryption, customer))


async def seal_of_upload(
    store: Store, encryption: Encryption | None, customer: Secret | None
) -> Secret | None:
    """The key for parts of an upload; None where they are not encrypted.

    Raises InvalidRequest, and what `unlock` raises.
    """
    key = _key_of_upload(encryption, customer)
    if key is None and encryption is not None:
        return await unlock(store, encryption, None)
    return key


def _key_of_upload(encryption: Encryption | None, customer: Secret | None) -> Secret | None:
    """The key of a customer's upload; None where it is none. Raises InvalidRequest."""
    if encryption is None or encryption.kind != SSE_C:
        if customer is not None:
            message = (
                "The multipart upload initiate did not request encryption with a customer's key."
                " Please resend the request without sending encryption parameters."
            )
            raise S3Error(codes.INVALID_REQUEST, message)
        return None
    if customer is None:
        message = (
            "The multipart upload initiate requested encryption. Subsequent part requests must"
            " include the appropriate encryption parameters."
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    try:
        return _unwrap_customers(encryption, customer)
    except S3Error:
        message = "The provided encryption parameters did not match the ones used originally."
        raise S3Error(codes.INVALID_REQUEST, message) from None


def check_end(upload: UploadRecord, customer: Secret | None) -> None:
    """Whether whoever completes the upload has brought the right key, or none.

    A customer's upload takes it where there is a checksum of the whole to make; else it may be
    left out. Raises InvalidRequest.
    """
    found = upload.encryption
    is_customers = found is not None and found.kind == SSE_C
    if customer is not None or (is_customers and upload.algorithm):
        _key_of_upload(found, customer)


def has_service_key(encryption: Encryption) -> bool:
    """Whether a key service has wrapped the object's key, and not a customer's."""
    return encryption.kind != SSE_C


def is_as_wished(found: Encryption | None, wish: Wish) -> bool:
    """Whether an object is encrypted as is wished for; what the wish leaves open may be any."""
    if found is None or found.kind != wish.kind:
        return False
    is_key = not wish.key_id or key_named(wish.key_id) == found.key_id
    return is_key and (not wish.context or wish.context == found.context)


def has_md5(encryption: Encryption | Wish | None) -> bool:
    """Whether the ETag of such an object is the MD5 of its bytes."""
    return encryption is None or encryption.kind == SSE_S3


def etag(encryption: Encryption | None, key: Secret | None, md5: str) -> str:
    """The ETag of a body: its MD5 in hex, or as many hex digits that say nothing of it.

    Those are made of the MD5 with the object's key: a part that is sent again has the same. What
    stands behind a `-`, the number of parts, stays.
    """
    if key is None or has_md5(encryption):
        return md5
    digits, dash, parts = md5.partition("-")
    digest = hmac.digest(wrapping.derive(key, b"", _ETAG_PURPOSE), digits.encode(), "sha256")
    return digest[:_ETAG_BYTES].hex() + dash + parts


def may_share(source: Encryption | None, wish: Wish | None) -> bool:
    """Whether a copy that is wished for may name the body of the source."""
    if source is None or wish is None:
        return source is None and wish is None
    return has_md5(source) or not has_md5(wish)


async def shared(
    store: Store, source: ObjectRecord, customer: Secret | None, wish: Wish
) -> tuple[Encryption, str]:
    """How a copy is encrypted that has the source's body and key, and its ETag.

    Raises what `unlock` and `wrap` raise.
    """
    found = source.encryption
    assert found is not None, "only then there is a key"
    key = await unlock(store, found, customer)
    wrapped = await wrap(store, key, wish)
    return wrapped, etag(wrapped, key, source.etag) if has_md5(found) else source.etag
