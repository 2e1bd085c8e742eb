"""The contract of metadata engines as tests: subclass `MetaContract`, give `make`, run pytest.

A test that needs what an engine cannot do is skipped by capability. Nothing here imports pytest;
the comparison with a model needs Hypothesis and is skipped without it.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from unittest import SkipTest

from fastobj.core.errors import Conflict
from fastobj.meta.base import (
    ABSENT,
    ANY,
    DELETE,
    KEEP,
    TXN_ID_BYTES,
    Add,
    MetaEngine,
    Row,
    Txn,
    new_txn_id,
)

SPACE = 2  # any space would do
LAST = b"\xff" * 2048
WRITERS = 64

Contract = TypeVar("Contract", bound="MetaContract")
_Scenario = Callable[[Contract, MetaEngine], Awaitable[None]]


def txn(*rows: tuple[Any, ...], adds: Sequence[Add] = ()) -> Txn:
    """A transaction with a fresh id. A row is (key, expect, value), or four with a space first."""
    full = [Row(*row) if len(row) == 4 else Row(SPACE, *row) for row in rows]
    return Txn(new_txn_id(), full, list(adds))


async def conflict_of(engine: MetaEngine, tried: Txn) -> Conflict:
    """The Conflict that committing `tried` ends in; fails where it commits."""
    try:
        await engine.commit(tried)
    except Conflict as conflict:
        return conflict
    raise AssertionError("the transaction committed; it should have met a conflict")


async def refused(engine: MetaEngine, tried: Txn) -> None:
    """Fails unless `tried` is refused as a programmer's error."""
    try:
        await engine.commit(tried)
    except ValueError:
        return
    raise AssertionError("the transaction should have been refused with ValueError")


async def contents(engine: MetaEngine, space: int = SPACE) -> dict[bytes, tuple[bytes, bytes]]:
    """All rows of a space: key -> (value, token), in the order of the scan."""
    rows = await engine.scan(space, b"", LAST, 10_000)
    return {row.key: (row.value, row.token) for row in rows}


async def counter(engine: MetaEngine, key: bytes, space: int = SPACE) -> tuple[int, ...]:
    """One counter row; zeros where there is none."""
    rows = dict(await engine.counters(space, key, key + b"\0"))
    return rows.get(key, (0, 0, 0, 0))


def scenario(body: _Scenario[Contract]) -> Callable[[Contract, Path], None]:
    """Makes a test of a coroutine that is given an open engine."""

    def run(self: Contract, tmp_path: Path) -> None:
        async def steps() -> None:
            engine = await self.opened(tmp_path)
            try:
                await body(self, engine)
            finally:
                await engine.close()

        asyncio.run(steps())

    run.__name__ = body.__name__
    run.__doc__ = inspect.getdoc(body)
    return run


class MetaContract:
    """What every engine does. Subclasses are named `Test...` and give `make`."""

    durable = False  # capability: what was committed is there after close and `make` anew
    model_examples = 40

    def make(self, directory: Path) -> MetaEngine:
        """An engine, not yet open, that keeps what it keeps in `directory`."""
        raise NotImplementedError

    async def opened(self, directory: Path) -> MetaEngine:
        """An open engine."""
        engine = self.make(directory)
        await engine.open()
        return engine

    # --- rows

    @scenario
    async def test_a_row_is_read_as_it_was_written(self, engine: MetaEngine) -> None:
        """The token of a row is the id of the transaction that wrote it."""
        written = txn((b"k", ABSENT, b"value"))
        assert await engine.get(SPACE, b"k") is None
        await engine.commit(written)
        assert await engine.get(SPACE, b"k") == (b"value", written.id)
        assert await engine.get(SPACE + 1, b"k") is None

    @scenario
    async def test_get_many_keeps_the_order_asked_for(self, engine: MetaEngine) -> None:
        """Absent rows are None; a row asked for twice comes twice; long lists work."""
        written = txn((b"a", ABSENT, b"1"), (SPACE + 1, b"b", ABSENT, b"2"))
        await engine.commit(written)
        a, b = (b"1", written.id), (b"2", written.id)
        pairs = [(SPACE + 1, b"b"), (SPACE, b"x"), (SPACE, b"a"), (SPACE + 1, b"b")]
        assert await engine.get_many(pairs) == [b, None, a, b]
        assert await engine.get_many(pairs * 50) == [b, None, a, b] * 50
        assert await engine.get_many([]) == []

    @scenario
    async def test_values_hold_any_bytes(self, engine: MetaEngine) -> None:
        """Empty, zero bytes, every byte, not UTF-8, and as large as a value may be."""
        values = [b"", b"\0", bytes(range(256)), b"\xff\xfe" * 9, bytes(engine.limits.value_bytes)]
        for index, value in enumerate(values):
            await engine.commit(txn((b"%d" % index, ABSENT, value)))
        found = await engine.get_many([(SPACE, b"%d" % index) for index in range(len(values))])
        assert [row[0] for row in found if row] == values

    @scenario
    async def test_keys_hold_any_bytes(self, engine: MetaEngine) -> None:
        """Empty keys, keys with zero bytes, and the longest that a bucket makes of an S3 key."""
        keys = [b"", b"\0", b"\0\0", b"\xff" * 1032, bytes(range(256)) * 4, b"a\0b", b"a"]
        for key in keys:
            await engine.commit(txn((key, ABSENT, b"v" + key)))
        assert [
            key for key in keys if (await engine.get(SPACE, key) or (b"",))[0] != b"v" + key
        ] == []
        assert list(await contents(engine)) == sorted(keys)

    @scenario
    async def test_a_transaction_writes_all_its_rows(self, engine: MetaEngine) -> None:
        """Several rows in several spaces, one of them only checked, one deleted."""
        first = txn((b"a", ABSENT, b"1"), (b"b", ABSENT, b"2"), (1, b"c", ABSENT, b"3"))
        await engine.commit(first)
        second = txn((b"a", first.id, KEEP), (b"b", first.id, DELETE), (1, b"c", first.id, b"4"))
        await engine.commit(second)
        assert await contents(engine) == {b"a": (b"1", first.id)}
        assert await engine.get(1, b"c") == (b"4", second.id)

    # --- expectations

    @scenario
    async def test_absent_holds_only_without_a_row(self, engine: MetaEngine) -> None:
        """A second creation conflicts, until the row is deleted."""
        first = txn((b"k", ABSENT, b"1"))
        await engine.commit(first)
        conflict = await conflict_of(engine, txn((b"k", ABSENT, b"2")))
        assert conflict.present == [(b"1", first.id)]
        await engine.commit(txn((b"k", first.id, DELETE)))
        await engine.commit(txn((b"k", ABSENT, b"3")))

    @scenario
    async def test_a_token_holds_only_for_its_row(self, engine: MetaEngine) -> None:
        """A stale token, a token where no row is, and the present one."""
        first = txn((b"k", ABSENT, b"1"))
        await engine.commit(first)
        second = txn((b"k", first.id, b"2"))
        await engine.commit(second)
        for value in (b"3", DELETE, KEEP):
            conflict = await conflict_of(engine, txn((b"k", first.id, value)))
            assert conflict.present == [(b"2", second.id)]
            assert (await conflict_of(engine, txn((b"no", first.id, value)))).present == [None]
        assert await contents(engine) == {b"k": (b"2", second.id)}

    @scenario
    async def test_any_always_holds(self, engine: MetaEngine) -> None:
        """ANY writes over, creates, deletes, and deletes what is not there."""
        await engine.commit(txn((b"k", ANY, b"1")))
        second = txn((b"k", ANY, b"2"), (b"m", ANY, KEEP))
        await engine.commit(second)
        assert await contents(engine) == {b"k": (b"2", second.id)}
        await engine.commit(txn((b"k", ANY, DELETE)))
        await engine.commit(txn((b"k", ANY, DELETE)))
        await engine.commit(txn((b"k", ANY, DELETE), (b"m", ANY, DELETE)))
        assert await contents(engine) == {}

    @scenario
    async def test_keep_checks_and_leaves_the_row(self, engine: MetaEngine) -> None:
        """Also where it is the only row, and where it expects that there is none."""
        first = txn((b"k", ABSENT, b"1"))
        await engine.commit(first)
        await engine.commit(txn((b"k", first.id, KEEP)))
        await engine.commit(txn((b"no", ABSENT, KEEP), (b"k", first.id, KEEP)))
        await conflict_of(engine, txn((b"k", ABSENT, KEEP)))
        assert await contents(engine) == {b"k": (b"1", first.id)}

    @scenario
    async def test_delete_of_an_absent_row(self, engine: MetaEngine) -> None:
        """Expected absent: nothing happens. Absent expected, but there: a conflict."""
        await engine.commit(txn((b"no", ABSENT, DELETE)))
        await engine.commit(txn((b"no", ABSENT, DELETE), (b"k", ABSENT, b"1")))
        await conflict_of(engine, txn((b"k", ABSENT, DELETE)))
        assert list(await contents(engine)) == [b"k"]

    @scenario
    async def test_a_conflict_tells_all_rows_and_applies_nothing(self, engine: MetaEngine) -> None:
        """Whichever row fails: `present` is in the transaction's order."""
        first = txn((b"a", ABSENT, b"1"), (b"b", ABSENT, b"2"))
        await engine.commit(first)
        a, b, stale = (b"1", first.id), (b"2", first.id), new_txn_id()
        good = [(b"b", first.id, b"x"), (b"n", ABSENT, b"x"), (b"a", first.id, DELETE)]
        for index, bad in enumerate(
            [(b"b", stale, b"x"), (b"n", stale, b"x"), (b"a", stale, KEEP)]
        ):
            rows = [*good[:index], bad, *good[index + 1 :]]
            conflict = await conflict_of(engine, txn(*rows, adds=[Add(SPACE, b"c", (1,))]))
            assert conflict.present == [b, None, a]
        assert await contents(engine) == {b"a": a, b"b": b}
        assert await counter(engine, b"c") == (0, 0, 0, 0)

    # --- many transactions

    @scenario
    async def test_transactions_of_one_call_are_independent(self, engine: MetaEngine) -> None:
        """One result each; a conflict in the middle harms no neighbour."""
        one, two, three = (txn((key, ABSENT, b"v")) for key in (b"a", b"a", b"b"))
        results = await engine.commit_many([one, two, three])
        assert results[0] is None
        assert results[2] is None
        assert isinstance(results[1], Conflict)
        assert results[1].present == [(b"v", one.id)]
        assert await contents(engine) == {b"a": (b"v", one.id), b"b": (b"v", three.id)}
        assert await engine.commit_many([]) == []

    @scenario
    async def test_checks_see_the_transactions_before(self, engine: MetaEngine) -> None:
        """Create, change, delete and create again within one call, in every kind of row."""
        for space in (1, SPACE):
            one = txn((space, b"k", ABSENT, b"1"))
            two = txn((space, b"k", one.id, b"2"), (space, b"m", ABSENT, b"2"))
            three = txn((space, b"k", one.id, KEEP))
            four = txn((space, b"k", two.id, DELETE))
            five = txn((space, b"k", ABSENT, b"5"), (space, b"m", two.id, KEEP))
            results = await engine.commit_many([one, two, three, four, five])
            assert [isinstance(result, Conflict) for result in results] == [0, 0, 1, 0, 0]
            assert await engine.get(space, b"k") == (b"5", five.id)

    @scenario
    async def test_a_checked_row_may_change_between_batches(self, engine: MetaEngine) -> None:
        """Bucket rows, whose tokens an engine may remember: changed, deleted, made again."""
        bucket = txn((1, b"bucket", ABSENT, b"1"))
        await engine.commit(bucket)
        await engine.commit(txn((1, b"bucket", bucket.id, KEEP), (b"a", ABSENT, b"")))
        changed = txn((1, b"bucket", bucket.id, b"2"))
        await engine.commit(changed)
        await conflict_of(engine, txn((1, b"bucket", bucket.id, KEEP), (b"b", ABSENT, b"")))
        await engine.commit(txn((1, b"bucket", changed.id, DELETE)))
        await conflict_of(engine, txn((1, b"bucket", changed.id, KEEP), (b"b", ABSENT, b"")))
        await engine.commit(txn((1, b"bucket", ABSENT, KEEP), (b"b", ABSENT, b"")))
        assert list(await contents(engine)) == [b"a", b"b"]

    # --- scans

    @scenario
    async def test_scans_are_in_byte_order_within_their_bounds(self, engine: MetaEngine) -> None:
        """From `start` on, before `end`; nothing where they are equal or crossed."""
        keys = [b"", b"a", b"a\0", b"aa", b"a\xff", b"b", b"\x7f", b"\x80", b"\xff"]
        await engine.commit(txn(*((key, ABSENT, b"") for key in reversed(keys))))
        await engine.commit(txn((SPACE + 1, b"a", ABSENT, b"other")))
        for start in keys:
            for end in [*keys, LAST]:
                rows = await engine.scan(SPACE, start, end, 1000)
                expected = [key for key in keys if start <= key < end]
                assert [row.key for row in rows] == expected, (start, end)
                back = await engine.scan(SPACE, start, end, 1000, True)
                assert back == rows[::-1], (start, end)

    @scenario
    async def test_scans_stop_at_their_limit(self, engine: MetaEngine) -> None:
        """The first of the range, or the last of it in reverse; zero rows for a limit of zero."""
        keys = [b"%04d" % number for number in range(250)]
        await engine.commit_many([txn((key, ABSENT, key)) for key in keys])
        for limit in (0, 1, 2, 99, 100, 101, 249, 250, 251, 5000):
            rows = await engine.scan(SPACE, b"", LAST, limit)
            assert [row.value for row in rows] == keys[:limit], limit
            rows = await engine.scan(SPACE, b"", LAST, limit, reverse=True)
            assert [row.value for row in rows] == keys[::-1][:limit], limit
        assert [row.key for row in await engine.scan(SPACE, b"0100", b"0200", 2)] == keys[100:102]
        back = await engine.scan(SPACE, b"0100", b"0200", 2, reverse=True)
        assert [row.key for row in back] == [b"0199", b"0198"]

    # --- counters

    @scenario
    async def test_counters_are_exact(self, engine: MetaEngine) -> None:
        """The sums of many random adds, several of one counter in one transaction."""
        rng = random.Random(5)
        sums: dict[bytes, list[int]] = {}
        for _ in range(40):
            batch = []
            for _ in range(rng.randrange(1, 5)):
                adds = [
                    Add(SPACE, b"c%d" % rng.randrange(7), tuple(rng.choices(range(-9, 9**15), k=4)))
                    for _ in range(rng.randrange(4))
                ]
                for add in adds:
                    row = sums.setdefault(add.key, [0, 0, 0, 0])
                    row[:] = map(int.__add__, row, add.amounts)
                batch.append(txn(adds=adds))
            assert await engine.commit_many(batch) == [None] * len(batch)
        found = await engine.counters(SPACE, b"", LAST)
        assert found == sorted((key, tuple(row)) for key, row in sums.items())

    @scenario
    async def test_counters_have_four_integers(self, engine: MetaEngine) -> None:
        """Fewer amounts leave the others as they are; a range is a range; more are refused."""
        adds = [Add(SPACE, b"a", (1,)), Add(SPACE, b"b", (1, 2, 3, 4)), Add(SPACE, b"c", (0, -7))]
        await engine.commit(txn(adds=[*adds, Add(SPACE + 1, b"b", (9,))]))
        await engine.commit(txn((b"b", ABSENT, b"a row, not a counter"), adds=adds[1:2]))
        b, c = (b"b", (2, 4, 6, 8)), (b"c", (0, -7, 0, 0))
        assert await engine.counters(SPACE, b"b", LAST) == [b, c]
        assert await engine.counters(SPACE, b"b", b"c") == [b]
        await refused(engine, txn(adds=[Add(SPACE, b"a", (1, 2, 3, 4, 5))]))
        await refused(engine, txn(adds=[Add(SPACE, b"a", ())]))

    @scenario
    async def test_a_counter_of_zeros_is_gone(self, engine: MetaEngine) -> None:
        """Whether it came down to nothing in one transaction or over several."""
        up, down = Add(SPACE, b"a", (5, 2)), Add(SPACE, b"a", (-5, -2))
        await engine.commit(txn(adds=[up, Add(SPACE, b"b", (-1, 1))]))
        await engine.commit(txn(adds=[down, Add(SPACE, b"c", (3,)), Add(SPACE, b"c", (-3,))]))
        assert await engine.counters(SPACE, b"", LAST) == [(b"b", (-1, 1, 0, 0))]
        await engine.commit(txn(adds=[up]))
        assert await engine.counters(SPACE, b"", b"b") == [(b"a", (5, 2, 0, 0))]

    @scenario
    async def test_many_counters_are_listed(self, engine: MetaEngine) -> None:
        """All of a range, however many."""
        adds = [Add(SPACE, b"%04d" % number, (number + 1,)) for number in range(250)]
        await engine.commit(txn(adds=adds))
        found = await engine.counters(SPACE, b"", LAST)
        assert found == [(add.key, (*add.amounts, 0, 0, 0)) for add in adds]

    @scenario
    async def test_adds_of_a_conflict_do_not_count(self, engine: MetaEngine) -> None:
        """Neither alone nor in the middle of others."""
        add = [Add(SPACE, b"c", (1, 10))]
        one, two = txn((b"k", ABSENT, b""), adds=add), txn((b"k", ABSENT, b""), adds=add)
        three = txn((b"m", ABSENT, b""), adds=add)
        results = await engine.commit_many([one, two, three])
        assert [result is None for result in results] == [True, False, True]
        await conflict_of(engine, two)
        assert await counter(engine, b"c") == (2, 20, 0, 0)

    @scenario
    async def test_a_ceiling_is_exact(self, engine: MetaEngine) -> None:
        """At the ceiling holds, one above is a conflict that leaves neither rows nor adds."""

        def capped(key: bytes, *amounts: int) -> Txn:
            bounded = Add(SPACE, b"quota", amounts, (3, None))
            return txn((key, ABSENT, b""), adds=[Add(SPACE, b"other", (1,)), bounded])

        assert await engine.commit_many([capped(b"a", 1, 99), capped(b"b", 1)]) == [None, None]
        results = await engine.commit_many([capped(b"c", 1), capped(b"d", 1), capped(b"e", 0)])
        assert [result is None for result in results] == [True, False, True]
        assert (await conflict_of(engine, capped(b"f", 1))).present == [None]
        await engine.commit(txn(adds=[Add(SPACE, b"quota", (-1,))]))
        await conflict_of(engine, capped(b"g", 2))
        await engine.commit(capped(b"h", 1, -9))
        assert list(await contents(engine)) == [b"a", b"b", b"c", b"e", b"h"]
        assert await counter(engine, b"quota") == (3, 90, 0, 0)
        assert await counter(engine, b"other") == (5, 0, 0, 0)

    # --- limits

    @scenario
    async def test_limits_hold_and_are_reached(self, engine: MetaEngine) -> None:
        """Rows, bytes and value size: at the limit all is well, one above is refused."""
        rows, total, value = engine.limits
        await engine.commit(txn(*((b"%d" % n, ABSENT, b"") for n in range(rows))))
        await refused(engine, txn(*((b"%d" % n, ANY, KEEP) for n in range(rows + 1))))
        await engine.commit(txn((b"v", ABSENT, bytes(value))))
        await refused(engine, txn((b"w", ABSENT, bytes(value + 1))))
        parts = [bytes(value - 1)] * (total // value)
        whole = [(b"%d" % n, ANY, part) for n, part in enumerate(parts)]
        await engine.commit(txn(*whole))
        await refused(engine, txn(*whole, (b"x", ABSENT, b"")))
        assert await engine.get_many([(SPACE, b"w"), (SPACE, b"x")]) == [None, None]

    @scenario
    async def test_adds_do_not_count_as_rows(self, engine: MetaEngine) -> None:
        """Far more adds than rows are allowed."""
        await engine.commit(txn(adds=[Add(SPACE, b"c", (1,))] * 10 * engine.limits.rows))
        assert await counter(engine, b"c") == (10 * engine.limits.rows, 0, 0, 0)

    @scenario
    async def test_a_row_stands_once_in_a_transaction(self, engine: MetaEngine) -> None:
        """Twice is refused; the same key in two spaces is two rows; an id has its length."""
        await refused(engine, txn((b"k", ABSENT, b"1"), (b"m", ABSENT, b""), (b"k", ANY, b"2")))
        await refused(engine, Txn(bytes(TXN_ID_BYTES - 1), [Row(SPACE, b"k", ABSENT, b"")]))
        assert await contents(engine) == {}
        await engine.commit(txn((b"k", ABSENT, b"1"), (SPACE + 1, b"k", ABSENT, b"2")))

    # --- races

    @scenario
    async def test_one_of_many_creators_wins(self, engine: MetaEngine) -> None:
        """64 writers create one key: one commits, all others are told its row."""
        txns = [txn((b"k", ABSENT, b"%d" % n)) for n in range(WRITERS)]
        results = await asyncio.gather(*map(engine.commit, txns), return_exceptions=True)
        winners = [tried for tried, result in zip(txns, results, strict=True) if result is None]
        assert len(winners) == 1
        present = (winners[0].rows[0].value, winners[0].id)
        losers = [result for result in results if isinstance(result, Conflict)]
        assert [loser.present for loser in losers] == [[present]] * (WRITERS - 1)

    @scenario
    async def test_no_increment_is_lost(self, engine: MetaEngine) -> None:
        """64 writers count in one row with retries from the present row; the counter agrees."""

        async def increment() -> None:
            present = await engine.get(SPACE, b"k")
            while True:
                await asyncio.sleep(0)
                count = int(present[0]) + 1 if present else 1
                row = (b"k", present[1] if present else ABSENT, b"%d" % count)
                try:
                    return await engine.commit(txn(row, adds=[Add(SPACE, b"k", (1,))]))
                except Conflict as conflict:
                    present = conflict.present[0]

        await asyncio.gather(*(increment() for _ in range(WRITERS)))
        assert (await engine.get(SPACE, b"k") or (b"",))[0] == b"%d" % WRITERS
        assert await counter(engine, b"k") == (WRITERS, 0, 0, 0)

    @scenario
    async def test_pairs_of_rows_move_together(self, engine: MetaEngine) -> None:
        """Writers move tokens between accounts while scans watch: the sum never changes."""
        keys = [b"%d" % n for n in range(4)]
        await engine.commit(txn(*((key, ABSENT, b"100") for key in keys)))
        rng = random.Random(7)

        async def move(source: bytes, target: bytes) -> None:
            while True:
                pair = await engine.get_many([(SPACE, source), (SPACE, target)])
                (a, b) = (row for row in pair if row is not None)
                await asyncio.sleep(0)
                left, right = b"%d" % (int(a[0]) - 1), b"%d" % (int(b[0]) + 1)
                try:
                    return await engine.commit(txn((source, a[1], left), (target, b[1], right)))
                except Conflict:
                    rows = await contents(engine)
                    assert sum(int(value) for value, _ in rows.values()) == 400

        await asyncio.gather(*(move(*rng.sample(keys, 2)) for _ in range(WRITERS)))
        assert sum(int(value) for value, _ in (await contents(engine)).values()) == 400

    # --- life

    def test_reopening_finds_all(self, tmp_path: Path) -> None:
        """Rows, tokens and counters are there after close and open in a new engine."""
        if not self.durable:
            raise SkipTest("the engine forgets with its object")

        async def steps() -> None:
            engine = await self.opened(tmp_path)
            written = [txn((b"%d" % n, ABSENT, b"v"), adds=[Add(1, b"c", (n,))]) for n in range(9)]
            await engine.commit_many(written)
            await engine.close()
            engine = await self.opened(tmp_path)
            expected = {tried.rows[0].key: (b"v", tried.id) for tried in written}
            assert await contents(engine) == expected
            assert await counter(engine, b"c", 1) == (36, 0, 0, 0)
            await engine.close()

        asyncio.run(steps())

    # --- the model

    def test_it_behaves_as_the_model(self, tmp_path: Path) -> None:
        """Random transactions, against a dict that takes one after the other."""
        try:
            from fastobj.testing import meta_model
        except ImportError:
            raise SkipTest("needs hypothesis") from None

        async def steps(directory: str, plan: list[list[meta_model.Plan]]) -> None:
            engine = await self.opened(Path(directory))
            try:
                await meta_model.compare(engine, plan)
            finally:
                await engine.close()

        def check(plan: list[list[meta_model.Plan]]) -> None:
            with tempfile.TemporaryDirectory(dir=tmp_path) as directory:
                asyncio.run(steps(directory, plan))

        meta_model.run(check, self.model_examples)
