"""Takes the large body of a request into the volume, whatever it is coded in."""

from __future__ import annotations

from fastobj.core.secret import Secret
from fastobj.objects import carried
from fastobj.objects.carried import LargeBody
from fastobj.s3.context import Context
from fastobj.s3.payload import PayloadCheck


async def receive(
    ctx: Context, length: int, check: PayloadCheck, key: Secret | None = None
) -> LargeBody:
    """A payload of `length` bytes, which has been through the digests of `check`.

    The file of a form has that many at most. It is encrypted with the key, if there is one.

    Raises S3Error for a body that is short, malformed or wrongly signed, BodyIncomplete and
    NoSpace. Nothing is left then.
    """
    chunked = ctx.chunked
    if ctx.form is not None and ctx.request.body is ctx.form.file:
        return await carried.receive_up_to(ctx.store, length, check.digests, ctx.form.file, key)
    if chunked is None:
        body = ctx.request.body
        return await carried.receive(ctx.store, length, check.digests, body.readinto, key)
    return await carried.write(
        ctx.store, length, chunked.pour, check.digests, chunked.decoder, key=key
    )
