"""The bytes of the log: block heads and record heads. docs/format.md has the byte tables.

All integers are little-endian. A block holds one commit batch: its head, the encoded
transactions, then one record for each small body. The CRC32C of a block covers its head (with
the CRC itself as zero), its transactions and the heads and hints of its records; a record's body
has a CRC32C of its own in the record's head.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from fastobj._ext.crc import crc32c
from fastobj.core.limits import BLOCK_ALIGN_BYTES, BLOCK_BYTES_MAX

BLOCK_MAGIC: Final = b"fobjblk1"
RECORD_MAGIC: Final = 0x52424F46  # "FOBR"
SUM_CRC32C: Final = 1

EXTENT_ID_MIN: Final = 1 << 63  # ids of log segments are below, those of extent files from here

# magic 8, store 16, segment u64, generation u32, records u32, sequence u64; the block before it:
# segment u64, generation u32, CRC u32, offset u64; covered u64; length u32, transactions u32,
# their bytes u32, offset of the records u32, their bytes u32, CRC u32
_BLOCK = struct.Struct("<8s16sQIIQQIIQQIIIIII")
_CRC_AT: Final = _BLOCK.size - 4
BLOCK_HEAD_BYTES: Final = 128
_RESERVED: Final = bytes(BLOCK_HEAD_BYTES - _BLOCK.size)
_NO_CRC: Final = bytes(4)  # the CRC field counts as zero in its own sum
_LENGTH = struct.Struct("<I")

# magic u32, sum kind u8, reserved u8, hint length u16, data id 16, segment u64, generation u32,
# CRC32C of the body u32, body length u64
_RECORD = struct.Struct("<IBBH16sQIIQ")
RECORD_HEAD_BYTES: Final = _RECORD.size
RECORD_ALIGN_BYTES: Final = 8


class BlockRef(NamedTuple):
    """Names one block: its place, its sequence and its CRC. Sequence 0: before the first block."""

    segment: int = 0
    generation: int = 0
    offset: int = 0
    sequence: int = 0
    crc: int = 0


class BlockHead(NamedTuple):
    """The head of a block. Offsets count from the block's first byte; `length` includes padding.

    `previous` is the block before it, in whatever segment (its sequence is one less). `covered`
    is the highest sequence that a completed checkpoint was known to cover at the time of writing.
    """

    store: bytes
    segment: int
    generation: int
    sequence: int
    previous: BlockRef
    covered: int
    length: int
    txn_count: int
    txns_length: int
    record_count: int
    records_offset: int
    records_length: int
    crc: int = 0


class RecordHead(NamedTuple):
    """The head of a record; the body follows at once, then the hint (bucket and key)."""

    data_id: bytes
    segment: int
    generation: int
    crc32c: int
    length: int
    hint_length: int


def encode_block_head(head: BlockHead) -> bytes:
    """128 bytes."""
    before = head.previous
    return (
        _BLOCK.pack(
            BLOCK_MAGIC,
            head.store,
            head.segment,
            head.generation,
            head.record_count,
            head.sequence,
            before.segment,
            before.generation,
            before.crc,
            before.offset,
            head.covered,
            head.length,
            head.txn_count,
            head.txns_length,
            head.records_offset,
            head.records_length,
            head.crc,
        )
        + _RESERVED
    )


def decode_block_head(raw: bytes | memoryview) -> BlockHead | None:
    """Reads 128 bytes; None where they cannot be the head of a block."""
    if len(raw) < BLOCK_HEAD_BYTES or bytes(raw[:8]) != BLOCK_MAGIC:
        return None
    f = _BLOCK.unpack_from(raw)
    sequence: int = f[5]
    head = BlockHead(
        store=f[1],
        segment=f[2],
        generation=f[3],
        sequence=sequence,
        previous=BlockRef(f[6], f[7], f[9], sequence - 1, f[8]),
        covered=f[10],
        length=f[11],
        txn_count=f[12],
        txns_length=f[13],
        record_count=f[4],
        records_offset=f[14],
        records_length=f[15],
        crc=f[16],
    )
    return head if _is_sane(head) else None


def _is_sane(head: BlockHead) -> bool:
    """Whether the lengths fit each other, so that nothing is read beyond the block."""
    return (
        head.sequence > 0
        and 0 < head.length <= BLOCK_BYTES_MAX
        and head.length % BLOCK_ALIGN_BYTES == 0
        and BLOCK_HEAD_BYTES + head.txns_length <= head.records_offset
        and head.records_offset + head.records_length <= head.length
    )


def block_crc(block: memoryview, head: BlockHead) -> int | None:
    """The CRC32C that a whole block should carry; None where its records do not fit in it."""
    parts: list[bytes] = []
    for offset, record in walk_records(block, head):
        if record is None:
            return None
        hint = offset + RECORD_HEAD_BYTES + record.length
        parts.append(bytes(block[offset : offset + RECORD_HEAD_BYTES]))
        parts.append(bytes(block[hint : hint + record.hint_length]))
    fields = bytes(block[:BLOCK_HEAD_BYTES])
    crc = crc32c(fields[:_CRC_AT] + _NO_CRC + fields[_CRC_AT + 4 :])
    crc = crc32c(block[BLOCK_HEAD_BYTES : BLOCK_HEAD_BYTES + head.txns_length], crc)
    return crc32c(b"".join(parts), crc)


def walk_records(
    block: memoryview, head: BlockHead
) -> Iterator[tuple[int, RecordHead] | tuple[int, None]]:
    """Yields (offset in the block, head) of each record, (offset, None) at the first bad one."""
    offset = head.records_offset
    end = head.records_offset + head.records_length
    for _ in range(head.record_count):
        record = None
        if offset + RECORD_HEAD_BYTES <= end:
            record = decode_record_head(block[offset : offset + RECORD_HEAD_BYTES])
        if record is None or offset + record_bytes(record.length, record.hint_length) > end:
            yield offset, None
            return
        yield offset, record
        offset += record_bytes(record.length, record.hint_length)


def bodies_verify(block: memoryview, head: BlockHead) -> bool:
    """Whether each record's body has the CRC32C that its head names."""
    for offset, record in walk_records(block, head):
        if record is None:
            return False
        body = offset + RECORD_HEAD_BYTES
        if crc32c(block[body : body + record.length]) != record.crc32c:
            return False
    return True


def split_txns(section: bytes | memoryview, count: int) -> list[bytes]:
    """The encoded transactions of a block, each behind a u32 length. Raises ValueError."""
    txns: list[bytes] = []
    at = 0
    for _ in range(count):
        start = at + _LENGTH.size
        if start > len(section):
            raise ValueError("a transaction begins outside its block")
        at = start + _LENGTH.unpack_from(section, at)[0]
        if at > len(section):
            raise ValueError("a transaction ends outside its block")
        txns.append(bytes(section[start:at]))
    return txns


def decode_record_head(raw: bytes | memoryview) -> RecordHead | None:
    """Reads 48 bytes; None where they are not the head of a record of a known kind."""
    magic, kind, _, hint, data_id, segment, generation, crc32c, length = _RECORD.unpack_from(raw)
    if magic != RECORD_MAGIC or kind != SUM_CRC32C:
        return None
    return RecordHead(data_id, segment, generation, crc32c, length, hint)


def record_bytes(body_length: int, hint_length: int) -> int:
    """What a record takes in its block, padding included."""
    return align(RECORD_HEAD_BYTES + body_length + hint_length, RECORD_ALIGN_BYTES)


def footprint(body_length: int) -> int:
    """What a record counts as live bytes: known from the location alone, so without its hint."""
    return RECORD_HEAD_BYTES + body_length


def align(size: int, to: int) -> int:
    """`size` rounded up to a multiple of `to`, a power of two."""
    return (size + to - 1) & ~(to - 1)


def block_bytes(content: int) -> int:
    """The length of a block with that much content: whole pages, so that no later write touches
    a page that holds acknowledged bytes."""
    return align(content, BLOCK_ALIGN_BYTES)
