"""The group commit: batches, conflicts, limits, ceilings, order, and what a failure leaves."""

import errno

import pytest
from msgspec import msgpack, structs

from fastobj.core.errors import (
    ChecksumMismatch,
    Conflict,
    NoSpace,
    StoreError,
    SyncFailed,
    Unknown,
)
from fastobj.core.limits import (
    BLOCK_BYTES_MAX,
    KIB,
    LOG_SEGMENT_BYTES_MIN,
    MIB,
    SMALL_BODY_BYTES_MAX,
)
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, ANY, DELETE, KEEP, Add, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryBatch
from fastobj.objects.encoded import EncodedEntry
from fastobj.objects.ledger import Entry, Outcome
from fastobj.objects.local_ledger import Outcomes, Pending, pending_of
from fastobj.storage import io
from fastobj.storage.log_writer import RECORDS_PER_BLOCK_MAX, content_bytes
from fastobj.storage.spares import Spares, log_path
from tests.unit.objects.ledgers import SMALL, SPACE, Driven, entry, put

USUAL = (LOG_SEGMENT_BYTES_MIN, LOG_SEGMENT_BYTES_MIN)


@pytest.fixture
def driven(tmp_path):
    """A fresh store with small segments."""
    made = Driven(tmp_path)
    yield made
    made.end()


def _fail(error):
    def fail(*arguments):
        raise error

    return fail


# --- commits


def test_a_commit_is_visible_durable_and_counted(driven):
    assert driven.run(put(b"a", b"x" * 4096), put(b"b", b"")) == [None, None]
    assert (driven.read(b"a"), driven.read(b"b")) == (b"x" * 4096, b"")
    assert driven.live() == driven.live_recomputed() == {1: (2 * 48 + 4096, 2)}
    assert driven.engine.position() == driven.log.last
    assert driven.ledger.last_sequence == 2  # the first block opened the segment
    assert driven.ledger.stats() == (2, 2, 0)


def test_all_that_queued_is_one_batch(driven):
    driven.run(*(entry((b"%d" % n, ABSENT, b"")) for n in range(50)))
    assert [len(batch.accepted) for batch in driven.batches] == [50]


def test_checks_see_earlier_transactions_of_the_batch(driven):
    one = entry((b"k", ABSENT, b"1"))
    two = entry((b"k", one.txn.id, b"2"))
    late = entry((b"k", one.txn.id, b"3"))
    none, also_none, conflict = driven.run(one, two, late)
    assert none is also_none is None
    assert conflict.present == [(b"2", two.txn.id)]
    assert driven.engine.read(SPACE, b"k") == (b"2", two.txn.id)


def test_a_conflict_leaves_no_record(driven):
    first, second = put(b"k", b"first" * 300), put(b"k", b"refused" * 300)
    third = put(b"m", b"third" * 300)
    results = driven.run(first, second, third)
    assert results[0] is results[2] is None
    assert isinstance(results[1], Conflict)
    raw = log_path(driven.directory, 1).read_bytes()
    assert (b"first" in raw, b"refused" in raw, b"third" in raw) == (True, False, True)
    assert (driven.read(b"k"), driven.read(b"m")) == (b"first" * 300, b"third" * 300)
    assert driven.live() == driven.live_recomputed()


def test_a_batch_of_conflicts_writes_nothing(driven):
    driven.run(entry((b"k", ABSENT, b"")))
    before = driven.log.last
    conflict, other = driven.run(entry((b"k", ABSENT, b"")), put(b"k", b"x"))
    assert isinstance(conflict, Conflict)
    assert isinstance(other, Conflict)
    assert driven.log.last == before
    assert driven.run(entry((b"m", ABSENT, b""))) == [None]


def test_ceilings_are_exact_within_a_batch(driven):
    def capped(key, amount, expect=ABSENT):
        quota = Add(SPACE, b"quota", (amount,), (10,))
        return entry((key, expect, key), adds=[Add(SPACE, b"n", (1,)), quota])

    results = driven.run(
        capped(b"a", 4),
        capped(b"b", 7),  # 11: refused
        capped(b"a", 5),  # its row conflicts: its adds are taken back
        capped(b"c", 6),  # 10: at the ceiling
        capped(b"d", 1),
    )
    assert [isinstance(result, Conflict) for result in results] == [0, 1, 1, 0, 1]
    counts = driven.engine.counts[SPACE]
    assert (counts[b"quota"][0], counts[b"n"][0]) == (10, 2)
    (conflict,) = driven.run(capped(b"a", 1))
    assert conflict.present == [driven.engine.read(SPACE, b"a")]


def test_a_capped_body_counts_once(driven):
    capped = put(b"a", b"x" * 100)
    capped.txn.adds.append(Add(SPACE, b"quota", (1,), (1,)))
    refused = put(b"b", b"refused")
    refused.txn.adds.append(Add(SPACE, b"quota", (1,), (1,)))
    none, conflict = driven.run(capped, refused)
    assert none is None
    assert isinstance(conflict, Conflict)
    assert driven.live() == driven.live_recomputed() == {1: (148, 1)}
    assert driven.engine.counts[SPACE][b"quota"][0] == 1


def test_a_retry_is_served_in_order_of_first_arrival(driven):
    driven.run(entry((b"k", ABSENT, b"")))
    (conflict,) = driven.run(entry((b"k", ABSENT, b"late")))
    newer = [entry((b"new %d" % n, ABSENT, b"")) for n in range(3)]
    again = entry((b"k", ANY, b"again"), arrival=conflict.arrival)
    driven.submit(*newer, again)
    batch = driven.ledger.prepare()
    assert batch.ids == [one.txn.id for one in (again, *newer)]
    driven.ledger.write(batch)
    driven.ledger.complete(batch)


def test_what_changed_is_told_after_the_commit(tmp_path):
    told = []
    driven = Driven(
        tmp_path,
        epoch_changed=lambda name: told.append((name, driven.engine.read(keys.BUCKETS, name))),
    )
    made = Txn(new_txn_id(), [Row(keys.BUCKETS, b"bucket", ABSENT, b"1")])
    kept = Txn(new_txn_id(), [Row(keys.BUCKETS, b"bucket", made.id, KEEP)])
    driven.run(Entry(made), Entry(kept), entry((b"k", ABSENT, b"")))
    assert told == [(b"bucket", (b"1", made.id))]
    assert not driven.batches[-1].released
    driven.run(entry((b"k", ANY, DELETE), adds=[Add(keys.SEGMENTS, keys.segment(1), (-1, 0))]))
    assert driven.batches[-1].released
    driven.end()


def test_what_is_due_is_told_after_the_commit(tmp_path):
    driven = Driven(tmp_path)

    def due(key, value=b"x"):
        driven.run(Entry(Txn(new_txn_id(), [Row(keys.DUE, key, ANY, value)])))
        return driven.batches[-1].released, driven.batches[-1].hinted

    def version(at_ns):
        return keys.due_version(at_ns, b"8 bytes.", b"key")

    assert due(keys.due(0, keys.DUE_PARTS, bytes(16))) == (True, False)
    assert due(keys.due(0, keys.DUE_PARTS, bytes(16)), DELETE) == (False, False)
    assert due(keys.due(0, keys.DUE_RULES, b"8 bytes.")) == (False, True)
    assert due(version(50)) == (False, True)
    assert due(version(60)) == (False, False)
    assert due(version(40)) == (False, True)
    assert due(version(40), DELETE) == (False, False)
    assert due(version(45)) == (False, True)
    driven.end()


# --- limits of a block


def test_a_block_holds_at_most_four_mebibytes(tmp_path):
    driven = Driven(tmp_path, segment_bytes=USUAL)
    puts = [put(b"%d" % n, bytes([n]) * SMALL_BODY_BYTES_MAX) for n in range(100)]
    assert driven.run(*puts) == [None] * 100
    assert [len(batch.accepted) for batch in driven.batches] == [63, 37]
    assert max(batch.block.length for batch in driven.batches) <= BLOCK_BYTES_MAX
    assert driven.read(b"99") == bytes([99]) * SMALL_BODY_BYTES_MAX
    assert driven.live() == driven.live_recomputed()
    driven.end()


def test_a_block_has_at_most_1024_vectors(tmp_path):
    driven = Driven(tmp_path, segment_bytes=USUAL)
    count = RECORDS_PER_BLOCK_MAX + 1
    assert driven.run(*(put(b"%d" % n, b"x") for n in range(count))) == [None] * count
    assert [len(batch.accepted) for batch in driven.batches] == [RECORDS_PER_BLOCK_MAX, 1]
    driven.end()


def _largest(driven, key):
    """The length of the longest body that a block takes, hint left out."""
    small = put(key, b"", hint=b"")
    pending = pending_of(small, print)
    taken = content_bytes(512 + pending.txn_bytes, pending.record_bytes)
    return driven.log.block_bytes_max - taken


def test_what_fits_no_block_fails_alone(driven):
    longest = _largest(driven, b"b") // 8 * 8
    results = driven.run(
        put(b"a", b"a" * 1000),
        put(b"b", b"b" * longest, hint=b""),
        put(b"c", b"c" * (longest + 8), hint=b""),
        put(b"d", b"d" * 1000),
    )
    assert [result is None for result in results] == [True, True, False, True]
    assert type(results[2]) is StoreError
    assert "a block takes" in str(results[2])
    assert driven.read(b"b") == b"b" * longest
    assert driven.live() == driven.live_recomputed()
    assert driven.log.segment <= 3  # what cannot fit rolls nothing


@pytest.mark.parametrize("position", [0, 1, 31, 62, 63])
def test_a_bad_transaction_fails_alone(driven, position):
    entries = [entry((b"%d" % n, ABSENT, b"")) for n in range(64)]
    entries[position] = entry(*((b"x%d" % n, ABSENT, b"") for n in range(33)))
    results = driven.run(*entries)
    refused = results.pop(position)
    assert results == [None] * 63
    assert isinstance(refused.__cause__, ValueError)
    assert driven.engine.read(SPACE, b"x0") is None


def _wrong_sum() -> Entry:
    good = put(b"bad", b"payload")
    return Entry(good.txn, [good.bodies[0]._replace(crc32c=1)])


def _bad(txn: bytes | None = None, **wrong: object) -> Pending:
    """A PUT whose encoded entry is damaged, as no peer of ours would send it."""
    good = pending_of(put(b"bad", b"payload"), print)
    (place,) = good.entry.places
    entry = EncodedEntry(txn or good.entry.txn, [structs.replace(place, **wrong)], None)
    return Pending(entry, good.payloads, print)


def _without_body() -> Pending:
    return Pending(EncodedEntry(msgpack.encode(put(b"bad", b"payload").txn), [], None), [], print)


BAD = {
    "sum": lambda: _bad(crc32c=1),
    "location": lambda: _bad(location_at=1 << 20),
    "negative": lambda: _bad(location_at=-1),
    "counter": lambda: _bad(counter_at=1 << 20),
    "data id": lambda: _bad(data_id=b"short"),
    "hint": lambda: _bad(hint=bytes(70_000)),
    "no transaction": lambda: _bad(txn=b"\xff" * 400),
    "body": _without_body,
}


@pytest.mark.parametrize("bad", BAD)
def test_a_wrong_body_fails_alone(driven, bad):
    first = driven.submit(put(b"a", b"a"))
    wrong = BAD[bad]()
    refusals = []
    wrong.done = refusals.append
    driven.ledger.submit(wrong)
    assert driven.run(put(b"b", b"b")) == first == [None]
    assert isinstance(refusals[0], StoreError)
    assert isinstance(refusals[0], ChecksumMismatch) == (bad == "sum")
    assert driven.engine.read(SPACE, b"bad") is None
    assert driven.live() == driven.live_recomputed()


def test_an_engine_that_is_full_fails_each_that_needs_room(driven, monkeypatch):
    apply = MemoryBatch.apply

    def full(batch, txn):
        if txn.rows[0].key.startswith(b"big"):
            raise NoSpace("the database is full")
        return apply(batch, txn)

    monkeypatch.setattr(MemoryBatch, "apply", full)
    entries = [entry((b"%s %d" % (b"big" if n % 5 == 0 else b"s", n), ANY, b"")) for n in range(20)]
    results = driven.run(*entries)
    assert [isinstance(result, NoSpace) for result in results] == [n % 5 == 0 for n in range(20)]
    assert results.count(None) == 16
    assert driven.ledger.fenced is None


# --- segments


def _segments(driven):
    rows = driven.engine.read_range(keys.SEGMENTS, keys.FIRST, keys.LAST, 100)
    return {
        keys.segment_id(row.key): records.decode(records.SegmentRecord, row.value) for row in rows
    }


def test_rolls_seal_the_segment_before(driven):
    lasts = {}
    for n in range(40):
        assert driven.run(put(b"%d" % n, bytes([n]) * 9000)) == [None]
        lasts[driven.log.segment] = driven.ledger.last_sequence
    segments = _segments(driven)
    assert list(segments) == list(range(1, driven.log.segment + 1))
    assert driven.log.segment >= 4
    for number, record in segments.items():
        is_open = number == driven.log.segment
        assert record.state == (SEGMENT_OPEN if is_open else SEGMENT_SEALED)
        assert record.last_sequence == (0 if is_open else lasts[number])
        assert (record.kind, record.size) == (SEGMENT_LOG, SMALL[0])
    for n in range(40):
        assert driven.read(b"%d" % n) == bytes([n]) * 9000
    assert driven.live() == driven.live_recomputed()


def test_a_full_disk_at_a_roll_fails_what_needs_it(driven, monkeypatch):
    driven.run(put(b"a", bytes(100 * KIB)))
    with monkeypatch.context() as patched:
        patched.setattr(io.File, "allocate", _fail(NoSpace("full")))
        rows = entry((b"row", ABSENT, b"value"))
        large, other = driven.run(put(b"large", bytes(60 * KIB)), rows)
        assert isinstance(large, NoSpace)
        assert other is None
    assert driven.ledger.fenced is None
    assert driven.run(put(b"large", bytes(60 * KIB))) == [None]
    assert driven.log.segment > 2  # the ids of failed rolls are not used again
    assert driven.run(entry((b"row", rows.txn.id, DELETE))) == [None]
    assert driven.live() == driven.live_recomputed()


def test_a_retried_batch_goes_on_in_the_segment_it_rolled_to(driven):
    driven.run(put(b"a", bytes(100 * KIB)))
    results = driven.run(put(b"b", bytes(60 * KIB)), _wrong_sum(), put(b"c", b"c"))
    assert results[0] is results[2] is None
    assert sorted(_segments(driven)) == [1, 2]
    assert _segments(driven)[1].last_sequence == 2
    assert driven.read(b"b") == bytes(60 * KIB)


# --- failures


def test_a_failed_sync_is_unknown_and_fences(driven, monkeypatch):
    driven.run(put(b"old", b"old"))
    results = driven.submit(put(b"new", b"new"), put(b"new", b"second"), put(b"old", b"x"))
    batch = driven.ledger.prepare()
    waiting = driven.submit(put(b"later", b"later"))
    with monkeypatch.context() as patched:
        patched.setattr(io.os, "fdatasync", _fail(OSError(errno.EIO, "lost")))
        with pytest.raises(SyncFailed) as failure:
            driven.ledger.write(batch)
    driven.ledger.fail(batch, failure.value)
    assert isinstance(results[0], Unknown)
    # Not with what they conflicted: that may be a row that never becomes durable.
    assert [type(result) for result in [*results[1:], *waiting]] == [StoreError] * 3
    assert driven.engine.read(SPACE, b"new") is None
    (refused,) = driven.run(put(b"more", b"more"))
    assert "fenced" in str(refused)
    assert driven.log.last.sequence == 2


@pytest.mark.parametrize("error", [SyncFailed("lost"), NoSpace("full")])
def test_a_drive_that_fails_the_rollback_too_fences(driven, monkeypatch, error):
    """Nobody is left without an answer, and the next start knows that a sync has failed."""
    driven.run(put(b"old", b"old"))
    results = driven.submit(put(b"new", b"new"), put(b"old", b"x"))
    batch = driven.ledger.prepare()
    waiting = driven.submit(put(b"later", b"later"))
    monkeypatch.setattr(MemoryBatch, "rollback", _fail(StoreError("nothing can be read")))
    driven.ledger.fail(batch, error)
    assert isinstance(results[0], Unknown)
    assert [type(result) for result in [results[1], *waiting]] == [StoreError] * 2
    assert isinstance(driven.ledger.fenced, StoreError)
    assert "fenced" in str(driven.run(put(b"more", b"more"))[0])


def test_a_failed_commit_behind_a_durable_block_fences(driven, monkeypatch):
    lost = put(b"k", b"payload")
    with monkeypatch.context() as patched:
        patched.setattr(MemoryBatch, "commit", _fail(NoSpace("the database is full")))
        (result,) = driven.run(lost)
    assert isinstance(result, Unknown)
    assert driven.ledger.fenced is not None
    again = driven.again()
    assert again.read(b"k") == b"payload"
    assert again.ledger.outcomes.ask(lost.txn.id, 1) is Outcome.COMMITTED
    again.end()


def test_a_failed_sync_of_a_roll_fences(driven, monkeypatch):
    driven.run(put(b"a", bytes(100 * KIB)))
    with monkeypatch.context() as patched:
        patched.setattr(io, "sync_directory", _fail(SyncFailed("lost")))
        results = driven.run(put(b"b", bytes(60 * KIB)), put(b"c", b"c"))
    assert [type(result) for result in results] == [StoreError] * 2  # nothing of them was written
    assert isinstance(driven.ledger.fenced, SyncFailed)
    assert driven.log.last.sequence == 2


# --- checkpoints


class Checkpoints:
    """A checkpointer that says what a test wants."""

    def __init__(self):
        self.covered_sequence = 0
        self.committed_sequences = []
        self.error = None

    def committed(self, sequence):
        self.committed_sequences.append(sequence)

    def before_batch(self):
        if self.error is not None:
            raise self.error


def test_covered_is_written_and_outcomes_forget(tmp_path):
    checkpoints = Checkpoints()
    driven = Driven(tmp_path, checkpoints=checkpoints)
    entries = [entry((b"%d" % n, ABSENT, b"")) for n in range(4)]
    for one in entries[:3]:
        driven.run(one)
    assert checkpoints.committed_sequences == [1, 2, 3, 4]
    checkpoints.covered_sequence = 3
    driven.run(entries[3])
    outcomes = driven.ledger.outcomes
    asked = [outcomes.ask(one.txn.id, 1) for one in entries]
    assert asked == [Outcome.TOO_OLD] * 2 + [Outcome.COMMITTED] * 2
    assert driven.log.covered == 3
    driven.run(entry((b"next", ABSENT, b"")))
    checkpoints.covered_sequence = 0  # the next life's counts from its own start
    again = driven.again(checkpoints=checkpoints)
    again.run(entry((b"more", ABSENT, b"")))
    assert again.log.covered == 3
    again.end()


def test_a_full_database_takes_the_ballast(tmp_path):
    checkpoints = Checkpoints()
    driven = Driven(tmp_path, checkpoints=checkpoints)
    Spares(tmp_path, SMALL[0]).make()
    checkpoints.error = NoSpace("the database is full")
    assert driven.run(entry((b"k", ABSENT, b""))) == [None]
    assert Spares(tmp_path, SMALL[0]).list() == []
    assert driven.run(entry((b"m", ABSENT, b""))) == [None]  # without ballast it goes on too
    driven.end()


def test_at_rest_a_segment_of_when_the_log_was_larger_is_left(tmp_path):
    driven = Driven(tmp_path, segment_bytes=(MIB, 8 * MIB))
    driven.log.spares.size_bytes = 8 * MIB  # as the log was when it was opened
    driven.ledger.open_segment((1, 1, MIB, 1))
    assert driven.log.size == 8 * MIB
    for _ in range(2):  # what is kept ahead for the log as it has become
        Spares(tmp_path, MIB).make()
    driven.ledger.rest()
    assert (driven.log.segment, driven.log.size) == (3, MIB)
    driven.ledger.rest()
    assert driven.log.segment == 3
    driven.end()


@pytest.mark.parametrize("kind", [SyncFailed, StoreError])
def test_a_failed_checkpoint_fences(tmp_path, kind):
    checkpoints = Checkpoints()
    driven = Driven(tmp_path, checkpoints=checkpoints)
    checkpoints.error = kind("lost")
    (refused,) = driven.run(entry((b"k", ABSENT, b"")))
    assert type(refused) is StoreError
    assert isinstance(driven.ledger.fenced, SyncFailed)
    driven.end()


def test_outcomes_know_how_far_back_they_reach():
    outcomes = Outcomes()
    assert outcomes.ask(b"a", 0) is Outcome.NOT_COMMITTED
    outcomes.remember(5, [b"a", b"b"])
    outcomes.remember(6, [b"c"])
    outcomes.remember_older([(3, [b"x"]), (4, [b"y"])])
    outcomes.horizon = 2
    assert outcomes.first_sequence() == 3
    assert outcomes.ask(b"z", 1) is Outcome.TOO_OLD
    assert outcomes.ask(b"z", 2) is Outcome.NOT_COMMITTED
    outcomes.forget(5)
    assert (outcomes.first_sequence(), outcomes.horizon) == (6, 5)
    assert outcomes.ask(b"x", 4) is outcomes.ask(b"a", 4) is Outcome.TOO_OLD
    assert outcomes.ask(b"c", 0) is Outcome.COMMITTED
    outcomes.forget(9)
    assert outcomes.first_sequence() is None
    assert outcomes.ask(b"c", 6) is Outcome.NOT_COMMITTED


@pytest.mark.parametrize(
    ("row", "wakes"),
    [
        (Row(keys.JOBS, b"job", ABSENT, b"begun"), True),
        (Row(keys.JOBS, b"job", ANY, b"saved"), False),
        (Row(keys.DUE, keys.due(keys.AT_ONCE, keys.DUE_PARTS, b"upload"), ABSENT, b"parts"), True),
        (Row(SPACE, b"key", ABSENT, b"object"), False),
    ],
)
def test_what_wakes_maintenance(driven, row, wakes):
    """A job that begins does; that it saves how far it is does not, or it would wake itself."""
    assert driven.run(Entry(Txn(new_txn_id(), [row]))) == [None]
    assert [batch.released for batch in driven.batches] == [wakes]
