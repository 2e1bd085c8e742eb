"""Every start is a recovery: what it replays, what it refuses, and what a crash in it leaves."""

import errno
import shutil

import pytest

from fastobj.core.errors import StoreDamaged, SyncFailed
from fastobj.core.limits import KIB
from fastobj.core.segments import SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, DELETE, Add
from fastobj.meta.memory import MemoryEngine
from fastobj.objects.ledger import Outcome
from fastobj.storage import io, log_format
from fastobj.storage.base import LOCATION_BYTES, Location
from fastobj.storage.log_replay import discover
from fastobj.storage.spares import log_path
from tests.unit.objects.ledgers import (
    SMALL,
    SPACE,
    STORE,
    Driven,
    contents,
    entry,
    files,
    put,
    rows_and_counters,
    snapshot,
    write_blocks,
)
from tests.unit.storage.logs import damage


def _raise(error):
    raise error


# --- replay


def test_an_empty_store_opens_any_number_of_times(tmp_path):
    driven = Driven(tmp_path)
    assert (driven.log.segment, driven.ledger.last_sequence) == (1, 1)
    for life in range(2, 5):
        driven = driven.again()
        assert (driven.log.segment, driven.ledger.last_sequence) == (life, life)
        assert driven.recovered.blocks_replayed == 0
    again = driven.again(MemoryEngine())
    assert again.recovered.blocks_replayed == again.recovered.transactions_replayed == 4
    sealed = again.engine.read(keys.SEGMENTS, keys.segment(3))
    record = records.decode(records.SegmentRecord, sealed[0])
    assert (record.state, record.last_sequence) == (SEGMENT_SEALED, 3)
    again.end()


def test_the_log_alone_brings_all_back(tmp_path, rng):
    driven = Driven(tmp_path)
    tokens = {}
    for _ in range(60):
        key = b"%d" % rng.randrange(20)
        if key in tokens and rng.random() < 0.3:
            place = Location.decode(driven.engine.read(SPACE, key)[0][:LOCATION_BYTES])
            freed = (-log_format.footprint(place.length), -1)
            made = entry(
                (key, tokens.pop(key), DELETE),
                adds=[Add(keys.SEGMENTS, keys.segment(place.segment), freed)],
            )
        elif key in tokens:
            continue
        else:
            made = put(key, rng.randbytes(rng.randrange(12000)))
            tokens[key] = made.txn.id
        assert driven.run(made) == [None]
    before = rows_and_counters(driven.engine)
    assert driven.live() == driven.live_recomputed()
    again = driven.again(MemoryEngine())
    assert rows_and_counters(again.engine) == before
    assert again.live() == again.live_recomputed()
    again.end()


def test_each_state_of_the_database_leads_to_the_same(tmp_path):
    driven = Driven(tmp_path)
    states = []
    for n in range(30):
        states.append(snapshot(driven.engine))
        driven.run(put(b"%d" % (n % 7), bytes(9000), driven_token(driven, b"%d" % (n % 7))))
    assert driven.log.segment >= 3
    expected = contents(driven.engine)
    driven.end()
    for state in [MemoryEngine(), *states]:
        directory = tmp_path / "copy"
        shutil.copytree(tmp_path, directory, ignore=lambda *_: ["copy"])
        again = Driven(directory, state)
        assert rows_and_counters(again.engine) == (expected[0][SPACE], expected[1])
        assert again.log.last.sequence == expected[2].sequence + 1
        again.end()
        shutil.rmtree(directory)


def driven_token(driven, key):
    """What a writer of `key` must expect."""
    row = driven.engine.read(SPACE, key)
    return ABSENT if row is None else row[1]


def test_torn_blocks_in_three_segments_in_a_row(tmp_path):
    driven = Driven(tmp_path)
    for life in range(3):
        driven.run(put(b"kept %d" % life, b"k" * 5000))
        state, torn_at = snapshot(driven.engine), driven.log.offset
        torn = put(b"torn %d" % life, b"t" * 5000)
        driven.run(torn)
        damage(log_path(tmp_path, driven.log.segment), torn_at + 4500)
        for engine in (state, state, MemoryEngine()):  # twice from the same state, once from none
            driven = driven.again(snapshot(engine))
            assert driven.engine.read(SPACE, b"torn %d" % life) is None
            assert driven.read(b"kept %d" % life) == b"k" * 5000
            assert driven.ledger.outcomes.ask(torn.txn.id, 0) is Outcome.NOT_COMMITTED
    assert driven.live() == driven.live_recomputed()
    driven.end()


def test_segments_of_other_sizes_and_recycled_ones(tmp_path):
    driven = Driven(tmp_path)
    write_blocks(driven, 20)
    driven = driven.again(segment_bytes=(256 * KIB, 512 * KIB))
    write_blocks(driven, 20, prefix=b"b")
    # Segment 2 is released, and its file goes round: its stale blocks must not count.
    number = 2
    for n in range(20):
        row = driven.engine.read(SPACE, b"%d" % n)
        place = Location.decode(row[0][:LOCATION_BYTES])
        if place.segment == number:
            driven.run(entry((b"%d" % n, row[1], DELETE)))
    driven.recovered.spares.recycle(number, 1)
    driven = driven.again(segment_bytes=SMALL)
    assert driven.log.generation in (1, 2)
    write_blocks(driven, 20, prefix=b"c")
    expected = rows_and_counters(driven.engine)
    state = snapshot(driven.engine)
    driven = driven.again(state)
    assert rows_and_counters(driven.engine) == expected
    driven.end()


# --- outcomes


def test_outcomes_after_a_reopening(tmp_path):
    driven = Driven(tmp_path)
    entries = [entry((b"%d" % n, ABSENT, b"")) for n in range(5)]
    for one in entries:
        driven.run(one)
    lost = entry((b"lost", ABSENT, b""))
    for engine in (None, MemoryEngine(), None):
        driven = driven.again(engine)
        outcomes = driven.ledger.outcomes
        assert outcomes.horizon == 0  # no checkpoint has covered anything
        assert {outcomes.ask(one.txn.id, 0) for one in entries} == {Outcome.COMMITTED}
        assert outcomes.ask(lost.txn.id, 0) is Outcome.NOT_COMMITTED
    driven.end()


def test_outcomes_reach_back_to_what_was_covered(tmp_path):
    driven = Driven(tmp_path)
    entries = [entry((b"%d" % n, ABSENT, b"")) for n in range(5)]  # sequences 2 to 6
    for one in entries[:4]:
        driven.run(one)
    driven.log.covered = 3
    driven.run(entries[4])
    for engine in (None, snapshot(driven.engine)):
        driven = driven.again(engine)
        outcomes = driven.ledger.outcomes
        asked = [outcomes.ask(one.txn.id, 2) for one in entries]
        assert asked == [Outcome.TOO_OLD] * 2 + [Outcome.COMMITTED] * 3
        assert outcomes.horizon == 3
        assert outcomes.ask(b"x" * 16, 3) is Outcome.NOT_COMMITTED
    driven.end()


def test_released_segments_end_the_memory_of_outcomes(tmp_path):
    driven = Driven(tmp_path)
    write_blocks(driven, 40)
    driven.log.covered = 4
    last_entry = put(b"last", b"")
    driven.run(last_entry)
    first_kept = discover(tmp_path, STORE).chain[3].first.sequence
    for number in (1, 2):
        log_path(tmp_path, number).unlink()
    driven = driven.again()
    assert driven.ledger.outcomes.horizon == first_kept - 1
    assert driven.ledger.outcomes.ask(last_entry.txn.id, 0) is Outcome.COMMITTED
    driven.end()


# --- refusals


@pytest.mark.parametrize("known", ["nothing", "all"])
def test_a_rotten_block_before_a_good_one_is_refused(tmp_path, known):
    driven = Driven(tmp_path)
    write_blocks(driven, 5)
    driven.end()
    damage(log_path(tmp_path, 1), 4096 + 150)
    before = files(tmp_path)
    engine = snapshot(driven.engine) if known == "all" else MemoryEngine()
    state = contents(engine)
    with pytest.raises(StoreDamaged, match=log_path(tmp_path, 1).name):
        Driven(tmp_path, engine)
    assert files(tmp_path) == before
    assert contents(engine) == state


def test_gaps_are_refused(tmp_path):
    driven = Driven(tmp_path)
    write_blocks(driven, 40)
    driven.end()
    assert driven.log.segment >= 4
    old = {number: log_path(tmp_path, number).read_bytes() for number in (1, 2, 3)}
    for number, raw in old.items():
        log_path(tmp_path, number).unlink()
        before = files(tmp_path)
        with pytest.raises(StoreDamaged):
            Driven(tmp_path, MemoryEngine())
        assert files(tmp_path) == before
        log_path(tmp_path, number).write_bytes(raw)
    Driven(tmp_path, MemoryEngine()).end()


def test_a_database_ahead_of_the_log_is_refused(tmp_path):
    driven = Driven(tmp_path)
    write_blocks(driven, 3)
    driven.end()
    segment = log_path(tmp_path, 1)
    segment.write_bytes(segment.read_bytes()[: driven.log.last.offset].ljust(SMALL[0], b"\0"))
    with pytest.raises(StoreDamaged, match="does not hold block 4"):
        Driven(tmp_path, driven.engine)
    segment.unlink()
    with pytest.raises(StoreDamaged, match="lacks the log behind block 4"):
        Driven(tmp_path, driven.engine)


def test_released_segments_behind_the_covered_position_are_fine(tmp_path):
    driven = Driven(tmp_path)
    write_blocks(driven, 40)
    driven.log.covered = driven.log.last.sequence
    driven.run(entry((b"k", ABSENT, b"")))
    for number in range(1, driven.log.segment):
        log_path(tmp_path, number).unlink()
        driven = driven.again()
    driven.end()


def test_the_segment_of_the_position_may_be_released(tmp_path):
    """A power cut took the database back to a checkpoint at the end of a released segment."""
    driven = Driven(tmp_path)
    write_blocks(driven, 12)
    driven = driven.again()
    covered = snapshot(driven.engine)
    at_the_end = covered.position()
    driven.log.covered = at_the_end.sequence
    driven.run(put(b"new", b"new"))
    assert at_the_end.segment == driven.log.segment
    driven = driven.again()
    for number in range(1, at_the_end.segment):
        log_path(tmp_path, number).unlink()
    driven = driven.again(covered)
    assert driven.read(b"new") == b"new"
    driven.end()


def test_a_rotten_first_block_of_a_covered_segment_is_left_alone(tmp_path):
    """Its bodies still serve; as a spare they would be lost."""
    driven = Driven(tmp_path)
    driven.run(put(b"first", b"x"))
    for _ in range(2):
        driven = driven.again()
    driven.log.covered = driven.log.last.sequence
    driven.run(put(b"last", b"y"))
    damage(log_path(tmp_path, 1), 130)  # two blocks: the second tells that it was in use
    damage(log_path(tmp_path, 2), 130)  # one block: only its row tells
    before = {number: log_path(tmp_path, number).read_bytes() for number in (1, 2)}
    for _ in range(2):
        driven = driven.again()
        assert driven.read(b"first") == b"x"
        assert {number: log_path(tmp_path, number).read_bytes() for number in (1, 2)} == before
    driven.end()


# --- a sync that fails


def test_after_a_failed_sync_a_reopening_goes_on_and_answers(tmp_path, monkeypatch):
    for reached_the_disk in (True, False):
        directory = tmp_path / str(reached_the_disk)
        directory.mkdir()
        driven = Driven(directory)
        driven.run(put(b"k", b"old"))
        asked = put(b"unknown", b"payload")
        with monkeypatch.context() as patched:
            patched.setattr(io.os, "fdatasync", lambda fd: _raise(OSError(errno.EIO, "lost")))
            driven.run(asked)
        if not reached_the_disk:
            damage(log_path(directory, 1), driven.log.offset, 4096)
        driven = driven.again()
        expected = Outcome.COMMITTED if reached_the_disk else Outcome.NOT_COMMITTED
        assert driven.ledger.outcomes.ask(asked.txn.id, 2) is expected
        assert (driven.engine.read(SPACE, b"unknown") is not None) == reached_the_disk
        assert driven.log.segment == 2
        assert driven.run(put(b"more", b"more")) == [None]
        driven.end()


def test_a_tail_that_cannot_be_synced_is_not_believed(tmp_path, monkeypatch):
    driven = Driven(tmp_path)
    driven.run(put(b"k", b"payload"))
    driven.end()
    before = files(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(io.os, "fdatasync", lambda fd: _raise(OSError(errno.EIO, "lost")))
        with pytest.raises(SyncFailed):
            Driven(tmp_path, MemoryEngine())
    assert files(tmp_path) == before
