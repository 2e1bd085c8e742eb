"""Chunked bodies: split anywhere, damaged, and against a strict reading of RFC 9112."""

from __future__ import annotations

import asyncio
import random
import re
from typing import NamedTuple

from fastobj.core import limits
from fastobj.http.body import ChunkedBody
from fastobj.http.message import BodyIncomplete
from tests.fuzz.mutations import NUMBERS, mutate

SPLITS = 3
WORDS = (
    *NUMBERS,
    b"0\r\n\r\n",
    b"0\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"5\r\nhello\r\n",
    b"5 \r\nhello\r\n",
    b" 5\r\nhello\r\n",
    b"5\nhello\n",
    b"005\r\nhello\r\n",
    b"5;a=b\r\nhello\r\n",
    b'5;a="x;\r\n"\r\nhello\r\n',
    b"5;\r\nhello\r\n",
    b"fffffffffffffff\r\n",
    b"ffffffffffffffff\r\n",
    b"10000000000000000\r\n",
    b"10000000000000005\r\nhello\r\n",
    b"-1\r\n",
    b"0x5\r\nhello\r\n",
    b"host: h\r\n",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"connection: upgrade\r\nupgrade: x\r\n",
    b"x-amz-checksum-crc32: AAAAAA==\r\n",
    b";" + b"e" * limits.HEAD_BYTES_MAX,
)


class Outcome(NamedTuple):
    """The decoded body and the size of its coded form; nothing where the body was refused."""

    content: bytes = b""
    size: int = 0


class _Wire:
    """A connection as far as a body needs one: what is asked for comes in the next turn."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.backlog = bytearray(pieces[0])
        self._pieces = pieces[1:]
        self._loop = asyncio.get_running_loop()
        self.body = ChunkedBody(self)

    def receive(self, target: memoryview | None) -> None:
        """Delivers until the reader is content."""
        assert target is None
        self._loop.call_soon(self._deliver)

    def rest(self) -> None:
        """Nobody waits any more."""

    def _deliver(self) -> None:
        while self.body.is_waiting():
            if not self._pieces:
                self.body.fail(BodyIncomplete("the client went away"))
                return
            piece = bytearray(self._pieces.pop(0))
            taken = self.body.feed(piece, len(piece))
            self.backlog += piece[taken:]

    def left(self) -> int:
        """How many bytes nobody took."""
        return len(self.backlog) + sum(map(len, self._pieces))


async def decode(coded: bytes, cuts: list[int], buffer_size: int) -> Outcome | None:
    """What a body makes of `coded`; None where it was refused."""
    pieces = [coded[start:end] for start, end in zip([0, *cuts], [*cuts, len(coded)], strict=True)]
    wire = _Wire(pieces)
    buffer = bytearray(buffer_size)
    content = bytearray()
    try:
        while count := await wire.body.readinto(memoryview(buffer)):
            content += memoryview(buffer)[:count]
    except BodyIncomplete:
        return None
    assert wire.body.complete
    return Outcome(bytes(content), len(coded) - wire.left())


# --- the strict reading

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:;[^\x00-\x08\x0a-\x1f\x7f]*)?)\r\n")
_TRAILER = re.compile(rb"(?:%b+:[\t\x20-\x7e\x80-\xff]*)\r\n" % _TOKEN)


def strict(coded: bytes) -> tuple[Outcome, int] | None:
    """The body at the start of `coded`, and its longest run of bytes that are no content."""
    at, content, longest = 0, b"", 0
    while True:
        line = _SIZE.match(coded, at)
        if line is None:
            return None
        longest = max(longest, line.end() - at + 2)
        size, start = int(line[1], 16), line.end()
        if size == 0:
            break
        at = start + size + 2
        if coded[start + size : at] != b"\r\n":
            return None
        content += coded[start : start + size]
    begin, at = at, start
    while coded[at : at + 2] != b"\r\n":
        trailer = _TRAILER.match(coded, at)
        if trailer is None:
            return None
        at = trailer.end()
    return Outcome(content, at + 2), max(longest, at + 4 - begin)


# --- the fuzzer


def valid(rng: random.Random) -> bytes:
    """A body in chunks, with an extension here and a trailer there."""
    parts = []
    for _ in range(rng.randrange(6)):
        size = rng.choice((1, 5, 16, 255, 4096, rng.randrange(1, 200)))
        form = rng.choice((b"%x", b"%X", b"00%x"))
        extension = rng.choice((b"", b"", b";a", b";a=b", b';a="b;c"'))
        piece = rng.randbytes(size)
        parts.append(form % size + extension + b"\r\n" + piece + b"\r\n")
    trailers = rng.choices((b"x-amz-checksum-crc32: AAAAAA==\r\n", b"a:\r\n"), k=rng.randrange(3))
    return b"".join([*parts, b"0\r\n", *trailers, b"\r\n"])


async def one(rng: random.Random) -> None:
    """One body, valid or damaged, in one piece and in many."""
    coded = valid(rng)
    is_valid = rng.random() < 0.15
    if not is_valid:
        coded = mutate(rng, coded, WORDS)
    coded += rng.choice((b"", b"GET /next HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"0\r\n\r\n"))
    expected = strict(coded)
    whole = await decode(coded, [], rng.choice((1, 3, 100, 1 << 17)))
    assert not is_valid or whole is not None
    _check(whole, expected)
    for _ in range(SPLITS if coded else 0):
        count = rng.choice((1, 1, 3, min(len(coded), 300)))
        cuts = sorted(rng.choices(range(len(coded) + 1), k=count))
        split = await decode(coded, cuts, rng.choice((7, 1 << 17)))
        _check(split, expected)
        if expected is None or expected[1] <= limits.HEAD_BYTES_MAX:
            assert split == whole, cuts


def _check(found: Outcome | None, expected: tuple[Outcome, int] | None) -> None:
    """What decodes is what the strict reading has."""
    assert found is None or (expected is not None and found == expected[0])
