"""A model of metadata engines, and random plans of transactions to compare one with it.

Needs Hypothesis, which the contract imports this module to find out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies

from fastobj.meta.base import ABSENT, ANY, DELETE, KEEP, Add, MetaEngine, Row, Txn, new_txn_id

SPACE = 2
LAST = b"\xff" * 2048

# One transaction, symbolic: (space, key) -> (what to expect, value), and adds (key, amounts).
Plan = tuple[dict[tuple[int, bytes], tuple[str, Any]], list[tuple[bytes, list[int]]]]


class Model:
    """What an engine should hold: rows and counters in dicts."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, bytes], tuple[bytes, bytes]] = {}
        self.counts: dict[bytes, list[int]] = {}

    def plan(self, planned: Plan) -> Txn:
        """The transaction that a plan means while the model stands as it does."""
        rows = [
            Row(space, key, self._expect(expect, (space, key)), value)
            for (space, key), (expect, value) in planned[0].items()
        ]
        return Txn(new_txn_id(), rows, [Add(SPACE, key, tuple(n)) for key, n in planned[1]])

    def _expect(self, kind: str, place: tuple[int, bytes]) -> Any:
        present = self.rows.get(place)
        token = present[1] if present else ABSENT
        return {"present": token, "absent": ABSENT, "any": ANY, "stale": new_txn_id()}[kind]

    def apply(self, tried: Txn) -> list[tuple[bytes, bytes] | None] | None:
        """Applies a transaction; the present rows where it conflicts."""
        present = [self.rows.get((row.space, row.key)) for row in tried.rows]
        for row, there in zip(tried.rows, present, strict=True):
            if row.expect != ANY and row.expect != (there[1] if there else ABSENT):
                return present
        for row in tried.rows:
            if row.value is None:
                self.rows.pop((row.space, row.key), None)
            elif isinstance(row.value, bytes):
                self.rows[row.space, row.key] = (row.value, tried.id)
        for add in tried.adds:
            counts = self.counts.setdefault(add.key, [0, 0, 0, 0])
            counts[: len(add.amounts)] = map(int.__add__, counts, add.amounts)
        return None


def plans() -> strategies.SearchStrategy[list[list[Plan]]]:
    """Lists of calls of `commit_many`, over few keys so that transactions meet."""
    key = strategies.binary(max_size=2) | strategies.sampled_from([b"a", b"b", b"\xff"])
    expect = strategies.sampled_from(["present", "present", "absent", "any", "stale"])
    value = strategies.just(DELETE) | strategies.just(KEEP) | strategies.binary(max_size=4)
    place = strategies.tuples(strategies.integers(1, 2), key)
    rows = strategies.dictionaries(place, strategies.tuples(expect, value), max_size=4)
    amounts = strategies.lists(strategies.integers(-9, 9), min_size=1, max_size=4)
    adds = strategies.lists(strategies.tuples(key, amounts), max_size=3)
    calls = strategies.lists(strategies.tuples(rows, adds), max_size=4)
    return strategies.lists(calls, max_size=8)


def run(check: Callable[[list[list[Plan]]], None], examples: int) -> None:
    """Calls `check` with random plans; what fails is shrunk before it is reported."""
    bounded = hypothesis.settings(max_examples=examples, deadline=None)
    bounded(hypothesis.given(plans())(check))()


async def compare(engine: MetaEngine, plan: list[list[Plan]]) -> None:
    """Runs a plan on an empty engine and on the model, and compares all that can be read."""
    model = Model()
    for call in plan:
        txns = [model.plan(planned) for planned in call]
        expected = [model.apply(tried) for tried in txns]
        results = await engine.commit_many(txns)
        assert [result and result.present for result in results] == expected
    for space in (1, 2):
        rows = sorted((key, *row) for (at, key), row in model.rows.items() if at == space)
        assert await engine.scan(space, b"", LAST, 10_000) == rows
        pairs = [(space, key) for key, *_ in rows]
        assert await engine.get_many(pairs) == [model.rows[pair] for pair in pairs]
    counts = [item for item in await engine.counters(SPACE, b"", LAST) if any(item[1])]
    assert counts == sorted((k, tuple(n)) for k, n in model.counts.items() if any(n))
