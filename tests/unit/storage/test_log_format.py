"""Block heads, record heads, and what a damaged or torn block looks like to its reader."""

import pytest

from fastobj.core.limits import BLOCK_BYTES_MAX
from fastobj.storage import log_format
from fastobj.storage.log_format import BlockHead, BlockRef, RecordHead
from tests.reference import blocks as reference
from tests.unit.storage.logs import STORE, Memory, body, build, writer

SECTOR = 512

HEAD = BlockHead(
    store=STORE,
    segment=(1 << 63) - 1,
    generation=7,
    sequence=1 << 40,
    previous=BlockRef(5, 6, 4096, (1 << 40) - 1, 0xDEADBEEF),
    covered=(1 << 40) - 9,
    length=8192,
    txn_count=3,
    txns_length=300,
    record_count=2,
    records_offset=432,
    records_length=1000,
    crc=0x12345678,
)


def test_block_head_round_trip():
    raw = log_format.encode_block_head(HEAD)
    assert len(raw) == log_format.BLOCK_HEAD_BYTES
    assert log_format.decode_block_head(raw) == HEAD
    assert log_format.decode_block_head(memoryview(raw + b"more")) == HEAD


@pytest.mark.parametrize(
    "wrong",
    [
        {"sequence": 0},
        {"length": 0},
        {"length": 8191},
        {"length": BLOCK_BYTES_MAX + 4096},
        {"txns_length": 305},
        {"records_length": 8192 - 431},
        {"records_offset": 127},
    ],
)
def test_lengths_that_contradict_each_other_are_no_head(wrong):
    raw = log_format.encode_block_head(HEAD._replace(**wrong))
    assert log_format.decode_block_head(raw) is None


def test_lengths_at_their_bounds_are_a_head():
    bounds = {"txns_length": 304, "records_length": 8192 - 432}
    assert log_format.decode_block_head(log_format.encode_block_head(HEAD._replace(**bounds)))
    assert log_format.decode_block_head(bytes(128)) is None
    assert log_format.decode_block_head(log_format.encode_block_head(HEAD)[:127]) is None


def test_record_head_round_trip():
    head = RecordHead(bytes(range(16)), 9, 3, 0xCAFEBABE, 1 << 20, 0xFFFF)
    raw = reference.record_head(*head)
    assert len(raw) == log_format.RECORD_HEAD_BYTES
    assert log_format.decode_record_head(raw) == head
    for at in (0, 4):  # magic, kind of the sum
        assert log_format.decode_record_head(raw[:at] + b"\x77" + raw[at + 1 :]) is None


def test_transactions_round_trip():
    txns = [b"", b"a", b"b" * 300]
    section = reference.joined(txns)
    assert log_format.split_txns(section, 3) == txns
    assert log_format.split_txns(memoryview(section), 0) == []
    for cut in (3, len(section) - 1):
        with pytest.raises(ValueError, match="outside its block"):
            log_format.split_txns(section[:cut], 3)


# --- blocks


@pytest.fixture
def block(tmp_path):
    """A block of three pages: two transactions, and three bodies, of which the last is empty."""
    log = writer(tmp_path)
    log.roll(1)
    bodies = [body(b"p" * 700, b"bucket/key", 1), body(b"q" * 9000, b"", 2), body(b"", b"h", 3)]
    built, places = build(log, [b"first", b"the second"], bodies)
    log.close()
    return built, bytes(built.content), places


def _read_regions(block):
    """The byte ranges of a block that somebody reads: all but padding."""
    _, raw, _ = block
    head = log_format.decode_block_head(raw)
    yield 0, 128 + head.txns_length
    for offset, record in log_format.walk_records(memoryview(raw), head):
        yield offset, offset + 48 + record.length + record.hint_length


def test_a_block_reads_back(block):
    built, raw, places = block
    read = Memory(raw).block(BlockRef())
    assert read.ref == built.ref == BlockRef(1, 1, 0, 1, read.head.crc)
    assert read.txns[:2] == [b"first", b"the second"]
    assert len(raw) == built.length == 3 * 4096
    for place, payload in zip(places, [b"p" * 700, b"q" * 9000, b""], strict=True):
        assert place.length == len(payload)
        assert raw[place.offset + 48 :][: place.length] == payload


def test_every_flipped_bit_is_detected(block):
    _, raw, _ = block
    checked = set()
    for start, end in _read_regions(block):
        checked.update(range(start, end))
    wrong = bytearray(raw)
    reader = Memory(wrong)
    for at in range(len(raw)):
        if 1500 < at < 9000 and at % 97:
            continue  # the inside of the long body is like its ends
        for bit in range(8) if at < 1000 else (3,):
            wrong[at] ^= 1 << bit
            assert (reader.block(BlockRef()) is None) == (at in checked), (at, bit)
            wrong[at] ^= 1 << bit


@pytest.mark.parametrize("old", [b"\0", b"\xa5"], ids=["zeros", "stale"])
def test_a_torn_tail_is_detected_at_each_sector(block, old):
    _, raw, _ = block
    content = max(end for _, end in _read_regions(block))
    for cut in range(0, len(raw) + 1, SECTOR):
        torn = raw[:cut] + old * (len(raw) - cut)
        assert (Memory(torn).block(BlockRef()) is not None) == (cut >= content), cut


def test_each_missing_sector_is_detected(block):
    _, raw, _ = block
    content = max(end for _, end in _read_regions(block))
    for start in range(0, content, SECTOR):
        holed = raw[:start] + b"\xee" * SECTOR + raw[start + SECTOR :]
        assert Memory(holed).block(BlockRef()) is None, start


def test_a_block_counts_only_in_its_place(block):
    built, raw, _ = block
    assert Memory(raw).block(BlockRef(), store=b"another store's.") is None
    assert Memory(raw).block(BlockRef(), segment=2) is None
    assert Memory(raw).block(built.ref) is None  # it does not follow itself
    assert Memory(raw).block(BlockRef(crc=1)) is None
    assert Memory(raw[:-1]).block(BlockRef()) is None  # it would end behind the file
    assert Memory(bytes(4096) + raw).block(BlockRef(), offset=4096) is not None
