"""From any exception to an error of S3, in one mapping, and from there to a response."""

from __future__ import annotations

from typing import Final

from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import (
    Busy,
    Conflict,
    NoSpace,
    S3Error,
    TooManyFiles,
    Unavailable,
    Unknown,
)
from fastobj.http.message import BodyIncomplete, BodyTooLarge, Request, Response
from fastobj.kms.base import KeyNotFound, KmsUnavailable
from fastobj.objects.versions import DeleteMarkerFound
from fastobj.s3 import xml
from fastobj.s3.object_headers import marker_headers

_RETRY_AFTER: Final = (b"retry-after", b"1")
_BODILESS_STATUS: Final = frozenset({204, 304})
_TRY_AGAIN_STATUS: Final = 503

_NO_KEYS: Final = (
    "The key service of this server cannot be used now, and what was asked for needs it. Try again;"
    " the log of the server says why it cannot."
)

# The first row that fits; what is not here is InternalError (ChecksumMismatch, a bug, ...).
_MAPPING: Final[tuple[tuple[type[Exception], ErrorCode], ...]] = (
    (NoSpace, codes.INSUFFICIENT_STORAGE),
    (Unavailable, codes.SERVICE_UNAVAILABLE),
    (Busy, codes.SLOW_DOWN),
    (TooManyFiles, codes.SLOW_DOWN),
    (Unknown, codes.INTERNAL_ERROR),
    (Conflict, codes.OPERATION_ABORTED),
    (KeyNotFound, codes.KMS_NOT_FOUND),
    (BodyTooLarge, codes.ENTITY_TOO_LARGE),
    (BodyIncomplete, codes.INCOMPLETE_BODY),
)


# What XML 1.0 cannot carry, not even as a reference, though keys may hold it.
_UNCARRIED: Final = {
    code: "".join(f"%{byte:02X}" for byte in chr(code).encode("utf-8", "surrogatepass"))
    for code in (*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
}


def _legible(text: str) -> str:
    """The text as every XML parser reads it: a client must always find the code of an error."""
    return text if text.isprintable() else text.translate(_UNCARRIED)


def translate(error: Exception) -> S3Error:
    """What the client is told. Nothing of an unexpected error's own text is."""
    if isinstance(error, S3Error):
        return error
    if isinstance(error, BodyIncomplete) and error.stalled:
        return S3Error(codes.REQUEST_TIMEOUT)
    if isinstance(error, KmsUnavailable):
        return S3Error(codes.SERVICE_UNAVAILABLE, _NO_KEYS)
    for kind, code in _MAPPING:
        if isinstance(error, kind):
            return S3Error(code)
    return S3Error(codes.INTERNAL_ERROR)


def render(error: S3Error, request: Request, request_id: str, host_id: str) -> Response:
    """The response to `error`: XML, but no body to HEAD and none with 204 and 304."""
    status = error.code.status
    headers = list(error.headers)
    if isinstance(error, DeleteMarkerFound):
        headers += marker_headers(error)
    if status == _TRY_AGAIN_STATUS:
        headers.append(_RETRY_AFTER)
    if request.method == b"HEAD" or status in _BODILESS_STATUS:
        return Response(status, headers)
    body = xml.encode(
        "Error",
        {
            "Code": error.code.name,
            "Message": _legible(error.message),
            "Extra": [(name, _legible(value)) for name, value in error.extra],
            "Resource": _legible(error.resource or request.path.decode("utf-8", "replace")),
            "RequestId": request_id,
            "HostId": host_id,
        },
    )
    return Response(status, [xml.CONTENT_TYPE, *headers], body)
