"""Handlers of a bucket's configurations: so far, all that say that there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastobj.core.errors import S3Error
from fastobj.s3.absent import ANSWERS, Absent
from fastobj.s3.context import Context, Document, Result


def _says(answer: Absent | Document) -> Callable[[Context], Awaitable[Result]]:
    """A handler that answers the same about every bucket that there is."""

    async def handle(ctx: Context) -> Result:
        ctx.existing()
        if isinstance(answer, Absent):
            raise S3Error(answer.code, answer.message, extra=[("BucketName", ctx.bucket)])
        return Result(document=answer)

    return handle


HANDLERS: Final = {operation: _says(answer) for operation, answer in ANSWERS.items()}
