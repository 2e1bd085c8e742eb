"""PutObject with a write offset: its body goes behind the bytes that the object has."""

from __future__ import annotations

from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.secret import Secret
from fastobj.http.message import Request
from fastobj.meta.records import Encryption, ObjectRecord
from fastobj.objects import append as objects
from fastobj.objects.encryption import etag
from fastobj.objects.put import Content
from fastobj.s3 import acl, encryption, locking, tagging
from fastobj.s3.context import Context, Result
from fastobj.s3.expiration import expiration_header, has_rules
from fastobj.s3.object_headers import (
    checksum_headers,
    etag_header,
    stored_headers,
    user_metadata,
    write_conditions,
)
from fastobj.s3.payload import PayloadCheck, Sums
from fastobj.s3.receive import receive

OFFSET: Final = b"x-amz-write-offset-bytes"
_DIGITS_MAX: Final = 19


async def append(ctx: Context) -> Result:
    """Appends to an object, or makes one. What can be refused is refused before the body is asked
    for."""
    request, bucket = ctx.request, ctx.existing()
    offset, length = _offset(request), request.body.length
    if length is None:
        raise S3Error(codes.MISSING_CONTENT_LENGTH)
    if length == 0:
        message = "Request body cannot be empty when 'write offset' is specified."
        raise S3Error(codes.INVALID_REQUEST, message)
    await locking.stated(ctx)  # where objects can be locked, nothing is ever appended
    asked = encryption.asked(ctx)
    conditions = write_conditions(request)
    wish = _Wish(ctx, length)
    present = await objects.find(ctx.store, bucket, ctx.key, offset, conditions)
    if present is not None:
        wish.check_adds_only_bytes()
        seal = await objects.seal(ctx.store, present, asked)
    else:
        seal = await objects.seal(ctx.store, None, await encryption.wish(ctx))
    wish.key, wish.encryption = seal or (None, None)
    check = _payload_check(ctx, present, wish.encryption)
    if length <= ctx.store.small_body_bytes_max:
        small = await request.body.read(length)
        content = wish.content(check.check_small(small))
        record = await objects.append_small(
            ctx.store, bucket, ctx.key, offset, content, small, conditions, wish.key
        )
    else:
        large = await receive(ctx, length, check, wish.key)
        try:
            content = wish.content(check.finish())
        except S3Error as error:
            await large.close(error)
            raise
        record = await objects.append_large(
            ctx.store, bucket, ctx.key, offset, content, large, conditions, wish.key
        )
    size = (b"x-amz-object-size", str(record.size).encode())
    told = encryption.told(record.encryption, asked.customer if asked else None)
    headers = [etag_header(record), *checksum_headers(record), size, *told]
    if has_rules(bucket):
        headers += await expiration_header(ctx, record)
    return Result(headers=headers)


class _Wish:
    """What a request says of the object: taken where it makes one, refused where there is one.

    `key` and `encryption` are what the bytes are encrypted with, None where they are not.
    """

    key: Secret | None = None
    encryption: Encryption | None = None

    def __init__(self, ctx: Context, length: int) -> None:
        request = ctx.request
        self._length = length
        self._headers = stored_headers(request)
        self._metadata = user_metadata(request)
        named = acl.from_headers(ctx, ctx.existing().record.owner)
        self._acl = named.grants if named else None
        self._has_acl = named is not None
        self._tags = tagging.from_header(request)

    def check_adds_only_bytes(self) -> None:
        """Raises InvalidRequest where the request says more of an object that exists."""
        said = (
            (self._metadata, "user-defined object metadata"),
            (self._tags, "tags"),
            (self._has_acl, "an access control list"),
        )
        for value, what in said:
            if value:
                message = f"Cannot specify both a write offset value and {what} for existing"
                raise S3Error(codes.INVALID_REQUEST, f"{message} objects.")

    def content(self, sums: Sums) -> Content:
        """What is stored once the body has kept its promises."""
        return Content(
            self._length,
            etag(self.encryption, self.key, sums.etag),
            self._headers,
            self._metadata,
            sums.checksums,
            self._acl,
            sums.blake3,
            self._tags,
            self.encryption,
        )


def _offset(request: Request) -> int:
    value = request.header(OFFSET) or b""
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        extra = [("ArgumentName", OFFSET.decode()), ("ArgumentValue", value.decode("latin-1"))]
        raise S3Error(codes.INVALID_ARGUMENT, "The write offset must be a number.", extra=extra)
    return int(value)


def _payload_check(
    ctx: Context, present: ObjectRecord | None, encrypted: Encryption | None
) -> PayloadCheck:
    """The promises of the body; of an object with a checksum the same is computed of it."""
    algorithm = next(iter(present.checksums), "") if present is not None else ""
    check = PayloadCheck(ctx, algorithm, None if encrypted else ctx.store.whole_sum)
    if algorithm and check.algorithm not in ("", algorithm):
        message = (
            f"Checksum Type mismatch occurred, expected checksum Type: {algorithm},"
            f" actual checksum Type: {check.algorithm}"
        )
        raise S3Error(codes.INVALID_REQUEST, message)
    return check
