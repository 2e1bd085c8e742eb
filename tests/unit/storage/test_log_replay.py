"""The reading half of the log: which files count, in which order, and where the log ends."""

import shutil

import pytest

from fastobj.core.errors import StoreDamaged
from fastobj.storage import io
from fastobj.storage.log_format import BlockRef
from fastobj.storage.log_replay import discover
from fastobj.storage.spares import Spares, log_path, spare_path
from tests.unit.storage.logs import (
    SEGMENT_BYTES,
    STORE,
    append,
    body,
    build,
    chain,
    damage,
    sequences,
    three_segments,
    writer,
)

START = BlockRef()
BLOCK = 2 * 4096  # a block of `three_segments`


def _walked(directory, after=START):
    return sequences(list(chain(directory).walk(after)))


# --- discovery and order


def test_an_empty_directory_is_an_empty_log(tmp_path):
    found = discover(tmp_path, STORE)
    assert (found.chain, found.unused, found.rotten, found.next_segment) == ({}, {}, {}, 1)
    assert chain(tmp_path).last() is None
    assert chain(tmp_path).before(1) == START
    assert _walked(tmp_path) == []
    chain(tmp_path).settle_tail()


def test_blocks_come_in_order_from_every_position(tmp_path):
    refs = three_segments(tmp_path)
    assert _walked(tmp_path) == list(range(1, 10))
    for ref in refs:
        assert _walked(tmp_path, ref) == list(range(ref.sequence + 1, 10))
    txns = [block.txns[:1] for block in chain(tmp_path).walk(START)]
    assert txns == [[b"%d" % number] for number in range(1, 10)]


def test_order_is_that_of_the_chain_not_of_names(tmp_path):
    log = writer(tmp_path)
    for segment in (7, 2, 5):
        log.roll(segment)
        append(log, b"in %d" % segment)
    log.close()
    found = chain(tmp_path)
    assert [block.txns[:1] for block in found.walk(START)] == [[b"in 7"], [b"in 2"], [b"in 5"]]
    assert found.last().segment == 5
    assert discover(tmp_path, STORE).next_segment == 8


def test_segments_of_different_sizes(tmp_path):
    Spares(tmp_path, 3 * SEGMENT_BYTES).make()
    log = writer(tmp_path)
    for segment in (1, 2):
        log.roll(segment)
        append(log, b"x" * 4000)
    log.close()
    assert {s.size for s in discover(tmp_path, STORE).chain.values()} == {
        SEGMENT_BYTES,
        3 * SEGMENT_BYTES,
    }
    assert _walked(tmp_path) == [1, 2]


def test_ids_of_all_files_count_for_the_next_one(tmp_path):
    three_segments(tmp_path)
    Spares(tmp_path, SEGMENT_BYTES).make()
    assert discover(tmp_path, STORE).next_segment == 4
    log_path(tmp_path, 6).touch()
    assert discover(tmp_path, STORE).next_segment == 7
    log_path(tmp_path, 6).rename(spare_path(tmp_path, 9, 1))
    assert discover(tmp_path, STORE).next_segment == 10


def test_other_files_are_left_alone(tmp_path):
    three_segments(tmp_path)
    for name in ("x.log", "00.log", "zzzzzzzzzzzzzzzz.log", f"{0:016x}.log", f"{1 << 63:016x}.log"):
        (tmp_path / name).write_bytes(b"not ours")
    assert sorted(discover(tmp_path, STORE).chain) == [1, 2, 3]


def test_a_renamed_spare_without_a_block_is_unused(tmp_path):
    three_segments(tmp_path)
    log_path(tmp_path, 4).write_bytes(bytes(SEGMENT_BYTES))
    log_path(tmp_path, 5).write_bytes(log_path(tmp_path, 2).read_bytes())  # recycled: stale blocks
    log_path(tmp_path, 6).touch()
    found = discover(tmp_path, STORE)
    assert sorted(found.unused) == [4, 5, 6]
    assert found.next_segment == 7
    assert _walked(tmp_path) == list(range(1, 10))


def test_a_log_of_another_store_is_refused(tmp_path):
    three_segments(tmp_path)
    other = writer(tmp_path, store=b"another store...")
    other.roll(4)
    append(other, b"foreign")
    other.close()
    with pytest.raises(StoreDamaged, match=r"0000000000000004\.log belongs to another store"):
        discover(tmp_path, STORE)
    damage(log_path(tmp_path, 4), 40)  # a rotten head proves nothing
    assert list(discover(tmp_path, STORE).unused) == [4]


# --- the end of the log


def test_a_torn_last_block_is_the_end(tmp_path):
    refs = three_segments(tmp_path)
    whole = log_path(tmp_path, 3).read_bytes()
    last = refs[-1].offset
    for cut in range(last, last + BLOCK, 512):
        log_path(tmp_path, 3).write_bytes(whole[:cut].ljust(len(whole), b"\0"))
        expected = 8 if cut < last + 144 + 48 + 5000 + 4 else 9
        assert _walked(tmp_path)[-1] == expected, cut


def test_stale_blocks_behind_the_end_do_not_count(tmp_path):
    log = writer(tmp_path)
    log.roll(1)
    for _ in range(5):
        append(log, b"old")
    old = log.last
    log.close()
    Spares(tmp_path, SEGMENT_BYTES).recycle(1, 1)
    log = writer(tmp_path, last=old)
    log.roll(2)
    assert log.generation == 2
    append(log, b"new")
    log.close()
    assert _walked(tmp_path, old) == [6]


def test_a_full_segment_ends_at_its_end(tmp_path):
    log = writer(tmp_path)
    log.roll(1)
    while log.room():
        append(log, b"x")
    log.close()
    assert _walked(tmp_path) == list(range(1, SEGMENT_BYTES // 4096 + 1))


def test_what_stands_behind_a_successors_end_does_not_count(tmp_path):
    """Torn blocks in three segments in a row, each left behind by a crash."""
    last = START
    for segment in range(1, 4):
        log = writer(tmp_path, last)
        log.roll(segment)
        append(log, b"a")
        last = append(log, b"b")
        append(log, b"torn" * 2000, bodies=[body(b"x" * 3000)])
        damage(log_path(tmp_path, segment), 2 * 4096 + 9000)
        log.close()
        assert _walked(tmp_path) == list(range(1, 2 * segment + 1))
    assert [block.txns[:1] for block in chain(tmp_path).walk(START)] == [[b"a"], [b"b"]] * 3


def test_a_whole_block_that_was_not_taken_stays_out(tmp_path):
    """The one before it did: recovery may have read a torn block that later reads back whole."""
    log = writer(tmp_path)
    log.roll(1)
    kept = append(log, b"kept")
    append(log, b"left behind")
    log.close()
    log = writer(tmp_path, last=kept)
    log.roll(2)
    append(log, b"second")
    log.close()
    assert [block.txns[:1] for block in chain(tmp_path).walk(START)] == [[b"kept"], [b"second"]]


def test_a_torn_first_block_ends_the_log_before_it(tmp_path):
    refs = three_segments(tmp_path)
    log = writer(tmp_path, last=refs[-1])
    log.roll(4)
    block, _ = build(log, [b"torn"], [body(b"x" * 5000)])
    log.write(block)
    log.close()
    damage(log_path(tmp_path, 4), 3000)
    found = chain(tmp_path)
    assert found.last().segment == 4  # its head verifies
    assert sequences(list(found.walk(START))) == list(range(1, 10))


# --- damage


def test_a_rotten_block_before_a_good_one_is_refused(tmp_path):
    refs = three_segments(tmp_path)
    for ref in (refs[0], refs[1], refs[4], refs[6], refs[7]):
        path = log_path(tmp_path, ref.segment)
        damage(path, ref.offset + 130)
        with pytest.raises(StoreDamaged, match=path.name):
            _walked(tmp_path)
        damage(path, ref.offset + 130)
    assert _walked(tmp_path) == list(range(1, 10))


def test_a_rotten_body_matters_only_at_the_end(tmp_path):
    refs = three_segments(tmp_path)
    for ref in refs[:6]:
        damage(log_path(tmp_path, ref.segment), ref.offset + 3000)
    assert _walked(tmp_path) == list(range(1, 10))
    damage(log_path(tmp_path, 3), refs[7].offset + 3000)
    with pytest.raises(StoreDamaged, match="block 9 behind it does"):
        _walked(tmp_path)


def test_rot_behind_the_position_is_nobodys_gap(tmp_path):
    refs = three_segments(tmp_path)
    damage(log_path(tmp_path, 1), refs[0].offset + 130)
    damage(log_path(tmp_path, 2), refs[3].offset + 130)
    found = discover(tmp_path, STORE)
    assert {segment: ref.sequence for segment, (_, ref) in found.rotten.items()} == {1: 2, 2: 5}
    assert _walked(tmp_path, refs[6]) == [8, 9]
    with pytest.raises(StoreDamaged, match=r"0000000000000002\.log is damaged"):
        _walked(tmp_path, refs[4])


def test_the_block_of_the_position_must_be_there(tmp_path):
    refs = three_segments(tmp_path)
    with pytest.raises(StoreDamaged, match="does not hold block 8"):
        _walked(tmp_path, refs[7]._replace(crc=1))
    damage(log_path(tmp_path, 3), refs[8].offset + 130)
    with pytest.raises(StoreDamaged, match=r"0000000000000003\.log does not hold block 9"):
        _walked(tmp_path, refs[8])


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_segment_is_refused(tmp_path, lost):
    refs = three_segments(tmp_path)
    log_path(tmp_path, lost).unlink()
    position = refs[8] if lost == 3 else START
    with pytest.raises(StoreDamaged, match="Restore"):
        _walked(tmp_path, position)


def test_a_lost_segment_is_refused_from_within_the_one_before(tmp_path):
    refs = three_segments(tmp_path)
    log_path(tmp_path, 2).unlink()
    for position in refs[:3]:
        with pytest.raises(StoreDamaged):
            _walked(tmp_path, position)


def test_a_rotten_single_block_in_the_middle_is_refused(tmp_path):
    three_segments(tmp_path, per_segment=1)
    damage(log_path(tmp_path, 2), 130)
    with pytest.raises(StoreDamaged, match=r"follows .*0000000000000001\.log"):
        _walked(tmp_path)


def test_released_segments_are_not_missed(tmp_path):
    refs = three_segments(tmp_path)
    log_path(tmp_path, 1).unlink()
    for position in refs[2:]:
        assert _walked(tmp_path, position) == list(range(position.sequence + 1, 10))
    with pytest.raises(StoreDamaged, match="does not follow block 2"):
        _walked(tmp_path, refs[1])
    log_path(tmp_path, 2).unlink()
    assert _walked(tmp_path, refs[5]) == [7, 8, 9]
    assert chain(tmp_path).before(1) == refs[5]
    assert chain(tmp_path).block(refs[3]) is None


def test_two_segments_that_follow_one_are_refused(tmp_path):
    refs = three_segments(tmp_path)
    log = writer(tmp_path, last=refs[5])
    log.roll(4)
    append(log, b"a second third")
    log.close()
    with pytest.raises(StoreDamaged, match="both follow segment 0000000000000002"):
        chain(tmp_path)


def test_before_finds_a_start_for_each_sequence(tmp_path):
    refs = three_segments(tmp_path)
    found = chain(tmp_path)
    for sequence in range(1, 10):
        walked = sequences(list(found.walk(found.before(sequence))))
        assert walked[0] <= sequence
        assert walked[-1] == 9
    assert found.before(7) == refs[5]


def test_settling_syncs_and_reads_anew(tmp_path, monkeypatch):
    three_segments(tmp_path)
    calls = []
    monkeypatch.setattr(io.File, "fdatasync", lambda file: calls.append(("sync", file.path)))
    monkeypatch.setattr(io.File, "drop_cache", lambda file: calls.append(("drop", file.path)))
    chain(tmp_path).settle_tail()
    path = str(log_path(tmp_path, 3))
    assert calls == [("sync", path), ("drop", path)]


def test_a_segment_that_vanishes_meanwhile_was_released(tmp_path, monkeypatch):
    three_segments(tmp_path)
    kept = io.open_existing

    def vanish(path):
        if path.endswith("1.log"):
            shutil.move(path, f"{path}.gone")
        return kept(path)

    monkeypatch.setattr(io, "open_existing", vanish)
    assert sorted(discover(tmp_path, STORE).chain) == [2, 3]
