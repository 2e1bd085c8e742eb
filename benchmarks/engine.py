"""Metadata engines: transactions per second by batch size, point gets and scans.

Each transaction checks one bucket row, writes one new row of about 250 bytes under a random key
and adds to two counters, as a PUT does. There is no log: this is the engine's own share of the
commit loop. CPU times are of this process, checkpoints included.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fastobj.core.clock import SystemClock
from fastobj.meta import keys
from fastobj.meta.base import (
    ABSENT,
    KEEP,
    Add,
    LocalEngine,
    LogPosition,
    Row,
    Txn,
    new_txn_id,
)
from fastobj.meta.memory import MemoryEngine
from fastobj.meta.sqlite import SqliteEngine

ROWS = 60_000
GETS = 30_000
BATCHES = (1, 20, 64)
BUCKET_ID = b"bucketid"
VALUE = os.urandom(250)
CLOCK = SystemClock()


def make_txns(count: int, bucket_token: bytes) -> list[Txn]:
    """Transactions as PUTs make them."""
    bucket = Row(keys.BUCKETS, b"bucket", bucket_token, KEEP)
    adds = [
        Add(keys.CURRENT, keys.bucket_counter(BUCKET_ID), (1, 4096)),
        Add(keys.SEGMENTS, keys.segment(7), (4144, 1)),
    ]
    return [
        Txn(new_txn_id(), [bucket, Row(keys.CURRENT, random_key(), ABSENT, VALUE)], adds)
        for _ in range(count)
    ]


def random_key() -> bytes:
    """The row key of an object somewhere in the bucket."""
    return keys.current(BUCKET_ID, os.urandom(8).hex().encode() + b"/some/object")


def batches(txns: list[Txn], size: int) -> Iterator[list[Txn]]:
    """The transactions in groups of `size`."""
    return (txns[at : at + size] for at in range(0, len(txns), size))


def commit_all(engine: LocalEngine, txns: list[Txn], size: int) -> None:
    """The committer's loop, without its log."""
    checkpointer = engine.checkpointer if isinstance(engine, SqliteEngine) else None
    sequence = engine.position().sequence
    for group in batches(txns, size):
        sequence += 1
        if checkpointer is not None:
            checkpointer.before_batch()
        batch = engine.begin()
        for txn in group:
            if batch.apply(txn) is not None or batch.add(txn.adds):
                raise AssertionError("an unexpected conflict")
        batch.commit(LogPosition(1, 1, 0, sequence, 0))
        if checkpointer is not None:
            checkpointer.committed(sequence)


async def measure_writes(engine: LocalEngine, name: str) -> None:
    """Prints a line for each batch size."""
    bucket = Txn(new_txn_id(), [Row(keys.BUCKETS, b"bucket", ABSENT, b"")])
    await engine.commit(bucket)
    for size in BATCHES:
        txns = make_txns(ROWS if size > 1 else ROWS // 4, bucket.id)
        begin, cpu = CLOCK.monotonic_ns(), time.process_time_ns()
        commit_all(engine, txns, size)
        elapsed, cpu = CLOCK.monotonic_ns() - begin, time.process_time_ns() - cpu
        rate, cost = len(txns) / elapsed * 1e9, cpu / len(txns) / 1000
        print(f"{name:8} batch {size:3}  {rate:9,.0f} txns/s  {cost:6.2f} us CPU each")
    if isinstance(engine, SqliteEngine):
        stats = engine.checkpointer.stats
        print(
            f"{name:8} {stats.passive_count} passive, {stats.restart_count} restarts,"
            f" stalled {stats.stall_ns / 1e6:.0f} ms, {stats.stall_ns_max / 1e6:.1f} ms at most,"
            f" WAL up to {stats.wal_bytes_max / 2**20:.0f} MiB"
        )


async def measure_reads(engine: LocalEngine, name: str) -> None:
    """Prints point gets, and scans on the loop and beyond it."""
    everything = await engine.scan(keys.CURRENT, keys.FIRST, keys.LAST, GETS)
    wanted = [row.key for row in sorted(everything, key=lambda row: row.token)]
    begin = CLOCK.monotonic_ns()
    for key in wanted:
        await engine.get(keys.CURRENT, key)
    print(f"{name:8} get        {(CLOCK.monotonic_ns() - begin) / len(wanted) / 1000:6.2f} us each")
    for limit in (100, 1000):
        rows, begin = 0, CLOCK.monotonic_ns()
        for key in wanted[:100]:
            rows += len(await engine.scan(keys.CURRENT, key, keys.LAST, limit))
        rate = rows / (CLOCK.monotonic_ns() - begin) * 1e9
        print(f"{name:8} scan {limit:4}  {rate:9,.0f} rows/s")


async def main() -> None:
    """Measures both engines."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as directory:
        engines: list[tuple[str, LocalEngine]] = [
            ("memory", MemoryEngine()),
            ("sqlite", SqliteEngine(Path(directory) / "meta.db")),
        ]
        for name, engine in engines:
            await engine.open()
            await measure_writes(engine, name)
            await measure_reads(engine, name)
            await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
