"""Frames: what goes in comes out, however it is cut, and rubbish is refused and never believed."""

import struct

import msgspec
import pytest

from fastobj._ext.crc import crc32c
from fastobj.core import codes
from fastobj.core.errors import (
    ChecksumMismatch,
    Conflict,
    NoSpace,
    S3Error,
    StoreError,
    SyncFailed,
    Unavailable,
    Unknown,
)
from fastobj.meta.base import ABSENT, KEEP, Add, BodyRef, Row, Txn
from fastobj.node import frames
from fastobj.node.frames import FrameReader
from fastobj.objects.encoded import encode_entry
from fastobj.objects.ledger import Entry
from fastobj.storage.base import SmallBody


def _entry(number: int, *payloads: bytes) -> Entry:
    rows = [Row(2, b"k%d" % number, ABSENT, b"v" * 64), Row(1, b"b", b"t" * 16, KEEP)]
    refs = [BodyRef(bytes([index]) * 16, 0, 3) for index in range(len(payloads))]
    bodies = [
        SmallBody(ref.data_id, payload, crc32c(payload), b"hint")
        for ref, payload in zip(refs, payloads, strict=True)
    ]
    adds = [Add(2, b"bucket", (1, -5)), Add(3, b"s", (7,), (9, None))]
    return Entry(Txn(bytes([number]) * 16, rows, adds, refs), bodies, number or None)


def _commit(*entries: Entry) -> bytes:
    return b"".join(frames.encode_commit(5, entries))


def _cut(data: bytes, *sizes: int) -> list[frames.Frame]:
    reader = FrameReader()
    found = []
    at = 0
    for size in (*sizes, len(data)):
        found += reader.feed(data[at : at + size])
        at += size
    return found


def test_commit_comes_out_as_it_went_in():
    entries = [_entry(0, b"one", b""), _entry(1), _entry(2, b"x" * 70_000)]
    (frame,) = FrameReader().feed(_commit(*entries))
    assert (frame.kind, frame.request) == (frames.COMMIT, 5)
    assert frames.decode_commit(frame) == [
        (encode_entry(entry), [body.payload for body in entry.bodies]) for entry in entries
    ]


def test_every_cut_in_two_gives_the_same_frames():
    data = _commit(_entry(1, b"body")) + b"".join(
        frames.encode(frames.OUTCOME, 6, frames.OutcomeHead([b"i" * 16], 7))
    )
    whole = _cut(data)
    assert [frame.request for frame in whole] == [5, 6]
    for at in range(len(data) + 1):
        assert _cut(data, at) == whole


def test_bytes_one_by_one_give_the_same_frames():
    data = _commit(_entry(1, b"body")) * 2
    assert _cut(data, *[1] * len(data)) == _cut(data)


def test_a_long_frame_in_many_parts(rng):
    data = _commit(*(_entry(n, rng.randbytes(50_000)) for n in range(20))) + _commit(_entry(1))
    sizes = [rng.randrange(1, 70_000) for _ in range(40)]
    assert _cut(data, *sizes) == _cut(data)


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<IBQI", frames.FRAME_BYTES_MAX + 1, 1, 1, 0),
        struct.pack("<IBQI", 0xFFFFFFFF, 1, 1, 0),
        struct.pack("<IBQI", 0, 1, 1, 0),
        struct.pack("<IBQI", 12, 1, 1, 0),
        struct.pack("<IBQI", 20, 1, 1, 8),
        struct.pack("<IBQI", 100, 1, 1, 0xFFFFFFFF),
    ],
)
def test_impossible_lengths_are_refused(head):
    with pytest.raises(ValueError, match="cannot be"):
        list(FrameReader().feed(head))


def test_the_shortest_frame_is_one():
    (frame,) = FrameReader().feed(struct.pack("<IBQI", 13, 9, 1, 0))
    assert frame == frames.Frame(9, 1, b"", memoryview(b""))


def _with(frame: frames.Frame, head: bytes, bodies: bytes) -> frames.Frame:
    return frames.Frame(frame.kind, frame.request, head, memoryview(bodies))


def test_bodies_must_fit_their_heads():
    (frame,) = FrameReader().feed(_commit(_entry(1, b"body")))
    for bodies in (b"", b"bod", b"body!"):
        with pytest.raises(ValueError, match="bodies"):
            frames.decode_commit(_with(frame, frame.head, bodies))


def test_random_bytes_are_refused_and_never_crash(rng):
    for _ in range(2000):
        reader = FrameReader()
        try:
            for frame in reader.feed(rng.randbytes(rng.randrange(200))):
                frames.decode_commit(frame)
        except (ValueError, msgspec.MsgspecError):
            continue


def test_damaged_frames_are_refused_or_decode(rng):
    data = bytearray(_commit(_entry(1, b"body"), _entry(2)))
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            for frame in FrameReader().feed(bytes(damaged)):
                assert isinstance(frames.decode_commit(frame), list)
        except (ValueError, msgspec.MsgspecError):
            continue


def _travelled(error):
    head = frames.AnswerHead(1, [frames.result_head(error)])
    (frame,) = FrameReader().feed(b"".join(frames.encode(frames.ANSWER, 1, head)))
    return frames.result_error(frames.decode_answer(frame.head).results[0])


def test_success_travels():
    assert _travelled(None) is None


@pytest.mark.parametrize("kind", [NoSpace, SyncFailed, ChecksumMismatch, Unknown, StoreError])
def test_errors_travel_with_their_kind_and_text(kind):
    came = _travelled(kind("why: é"))
    assert type(came) is kind
    assert str(came) == "why: é"


@pytest.mark.parametrize("error", [Unavailable("x"), S3Error(codes.SLOW_DOWN)])
def test_errors_that_do_not_travel_arrive_as_errors_of_the_store(error):
    assert type(_travelled(error)) is StoreError


def test_an_unknown_kind_of_error_is_an_error_of_the_store():
    came = frames.result_error(frames.ResultHead("FromTheFuture", "text"))
    assert type(came) is StoreError
    assert str(came) == "text"


def test_conflicts_travel_with_the_rows_that_are_there():
    came = _travelled(Conflict([None, (b"value", b"t" * 16)], 12))
    assert isinstance(came, Conflict)
    assert [row and tuple(row) for row in came.present] == [None, (b"value", b"t" * 16)]
    assert came.arrival == 12
