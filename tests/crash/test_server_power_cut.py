"""Power cuts of the whole server: a load over HTTP, recorded in all of its processes."""

import shutil
from pathlib import Path

import pytest

from fastobj.node.layout import prepare
from fastobj.storage.io import RECORD_VARIABLE
from fastobj.storage.pool import IoPool
from tests.crash import oracle, records, world
from tests.crash.client import Client, SmallServer
from tests.crash.http_load import HttpLoad
from tests.crash.oracle import History
from tests.crash.power_cut import PowerCuts, Recorded, Tally, files, rebuilt, scratch
from tests.crash.records import Kind
from tests.crash.small_server import WAL_VARIABLE

pytestmark = pytest.mark.crash


def record_server(folder: Path, seed: str, operations: int, wal_bytes: int) -> Recorded:
    """Runs a load on a new server in `folder` and records all of its processes.

    This one records too, but only counts: its numbers are those of the operations.
    """
    folder.mkdir()
    root, base = folder / "store", folder / "base"
    prepare(root)
    shutil.copytree(root, base)
    history = History()
    record = folder / "record"
    environment = {RECORD_VARIABLE: str(record), WAL_VARIABLE: str(wal_bytes)}
    with world.recording(record), SmallServer(root, environment) as server:
        HttpLoad(server.port, history, seed).run(operations)
        client = Client(server.port)
        oracle.compare(client.observe(), history)
        client.close()
    return Recorded(root, base, records.read(record), history)


async def cut_server(
    folder: Path, kept: Path, seed: int, loads: int, operations: int, states: int
) -> Tally:
    """So many recorded servers, so many states of each, and some recoveries cut again."""
    pool = IoPool()
    cuts = PowerCuts(folder, kept, pool, seed)
    try:
        for number in range(loads):
            path = folder / f"server-{number}"
            recorded = record_server(path, f"{seed} {number}", operations, 1 << (18 + number % 3))
            with world.small_limits():
                await cuts.run(recorded, states)
                await cuts.run_double(recorded, 1, 10)
            shutil.rmtree(path)
    finally:
        pool.close()
    return cuts.tally


async def test_cuts_of_a_server(seed: int, tmp_path: Path) -> None:
    with scratch() as folder:
        tally = await cut_server(folder, tmp_path, seed, loads=1, operations=400, states=60)
    assert tally.states == 70


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_many_cuts_of_a_server(seed: int, tmp_path: Path) -> None:
    with scratch() as folder:
        tally = await cut_server(folder, tmp_path, seed, loads=12, operations=600, states=160)
    assert tally.states >= 2000


def test_every_process_records(seed: int, tmp_path: Path) -> None:
    """The record spans processes: log and extents are written by different ones.

    And nothing escapes it: all of it, replayed, is the store.
    """
    with scratch() as folder:
        recorded = record_server(folder / "server", f"{seed}", 200, 1 << 18)
        writers = {
            suffix: {
                path.name
                for path in (folder / "server" / "record").glob(f"*{records.SUFFIX}")
                if any(
                    entry.kind is Kind.WRITE and entry.path.endswith(suffix)
                    for entry in records.parse(path.read_bytes())
                )
            }
            for suffix in (".log", ".db", ".ext")
        }
        assert rebuilt(recorded, folder / "rebuilt") == files(recorded.root)
    assert len(writers[".log"]) == len(writers[".db"]) == 1
    assert writers[".ext"]
    assert not writers[".ext"] & writers[".log"]
