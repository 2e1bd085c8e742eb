"""The handler of renames."""

from __future__ import annotations

import re
from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.objects import rename
from fastobj.s3.context import Context, Result
from fastobj.s3.headers import USED
from fastobj.s3.names import rename_source
from fastobj.s3.object_headers import read_conditions, rename_conditions

_SOURCE: Final = b"x-amz-rename-source"
_TOKEN: Final = b"x-amz-client-token"
_TOKEN_TEXT: Final = re.compile(rb"[!-~]{1,64}")
_PARAMETERS: Final = sorted(USED["RenameObject"] - {_TOKEN})


async def rename_object(ctx: Context) -> Result:
    """Gives an object of the bucket another key."""
    request, bucket = ctx.request, ctx.existing()
    source = request.header(_SOURCE)
    if source is None:
        message = "Missing required header for this request: x-amz-rename-source"
        raise S3Error(codes.INVALID_REQUEST, message)
    await rename.rename(
        ctx.store,
        bucket,
        rename_source(source),
        ctx.key,
        rename_conditions(request),
        read_conditions(request),
        _token(request),
    )
    return Result()


def _token(request: Request) -> bytes:
    """What tells this rename from others, b"" where the client names no token."""
    token = request.header(_TOKEN)
    if token is None:
        return b""
    if not _TOKEN_TEXT.fullmatch(token):
        extra = [("ArgumentName", _TOKEN.decode()), ("ArgumentValue", token.decode("latin-1"))]
        message = "A client token has 1 to 64 visible characters of ASCII."
        raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
    return rename.token_of(token, [request.header(name) or b"" for name in _PARAMETERS])
