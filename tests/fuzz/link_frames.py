"""Frames on the links: cut anywhere they stay the same, and damaged ones are refused or decode."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from fastobj._ext.crc import crc32c
from fastobj.core.errors import Conflict, NoSpace, StoreError, Unknown
from fastobj.meta.base import ABSENT, ANY, DELETE, KEEP, Add, BodyRef, Row, Txn
from fastobj.node import frames
from fastobj.objects.ledger import Entry
from fastobj.storage.base import SmallBody
from tests.fuzz.mutations import mutate
from tests.fuzz.rows import WORDS

DECODERS: dict[int, Any] = {
    frames.OUTCOME: frames.decode_outcome,
    frames.ANSWER: frames.decode_answer,
    frames.READY: frames.decode_ready,
    frames.NUDGE: frames.decode_nudge,
    frames.COMMITTED: frames.decode_committed,
}
REFUSALS = (ValueError, msgspec.MsgspecError, RecursionError)  # the last: nested too deeply


def _entry(rng: random.Random) -> Entry:
    rows = [
        Row(
            rng.randrange(1, 4),
            rng.randbytes(rng.randrange(20)),
            rng.choice((ABSENT, ANY, rng.randbytes(16))),
            rng.choice((DELETE, KEEP, rng.randbytes(rng.randrange(300)))),
        )
        for _ in range(rng.randrange(1, 4))
    ]
    rows.insert(0, Row(1, b"k", ABSENT, rng.randbytes(35 + rng.randrange(300))))
    refs = [BodyRef(rng.randbytes(16), 0, 3) for _ in range(rng.randrange(3))]
    bodies = []
    for ref in refs:
        payload = rng.randbytes(rng.choice((0, 1, 100, 5000)))
        bodies.append(SmallBody(ref.data_id, payload, crc32c(payload), b"bucket/key"))
    adds = [Add(2, b"bucket", (1, -5)), Add(3, b"s", (7,), (9, None))][: rng.randrange(3)]
    arrival = rng.choice((None, 0, 2**40))
    return Entry(Txn(rng.randbytes(16), rows, adds, refs), bodies, arrival)


def _answer(rng: random.Random) -> frames.AnswerHead:
    errors = (None, NoSpace("full"), Unknown("ü"), StoreError("x"), Conflict([None, (b"v", b"t")]))
    results = [frames.result_head(rng.choice(errors)) for _ in range(rng.randrange(4))]
    return frames.AnswerHead(rng.getrandbits(63), results, rng.choice(([], ["committed"])))


def message(rng: random.Random) -> bytes:
    """One frame of any kind."""
    request = rng.getrandbits(64)
    kind = rng.choice((frames.COMMIT, frames.COMMIT, *DECODERS))
    if kind == frames.COMMIT:
        entries = [_entry(rng) for _ in range(rng.randrange(4))]
        return b"".join(frames.encode_commit(request, entries))
    heads = {
        frames.OUTCOME: frames.OutcomeHead([rng.randbytes(16)], rng.getrandbits(63)),
        frames.ANSWER: _answer(rng),
        frames.READY: frames.ReadyHead(rng.getrandbits(63)),
        frames.NUDGE: frames.NudgeHead([1, 2], rng.getrandbits(63)),
        frames.COMMITTED: frames.CommittedHead(rng.getrandbits(63), [1, rng.getrandbits(63)]),
    }
    return b"".join(frames.encode(kind, request, heads[kind]))


def cut(stream: bytes, ends: list[int]) -> tuple[list[frames.Frame], bool]:
    """The frames of a stream received in pieces that end there, and whether it was refused."""
    reader = frames.FrameReader()
    found: list[frames.Frame] = []
    start = 0
    try:
        for end in (*ends, len(stream)):
            found.extend(reader.feed(stream[start:end]))
            start = end
    except ValueError:
        return found, True
    return found, False


def encode_again(frame: frames.Frame) -> bytes | None:
    """The frame made from what it decodes to; None where it does not decode."""
    try:
        if frame.kind == frames.COMMIT:
            entries = frames.decode_commit(frame)
            heads = [entry for entry, _ in entries]
            payloads = [bytes(payload) for _, payloads in entries for payload in payloads]
            return b"".join(frames.encode(frames.COMMIT, frame.request, heads, payloads))
        if frame.kind not in DECODERS:
            return None
        head = DECODERS[frame.kind](frame.head)
    except REFUSALS:
        return None
    return b"".join(frames.encode(frame.kind, frame.request, head, [bytes(frame.bodies)]))


def one(rng: random.Random) -> None:
    """A stream of frames, as it was sent or damaged, in one piece and in many."""
    messages = [message(rng) for _ in range(rng.randint(1, 3))]
    stream = b"".join(messages)
    whole, refused = cut(stream, [])
    assert not refused
    assert [encode_again(frame) for frame in whole] == messages
    damaged = mutate(rng, stream, WORDS)
    found, refused = cut(damaged, [])
    for _ in range(3):
        ends = sorted(rng.choices(range(len(damaged) + 1), k=rng.choice((1, 3, 20))))
        assert cut(damaged, ends) == (found, refused)
    for frame in found:
        again = encode_again(frame)
        if again is not None:
            (copy,), _ = cut(again, [])
            assert encode_again(copy) == again
