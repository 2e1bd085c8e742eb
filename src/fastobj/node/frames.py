"""Frames on the links between the committer and its peers.

A frame is u32 length of what follows, u8 kind, u64 request, u32 length of the head, the head in
MessagePack, then the bodies one behind the other. Integers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from fastobj.core.errors import (
    ChecksumMismatch,
    Conflict,
    FastobjError,
    NoSpace,
    StoreError,
    SyncFailed,
    Unknown,
)
from fastobj.core.limits import MIB
from fastobj.objects.encoded import EncodedEntry, encode_entry
from fastobj.objects.ledger import Entry

COMMIT: Final = 1  # peer to committer: list of entries, one batch where they fit
OUTCOME: Final = 2  # peer to committer: list of transaction ids
ANSWER: Final = 3  # committer to peer
READY: Final = 4  # committer to peer: the first frame of a link
NUDGE: Final = 5  # committer to maintenance: something may be reclaimed, or is to be told
COMMITTED: Final = 6  # committer to peer: requests of which each entry was committed

FRAME_BYTES_MAX: Final = 128 * MIB
_HEAD = struct.Struct("<IBQI")
_PREFIX: Final = 4  # the length itself is not counted in it


class Frame(NamedTuple):
    """One frame. `head` is encoded; `bodies` all bodies together."""

    kind: int
    request: int
    head: bytes
    bodies: memoryview


class ReadyHead(msgspec.Struct, array_like=True, gc=False):
    """What a peer must know before its first commit."""

    sequence: int


class NudgeHead(msgspec.Struct, array_like=True, gc=False):
    """`attached`: incarnations whose link is not drained. `covered`: see storage.log_format.

    `has_work`: something may be reclaimed. `hinted`: lifecycle rules may have something due sooner
    than was told. `has_events`: some were committed.
    """

    attached: list[int]
    covered: int
    has_work: bool = True
    hinted: bool = True
    has_events: bool = True


class OutcomeHead(msgspec.Struct, array_like=True, gc=False):
    """Transactions whose answer was lost; `since` is the sequence known when they were sent."""

    ids: list[bytes]
    since: int


class ResultHead(msgspec.Struct, array_like=True, gc=False):
    """One transaction's result: an error kind ("" for success) with its message."""

    kind: str = ""
    message: str = ""
    present: list[tuple[bytes, bytes] | None] = []
    arrival: int | None = None


class AnswerHead(msgspec.Struct, array_like=True, gc=False):
    """Results in the order asked for; `sequence` is the committer's last block."""

    sequence: int
    results: list[ResultHead] = []
    outcomes: list[str] = []


class CommittedHead(msgspec.Struct, array_like=True, gc=False):
    """Answers all of `requests` at once: success. `sequence` is the committer's last block."""

    sequence: int
    requests: list[int]


_encoder = msgspec.msgpack.Encoder()
decode_entries = msgspec.msgpack.Decoder(list[EncodedEntry]).decode
decode_answer = msgspec.msgpack.Decoder(AnswerHead).decode
decode_committed = msgspec.msgpack.Decoder(CommittedHead).decode
decode_outcome = msgspec.msgpack.Decoder(OutcomeHead).decode
decode_ready = msgspec.msgpack.Decoder(ReadyHead).decode
decode_nudge = msgspec.msgpack.Decoder(NudgeHead).decode

_ERRORS: Final[dict[str, type[FastobjError]]] = {
    kind.__name__: kind for kind in (NoSpace, SyncFailed, ChecksumMismatch, Unknown, StoreError)
}
_SUCCESS: Final = ResultHead()


def encode(kind: int, request: int, head: object, bodies: Sequence[bytes] = ()) -> list[bytes]:
    """A frame as parts to send: its head, then the bodies."""
    encoded = _encoder.encode(head)
    size = _HEAD.size - _PREFIX + len(encoded) + sum(map(len, bodies))
    return [_HEAD.pack(size, kind, request, len(encoded)) + encoded, *bodies]


def encode_commit(request: int, entries: Sequence[Entry]) -> list[bytes]:
    """The frame that asks for a commit."""
    heads = [encode_entry(entry) for entry in entries]
    payloads = [body.payload for entry in entries for body in entry.bodies]
    return encode(COMMIT, request, heads, payloads)


def decode_commit(frame: Frame) -> list[tuple[EncodedEntry, list[memoryview]]]:
    """The entries of a commit frame, each with its bodies. Raises MsgspecError or ValueError."""
    entries: list[tuple[EncodedEntry, list[memoryview]]] = []
    at = 0
    for entry in decode_entries(frame.head):
        payloads: list[memoryview] = []
        for place in entry.places:
            if place.length < 0:
                raise ValueError("a body has a negative length")
            payloads.append(frame.bodies[at : at + place.length])
            at += place.length
        entries.append((entry, payloads))
    if at != len(frame.bodies):
        raise ValueError(f"{len(frame.bodies)} bytes of bodies come with heads for {at}")
    return entries


def result_head(error: FastobjError | None) -> ResultHead:
    """A result as it travels."""
    if error is None:
        return _SUCCESS
    if isinstance(error, Conflict):
        return ResultHead("Conflict", "", error.present, error.arrival)
    kind = type(error).__name__
    return ResultHead(kind if kind in _ERRORS else StoreError.__name__, str(error))


def result_error(head: ResultHead) -> FastobjError | None:
    """The error of a result, None for success."""
    if not head.kind:
        return None
    if head.kind == "Conflict":
        return Conflict(head.present, head.arrival)
    return _ERRORS.get(head.kind, StoreError)(head.message)


class FrameReader:
    """Cuts received bytes into frames. A frame that comes in many parts is copied once."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._wanted = 0  # bytes with which the first frame is whole, as far as is known

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields the frames that are whole now; to be iterated to the end.

        Raises ValueError for an impossible length: what follows is then lost.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
            self._rest.clear()
        view = memoryview(data)
        at, self._wanted = 0, _HEAD.size
        while len(data) - at >= _HEAD.size:
            size, kind, request, head_length = _HEAD.unpack_from(data, at)
            if size > FRAME_BYTES_MAX or _HEAD.size - _PREFIX + head_length > size:
                raise ValueError(f"a frame of {size} bytes cannot be")
            end = at + _PREFIX + size
            if end > len(data):
                self._wanted = end - at
                break
            head = at + _HEAD.size
            bodies = head + head_length
            yield Frame(kind, request, data[head:bodies], view[bodies:end])
            at = end
        self._rest += view[at:]
