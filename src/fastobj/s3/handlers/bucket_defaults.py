"""Handlers of what a bucket has its objects be: encrypted how, owned by whom, paid for by whom."""

from __future__ import annotations

from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.meta.records import BucketRecord
from fastobj.objects import configs, encryption_default
from fastobj.objects.encryption_default import EncryptionDefault
from fastobj.objects.ownership import CHOICES, Ownership
from fastobj.s3.context import Context, Document, Result

# --- encryption


async def get_bucket_encryption(ctx: Context) -> Result:
    """How objects are encrypted whose writers do not say."""
    found = await configs.find(ctx.store, ctx.existing(), configs.ENCRYPTION)
    if found is None:
        code = codes.SERVER_SIDE_ENCRYPTION_CONFIGURATION_NOT_FOUND
        raise S3Error(code, extra=[("BucketName", ctx.bucket)])
    default = {"SSEAlgorithm": found.algorithm, "KMSMasterKeyID": found.key_id or None}
    row = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": found.bucket_key,
    }
    return Result(document={"Rule": [row]})


async def put_bucket_encryption(ctx: Context) -> Result:
    """Sets how objects are encrypted whose writers do not say."""
    bucket = ctx.existing()
    row = _only(ctx.document)
    default = row["ApplyServerSideEncryptionByDefault"]
    stated = EncryptionDefault(
        default["SSEAlgorithm"],
        default.get("KMSMasterKeyID", ""),
        row.get("BucketKeyEnabled", False),
    )
    checked = encryption_default.check(stated)
    await configs.put(ctx.store, bucket, configs.ENCRYPTION, checked)
    return Result()


async def delete_bucket_encryption(ctx: Context) -> Result:
    """Leaves it to the writers of objects again."""
    await configs.delete(ctx.store, ctx.existing(), configs.ENCRYPTION)
    return Result(204)


# --- ownership


async def get_bucket_ownership_controls(ctx: Context) -> Result:
    """Who owns what others put into the bucket, where that was ever said."""
    found = await configs.find(ctx.store, ctx.existing(), configs.OWNERSHIP)
    if found is None:
        raise S3Error(codes.OWNERSHIP_CONTROLS_NOT_FOUND, extra=[("BucketName", ctx.bucket)])
    return Result(document={"Rule": [{"ObjectOwnership": found.choice}]})


async def put_bucket_ownership_controls(ctx: Context) -> Result:
    """Sets who owns what others put into the bucket; its own list must not contradict."""
    bucket = ctx.existing()
    choice = _only(ctx.document)["ObjectOwnership"]
    if choice not in CHOICES:
        raise S3Error(codes.MALFORMED_XML)
    ownership = Ownership(choice)

    def check(record: BucketRecord) -> None:
        ownership.check_bucket(record.acl)

    await configs.put(ctx.store, bucket, configs.OWNERSHIP, ownership, check)
    return Result()


async def delete_bucket_ownership_controls(ctx: Context) -> Result:
    """Says nothing about it any more."""
    await configs.delete(ctx.store, ctx.existing(), configs.OWNERSHIP)
    return Result(204)


def _only(document: Document | None) -> Document:
    """The one rule of a configuration that has one. Raises MalformedXML."""
    assert document is not None
    rules: list[Document] = document["Rule"]
    if len(rules) != 1:
        raise S3Error(codes.MALFORMED_XML)
    return rules[0]


# --- what may be set to what it is

_NOT_REQUESTER: Final = "Requester: there is no billing here. BucketOwner is the only payer."
_NOT_ACCELERATED: Final = "Enabled: there is no acceleration here. Suspended is the only status."


async def put_bucket_request_payment(ctx: Context) -> Result:
    """Takes what is so anyway: the owner of the bucket pays."""
    return _as_it_is(ctx, "Payer", "BucketOwner", "Requester", _NOT_REQUESTER)


async def put_bucket_accelerate_configuration(ctx: Context) -> Result:
    """Takes what is so anyway: nothing is accelerated."""
    return _as_it_is(ctx, "Status", "Suspended", "Enabled", _NOT_ACCELERATED)


async def put_bucket_logging(ctx: Context) -> Result:
    """Takes what is so anyway: no log is written into a bucket; the XML's table refuses else."""
    ctx.existing()
    return Result()


def _as_it_is(ctx: Context, element: str, present: str, other: str, message: str) -> Result:
    """Nothing changes by the value that stands. Raises NotImplemented, MalformedXML."""
    ctx.existing()
    assert ctx.document is not None
    stated = ctx.document.get(element)
    if stated == other:
        raise S3Error(codes.NOT_IMPLEMENTED, message)
    if stated != present:
        raise S3Error(codes.MALFORMED_XML)
    return Result()
