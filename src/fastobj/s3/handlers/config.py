"""Handlers of a bucket's configurations: so far, all that say that there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastobj.core.errors import S3Error
from fastobj.objects import get
from fastobj.s3.absent import ANSWERS, Absent
from fastobj.s3.context import Context, Document, Result
from fastobj.s3.object_headers import version_header


def _says(answer: Absent | Document) -> Callable[[Context], Awaitable[Result]]:
    """A handler that answers the same about every bucket that there is."""

    async def handle(ctx: Context) -> Result:
        ctx.existing()
        if isinstance(answer, Absent):
            raise S3Error(answer.code, answer.message, extra=[("BucketName", ctx.bucket)])
        return Result(document=answer)

    return handle


HANDLERS: Final = {operation: _says(answer) for operation, answer in ANSWERS.items()}


async def get_object_tagging(ctx: Context) -> Result:
    """The tags of an object: none."""
    bucket = ctx.existing()
    record = await get.find_object(ctx.store, bucket, ctx.key, ctx.version())
    return Result(headers=version_header(bucket, record), document={"TagSet": []})
