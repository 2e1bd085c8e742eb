"""Bodies in aws-chunked coding: decoded as they are read, and their signatures verified.

The coding is S3's own, inside or without HTTP's chunked coding. It is known by the value of
x-amz-content-sha256, never by Content-Encoding, which some clients leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from fastobj._ext.chunked import ChunkedDecoder, ChunkedError, Code, Mode
from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.http.message import BodyReader, BodyTooLarge, Request

# What x-amz-content-sha256 says of such bodies.
MODES: Final[Mapping[bytes, Mode]] = {
    b"STREAMING-UNSIGNED-PAYLOAD-TRAILER": Mode.UNSIGNED_TRAILER,
    b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD": Mode.SIGNED,
    b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": Mode.SIGNED_TRAILER,
}

_ERRORS: Final[Mapping[Code, ErrorCode]] = {
    Code.SIZE: codes.INVALID_CHUNK_SIZE,
    Code.FRAMING: codes.INVALID_REQUEST,
    Code.SIGNATURE: codes.SIGNATURE_DOES_NOT_MATCH,
    Code.LENGTH: codes.INCOMPLETE_BODY,
    Code.TRAILER: codes.MALFORMED_TRAILER,
    Code.AFTER_END: codes.INVALID_REQUEST,
}
_LENGTH: Final = b"x-amz-decoded-content-length"
_LENGTH_DIGITS_MAX: Final = 18
_TAIL_BYTES: Final = 4096  # one read of what stands behind the payload


class Chunking(NamedTuple):
    """How the body of a verified request is coded; the rest is what its chunks are signed with."""

    mode: Mode
    signing_key: bytes = b""
    amz_date: bytes = b""
    scope: bytes = b""
    signature: bytes = b""


class ChunkedBody:
    """The payload of such a body. Its end is read and verified with the payload's last bytes."""

    __slots__ = ("_decoder", "_ended", "_left", "_source", "length")

    def __init__(self, request: Request, chunking: Chunking) -> None:
        """Raises MissingContentLength and InvalidArgument for the length of the payload."""
        self.length = _decoded_length(request)
        self._source: BodyReader = request.body
        self._decoder = ChunkedDecoder(
            chunking.mode,
            self.length,
            chunking.signing_key,
            chunking.amz_date,
            chunking.scope,
            chunking.signature,
        )
        self._left = self.length
        self._ended = False

    @property
    def received(self) -> int:
        """Bytes that have arrived, as they were coded."""
        return self._source.received

    @property
    def trailers(self) -> dict[bytes, bytes]:
        """What stood behind the payload, by lower-case name; empty before the end."""
        return dict(self._decoder.trailers)

    async def read(self, limit: int) -> bytes:
        """The rest of the payload. Raises BodyTooLarge above `limit` bytes, and as `readinto`."""
        if self._left > limit:
            raise BodyTooLarge
        content = bytearray(self._left)
        await self.readinto(memoryview(content))
        return bytes(content)

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the payload's end.

        Raises S3Error for what is wrong with the coding or a signature, BodyIncomplete.
        """
        wanted, filled = min(len(buffer), self._left), 0
        while filled < wanted:
            # Coded, a payload is never shorter: this asks for nothing that will not come.
            place = buffer[filled:wanted]
            count = await self._source.readinto(place)
            if not count:
                raise S3Error(codes.INCOMPLETE_BODY)
            filled += self._decode(place, count)
        self._left -= filled
        if not self._left and not self._ended:
            await self._end()
        return filled

    async def _end(self) -> None:
        """Reads what stands behind the payload. Nothing of the body is vouched for before this."""
        tail = memoryview(bytearray(_TAIL_BYTES))
        while count := await self._source.readinto(tail):
            self._decode(tail, count)
        if not self._decoder.complete:
            raise S3Error(codes.INCOMPLETE_BODY)
        self._ended = True

    def _decode(self, place: memoryview, count: int) -> int:
        try:
            return self._decoder.feed(place, count)[1]
        except ChunkedError as error:
            raise S3Error(_ERRORS[error.code]) from None


def _decoded_length(request: Request) -> int:
    values = [value for name, value in request.headers if name == _LENGTH]
    if not values:
        raise S3Error(codes.MISSING_CONTENT_LENGTH)
    if len(values) > 1 or not values[0].isdigit() or len(values[0]) > _LENGTH_DIGITS_MAX:
        message = "The value of x-amz-decoded-content-length is not a length."
        raise S3Error(codes.INVALID_ARGUMENT, message)
    return int(values[0])
