"""The reading half of the log: finds the segments, orders them, walks the blocks.

Blocks form one chain over segments. A segment's first block names the last block that it follows,
and a segment ends where its successor says, whatever stands behind. Segments are found by
reading the first block of every file, never from rows, because rows may be older than the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastobj.core.errors import StoreDamaged
from fastobj.core.limits import BLOCK_ALIGN_BYTES, BLOCK_BYTES_MAX
from fastobj.storage import io
from fastobj.storage.log_format import (
    BLOCK_HEAD_BYTES,
    BlockHead,
    BlockRef,
    block_crc,
    bodies_verify,
    decode_block_head,
    split_txns,
)
from fastobj.storage.spares import LOG_SUFFIX, log_segment


class SegmentFile(NamedTuple):
    """A log segment that is part of the chain. `first` is its first block's head."""

    path: Path
    segment: int
    generation: int
    size: int
    first: BlockHead


class ReadBlock(NamedTuple):
    """A block that verified: its name, its head, its encoded transactions."""

    ref: BlockRef
    head: BlockHead
    txns: list[bytes]


class Discovery(NamedTuple):
    """What the log directory holds.

    `chain` has the segments by id; `unused` the files whose first block does not verify: renamed
    by a roll that a crash cut short. `next_segment` is above every id ever seen here.
    """

    chain: dict[int, SegmentFile]
    unused: list[Path]
    next_segment: int


def discover(directory: Path, store: bytes) -> Discovery:
    """Reads the first block of every log file. Raises StoreDamaged for a file of another store."""
    chain: dict[int, SegmentFile] = {}
    unused: list[Path] = []
    highest = 0
    for path in sorted(directory.glob(f"*{LOG_SUFFIX}")):
        segment = log_segment(path)
        if segment is None:
            continue
        highest = max(highest, segment)
        found = _read_first(path, segment, store)
        if found is None:
            unused.append(path)
        else:
            chain[segment] = found
    return Discovery(chain, unused, highest + 1)


def _read_first(path: Path, segment: int, store: bytes) -> SegmentFile | None:
    file = io.open_existing(path)
    try:
        size = path.stat().st_size
        reader = BlockReader(file, size, store, segment)
        head = reader.head_at(0)
        if head is not None and head.store != store:
            raise StoreDamaged(f"{path} belongs to another store: move it out of the log")
        if head is None or head.segment != segment:
            return None
        if reader.block_at(0, head.previous, bodies=False) is None:
            return None
        return SegmentFile(path, segment, head.generation, size, head)
    finally:
        file.close()


class BlockReader:
    """Reads blocks of one segment file."""

    def __init__(self, file: io.File, size: int, store: bytes, segment: int) -> None:
        self._file = file
        self._size = size
        self._store = store
        self._segment = segment

    def head_at(self, offset: int) -> BlockHead | None:
        """The head of a block at `offset` if there can be one; nothing is verified yet."""
        if offset + BLOCK_HEAD_BYTES > self._size:
            return None
        head = decode_block_head(self._file.pread(BLOCK_HEAD_BYTES, offset))
        if head is None or offset + head.length > self._size:
            return None
        return head

    def block_at(self, offset: int, after: BlockRef, *, bodies: bool) -> ReadBlock | None:
        """The block at `offset` that follows `after`; None where none verifies.

        With `bodies` the small bodies are verified too: a block whose sync was cut may have its
        head and transactions on disk and a torn body behind them.
        """
        head = self.head_at(offset)
        if head is None or (head.store, head.segment) != (self._store, self._segment):
            return None
        if not follows(head, after):
            return None
        block = memoryview(self._file.pread(head.length, offset))
        if len(block) != head.length or block_crc(block, head) != head.crc:
            return None
        if bodies and not bodies_verify(block, head):
            return None
        section = block[BLOCK_HEAD_BYTES : BLOCK_HEAD_BYTES + head.txns_length]
        ref = BlockRef(head.segment, head.generation, offset, head.sequence, head.crc)
        return ReadBlock(ref, head, split_txns(section, head.txn_count))


    def later_block(self, offset: int, sequence: int) -> BlockRef | None:
        """A block that verifies behind `offset` with a higher sequence, within reach of one block.

        The committer writes a block only after the one before it was synced: so such a block
        proves that the one at `offset` was acknowledged and has gone bad since.
        """
        for at in range(offset + BLOCK_ALIGN_BYTES, offset + BLOCK_BYTES_MAX + 1, BLOCK_ALIGN_BYTES):
            head = self.head_at(at)
            if head is None or (head.store, head.segment) != (self._store, self._segment):
                continue
            if head.sequence > sequence and self.block_at(at, head.previous, bodies=False):
                return BlockRef(head.segment, head.generation, at, head.sequence, head.crc)
        return None


def follows(head: BlockHead, after: BlockRef) -> bool:
    """Whether `head` names `after` as the block before it."""
    return head.sequence == after.sequence + 1 and head.previous == after


class Chain:
    """The segments in order, from the first that a position needs to the last."""

    def __init__(self, directory: Path, store: bytes, discovery: Discovery) -> None:
        self._directory = directory
        self._store = store
        self._segments = discovery.chain
        self._successors = _successors(discovery.chain)

    def last(self) -> SegmentFile | None:
        """The segment with the highest first sequence."""
        return max(self._segments.values(), key=lambda s: s.first.sequence, default=None)

    def successor(self, segment: int, generation: int) -> SegmentFile | None:
        """The segment whose first block follows a block of that segment."""
        return self._successors.get((segment, generation))

    def before(self, sequence: int) -> BlockRef:
        """A block to `walk` from that is before `sequence`, or as far back as segments reach."""
        segment = self.last()
        if segment is None:
            return BlockRef()
        while segment.first.sequence > sequence:
            previous = segment.first.previous
            earlier = self._segments.get(previous.segment)
            if earlier is None or earlier.generation != previous.generation:
                break
            segment = earlier
        return segment.first.previous

    def block(self, ref: BlockRef) -> ReadBlock | None:
        """The block of that name, verified; None where its segment has been released."""
        segment = self._segments.get(ref.segment)
        if segment is None or segment.generation != ref.generation:
            return None
        file = io.open_existing(segment.path)
        try:
            reader = BlockReader(file, segment.size, self._store, segment.segment)
            head = reader.head_at(ref.offset)
            return None if head is None else reader.block_at(ref.offset, head.previous, bodies=False)
        finally:
            file.close()

    def walk(self, after: BlockRef, *, bodies: bool = True) -> Iterator[ReadBlock]:
        """Yields every block behind `after`, to the end of the log.

        Only in the last segment does a block that does not verify mean the end. Anywhere else
        it is StoreDamaged, which names the file.
        """
        segment, offset = self._enter(after)
        while segment is not None:
            successor = self.successor(segment.segment, segment.generation)
            stop = successor.first.previous if successor is not None else None
            for block in self._blocks(segment, offset, after, stop, bodies):
                after = block.ref
                yield block
            if stop is not None and after != stop:
                raise StoreDamaged(
                    f"{segment.path} breaks behind block {after.sequence}: its successor follows"
                    f" block {stop.sequence}. Restore the file; nothing was changed"
                )
            segment, offset = successor, 0

    def _enter(self, after: BlockRef) -> tuple[SegmentFile | None, int]:
        """Where the block behind `after` stands."""
        present = self._segments.get(after.segment)
        if after.sequence and present is not None and present.generation == after.generation:
            head = self._head(present, after.offset)
            if head is None or (head.sequence, head.crc) != (after.sequence, after.crc):
                raise StoreDamaged(
                    f"{present.path} does not hold block {after.sequence}, up to which the"
                    " database was written. Restore the file; nothing was changed"
                )
            return present, after.offset + head.length
        successor = self.successor(after.segment, after.generation)
        if successor is None and (self._segments or after.sequence):
            raise StoreDamaged(
                f"{self._directory} lacks the log behind block {after.sequence}"
                f" (segment {after.segment:016x}). Restore it; nothing was changed"
            )
        if successor is not None and successor.first.previous != after:
            raise StoreDamaged(f"{successor.path} does not follow block {after.sequence}")
        return successor, 0

    def _head(self, segment: SegmentFile, offset: int) -> BlockHead | None:
        file = io.open_existing(segment.path)
        try:
            return BlockReader(file, segment.size, self._store, segment.segment).head_at(offset)
        finally:
            file.close()

    def _blocks(
        self,
        segment: SegmentFile,
        offset: int,
        after: BlockRef,
        stop: BlockRef | None,
        bodies: bool,
    ) -> Iterator[ReadBlock]:
        file = io.open_existing(segment.path)
        try:
            reader = BlockReader(file, segment.size, self._store, segment.segment)
            while after != stop:
                block = reader.block_at(offset, after, bodies=bodies and stop is None)
                if block is None:
                    if stop is None:
                        self._refuse_rot(segment, reader, offset, after)
                    return
                yield block
                after, offset = block.ref, offset + block.head.length
        finally:
            file.close()

    def _refuse_rot(
        self, segment: SegmentFile, reader: BlockReader, offset: int, after: BlockRef
    ) -> None:
        later = reader.later_block(offset, after.sequence + 1)
        if later is not None:
            raise StoreDamaged(
                f"{segment.path} is damaged at offset {offset}: block {after.sequence + 1} does"
                f" not verify, but block {later.sequence} behind it does. Restore the file;"
                " nothing was changed"
            )

    def settle_tail(self) -> None:
        """Makes the last segment's bytes the disk's own before they are believed.

        A process that died between write and sync left pages that verify and are not durable:
        they are synced, dropped from the cache and so read again from the disk.
        """
        last = self.last()
        if last is None:
            return
        file = io.open_existing(last.path)
        try:
            file.fdatasync()
            file.drop_cache()
        finally:
            file.close()


def _successors(chain: dict[int, SegmentFile]) -> dict[tuple[int, int], SegmentFile]:
    found: dict[tuple[int, int], SegmentFile] = {}
    for segment in chain.values():
        key = (segment.first.previous.segment, segment.first.previous.generation)
        other = found.setdefault(key, segment)
        if other is not segment:
            raise StoreDamaged(
                f"{segment.path} and {other.path} both follow segment {key[0]:016x}."
                " Restore one backup of the log whole; nothing was changed"
            )
    return found
