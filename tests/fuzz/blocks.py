"""Blocks of the log: one that is damaged in what its sums cover is never taken for a good one."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import NamedTuple

from fastobj.core.errors import StoreDamaged
from fastobj.core.limits import BLOCK_ALIGN_BYTES
from fastobj.storage import log_format
from fastobj.storage.log_format import BLOCK_HEAD_BYTES, RECORD_HEAD_BYTES, BlockHead, BlockRef
from fastobj.storage.log_replay import BlockReader, ReadBlock
from tests.fuzz.mutations import mutate
from tests.reference import blocks as reference
from tests.unit.storage.logs import STORE, Memory, body, build, writer

NOWHERE = Path("nowhere")  # the writer only builds here
FIELDS_BYTES = 104  # of a block head; zeros follow
CRC_AT = FIELDS_BYTES - 4
TXN_PREFIX = struct.Struct("<I")
WORDS = (
    log_format.BLOCK_MAGIC,
    log_format.BLOCK_MAGIC + STORE,
    b"FOBR\x01",
    b"FOBR\x02",
    bytes(512),
    b"\xff" * 512,
)


class Written(NamedTuple):
    """A block as it was written, and which of its bytes its sums cover."""

    after: BlockRef
    ref: BlockRef
    head: BlockHead
    txns: list[bytes]
    content: bytes
    covered: list[slice]


def written(rng: random.Random) -> Written:
    """A random block at a random place."""
    sequence = rng.choice((0, 1, 2**32, 2**63))
    after = BlockRef(rng.getrandbits(62), rng.getrandbits(32), 4096, sequence, rng.getrandbits(32))
    log = writer(NOWHERE, after if sequence else BlockRef())
    log.segment, log.generation = rng.randrange(1, 2**63), rng.getrandbits(32)
    log.offset = BLOCK_ALIGN_BYTES * rng.randrange(3)
    log.covered = rng.getrandbits(40)
    txns = [rng.randbytes(rng.choice((0, 1, 30, 700))) for _ in range(rng.randrange(4))]
    bodies = [
        body(rng.randbytes(rng.choice((0, 1, 600, 5000))), rng.randbytes(rng.randrange(30)), number)
        for number in range(rng.randrange(4))
    ]
    block, _ = build(log, txns, bodies)
    content = bytes(block.content)
    head = log_format.decode_block_head(content)
    assert head is not None
    section = content[BLOCK_HEAD_BYTES : BLOCK_HEAD_BYTES + head.txns_length]
    all_txns = log_format.split_txns(section, head.txn_count)
    assert all_txns[: len(txns)] == txns  # behind them, the places of the bodies
    covered = [slice(0, BLOCK_HEAD_BYTES + head.txns_length)]
    for offset, record in log_format.walk_records(memoryview(content), head):
        assert record is not None
        size = RECORD_HEAD_BYTES + record.length + record.hint_length
        covered.append(slice(offset, offset + size))
    return Written(log.last, block.ref, head, all_txns, content, covered)


def is_whole(block: Written, contents: bytes, offset: int) -> bool:
    """Whether all that the sums cover stands there as it was written."""
    found = contents[offset : offset + len(block.content)]
    return len(found) == len(block.content) and all(
        found[part] == block.content[part] for part in block.covered
    )


def one(rng: random.Random) -> None:
    """One block with something before and behind it, as it was written or damaged."""
    block = written(rng)
    before = rng.choice((bytes, rng.randbytes))(block.ref.offset)
    behind = rng.choice((b"", bytes(4096), rng.randbytes(4096), block.content))
    good = before + block.content + behind
    _check(block, good, is_same=True)
    at = len(before)
    damaged = before + mutate(rng, block.content, WORDS) + behind
    _check(block, damaged, is_same=is_whole(block, damaged, at))
    _check_sealed_again(block, damaged)
    _check_heads(rng, damaged[at : at + BLOCK_HEAD_BYTES])


def _check(block: Written, contents: bytes, *, is_same: bool) -> None:
    """The block is read exactly where all of it stands, and then as it was written."""
    memory = Memory(contents)
    found = memory.block(block.after, block.ref.offset, block.ref.segment)
    assert (found is not None) == is_same
    assert found is None or found == ReadBlock(block.ref, block.head, block.txns)
    stranger = memory.block(block.after, block.ref.offset, block.ref.segment, b"another store...")
    assert stranger is None
    assert memory.block(block.ref, block.ref.offset, block.ref.segment) is None
    reader = BlockReader(memory, STORE, block.ref.segment)  # type: ignore[arg-type]
    later = reader.later_block(0, block.ref.sequence - 1)
    assert later is None or later._replace(offset=0) == block.ref._replace(offset=0)


def _check_sealed_again(block: Written, contents: bytes) -> None:
    """With a right sum over whatever stands there: nothing outside the block is believed."""
    head = log_format.decode_block_head(contents[block.ref.offset :])
    if head is None or len(contents) < block.ref.offset + head.length:
        return
    sealed = bytearray(contents)
    whole = memoryview(sealed)[block.ref.offset : block.ref.offset + head.length]
    crc = log_format.block_crc(whole, head)
    if crc is None:
        return
    struct.pack_into("<I", whole, CRC_AT, crc)
    try:
        found = Memory(sealed).block(head.previous, block.ref.offset, head.segment, head.store)
    except StoreDamaged:
        return  # it was written so: recovery names the file
    if found is not None:
        prefixed = sum(TXN_PREFIX.size + len(txn) for txn in found.txns)
        assert prefixed <= head.txns_length
        assert len(found.txns) == head.txn_count


def _check_heads(rng: random.Random, raw: bytes) -> None:
    """What decodes encodes to the same bytes, and what it says lies inside its block."""
    head = log_format.decode_block_head(raw)
    if head is not None:
        assert log_format.encode_block_head(head)[:FIELDS_BYTES] == raw[:FIELDS_BYTES]
        assert head.records_offset + head.records_length <= head.length
    record = mutate(rng, reference.record_head(*_record(rng)), WORDS)
    record = record[:RECORD_HEAD_BYTES].ljust(RECORD_HEAD_BYTES, b"\0")
    found = log_format.decode_record_head(record)
    if found is not None:
        again = reference.record_head(*found)
        assert (again[:5], again[6:]) == (record[:5], record[6:])  # byte 5 means nothing


def _record(rng: random.Random) -> log_format.RecordHead:
    words = (rng.getrandbits(64), rng.getrandbits(32), rng.getrandbits(32), rng.getrandbits(64))
    return log_format.RecordHead(rng.randbytes(16), *words, rng.getrandbits(16))


def sections(rng: random.Random) -> None:
    """The transactions of a block: split and joined they are the same bytes again."""
    txns = [rng.randbytes(rng.choice((0, 1, 5, 300))) for _ in range(rng.randrange(6))]
    section = reference.joined(txns)
    assert log_format.split_txns(section, len(txns)) == txns
    section = mutate(rng, section, WORDS)
    count = rng.choice((0, len(txns), len(txns) + 1, 2**32 - 1))
    try:
        found = log_format.split_txns(section, count)
    except ValueError:
        return
    assert len(found) == count
    assert section.startswith(reference.joined(found))
