"""The Nth I/O of an operation fails, for every N: nothing acknowledged is lost, nothing is half."""

import random

import pytest

from fastobj.core.errors import StoreError
from fastobj.storage import extents
from fastobj.storage.log_writer import LogWriter
from fastobj.storage.pool import IoPool
from tests.crash.oracle import Lost
from tests.crash.power_cut import scratch
from tests.faults.sweep import CASES_MAX, FAULTS, OPERATIONS, Sweep, instrumented

CASES = 200
EVERY_ONE_FROM = 0.2  # of the sample: not once but for good


async def test_a_sample(seed, capsys):
    rng = random.Random(f"{seed} fail the Nth")
    pool = IoPool()
    with scratch() as folder, instrumented():
        sweep = Sweep(folder, pool)
        await sweep.make_base()
        for number in range(CASES):
            operation = OPERATIONS[number % len(OPERATIONS)]
            fault = rng.choice(list(FAULTS))
            word = "from" if rng.random() < EVERY_ONE_FROM else "nth"
            await sweep.run(operation, fault, f"{word}={rng.randint(1, rng.choice((4, 16, 60)))}")
    pool.close()
    with capsys.disabled():
        print(f"\n{sweep.tally.line(seed)}")
    assert sweep.tally.fired > CASES // 3


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("word", ["nth", "from"])
async def test_all_of_it(fault, word, seed, capsys):
    pool = IoPool()
    with scratch() as folder, instrumented():
        sweep = Sweep(folder, pool)
        await sweep.make_base()
        for operation in OPERATIONS:
            for number in range(1, CASES_MAX + 1):
                if not await sweep.run(operation, fault, f"{word}={number}"):
                    break
            else:
                pytest.fail(f"{operation.name} never completes")
    pool.close()
    with capsys.disabled():
        print(f"\n{fault}, {word}: {sweep.tally.line(seed)}")


@pytest.mark.parametrize(
    ("name", "rule", "found"),
    [
        (
            "put own file",
            "sync:path=*.body:{which}:error=EIO",
            "left behind",
        ),  # the one of its bytes
        ("put small", "write:path=*/log/*.log:{which}:error=EIO", "no longer holds"),
    ],
)
async def test_the_sweep_bites(name, rule, found, monkeypatch):
    """A file that a failure leaves is found, and so is a failure that nobody heard of."""
    monkeypatch.setitem(FAULTS, "one", rule)
    monkeypatch.setattr(extents, "_remove", _forget)
    pool = IoPool()
    operation = next(one for one in OPERATIONS if one.name == name)
    with scratch() as folder, instrumented():
        sweep = Sweep(folder, pool)
        await sweep.make_base()
        monkeypatch.setattr(LogWriter, "write", _written_without_a_word)
        with pytest.raises(Lost, match=found):
            await sweep.run(operation, "one", "nth=2" if "sync" in rule else "nth=1")
    pool.close()


def _forget(file):
    """A removal that does nothing and says that the file is gone."""
    file.close()
    return True


def _written_without_a_word(log, block):
    """A log that takes every failure for a success."""
    try:
        _write(log, block)
    except StoreError:
        log._failed = False
        log.offset += block.length
        log.last = block.ref


_write = LogWriter.write
