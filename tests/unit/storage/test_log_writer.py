"""The writing half of the log."""

import errno
import os

import pytest

from fastobj.core.errors import NoSpace, SyncFailed
from fastobj.storage import io, log_format
from fastobj.storage.log_writer import RECORDS_PER_BLOCK_MAX
from fastobj.storage.spares import Spares, log_path
from tests.unit.storage.logs import (
    COUNTER_KEY,
    SEGMENT_BYTES,
    append,
    body,
    build,
    chain,
    place,
    sequences,
    writer,
)


def test_blocks_are_whole_pages_in_a_row(tmp_path):
    log = writer(tmp_path)
    assert log.room() == 0
    log.roll(1)
    first = append(log, b"a" * 5000)
    second = append(log, b"b")
    assert (first.offset, second.offset, log.offset) == (0, 8192, 12288)
    assert (first.sequence, second.sequence) == (1, 2)
    assert log.room() == SEGMENT_BYTES - 12288
    assert log.last == second
    log.close()
    assert sequences(list(chain(tmp_path).walk(log_format.BlockRef()))) == [1, 2]


def test_a_record_stands_where_its_place_says(tmp_path):
    log = writer(tmp_path)
    log.roll(1)
    append(log, b"before")
    payloads = [b"", b"a", b"b" * 4097, b"c" * 20000]
    bodies = [body(payload, b"k" * n, n) for n, payload in enumerate(payloads)]
    built, places = build(log, [b"txn"], bodies)
    log.write(built)
    raw = log_path(tmp_path, 1).read_bytes()
    for at, one in zip(places, bodies, strict=True):
        head = log_format.decode_record_head(raw[at.offset : at.offset + 48])
        assert (head.data_id, head.crc32c) == (one.data_id, one.crc32c)
        assert (head.segment, head.generation) == (at.segment, at.generation) == (1, 1)
        assert raw[at.offset + 48 :][: at.length] == one.payload
        assert raw[at.offset + 48 + at.length :].startswith(one.hint)
        assert at.offset % log_format.RECORD_ALIGN_BYTES == 0
    log.close()


def test_a_transaction_taken_back_leaves_nothing(tmp_path):
    log = writer(tmp_path)
    log.roll(1)
    builder = log.builder(200, 300, COUNTER_KEY)
    place(builder, body(b"keep"))
    refused = place(builder, body(b"refused", b"h", 2))
    builder.take_back()
    assert place(builder, body(b"instead", b"", 3)).offset == refused.offset
    log.write(builder.build())
    log.close()
    (block,) = chain(tmp_path).walk(log_format.BlockRef())
    assert block.head.record_count == block.head.txn_count == 2
    assert b"refused" not in log_path(tmp_path, 1).read_bytes()


def test_transactions_must_keep_to_their_room(tmp_path):
    log = writer(tmp_path)
    log.roll(1)
    log.builder(8, 0, COUNTER_KEY).add(b"1234", [], [])
    with pytest.raises(ValueError, match="outgrew"):
        log.builder(8, 0, COUNTER_KEY).add(b"12345", [], [])
    log.close()


def test_most_records_fit_one_block(tmp_path):
    log = writer(tmp_path)
    log.roll(1)
    bodies = [body(b"x", b"hint", n) for n in range(RECORDS_PER_BLOCK_MAX)]
    built, _ = build(log, [b"txn"], bodies)
    log.write(built)
    log.close()
    (block,) = chain(tmp_path).walk(log_format.BlockRef())
    assert block.head.record_count == RECORDS_PER_BLOCK_MAX


@pytest.mark.parametrize(("call", "number"), [("fdatasync", errno.EIO), ("pwritev", errno.ENOSPC)])
def test_nothing_is_written_after_a_failure(tmp_path, monkeypatch, call, number):
    log = writer(tmp_path)
    log.roll(1)
    append(log, b"good")

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    lost, _ = build(log, [b"lost"])
    with monkeypatch.context() as patched:
        patched.setattr(io.os, call, fail)
        with pytest.raises(SyncFailed):
            log.write(lost)
    assert log.last.sequence == 1
    with pytest.raises(SyncFailed, match="closed to writes"):
        log.write(lost)
    log.close()


def test_segments_follow_each_other(tmp_path):
    log = writer(tmp_path)
    log.roll(4)
    append(log, b"a")
    log.roll(9)
    assert (log.segment, log.offset, log.room()) == (9, 0, SEGMENT_BYTES)
    append(log, b"b")
    log.close()
    found = chain(tmp_path)
    assert found.last().segment == 9
    assert found.successor(4, 1).segment == 9
    assert sequences(list(found.walk(log_format.BlockRef()))) == [1, 2]


def test_a_full_disk_leaves_the_open_segment_as_it_was(tmp_path, monkeypatch):
    log = writer(tmp_path)
    log.roll(1)
    append(log, b"a")

    def full(self, size):
        raise NoSpace("full")

    monkeypatch.setattr(io.File, "allocate", full)
    with pytest.raises(NoSpace):
        log.roll(2)
    append(log, b"b")
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["0000000000000001.log"]


def test_a_roll_takes_no_spare_that_is_too_small(tmp_path, monkeypatch):
    Spares(tmp_path, SEGMENT_BYTES // 2).make()
    log = writer(tmp_path)

    def full(self, size):
        raise NoSpace("full")

    with monkeypatch.context() as patched:
        patched.setattr(io.File, "allocate", full)
        with pytest.raises(NoSpace):
            log.roll(1)
    log.roll(2)
    assert log.size == SEGMENT_BYTES
    log.close()
