"""Kills of every process of a loaded server: no acknowledged change is lost, no third thing shows.

Each test prints its seed; `--seed` repeats its choices. A failure names the round and the store.
"""

import asyncio
import random
from pathlib import Path

import pytest

from tests.crash.client import SmallServer
from tests.crash.kills import POINTS, PROCESSES, Killer
from tests.crash.oracle import Lost

pytestmark = pytest.mark.crash

LONG_ROUNDS_EACH = 22


def _run_kills(tmp_path: Path, seed: int, rounds_each: int) -> Killer:
    """Kills every kind of process that often, in random order, and compares after each."""
    killer = Killer(tmp_path / "store", seed)
    victims = list(PROCESSES) * rounds_each
    random.Random(f"{seed} victims").shuffle(victims)
    with killer.server() as server:
        for victim in victims:
            killer.kill_round(server, victim)
            asyncio.run(killer.check_counters())
    asyncio.run(killer.check_stopped())
    return killer


def test_kills_of_each_process(seed: int, tmp_path: Path) -> None:
    killer = _run_kills(tmp_path, seed, 1)
    assert killer.answered > 0


@pytest.mark.parametrize("point", POINTS)
def test_end_at_a_named_point(point: str, seed: int, tmp_path: Path) -> None:
    killer = Killer(tmp_path / "store", seed)
    assert killer.point_rounds(point, 1) >= 1
    asyncio.run(killer.check_stopped())


def test_a_fault_is_found(seed: int, tmp_path: Path) -> None:
    """The instrument bites: a committer that answers while it writes does not pass."""
    killer = Killer(tmp_path / "store", seed, fault="answer_while_writing")
    with killer.server() as server, pytest.raises(Lost):
        _kill_until_lost(killer, server)


def _kill_until_lost(killer: Killer, server: SmallServer) -> None:
    for _ in range(100):
        killer.kill_round(server, "committer")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_kills_of_each_process(seed: int, tmp_path: Path) -> None:
    killer = _run_kills(tmp_path, seed, LONG_ROUNDS_EACH)
    assert killer.rounds == LONG_ROUNDS_EACH * len(PROCESSES)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("everyone", [False, True], ids=["alone", "all"])
@pytest.mark.parametrize("point", POINTS)
def test_many_ends_at_a_named_point(point: str, everyone: bool, seed: int, tmp_path: Path) -> None:
    killer = Killer(tmp_path / "store", seed)
    done = killer.point_rounds(point, LONG_ROUNDS_EACH, everyone=everyone)
    assert done >= LONG_ROUNDS_EACH
    asyncio.run(killer.check_stopped())
