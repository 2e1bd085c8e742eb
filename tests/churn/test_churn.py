"""A working set overwritten without end: space stays bounded, and every byte stays what it was."""

import asyncio
import time
from pathlib import Path

import pytest

from fastobj.background.reclaim import SPARES_AHEAD
from fastobj.core.limits import LOG_SEGMENT_BYTES_MIN
from fastobj.objects.audit import Difference
from fastobj.testing.audited import differences_at
from fastobj.testing.process_server import ProcessServer
from tests import figures
from tests.churn.churn import MIB, Churn

SMALL_SEGMENTS = ("--log-segment-bytes-min", "512KiB", "--log-segment-bytes-max", "2MiB")
EMPTIED_S_MAX = 60.0
# Beside twice the working set: what is made ahead and open, whatever is stored.
HELD_BESIDE_BYTES = 600 * MIB
MOVED_BYTES_MIN = 10 << 30


async def settled_differences(server: ProcessServer) -> list[Difference]:
    """What counters differ in from the rows, once nothing moves between reading the two."""
    deadline = time.monotonic() + EMPTIED_S_MAX
    while (found := await differences_at(server.directory)) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    return found


async def check_end(server: ProcessServer, churn: Churn, segment_bytes: int) -> None:
    """Nothing was wrong, the counters are exact, and what is deleted gives all of its room back.

    A log that has been in use keeps spares of up to `segment_bytes` ahead.
    """
    assert await settled_differences(server) == []
    churn.empty(EMPTIED_S_MAX)
    found = churn.figures()
    print(found.line())
    figures.count("churn writes", found.writes)
    figures.count("churn reads", found.reads)
    figures.count("bytes moved by compaction", found.moved)
    assert found.wrong == 0
    assert found.moved_bodies > 0
    assert found.emptied <= found.empty + (SPARES_AHEAD + 1) * segment_bytes + MIB
    assert await settled_differences(server) == []


def another_life(server: ProcessServer, churn: Churn) -> None:
    """Everything is read, then killed, started and read again."""
    churn.verify()
    server.kill_supervisor()
    server.start()
    churn.verify()


async def test_what_is_moved_under_load_stays_what_it_was(seed: int, tmp_path: Path) -> None:
    with ProcessServer(tmp_path / "store", arguments=SMALL_SEGMENTS) as server:
        churn = Churn(server, seed, 40 * MIB)
        churn.run(8)
        another_life(server, churn)
        await check_end(server, churn, MIB)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_endless_overwrite_of_a_gigabyte(seed: int, tmp_path: Path) -> None:
    """The bound that docs/reliability.md publishes, at the sizes that a store has by default."""
    with ProcessServer(tmp_path / "store") as server:
        churn = Churn(server, seed, 1000 * MIB)
        while (found := churn.figures()).moved < MOVED_BYTES_MIN:
            churn.run(60)
            churn.verify()
            print(churn.figures().line(), flush=True)
        assert found.held <= 2 * found.working_set + HELD_BESIDE_BYTES
        another_life(server, churn)
        await check_end(server, churn, 2 * LOG_SEGMENT_BYTES_MIN)
