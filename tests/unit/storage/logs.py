"""Logs in a directory, written by hand: what the tests of the log share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastobj._ext.crc import crc32c
from fastobj.core.limits import KIB
from fastobj.objects.encoded import BodyPlace
from fastobj.storage import log_format
from fastobj.storage.base import LOCATION_BYTES, Location, SmallBody
from fastobj.storage.log_format import BlockRef
from fastobj.storage.log_replay import BlockReader, Chain, ReadBlock, discover
from fastobj.storage.log_writer import Block, BlockBuilder, LogWriter
from fastobj.storage.spares import Spares

COUNTER_KEY = b"counter!"
PLACED_BYTES = LOCATION_BYTES + len(COUNTER_KEY)
STORE = b"the store's id.."
SEGMENT_BYTES = 128 * KIB


def body(payload: bytes, hint: bytes = b"", name: int = 1) -> SmallBody:
    """A small body with a right checksum."""
    return SmallBody(name.to_bytes(16, "big"), payload, crc32c(payload), hint)


def writer(directory: Path, last: BlockRef | None = None, store: bytes = STORE) -> LogWriter:
    """A writer that goes on behind `last`, without a segment yet."""
    spares = Spares(directory, SEGMENT_BYTES)
    return LogWriter(directory, store, last or BlockRef(), spares, SEGMENT_BYTES)


def build(
    log: LogWriter, txns: Sequence[bytes], bodies: Sequence[SmallBody] = ()
) -> tuple[Block, list[Location]]:
    """A block, not written, and where its bodies will stand.

    Behind `txns` stands one transaction for each body: nothing but its place.
    """
    sizes = [log_format.record_bytes(len(one.payload), len(one.hint)) for one in bodies]
    room = sum(4 + len(txn) for txn in txns) + len(bodies) * (4 + PLACED_BYTES)
    builder = log.builder(room, sum(sizes), COUNTER_KEY)
    for txn in txns:
        builder.add(txn, [], [])
    places = [place(builder, one) for one in bodies]
    return builder.build(), places


def place(builder: BlockBuilder, one: SmallBody) -> Location:
    """Adds a transaction of nothing but the place of a body, and says what it is."""
    at = BodyPlace(one.data_id, one.crc32c, one.hint, len(one.payload), 0, LOCATION_BYTES)
    placed = builder.add(bytes(PLACED_BYTES), [at], [one.payload])
    assert placed[LOCATION_BYTES:] == COUNTER_KEY
    return Location.decode(placed[:LOCATION_BYTES])


def append(log: LogWriter, *txns: bytes, bodies: Sequence[SmallBody] = ()) -> BlockRef:
    """Writes a block and names it."""
    block, _ = build(log, txns, bodies)
    log.write(block)
    return block.ref


def three_segments(directory: Path, per_segment: int = 3) -> list[BlockRef]:
    """A log of three segments; block n holds the transaction b"n" and a body."""
    refs: list[BlockRef] = []
    log = writer(directory)
    for segment in range(1, 4):
        log.roll(segment)
        for _ in range(per_segment):
            number = len(refs) + 1
            refs.append(append(log, b"%d" % number, bodies=[body(b"x" * 5000, b"hint", number)]))
    log.close()
    return refs


def chain(directory: Path, store: bytes = STORE) -> Chain:
    """The chain as a recovery finds it."""
    return Chain(directory, store, discover(directory, store))


def sequences(blocks: Sequence[ReadBlock]) -> list[int]:
    """The sequences of blocks."""
    return [block.ref.sequence for block in blocks]


def damage(path: Path, offset: int, length: int = 1) -> None:
    """Flips all bits of some bytes."""
    with path.open("r+b") as file:
        file.seek(offset)
        wrong = bytes(byte ^ 0xFF for byte in file.read(length))
        file.seek(offset)
        file.write(wrong)


class Memory:
    """A file in memory, as far as a `BlockReader` needs one."""

    path = "memory"

    def __init__(self, contents: bytes | bytearray) -> None:
        self.contents = contents

    def size(self) -> int:
        return len(self.contents)

    def pread(self, size: int, offset: int) -> bytes:
        return bytes(self.contents[offset : offset + size])

    def block(
        self, after: BlockRef, offset: int = 0, segment: int = 1, store: bytes = STORE
    ) -> ReadBlock | None:
        """The block at `offset`, bodies verified."""
        return BlockReader(self, store, segment).block_at(offset, after, bodies=True)
