"""Crashes in the middle of recoveries and rolls, and many lives with crashes at random."""

import pytest

from fastobj.core.errors import NoSpace
from fastobj.core.limits import KIB
from fastobj.meta import keys
from fastobj.meta.base import DELETE, Add, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryBatch, MemoryEngine
from fastobj.objects import local_recovery
from fastobj.objects.ledger import Entry, Outcome
from fastobj.storage import io, log_format
from fastobj.storage.base import LOCATION_BYTES, Location
from fastobj.storage.log_writer import LogWriter
from fastobj.storage.spares import SUFFIX, Spares, log_path, spare_path
from tests.unit.objects.ledgers import (
    SMALL,
    SPACE,
    Driven,
    entry,
    files,
    put,
    rows_and_counters,
    snapshot,
    write_blocks,
)
from tests.unit.storage.logs import damage


class PowerCut(BaseException):
    """The process ends here, whatever it is at."""


def _cut(*arguments):
    raise PowerCut


def _raise(error):
    raise error


@pytest.mark.parametrize("times", [1, 5])
def test_a_crash_between_rename_and_first_block(tmp_path, monkeypatch, times):
    driven = Driven(tmp_path)
    driven.run(put(b"k", b"payload"))
    driven.end()
    with monkeypatch.context() as patched:
        patched.setattr(LogWriter, "write", _cut)
        for _ in range(times):
            with pytest.raises(PowerCut):
                Driven(tmp_path, snapshot(driven.engine))
    assert len(files(tmp_path)) == 2  # each start takes the file of the one before
    again = driven.again()
    assert again.log.segment == 2 + times  # but never its id
    assert again.read(b"k") == b"payload"
    again.end()


def test_a_crash_before_the_directory_is_synced(tmp_path, monkeypatch):
    driven = Driven(tmp_path)
    driven.run(put(b"a", bytes(100 * KIB)))
    driven.recovered.spares.make()
    rename = io.rename

    def cut_behind(path, new_path):
        rename(path, new_path)
        raise PowerCut

    monkeypatch.setattr(io, "rename", cut_behind)
    with pytest.raises(PowerCut):
        driven.run(put(b"b", bytes(60 * KIB)))
    monkeypatch.setattr(io, "rename", rename)
    driven = driven.again()
    assert driven.read(b"a") == bytes(100 * KIB)
    assert driven.engine.read(SPACE, b"b") is None
    driven.end()


@pytest.mark.parametrize("torn", ["head", "body"])
def test_a_torn_first_block_of_a_roll(tmp_path, torn):
    driven = Driven(tmp_path)
    driven.run(put(b"a", bytes(100 * KIB)))
    state = snapshot(driven.engine)
    lost = put(b"b", bytes(60 * KIB))
    driven.run(lost)
    assert driven.log.segment == 2
    damage(log_path(tmp_path, 2), 20 if torn == "head" else 30000)
    for life in range(3):
        driven = driven.again(snapshot(state))
        assert driven.log.segment == 3 + life
        assert driven.engine.read(SPACE, b"b") is None
        assert driven.engine.read(keys.SEGMENTS, keys.segment(2)) is None
        assert driven.read(b"a") == bytes(100 * KIB)
        assert driven.ledger.outcomes.ask(lost.txn.id, 2) is Outcome.NOT_COMMITTED
    driven.run(put(b"c", b"c"))
    assert not log_path(tmp_path, 2).exists()
    assert driven.again(MemoryEngine()).read(b"c") == b"c"


@pytest.mark.parametrize("when", ["replayed", "renamed", "rolled"])
def test_a_crash_while_a_torn_first_block_is_cleared(tmp_path, monkeypatch, when):
    driven = Driven(tmp_path)
    driven.run(put(b"a", bytes(100 * KIB)))
    state = snapshot(driven.engine)
    driven.run(put(b"b", bytes(60 * KIB)))
    damage(log_path(tmp_path, 2), 30000)
    driven.end()
    where = {
        "replayed": (io, "rename"),
        "renamed": (Spares, "take"),
        "rolled": (LogWriter, "write"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*where[when], _cut)
        with pytest.raises(PowerCut):
            Driven(tmp_path, snapshot(state))
    driven = Driven(tmp_path, snapshot(state))
    assert driven.log.segment == (4 if when == "rolled" else 3)
    assert driven.engine.read(SPACE, b"b") is None
    driven = driven.again(MemoryEngine())
    assert driven.read(b"a") == bytes(100 * KIB)
    driven.end()


def test_two_recoveries_whose_first_blocks_are_torn(tmp_path):
    driven = Driven(tmp_path)
    driven.run(put(b"k", b"payload"))
    state = snapshot(driven.engine)
    for _ in range(2):
        driven = driven.again(snapshot(state))
        damage(log_path(tmp_path, driven.log.segment), 300)  # in its padding: nobody reads it
        damage(log_path(tmp_path, driven.log.segment), 140)
    driven = driven.again(snapshot(state))
    assert driven.log.last.sequence == 3
    assert driven.read(b"k") == b"payload"
    driven.end()


def test_a_full_disk_at_the_start_uses_what_is_there(tmp_path, monkeypatch):
    driven = Driven(tmp_path)
    driven.run(put(b"k", b"payload"))
    Spares(tmp_path, SMALL[0]).make()
    monkeypatch.setattr(io.File, "allocate", lambda *_: _raise(NoSpace("full")))
    driven = driven.again()
    assert driven.read(b"k") == b"payload"
    driven.end()
    before = files(tmp_path)
    with pytest.raises(NoSpace):
        Driven(tmp_path, driven.engine)
    assert files(tmp_path) == before


def test_a_full_database_in_replay_takes_the_ballast(tmp_path, monkeypatch):
    driven = Driven(tmp_path)
    write_blocks(driven, 5, size=100)
    Spares(tmp_path, SMALL[0]).make()
    commit = MemoryBatch.commit

    def full(batch, position):
        if Spares(tmp_path, SMALL[0]).list():
            raise NoSpace("the database is full")
        commit(batch, position)

    monkeypatch.setattr(MemoryBatch, "commit", full)
    driven = driven.again(MemoryEngine())
    assert driven.read(b"4") == bytes([4]) * 100
    driven.end()


def test_replay_goes_in_portions(tmp_path, monkeypatch):
    monkeypatch.setattr(local_recovery, "_COMMIT_BLOCKS_MAX", 4)
    driven = Driven(tmp_path)
    write_blocks(driven, 10, size=100)
    expected = rows_and_counters(driven.engine)
    engine = MemoryEngine()
    driven.end()
    with monkeypatch.context() as patched:
        patched.setattr(local_recovery, "reach", _cut)
        for _ in range(2):
            with pytest.raises(PowerCut):
                Driven(tmp_path, engine)
    assert engine.position().sequence == 8
    again = Driven(tmp_path, engine)
    assert again.recovered.blocks_replayed == 3
    assert rows_and_counters(again.engine) == expected
    assert again.ledger.outcomes.horizon == 0  # also of the portions before the crash
    again.end()


# --- many lives


class Lives:
    """A store that crashes again and again, and what it owes."""

    def __init__(self, directory, rng):
        self.rng = rng
        self.state = MemoryEngine()  # what a power cut takes the database back to
        self.driven = Driven(directory)
        self.owed = {}  # key -> token, payload

    def _change(self, key):
        """Puts, overwrites or deletes a key, with the counters that belong to it."""
        if key not in self.owed:
            return put(key, self.rng.randbytes(self.rng.randrange(9000)))
        value, token = self.driven.engine.read(SPACE, key)
        place = Location.decode(value[:LOCATION_BYTES])
        freed = (-log_format.footprint(place.length), -1)
        adds = [Add(keys.SEGMENTS, keys.segment(place.segment), freed)]
        if self.rng.random() < 0.3:
            return entry((key, token, DELETE), adds=adds)
        made = put(key, self.rng.randbytes(self.rng.randrange(9000)), token)
        made.txn.adds.extend(adds)
        return made

    def work(self):
        """A few batches, each answered."""
        for _ in range(self.rng.randrange(8)):
            wanted = {b"%d" % self.rng.randrange(9) for _ in range(self.rng.randrange(1, 5))}
            made = [self._change(key) for key in wanted]
            assert self.driven.run(*made) == [None] * len(made)
            for one in made:
                if one.bodies:
                    self.owed[one.txn.rows[0].key] = one.txn.id, one.bodies[0].payload
                else:
                    del self.owed[one.txn.rows[0].key]
            if self.rng.random() < 0.3:
                self.checkpoint()
                self.reclaim()

    def checkpoint(self):
        """What is committed now survives a power cut without the log."""
        self.state = snapshot(self.driven.engine)
        self.driven.log.covered = self.state.position().sequence

    def reclaim(self):
        """Recycles what holds nothing live, as the maintenance process does."""
        live = self.driven.live()
        for row in self.driven.engine.read_range(keys.SEGMENTS, keys.FIRST, keys.LAST, 99):
            number = keys.segment_id(row.key)
            if number != self.driven.log.segment and number not in live:
                self.driven.recovered.spares.recycle(number, 1)
                gone = Row(keys.SEGMENTS, row.key, row.token, DELETE)
                self.driven.run(Entry(Txn(new_txn_id(), [gone])))

    def crash(self):
        """In the middle of writing a block; then the next life."""
        since = self.driven.ledger.last_sequence
        lost = put(b"torn", self.rng.randbytes(5000))
        self.driven.submit(lost)
        batch = self.driven.ledger.prepare()
        self._tear(bytes(batch.block.content))
        batch.engine.rollback()
        self.driven = self.driven.again(snapshot(self.state))
        row = self.driven.engine.read(SPACE, b"torn")
        asked = self.driven.ledger.outcomes.ask(lost.txn.id, since)
        assert asked is (Outcome.NOT_COMMITTED if row is None else Outcome.COMMITTED)
        if row is not None:
            self.owed[b"torn"] = lost.txn.id, lost.bodies[0].payload
            assert self.driven.read(b"torn") == lost.bodies[0].payload
            self.driven.run(self._forget_torn())

    def _forget_torn(self):
        made = self._change(b"torn")
        self.owed.pop(b"torn")
        first = made.txn.rows[0]
        row = Row(first.space, first.key, first.expect, DELETE)
        return Entry(Txn(made.txn.id, [row], made.txn.adds))

    def _tear(self, raw):
        """Writes some of the sectors of a block; what stays out is as the file was."""
        log = self.driven.log
        share = self.rng.choice([0.0, 0.5, 0.9, 1.0])
        with log_path(self.driven.directory, log.segment).open("r+b") as file:
            for start in range(0, len(raw), 512):
                if self.rng.random() < share:
                    file.seek(log.offset + start)
                    file.write(raw[start : start + 512])

    def check(self):
        """Nothing is owed that is not there, and nothing is there that is not owed."""
        engine = self.driven.engine
        found = {row.key for row in engine.read_range(SPACE, keys.FIRST, keys.LAST, 99)}
        assert found == set(self.owed)
        for key, (token, payload) in self.owed.items():
            assert engine.read(SPACE, key)[1] == token
            assert self.driven.read(key) == payload
        assert self.driven.live() == self.driven.live_recomputed()


def test_random_lives(tmp_path, rng):
    """Torn blocks, databases that fall back to a checkpoint, segments that are recycled."""
    lives = Lives(tmp_path, rng)
    for _ in range(40):
        lives.work()
        lives.crash()
        lives.check()
    lives.driven.end()
    assert len(files(tmp_path)) < 40


def test_a_spare_that_was_a_log_file_is_used_again(tmp_path):
    driven = Driven(tmp_path)
    driven.run(put(b"k", b"payload"))
    log_path(tmp_path, 9).write_bytes(log_path(tmp_path, 1).read_bytes())  # stale, never written
    driven = driven.again()
    assert driven.log.segment == 10
    assert not log_path(tmp_path, 9).exists()
    assert not spare_path(tmp_path, 9, 1).exists()  # it is segment 10 now
    assert not list(tmp_path.glob(f"*{SUFFIX}"))
    driven.run(put(b"m", b"more"))
    driven = driven.again(MemoryEngine())
    assert (driven.read(b"k"), driven.read(b"m")) == (b"payload", b"more")
    driven.end()
