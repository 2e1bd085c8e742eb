"""Handlers of the tags of a bucket."""

from __future__ import annotations

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.objects import configs, tags
from fastobj.objects.tags import TagSet
from fastobj.s3.context import Context, Result


async def get_bucket_tagging(ctx: Context) -> Result:
    """The tags of a bucket."""
    found = await configs.find(ctx.store, ctx.existing(), configs.TAGGING)
    if found is None:
        raise S3Error(codes.NO_SUCH_TAG_SET, extra=[("BucketName", ctx.bucket)])
    tag_set = [{"Key": key, "Value": value} for key, value in found.tags.items()]
    return Result(document={"TagSet": tag_set})


async def put_bucket_tagging(ctx: Context) -> Result:
    """Replaces the tags of a bucket; by an empty set it has none."""
    bucket = ctx.existing()
    assert ctx.document is not None
    pairs = [(tag["Key"], tag["Value"]) for tag in ctx.document["TagSet"]]
    checked = tags.check(pairs, limits.BUCKET_TAGS_MAX)
    if checked:
        await configs.put(ctx.store, bucket, configs.TAGGING, TagSet(checked))
    else:
        await configs.delete(ctx.store, bucket, configs.TAGGING)
    return Result(204)


async def delete_bucket_tagging(ctx: Context) -> Result:
    """Deletes the tags of a bucket; none is no error."""
    await configs.delete(ctx.store, ctx.existing(), configs.TAGGING)
    return Result(204)
