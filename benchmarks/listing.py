"""Listings: keys per second of one core from the engine to the XML, and rows read per entry.

Pages of 1,000 entries of buckets that differ a hundredfold in size: what a page costs must not
follow the size. Keys go straight into the engine. A flat bucket is listed with and without a
delimiter, and as clients ask for it; then folders of which each holds one key, or a hundred.
`--profile` shows where the processor's time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from fastobj.http.message import Request
from fastobj.iam.identity import Identity
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, MetaReader, Row, ScanRow, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine
from fastobj.objects import buckets
from fastobj.objects.store import Store
from fastobj.s3 import xml
from fastobj.s3.context import Context
from fastobj.s3.handlers.listing import list_objects, list_objects_v2
from fastobj.s3.operations import OPERATIONS
from fastobj.testing.store import assemble

PAGE: Final = 1000
OPS: Final = {op.name: op for op in OPERATIONS}
HANDLERS: Final = {"ListObjects": list_objects, "ListObjectsV2": list_objects_v2}
IDENTITY: Final = Identity("owner", "owner", "access", "secret")
_BATCH: Final = 20_000


class Case(NamedTuple):
    """A line of the report: which bucket, and what is asked for. `name` says it to the reader."""

    name: str
    bucket: str
    operation: str
    query: dict[str, str]


_FOLDED: Final = {"prefix": "photos/", "delimiter": "/"}
CASES: Final = (
    Case("v1 flat", "flat", "ListObjects", {}),
    Case("v2 flat", "flat", "ListObjectsV2", {}),
    Case("v2 flat, url encoded", "flat", "ListObjectsV2", {"encoding-type": "url"}),
    Case("v1 flat, delimiter", "flat", "ListObjects", _FOLDED),
    Case("v2 flat, delimiter", "flat", "ListObjectsV2", _FOLDED),
    Case("v2 folders of 1 key", "ones", "ListObjectsV2", _FOLDED),
    Case("v2 folders of 100 keys", "hundreds", "ListObjectsV2", _FOLDED),
)
FORMS: Final[dict[str, Callable[[int], bytes]]] = {
    "flat": lambda number: b"photos/%010d.jpg" % number,
    "ones": lambda number: b"photos/%010d/1.jpg" % number,
    "hundreds": lambda number: b"photos/%010d/%02d.jpg" % divmod(number, 100),
}


class CountingReader:
    """A reader that counts the rows that its scans return, and the time that they take."""

    def __init__(self, meta: MetaReader) -> None:
        self._meta = meta
        self.get, self.get_many, self.counters = meta.get, meta.get_many, meta.counters
        self.rows = self.scan_ns = 0

    async def scan(
        self, space: int, start: bytes, end: bytes, limit: int, reverse: bool = False
    ) -> list[ScanRow]:
        """The engine's rows, counted."""
        began = time.process_time_ns()
        found = await self._meta.scan(space, start, end, limit, reverse)
        self.scan_ns += time.process_time_ns() - began
        self.rows += len(found)
        return found


class NoBody:
    """The body of a request that has none."""

    length = 0

    async def read(self, limit: int) -> bytes:
        """Nothing."""
        return b""

    async def readinto(self, buffer: memoryview) -> int:
        """Nothing."""
        return 0


def value(number: int) -> bytes:
    """The row of an object of 4 KiB, as a PUT with a checksum stores it, each second another."""
    return records.encode(
        records.ObjectRecord(
            format=records.FORMAT,
            location=os.urandom(32),
            data_id=os.urandom(16),
            size=4096,
            etag=os.urandom(16).hex(),
            modified_ns=1_700_000_000_000_000_000 + number * 1_000_000_000,
            headers={"content-type": "image/jpeg"},
            metadata={"mode": "33188"},
            checksums={"crc32": "AAAAAA=="},
        )
    )


async def fill(engine: SqliteEngine, count: int) -> None:
    """A bucket of that many keys for each form."""
    values = [value(number) for number in range(min(count, _BATCH))]
    for name, form in FORMS.items():
        bucket, _ = await buckets.create(assemble(engine), name, "owner")
        for start in range(0, count, _BATCH):
            engine.checkpointer.before_batch()
            batch = engine.begin()
            for number in range(start, min(count, start + _BATCH)):
                key = keys.current(bucket.record.id, form(number))
                row = Row(keys.CURRENT, key, ANY, values[number - start])
                batch.apply_unchecked(Txn(new_txn_id(), [row]))
            batch.commit(None)
            engine.checkpointer.committed(0)
    engine.checkpointer.checkpoint_now()


class Cost(NamedTuple):
    """What pages have cost: microseconds of the processor per entry, and rows per entry."""

    scan_us: float
    page_us: float
    xml_us: float
    rows: float

    @property
    def per_second(self) -> float:
        """Entries per second of one core, scan and page and XML together."""
        return 1e6 / (self.scan_us + self.page_us + self.xml_us)


async def measure(store: Store, case: Case, count: int, pages: int) -> Cost:
    """Lists pages from random places of the bucket."""
    reader = CountingReader(store.meta)
    store = replace(store, meta=reader)
    op, handler = OPS[case.operation], HANDLERS[case.operation]
    parameter = "marker" if case.operation == "ListObjects" else "start-after"
    request = Request(b"GET", b"/" + case.bucket.encode(), [], NoBody())
    places = random.Random(1)
    entries = handler_ns = xml_ns = 0
    found = await buckets.get(store, case.bucket)  # as dispatch finds it
    for _ in range(pages):
        start = FORMS[case.bucket](places.randrange(max(1, count - PAGE))).decode()
        query = case.query | {parameter: start}
        ctx = Context(op, request, "id", store, IDENTITY, case.bucket, query=query, found=found)
        began = time.process_time_ns()
        document = (await handler(ctx)).document
        handled = time.process_time_ns()
        assert document is not None
        assert op.xml_out is not None
        xml.encode(op.xml_out, document)
        xml_ns += time.process_time_ns() - handled
        handler_ns += handled - began
        entries += len(document["Contents"]) + len(document["CommonPrefixes"])
    us = entries * 1000
    page_ns = handler_ns - reader.scan_ns
    return Cost(reader.scan_ns / us, page_ns / us, xml_ns / us, reader.rows / entries)


async def measure_all(directory: Path, count: int, pages: int) -> dict[str, Cost]:
    """The cost of each case in buckets of that many keys."""
    engine = SqliteEngine(directory / f"{count}.db")
    await engine.open()
    try:
        await fill(engine, count)
        store = assemble(engine)
        return {case.name: await measure(store, case, count, pages) for case in CASES}
    finally:
        await engine.close()


def show(costs: dict[int, dict[str, Cost]]) -> None:
    """Prints a line for each case and size, and how the largest size compares with the first."""
    least, most = min(costs), max(costs)
    for case in CASES:
        for count, by_case in costs.items():
            cost = by_case[case.name]
            print(
                f"{case.name:23} of {count:>9,} keys {cost.per_second:>9,.0f} entries/s"
                f"  us each: scan {cost.scan_us:5.2f} page {cost.page_us:5.2f}"
                f" XML {cost.xml_us:5.2f}  rows {cost.rows:4.2f}"
            )
        ratio = costs[least][case.name].per_second / costs[most][case.name].per_second
        print(f"{case.name:23} costs {ratio:.2f} times as much in the larger bucket", flush=True)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    costs, profile = {}, cProfile.Profile()
    gc.freeze()  # as a server does before it forks
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as directory:
        for count in options.keys:
            if options.profile:
                profile.enable()
            costs[count] = asyncio.run(measure_all(Path(directory), count, options.pages))
            profile.disable()
    show(costs)
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
