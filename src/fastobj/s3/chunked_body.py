"""Bodies in aws-chunked coding: decoded as they are read, and their signatures verified.

A large one goes to its writer as it is coded, piece by piece, and is decoded off the loop; here
only its framing is looked at, to know where a piece ends.

The coding is S3's own, inside or without HTTP's chunked coding. It is known by the value of
x-amz-content-sha256, never by Content-Encoding, which some clients leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from fastobj._ext.chunked import ChunkedDecoder, ChunkedError, ChunkedPlan, Code, Mode
from fastobj.core import codes
from fastobj.core.codes import ErrorCode
from fastobj.core.errors import S3Error
from fastobj.core.limits import PIECE_CODING_BYTES
from fastobj.http.message import (
    BodyIncomplete,
    BodyReader,
    BodyTooLarge,
    ReadInterrupted,
    Request,
)

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


class Sink(Protocol):
    """What takes the pieces of a large body as they are coded (a writer of storage.base)."""

    async def buffer(self) -> memoryview:
        """Room for the payload of the next piece, and for PIECE_CODING_BYTES more."""
        ...

    async def push(self, length: int) -> None:
        """Takes the first bytes of the buffer, which decode to all of the piece."""
        ...

    async def decode(self, length: int) -> int:
        """Decodes the first bytes of the buffer, in place, and the pieces before it."""
        ...

    def watch(self, failed: Callable[[], None] | None) -> None:
        """Has `failed` called when a piece fails, until the next call."""
        ...


class ChunkedBody:
    """The payload of such a body. Its end is read and verified with the payload's last bytes."""

    __slots__ = ("_ahead", "_ended", "_left", "_plan", "_source", "decoder", "length")

    def __init__(self, request: Request, chunking: Chunking) -> None:
        """Raises MissingContentLength and InvalidArgument for the length of the payload."""
        self.length = _decoded_length(request)
        self._source: BodyReader = request.body
        self.decoder = ChunkedDecoder(
            chunking.mode,
            self.length,
            chunking.signing_key,
            chunking.amz_date,
            chunking.scope,
            chunking.signature,
        )
        self._plan = ChunkedPlan(chunking.mode, self.length)
        self._ahead = b""  # received, coded, and behind the pieces so far
        self._left = self.length
        self._ended = False

    @property
    def received(self) -> int:
        """Bytes that have arrived, as they were coded."""
        return self._source.received

    def interrupt(self) -> None:
        """Ends the present wait for bytes, if there is one, with ReadInterrupted."""
        self._source.interrupt()

    @property
    def trailers(self) -> dict[bytes, bytes]:
        """What stood behind the payload, by lower-case name; empty before the end."""
        return dict(self.decoder.trailers)

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

    async def pour(self, writer: Sink) -> None:
        """Hands all of the payload over, as it is coded, and verifies the body's end.

        The writer has the decoder of this body. Raises what `readinto` and the writer raise.
        """
        assert self._left == self.length, "some of the body has been read"
        try:
            while self._left:
                room = await writer.buffer()
                wanted = len(room) - PIECE_CODING_BYTES
                await writer.push(await self._fill(writer, room, wanted))
                self._left -= wanted
            await writer.decode(0)
            await self._end()
        except ChunkedError as error:
            raise S3Error(_ERRORS[error.code]) from None

    async def _fill(self, writer: Sink, room: memoryview, wanted: int) -> int:
        """Fills the room until `wanted` bytes of payload are in it; returns the bytes they take.

        What is received beyond them waits for the next piece.
        """
        end, start, missing = len(self._ahead), 0, wanted
        room[:end] = self._ahead
        while True:
            start, missing = await self._look(writer, room, start, end, missing)
            if not missing:
                self._ahead = bytes(room[start:end])
                return start
            if end == len(room):  # the framing has taken its room
                start = end = await writer.decode(end)
            count = await self._receive(writer, room, end, missing)
            if not count:
                await writer.decode(end)  # what is wrong with what did come goes first
                raise S3Error(codes.INCOMPLETE_BODY)
            end += count

    async def _look(
        self, writer: Sink, room: memoryview, start: int, end: int, missing: int
    ) -> tuple[int, int]:
        """Where the payload ends that is still missing, or what came; and what is then missing."""
        try:
            consumed, payload = self._plan.look(room[start:end], missing)
        except ChunkedError:
            await writer.decode(end)  # raises the same, or what is wrong before
            raise
        return start + consumed, missing - payload

    async def _receive(self, writer: Sink, room: memoryview, end: int, missing: int) -> int:
        """Receives so much that the piece can be whole, or all there is behind the last one.

        A wait ends early when a piece before has failed, with its failure.
        """
        wanted = missing + self._plan.framing(missing)
        if self._left <= len(room) - PIECE_CODING_BYTES:
            wanted = len(room)
        writer.watch(self._source.interrupt)
        error: Exception
        try:
            return await self._source.readinto(room[end : end + wanted])
        except (BodyIncomplete, ReadInterrupted) as ended:
            error = ended
        finally:
            writer.watch(None)
        await writer.decode(end)  # what is wrong with what did come goes first
        await writer.buffer()
        raise error

    async def _end(self) -> None:
        """Reads what stands behind the payload. Nothing of the body is vouched for before this."""
        tail = bytearray(self._ahead)
        self._decode(memoryview(tail), len(tail))
        view = memoryview(bytearray(_TAIL_BYTES))
        while count := await self._source.readinto(view):
            self._decode(view, count)
        if not self.decoder.complete:
            raise S3Error(codes.INCOMPLETE_BODY)
        self._ended = True

    def _decode(self, place: memoryview, count: int) -> int:
        try:
            return self.decoder.feed(place, count)[1]
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
