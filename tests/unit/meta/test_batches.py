"""Batches of local engines: what is seen when, and what an end leaves. On both engines."""

import pytest

from fastobj.core.errors import Conflict
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, ANY, DELETE, KEEP, Add, LogPosition, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.meta.sqlite import SqliteEngine
from fastobj.meta.transact import apply_whole

SPACE = keys.CURRENT
POSITION = LogPosition(2**63, 3, 4096, 7, 2**32 - 1)


def txn(*rows: Row, adds: tuple[Add, ...] = ()) -> Txn:
    return Txn(new_txn_id(), list(rows), list(adds))


def put(key: bytes, value: bytes, expect=ABSENT, space: int = SPACE) -> Txn:
    return txn(Row(space, key, expect, value))


@pytest.fixture(params=["memory", "sqlite"])
def engine(request, tmp_path):
    if request.param == "memory":
        yield MemoryEngine()
        return
    sqlite = SqliteEngine(tmp_path / "meta.db")
    sqlite.open_now()
    yield sqlite
    sqlite.close_now()


def test_nothing_is_seen_before_commit(engine):
    written = put(b"k", b"v")
    batch = engine.begin()
    assert batch.apply(written) is None
    assert engine.read(SPACE, b"k") is None
    assert engine.read_range(SPACE, b"", keys.LAST, 10) == []
    batch.commit(POSITION)
    assert engine.read(SPACE, b"k") == (b"v", written.id)
    assert engine.read_range(SPACE, b"", keys.LAST, 10) == [(b"k", b"v", written.id)]


async def test_a_rollback_leaves_nothing(engine):
    batch = engine.begin()
    batch.apply(put(b"k", b"v"))
    batch.add([Add(SPACE, b"c", (1,))])
    batch.rollback()
    batch.rollback()
    assert engine.read(SPACE, b"k") is None
    assert await engine.counters(SPACE, b"", keys.LAST) == []
    assert engine.position() == LogPosition()
    engine.begin().commit(POSITION)


def test_a_rollback_after_commit_does_nothing(engine):
    batch = engine.begin()
    batch.apply(put(b"k", b"v"))
    batch.commit(POSITION)
    batch.rollback()
    assert engine.read(SPACE, b"k") is not None


def test_the_position_comes_with_its_batch(engine):
    assert engine.position() == LogPosition()
    batch = engine.begin()
    batch.commit(POSITION)
    assert engine.position() == POSITION
    batch = engine.begin()
    batch.commit(POSITION._replace(sequence=8))
    assert engine.position().sequence == 8


async def test_an_own_commit_leaves_the_position(engine):
    engine.begin().commit(POSITION)
    await engine.commit(put(b"k", b"v"))
    assert engine.position() == POSITION


def test_there_is_one_batch(engine):
    batch = engine.begin()
    with pytest.raises(AssertionError, match="a batch is open"):
        engine.begin()
    batch.rollback()


def test_a_batch_ends_once(engine):
    batch = engine.begin()
    batch.commit(POSITION)
    with pytest.raises(AssertionError, match="has ended"):
        batch.commit(POSITION)


@pytest.mark.parametrize("space", [SPACE, keys.BUCKETS])
def test_checks_see_the_batch(engine, space):
    first, second = put(b"k", b"1", space=space), put(b"k", b"2", space=space)
    batch = engine.begin()
    assert batch.apply(first) is None
    conflict = batch.apply(second)
    assert isinstance(conflict, Conflict)
    assert conflict.present == [(b"1", first.id)]
    third = txn(Row(space, b"k", first.id, DELETE))
    assert batch.apply(third) is None
    assert batch.apply(txn(Row(space, b"k", ABSENT, KEEP))) is None
    assert batch.apply(second) is None
    batch.commit(POSITION)
    assert engine.read(space, b"k") == (b"2", second.id)


def test_bucket_tokens_do_not_outlive_a_rollback(engine):
    bucket = put(b"b", b"1", space=keys.BUCKETS)
    engine.begin().commit(POSITION)
    batch = engine.begin()
    batch.apply(bucket)
    batch.rollback()
    batch = engine.begin()
    assert batch.apply(txn(Row(keys.BUCKETS, b"b", bucket.id, KEEP))) is not None
    assert batch.apply(txn(Row(keys.BUCKETS, b"b", ABSENT, KEEP))) is None
    batch.rollback()


def test_replay_applies_without_checks(engine):
    batch = engine.begin()
    first, last = put(b"k", b"1", new_txn_id()), put(b"k", b"2", new_txn_id())
    gone = txn(Row(SPACE, b"no", new_txn_id(), DELETE), Row(SPACE, b"m", new_txn_id(), KEEP))
    for applied in (first, last, gone, last):
        batch.apply_unchecked(applied)
    batch.commit(POSITION)
    assert engine.read_range(SPACE, b"", keys.LAST, 9) == [(b"k", b"2", last.id)]


def test_adds_of_one_call_are_all_or_none(engine):
    batch = engine.begin()
    capped = Add(SPACE, b"q", (2, 100), (3, None))
    free = Add(SPACE, b"free", (1,))
    assert list(batch.add([free, capped])) == []
    assert list(batch.add([free, capped])) == [capped]
    batch.commit(POSITION)
    batch = engine.begin()
    assert list(batch.add([capped])) == [capped]
    one = Add(SPACE, b"q", (1,), (3,))
    assert list(batch.add([one, one])) == [one, one]
    assert list(batch.add([one])) == []
    batch.commit(POSITION)


async def test_a_ceiling_counts_the_whole_call(engine):
    batch = engine.begin()
    up, down = Add(SPACE, b"q", (5,), (3,)), Add(SPACE, b"q", (-2,))
    assert list(batch.add([up, down])) == []
    batch.commit(POSITION)
    assert await engine.counters(SPACE, b"", keys.LAST) == [(b"q", (3, 0, 0, 0))]


async def test_a_conflict_of_rows_takes_the_adds_back(engine):
    batch = engine.begin()
    add = Add(SPACE, b"q", (1,), (2,))
    assert apply_whole(batch, txn(Row(SPACE, b"k", ABSENT, b""), adds=(add,))) is None
    for _ in range(3):
        tried = txn(Row(SPACE, b"k", ABSENT, b""), adds=(add,))
        assert apply_whole(batch, tried).present[0] is not None
    assert apply_whole(batch, txn(Row(SPACE, b"m", ABSENT, b""), adds=(add,))) is None
    refused = apply_whole(batch, txn(Row(SPACE, b"n", ABSENT, b""), adds=(add,)))
    assert refused.present == [None]
    batch.commit(POSITION)
    assert await engine.counters(SPACE, b"", keys.LAST) == [(b"q", (2, 0, 0, 0))]
    assert len(engine.read_range(SPACE, b"", keys.LAST, 9)) == 2


@pytest.mark.parametrize("space", [SPACE, keys.BUCKETS])
@pytest.mark.parametrize("expect", ["present", "absent", "any", "stale"])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("value", [b"new", b"", DELETE, KEEP])
@pytest.mark.parametrize("rows", [1, 2])
def test_every_expectation_meets_every_value(engine, space, expect, there, value, rows):
    old = put(b"k", b"old", space=space)
    batch = engine.begin()
    if there:
        assert batch.apply(old) is None
    wanted = {"present": old.id, "absent": ABSENT, "any": ANY, "stale": new_txn_id()}[expect]
    holds = {"present": there, "absent": not there, "any": True, "stale": False}[expect]
    other = [Row(space, b"other", ABSENT, b"o")]
    tried = txn(Row(space, b"k", wanted, value), *other[: rows - 1])
    assert (batch.apply(tried) is None) == holds
    batch.commit(POSITION)
    before = (b"old", old.id) if there else None
    after = None if value is None else (value, tried.id)
    assert engine.read(space, b"k") == (after if holds and value != KEEP else before)
    assert (engine.read(space, b"other") is not None) == (holds and rows == 2)


@pytest.mark.parametrize("rows", [[], [Row(SPACE, b"k", ABSENT, b"")] * 2])
def test_a_refused_transaction_leaves_the_batch_whole(engine, rows):
    batch = engine.begin()
    batch.apply(put(b"a", b"1"))
    if rows:
        with pytest.raises(ValueError, match="twice"):
            batch.apply(txn(*rows))
    else:
        assert batch.apply(txn()) is None
    batch.commit(POSITION)
    assert engine.read(SPACE, b"a") is not None
