"""The writing half of the log: builds blocks, appends them, rolls to fresh segments.

Only the committer's process has one. Nothing here decides what is in a transaction: it takes
encoded transactions and small bodies, and says where each body will stand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastobj._ext import blocks
from fastobj.core.crash_points import reach
from fastobj.core.errors import NoSpace, StoreError, SyncFailed
from fastobj.core.limits import BLOCK_ALIGN_BYTES, BLOCK_BYTES_MAX
from fastobj.storage import io
from fastobj.storage.base import LOCAL_VOLUME
from fastobj.storage.log_format import (
    BLOCK_HEAD_BYTES,
    RECORD_ALIGN_BYTES,
    BlockHead,
    BlockRef,
    align,
    block_bytes,
    encode_block_head,
)
from fastobj.storage.spares import DELETES, Claim, Spare, Spares, log_path

TXN_PREFIX_BYTES: Final = 4
RECORDS_PER_BLOCK_MAX: Final = 340  # the requests of one block wait for each other


def content_bytes(txn_bytes: int, record_bytes: int) -> int:
    """The content of a block; `txn_bytes` includes each transaction's prefix."""
    return align(BLOCK_HEAD_BYTES + txn_bytes, RECORD_ALIGN_BYTES) + record_bytes


class BlockBuilder:
    """One block in the making: `add` appends a transaction and the records of its bodies.

    Both within the room that was asked for. `counter_key` is that of the segment's counter.
    """

    __slots__ = ("_log", "_made", "add", "records_offset", "take_back")

    def __init__(
        self, log: LogWriter, txn_bytes_max: int, records_bytes_max: int, counter_key: bytes
    ) -> None:
        self._log = log
        self.records_offset = align(BLOCK_HEAD_BYTES + txn_bytes_max, RECORD_ALIGN_BYTES)
        self._made = blocks.Block(
            block_bytes(self.records_offset + records_bytes_max),
            self.records_offset,
            volume=LOCAL_VOLUME,
            segment=log.segment,
            generation=log.generation,
            offset=log.offset,
            counter_key=counter_key,
        )
        self.add = self._made.add  # returns the transaction with the places of its bodies
        self.take_back = self._made.take_back  # the last transaction: it conflicted

    def build(self) -> Block:
        """The finished block."""
        log, made = self._log, self._made
        length = block_bytes(made.records_end)
        head = BlockHead(
            store=log.store,
            segment=log.segment,
            generation=log.generation,
            sequence=log.last.sequence + 1,
            previous=log.last,
            covered=log.covered,
            length=length,
            txn_count=made.txns,
            txns_length=made.txns_end - BLOCK_HEAD_BYTES,
            record_count=made.records,
            records_offset=self.records_offset,
            records_length=made.records_end - self.records_offset,
        )
        crc, content = made.finish(encode_block_head(head), length)
        ref = BlockRef(log.segment, log.generation, log.offset, head.sequence, crc)
        return Block(ref, content)


class Block:
    """A built block, not yet written."""

    __slots__ = ("content", "length", "ref")

    def __init__(self, ref: BlockRef, content: memoryview) -> None:
        self.ref = ref
        self.content = content
        self.length = len(content)


def block_bytes_max(segment_bytes_min: int) -> int:
    """The largest block: it fits every segment, so a roll always makes enough room."""
    return min(BLOCK_BYTES_MAX, segment_bytes_min & -BLOCK_ALIGN_BYTES)


class LogWriter:
    """Appends blocks to the open segment. `last` is the last block written and synced."""

    def __init__(
        self,
        directory: Path,
        store: bytes,
        last: BlockRef,
        spares: Spares,
        segment_bytes_min: int,
    ) -> None:
        self.store = store
        self.last = last
        self.covered = 0
        self.block_bytes_max = block_bytes_max(segment_bytes_min)
        self.segment = 0
        self.generation = 0
        self.offset = 0
        self.size = 0
        self._directory = directory
        self._spares = spares
        self._file: io.File | None = None
        self._failed = False

    def room(self) -> int:
        """Bytes left in the open segment; 0 before the first `roll`."""
        return self.size - self.offset

    def roll(self, segment: int, claim: Claim = DELETES) -> None:
        """Goes on in a fresh segment with that id, never used before. Raises NoSpace, SyncFailed.

        The file has its final name durably when this returns; the
        segment becomes part of the chain with its first block. After NoSpace the open segment is
        as it was.
        """
        path = str(log_path(self._directory, segment))
        spare = self._take(path, claim)
        io.sync_directory(str(self._directory))
        reach("log.renamed")
        file = io.open_existing(path)
        if self._file is not None:
            self._file.close()
        self._file = file
        self.segment, self.generation = segment, spare.generation
        self.offset, self.size = 0, spare.size

    def _take(self, path: str, claim: Claim) -> Spare:
        """Gives a spare its name as a segment. Raises NoSpace."""
        while True:
            spare = self._spares.take(self.block_bytes_max, claim)
            try:
                io.rename(str(spare.path), path)
                return spare
            except StoreError:
                if spare.path.exists():
                    raise  # else maintenance has given it back to the disk meanwhile

    def builder(
        self, txn_bytes_max: int, records_bytes_max: int, counter_key: bytes
    ) -> BlockBuilder:
        """A block for so many bytes of transactions, prefixes included, and of records."""
        return BlockBuilder(self, txn_bytes_max, records_bytes_max, counter_key)

    def write(self, block: Block) -> None:
        """Writes the block and syncs it: durable when this returns.

        NoSpace leaves the log as it was. Any other failure from the first byte on is SyncFailed,
        and the log takes nothing more: the kernel may have dropped what it could not write.
        """
        if self._failed or self._file is None:
            raise SyncFailed("the log is closed to writes after a failure")
        assert block.length <= self.room()
        try:
            reach("log.before_pwritev")
            self._write_whole(self._file, block)
            reach("log.after_pwritev")
            self._file.fdatasync()
            reach("log.after_sync")
        except NoSpace:  # a file system that copies on write has no room for an overwrite
            raise
        except (OSError, StoreError) as error:
            self._failed = True
            raise SyncFailed(f"{self._file.path}: {error}") from error
        self.offset += block.length
        self.last = block.ref

    def _write_whole(self, file: io.File, block: Block) -> None:
        """Raises NoSpace once the block's head is gone again, so that nobody takes it for one."""
        try:
            file.pwritev([block.content], self.offset)
        except NoSpace as error:
            try:
                file.pwritev([bytes(BLOCK_ALIGN_BYTES)], self.offset)
            except NoSpace:
                raise SyncFailed(f"{file.path}: {error}") from error
            raise

    @property
    def spares(self) -> Spares:
        """Where the next segments come from."""
        return self._spares

    def close(self) -> None:
        """Closes the open segment's file; the segment stays as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None
