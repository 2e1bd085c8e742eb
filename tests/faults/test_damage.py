"""Flipped bits and swapped blocks anywhere in a store: what is read is identical, or an error."""

import random

import pytest

from fastobj.meta import sqlite_connect
from fastobj.storage.pool import IoPool
from tests import figures
from tests.crash.power_cut import scratch
from tests.crash.world import small_limits
from tests.faults.damage import WAL_BYTES, Damaged


async def damage(seed, running, started, capsys):
    """So many damages under a running store, and so many before a start."""
    rng = random.Random(f"{seed} damage")
    pool = IoPool()
    with scratch() as folder, small_limits(WAL_BYTES):
        damaged = Damaged(folder / "store", pool)
        await damaged.make()
        async with damaged.running():
            for _ in range(running):
                await damaged.damage_running(rng)
            for _ in range(started):
                await damaged.damage_before_start(rng, folder)
    pool.close()
    figures.count("damages", running + started)
    with capsys.disabled():
        print(f"\n{damaged.tally.line(seed)}")
    return damaged.tally


async def test_a_thousand(seed, capsys):
    tally = await damage(seed, 900, 100, capsys)
    assert tally.strange == []
    assert sum(n for word, n in tally.counts.items() if word.startswith("noticed")) > 300


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_fifty_thousand(seed, capsys):
    tally = await damage(seed, 47_000, 3_000, capsys)
    assert tally.strange == []


async def test_without_sums_of_pages_the_instrument_bites(seed, capsys, monkeypatch):
    """The database of a version before them serves what is not so, or hides what is."""
    monkeypatch.setattr(sqlite_connect, "_reserved_bytes", lambda connection, wanted=-1: 0)
    tally = await damage(seed, 300, 0, capsys)
    assert any(" wrong" in each or " missing" in each for each in tally.strange)
    assert all(each.startswith(".db ") for each in tally.strange)
