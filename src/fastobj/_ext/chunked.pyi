"""aws-chunked bodies of S3, decoded in place; signatures of chunks and trailers are verified.

A decoder is fed the body as it comes, in pieces cut anywhere. `feed` moves the payload among the
first `count` bytes of the buffer to its front and returns (consumed, produced); consumed is `count`
unless it raises ChunkedError, after which the decoder raises the same for all that follows. Payload
is not vouched for before `complete`, which is to be asked when the body has ended: False is a body
that was cut short, at a whole line too. `trailers` has names in lower case, in wire order, and is
empty before `complete`; the caller compares them with the announced ones, for a body without is
complete too. Above a few KiB `feed` runs without the GIL; a decoder is for one thread at a time.
A signed mode needs the key, date, scope and signature of a request that was verified; else
ValueError. `decoded_length` is at most 2^64 - 1, else OverflowError.

A plan looks at the same bytes ahead of the decoder and changes none: `look` ends at their end, or
where `payload_max` bytes of payload have passed, and returns (consumed, payload). It raises the
ChunkedError of malformed framing, and knows nothing of signatures and trailers.
"""

from enum import IntEnum
from typing import Final, final

from typing_extensions import Buffer

ISA: Final[str]
VERSION: Final[int]
CHUNK_BYTES_MAX: Final[int]
TRAILER_BYTES_MAX: Final[int]

class Mode(IntEnum):
    """The streaming values of x-amz-content-sha256, without the prefix STREAMING-."""

    SIGNED = 0  # AWS4-HMAC-SHA256-PAYLOAD
    SIGNED_TRAILER = 1  # AWS4-HMAC-SHA256-PAYLOAD-TRAILER
    UNSIGNED_TRAILER = 2  # UNSIGNED-PAYLOAD-TRAILER

class Code(IntEnum):
    """What is wrong with a body, and the error of S3 that it is."""

    SIZE = 1  # InvalidChunkSizeError: a chunk size is no number, or above CHUNK_BYTES_MAX
    FRAMING = 2  # InvalidRequest: the head of a chunk or its end is malformed
    SIGNATURE = 3  # SignatureDoesNotMatch: of a chunk or of the trailers
    LENGTH = 4  # IncompleteBody: more or fewer bytes than the decoded length
    TRAILER = 5  # MalformedTrailerError: malformed, too long, signature missing or not wanted
    AFTER_END = 6  # InvalidRequest: bytes behind the end

class ChunkedError(Exception):
    """The body is not what it must be."""

    code: Code

    def __init__(self, code: int) -> None: ...

@final
class ChunkedDecoder:
    """One body."""

    def __init__(
        self,
        mode: int,
        decoded_length: int,
        signing_key: bytes = b"",
        amz_date: bytes = b"",
        scope: bytes = b"",
        seed_signature: bytes = b"",
    ) -> None: ...
    def feed(self, buffer: Buffer, count: int) -> tuple[int, int]: ...
    @property
    def decoded(self) -> int: ...
    @property
    def complete(self) -> bool: ...
    @property
    def trailers(self) -> list[tuple[bytes, bytes]]: ...

@final
class ChunkedPlan:
    """The framing of one body."""

    def __init__(self, mode: int, decoded_length: int) -> None: ...
    def look(self, coded: Buffer, payload_max: int) -> tuple[int, int]: ...
    def framing(self, payload: int) -> int: ...
