"""The blocks kernel against the reference, at every ISA of the machine."""

from typing import NamedTuple

import pytest

from fastobj._ext.crc import crc32c
from fastobj.storage.base import Location
from fastobj.storage.log_format import RecordHead, decode_record_head
from tests.reference import blocks as reference

PAGE = 4096
HEAD = bytes(range(100)) + bytes(4) + bytes(range(24))
WHERE = {
    "volume": 0x01020304,
    "segment": 0x1112131415161718,
    "generation": 0x21222324,
    "offset": 0x3132333435363000,
    "counter_key": b"counter!",
}


class Place(NamedTuple):
    data_id: bytes
    crc32c: int
    hint: bytes
    location_at: int
    counter_at: int


def place(payload, hint=b"hint", location_at=0, counter_at=32, data_id=b"0123456789abcdef"):
    return Place(data_id, crc32c(payload), hint, location_at, counter_at)


def both(blocks, length, records_offset):
    return blocks.Block(length, records_offset, **WHERE), reference.Block(records_offset, **WHERE)


def agree(fast, slow, length=PAGE * 8):
    crc, content = fast.finish(HEAD, length)
    assert (crc, bytes(content)) == slow.finish(HEAD, length)


def test_published_layout(blocks):
    """The heads of record and location as docs/format.md and the readers have them."""
    block, _ = both(blocks, PAGE, 256)
    filled = block.add(bytes(40), [place(b"payload")], [b"payload"])
    where = Location.decode(filled[:32])
    assert where == (*list(WHERE.values())[:3], WHERE["offset"] + 256, 7)
    assert filled[32:] == b"counter!"
    _, content = block.finish(HEAD, PAGE)
    assert decode_record_head(content[256 : 256 + 48]) == RecordHead(
        b"0123456789abcdef", WHERE["segment"], WHERE["generation"], crc32c(b"payload"), 7, 4
    )
    assert bytes(content[304:320]) == b"payloadhint".ljust(16, b"\0")


def test_every_length_of_body_and_hint(blocks, rng):
    for length in range(301):
        fast, slow = both(blocks, PAGE * 8, 1024)
        for payload in (rng.randbytes(length), rng.randbytes(300 - length)):
            hint = rng.randbytes(length % 17)
            at = [place(payload, hint, 5, 40)]
            txn = rng.randbytes(50 + length)
            assert fast.add(txn, at, [payload]) == slow.add(txn, at, [payload])
        agree(fast, slow)


def test_random_batches(blocks, rng):
    for _ in range(200):
        fast, slow = both(blocks, PAGE * 64, 8192)
        for _ in range(rng.randrange(12)):
            txn = rng.randbytes(rng.randrange(40, 400))
            payloads = [rng.randbytes(rng.choice((0, 1, 63, 4096, 9000))) for _ in range(3)]
            payloads = payloads[: rng.randrange(4)]
            at = [
                place(
                    payload,
                    rng.randbytes(rng.randrange(40)),
                    rng.randrange(len(txn) - 31),
                    rng.randrange(len(txn) - 7),
                    rng.randbytes(16),
                )
                for payload in payloads
            ]
            views = [memoryview(payload) for payload in payloads]
            filled = fast.add(txn, at, views)
            if rng.randrange(3):
                assert filled == slow.add(txn, at, payloads)
            else:
                fast.take_back()
        agree(fast, slow, PAGE * 64)


def test_the_room_is_used_to_the_last_byte(blocks):
    for records_offset, txn, body, fits in (
        (128 + 48, 44, PAGE - 128 - 48 - 48 - 4, True),
        (128 + 48, 45, 0, False),
        (128 + 47, 44, 0, False),
        (128 + 3, 0, 0, False),
        (128 + 48, 44, PAGE - 128 - 48 - 48 - 4 + 1, False),
        (PAGE, 40, 0, False),
    ):
        block = blocks.Block(PAGE, records_offset, **WHERE)
        payload = bytes(body)
        if fits:
            block.add(bytes(txn), [place(payload)], [payload])
            assert block.records_end == PAGE
        else:
            with pytest.raises(ValueError, match="room"):
                block.add(bytes(txn), [place(payload)], [payload])
            assert (block.txns, block.records, block.txns_end) == (0, 0, 128)


@pytest.mark.parametrize(
    "wrong",
    [{"location_at": 9}, {"counter_at": 33}, {"location_at": 2**64 - 1}, {"counter_at": 2**64 - 1}],
)
def test_places_outside_the_transaction_are_refused(blocks, wrong):
    block, slow = both(blocks, PAGE, 512)
    with pytest.raises(ValueError, match="outside its transaction"):
        block.add(bytes(40), [place(b"fine"), place(b"x", **wrong)], [b"fine", b"x"])
    assert (block.txns, block.records) == (0, 0)
    agree(block, slow, PAGE)


def test_a_body_that_changed_is_refused(blocks):
    block, slow = both(blocks, PAGE, 512)
    with pytest.raises(blocks.BodyChanged):
        block.add(bytes(40), [place(b"payload")], [b"paylaod"])
    agree(block, slow, PAGE)


@pytest.mark.parametrize(
    ("at", "payloads", "error"),
    [
        ([place(b"x", data_id=b"short")], [b"x"], ValueError),
        ([place(b"x", hint=bytes(65_536))], [b"x"], ValueError),
        ([place(b"x")], [], ValueError),
        ([place(b"x", location_at=-1)], [b"x"], OverflowError),
        ([place(b"x")._replace(crc32c=2**32)], [b"x"], OverflowError),
        ([place(b"x")._replace(hint="text")], [b"x"], TypeError),
        ([place(b"x")], ["text"], TypeError),
        ([None], [b"x"], AttributeError),
    ],
)
def test_wrong_arguments_leave_the_block_as_it_was(blocks, at, payloads, error):
    block, slow = both(blocks, PAGE * 32, 512)
    block.add(b"first", [], [])
    slow.add(b"first", [], [])
    with pytest.raises(error):
        block.add(bytes(40), at, payloads)
    agree(block, slow, PAGE * 32)


def test_what_cannot_be_a_block_is_refused(blocks):
    for length, records_offset in ((PAGE, 127), (127, 127), (PAGE, PAGE + 1), (-1, 128)):
        with pytest.raises((ValueError, SystemError)):
            blocks.Block(length, records_offset, **WHERE)
    with pytest.raises(ValueError, match="counter key"):
        blocks.Block(PAGE, 128, **{**WHERE, "counter_key": b"short"})
    block = blocks.Block(PAGE, 256, **WHERE)
    for head, length in ((HEAD[:-1], PAGE), (HEAD, PAGE + 1), (HEAD, 255)):
        with pytest.raises(ValueError, match="block"):
            block.finish(head, length)


def test_take_back_needs_a_transaction(blocks):
    block = blocks.Block(PAGE, 256, **WHERE)
    with pytest.raises(ValueError, match="taken back"):
        block.take_back()
    block.add(b"one", [], [])
    block.add(b"two", [], [])
    block.take_back()
    with pytest.raises(ValueError, match="taken back"):
        block.take_back()
    assert block.txns == 1
