"""The local ledger alone, without links: commits per second next to what the drive can sync.

A transaction is what a PUT of 4 KiB makes: the bucket's row checked, a new object row of 250 bytes,
its body, two counter changes. `--profile` shows where the processor's time goes, `--path` that of a
whole PUT over HTTP, stage by stage in Markdown.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import path
from benchmarks._disk import fdatasync_per_second
from fastobj._ext.crc import crc32c
from fastobj.core.errors import FastobjError
from fastobj.core.limits import LOG_SEGMENT_BYTES_MAX
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, KEEP, Add, BodyRef, Row, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine
from fastobj.objects.ledger import Entry
from fastobj.objects.local_ledger import LocalLedger, pending_of
from fastobj.objects.local_recovery import recover
from fastobj.storage.base import NO_LOCATION, SmallBody, new_data_id

BODY = os.urandom(4096)
BODY_CRC = crc32c(BODY)
BUCKET_ID = os.urandom(keys.BUCKET_ID_BYTES)
BATCHES = (1, 20, 64)


def entry(number: int, bucket_token: bytes) -> Entry:
    """The transaction of one PUT."""
    data_id = new_data_id()
    record = records.encode(
        records.ObjectRecord(
            format=records.FORMAT,
            location=NO_LOCATION,
            data_id=data_id,
            size=len(BODY),
            etag="0123456789abcdef" * 2,
            modified_ns=1_800_000_000_000_000_000 + number,
            headers={"content-type": "application/octet-stream"},
            metadata={"mode": "33188", "mtime": "1800000000.123456789", "note": "x" * 40},
            checksums={"crc32c": "AAAAAA=="},
        )
    )
    key = keys.current(BUCKET_ID, b"%016x" % (number * 0x9E3779B97F4A7C15 & (1 << 64) - 1))
    rows = [
        Row(keys.BUCKETS, b"bucket", bucket_token, KEEP),
        Row(keys.CURRENT, key, ABSENT, record),
    ]
    adds = [
        Add(keys.CURRENT, BUCKET_ID, (1, len(BODY))),
        Add(keys.SEGMENTS, keys.segment(1), (-1, 0)),  # as an overwrite would release its body
    ]
    body = SmallBody(data_id, BODY, BODY_CRC, b"bucket/" + key)
    offset = records.location_offset(record)
    return Entry(Txn(new_txn_id(), rows, adds, [BodyRef(data_id, 1, offset)]), [body])


@contextmanager
def opened(directory: Path) -> Iterator[tuple[LocalLedger, bytes]]:
    """A ledger over a fresh store, and the token of the bucket's row."""
    log = directory / "log"
    log.mkdir()
    engine = SqliteEngine(directory / "meta.db")
    engine.open_now()
    sizes = (LOG_SEGMENT_BYTES_MAX, LOG_SEGMENT_BYTES_MAX)
    recovered = recover(
        log, os.urandom(16), engine, segment_bytes=sizes, checkpoints=engine.checkpointer
    )
    for _ in range(6):  # as maintenance makes them ahead
        recovered.spares.make()
    bucket = Txn(new_txn_id(), [Row(keys.BUCKETS, b"bucket", ABSENT, b"a bucket")])
    commit(recovered.ledger, [Entry(bucket)])
    try:
        yield recovered.ledger, bucket.id
    finally:
        recovered.log.close()
        engine.close_now()


def _check(result: FastobjError | None) -> None:
    if result is not None:
        raise result


def commit(ledger: LocalLedger, entries: list[Entry]) -> None:
    """Commits entries as one batch."""
    for one in entries:
        ledger.submit(pending_of(one, _check))
    while (batch := ledger.prepare()) is not None:
        ledger.write(batch)
        ledger.complete(batch)


def measure(directory: Path, size: int, count: int) -> tuple[float, float]:
    """Commits per second, and microseconds of the processor per transaction."""
    with tempfile.TemporaryDirectory(dir=directory) as folder, opened(Path(folder)) as (ledger, at):
        wall = cpu = 0.0
        for start in range(0, count, size):
            entries = [entry(start + index, at) for index in range(size)]
            began, cpu_began = time.perf_counter(), time.process_time()
            commit(ledger, entries)
            wall += time.perf_counter() - began
            cpu += time.process_time() - cpu_began
        return count / wall, cpu / count * 1e6


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path.cwd())
    parser.add_argument("--transactions", type=int, default=12_800)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--path", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each table of --path")
    arguments = parser.parse_args()
    if arguments.path:
        path.show(arguments.directory, arguments.seconds)
        return
    show(arguments.directory, arguments.transactions, profiled=arguments.profile)


def show(directory: Path, transactions: int = 12_800, *, profiled: bool = False) -> None:
    """Prints the rate of syncs, and one line for each size of batch."""
    syncs = fdatasync_per_second(directory)
    print(f"fdatasync of 4 KiB: {syncs:.0f}/s", flush=True)
    for size in BATCHES:
        count = transactions if size > 1 else transactions // 10
        profile = cProfile.Profile()
        if profiled:
            profile.enable()
        rate, cpu_us = measure(directory, size, count)
        profile.disable()
        print(
            f"batches of {size:<3} {rate:>8.0f} commits/s  {rate / size / syncs:5.2f} of the syncs"
            f"  {cpu_us:6.1f} us of CPU each, so at most {1e6 / cpu_us:.0f}/s",
            flush=True,
        )
        if profiled:
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
