"""The reading half of the log: finds the segments, orders them, walks the blocks.

Blocks form one chain over segments. A segment's first block names the last block that it follows,
and a segment ends where its successor says, whatever stands behind. Segments are found by
reading the first block of every file, never from rows, because rows may be older than the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.core.errors import StoreDamaged, StoreError
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
from fastobj.storage.spares import LOG_SUFFIX, SUFFIX, former_segment, log_segment

_UNCHANGED: Final = "the log was not changed"


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

    `chain` has the segments by id; `unused` the files whose first block does not verify, nor any
    behind it: renamed by a roll that a crash cut short. `rotten` has those whose first block does
    not verify, or is not the first one, although the named one does: they were in use.
    `next_segment` is above every id ever seen.
    """

    chain: dict[int, SegmentFile]
    unused: dict[int, Path]
    rotten: dict[int, tuple[Path, BlockRef]]
    next_segment: int


def discover(directory: Path, store: bytes) -> Discovery:
    """Reads the first block of every log file. Raises StoreDamaged for a file of another store."""
    former = (former_segment(path) or 0 for path in directory.glob(f"*{SUFFIX}"))
    found = Discovery({}, {}, {}, 0)
    highest = max(former, default=0)
    for path in sorted(directory.glob(f"*{LOG_SUFFIX}")):
        segment = log_segment(path)
        if segment is None:
            continue
        highest = max(highest, segment)
        _look_at(path, segment, store, found)
    return found._replace(next_segment=highest + 1)


def _look_at(path: Path, segment: int, store: bytes, found: Discovery) -> None:
    """Tells by its first block what a file is, and notes it in `found`."""
    try:
        file = io.open_existing(str(path))
    except StoreError:
        if path.exists():
            raise
        return  # released at this moment
    try:
        reader = BlockReader(file, store, segment)
        first = reader.first_block()
        if first and first.head.previous.segment == segment:
            # A misdirected write: it belongs behind the segment's true first block. Taken for
            # that, it would make the segment its own successor, and a walk would never end.
            found.rotten[segment] = path, first.ref
        elif first:
            found.chain[segment] = SegmentFile(
                path, segment, first.head.generation, file.size(), first.head
            )
        elif later := reader.later_block(0, 0):
            found.rotten[segment] = path, later
        else:
            found.unused[segment] = path
    finally:
        file.close()


class BlockReader:
    """Reads blocks of one segment file."""

    def __init__(self, file: io.File, store: bytes, segment: int) -> None:
        self._file = file
        self._size = file.size()
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

    def first_block(self) -> ReadBlock | None:
        """The block that the segment begins with. Raises StoreDamaged for one of another store."""
        head = self.head_at(0)
        if head is None:
            return None
        if head.store != self._store:
            foreign = BlockReader(self._file, head.store, self._segment)
            if foreign.block_at(0, head.previous, bodies=False) is not None:
                raise StoreDamaged(
                    f"{self._file.path} belongs to another store: move it out of the log"
                )
        return self.block_at(0, head.previous, bodies=False)

    def block_at(self, offset: int, after: BlockRef, *, bodies: bool) -> ReadBlock | None:
        """The block at `offset` that follows `after`; None where none verifies.

        With `bodies` the small bodies are verified too: a block whose sync was cut may have its
        head and transactions on disk and a torn body behind them. Raises StoreDamaged for a
        block that was written wrong.
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
        try:
            return ReadBlock(ref, head, split_txns(section, head.txn_count))
        except ValueError as error:
            raise StoreDamaged(
                f"{self._file.path} holds at offset {offset} a block that verifies and cannot be"
                f" read: {error}. Restore the file; {_UNCHANGED}"
            ) from error

    def later_block(self, offset: int, sequence: int) -> BlockRef | None:
        """A block that verifies behind `offset` with a higher sequence, within reach of one block.

        The committer writes a block only after the one before it was synced: so such a block
        proves that the one at `offset` was acknowledged and has gone bad since.
        """
        end = min(offset + BLOCK_BYTES_MAX + 1, self._size)
        for at in range(offset + BLOCK_ALIGN_BYTES, end, BLOCK_ALIGN_BYTES):
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
        self._rotten = discovery.rotten
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
        """The block of that name, verified without its bodies; None where it is not there."""
        segment = self._segments.get(ref.segment)
        if segment is None or segment.generation != ref.generation:
            return None
        file, reader = self._open(segment)
        try:
            head = reader.head_at(ref.offset)
            if head is None or (head.sequence, head.crc) != (ref.sequence, ref.crc):
                return None
            return reader.block_at(ref.offset, head.previous, bodies=False)
        finally:
            file.close()

    def _open(self, segment: SegmentFile) -> tuple[io.File, BlockReader]:
        file = io.open_existing(str(segment.path))
        return file, BlockReader(file, self._store, segment.segment)

    def walk(self, after: BlockRef, *, bodies: bool = True) -> Iterator[ReadBlock]:
        """Yields every block behind `after`, to the end of the log.

        Only in the last segment does a block that does not verify mean the end. Anywhere else
        it is StoreDamaged, which names the file.
        """
        self._refuse_rotten(after)
        segment, offset = self._enter(after)
        while segment is not None:
            successor = self.successor(segment.segment, segment.generation)
            if successor is None and segment is not self.last():
                raise StoreDamaged(
                    f"the segment of the log that follows {segment.path} is missing, or its first"
                    f" block is damaged. Restore its file; {_UNCHANGED}"
                )
            stop = successor.first.previous if successor is not None else None
            for block in self._blocks(segment, offset, after, stop, bodies):
                after = block.ref
                yield block
            if stop is not None and after != stop:
                raise StoreDamaged(
                    f"{segment.path} breaks behind block {after.sequence}: its successor follows"
                    f" block {stop.sequence}. Restore the file; {_UNCHANGED}"
                )
            segment, offset = successor, 0

    def _refuse_rotten(self, after: BlockRef) -> None:
        """A damaged file is refused where `after` or a block behind it stands in it."""
        for segment, (path, block) in self._rotten.items():
            if segment == after.segment or block.sequence > after.sequence:
                raise StoreDamaged(
                    f"{path} is damaged: it does not begin with its first block, but it holds"
                    f" block {block.sequence}. Restore the file; {_UNCHANGED}"
                )

    def _enter(self, after: BlockRef) -> tuple[SegmentFile | None, int]:
        """Where the block behind `after` stands."""
        present = self._segments.get(after.segment)
        if after.sequence and present is not None and present.generation == after.generation:
            block = self.block(after)
            if block is None:
                raise StoreDamaged(
                    f"{present.path} does not hold block {after.sequence}, up to which the"
                    f" database was written. Restore the file; {_UNCHANGED}"
                )
            return present, after.offset + block.head.length
        successor = self.successor(after.segment, after.generation)
        if successor is None and (self._segments or after.sequence):
            raise StoreDamaged(
                f"{self._directory} lacks the log behind block {after.sequence}"
                f" (segment {after.segment:016x}). Restore it; {_UNCHANGED}"
            )
        if successor is not None and successor.first.previous != after:
            raise StoreDamaged(
                f"{successor.path} does not follow block {after.sequence}, up to which the"
                f" database was written. Restore log and database together; {_UNCHANGED}"
            )
        return successor, 0

    def _blocks(
        self,
        segment: SegmentFile,
        offset: int,
        after: BlockRef,
        stop: BlockRef | None,
        bodies: bool,
    ) -> Iterator[ReadBlock]:
        file, reader = self._open(segment)
        try:
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
                f" {_UNCHANGED}"
            )

    def settle_tail(self) -> None:
        """Makes the last segment's bytes the disk's own before they are believed.

        A process that died between write and sync left pages that verify and are not durable:
        they are synced, dropped from the cache and so read again from the disk.
        """
        last = self.last()
        if last is None:
            return
        file = io.open_existing(str(last.path))
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
                f" Restore one backup of the log whole; {_UNCHANGED}"
            )
    return found
