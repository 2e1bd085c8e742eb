"""What a store costs in one process: rows, the SQLite engine, a page of a listing, the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path

import pytest

from benchmarks import engine as engines
from benchmarks import listing
from benchmarks.commit import BODY, BODY_CRC
from benchmarks.conftest import Calibrated
from fastobj.http.message import BytesBody, Request
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, BodyRef, Row, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine
from fastobj.objects import buckets
from fastobj.objects.encoded import encode_entry
from fastobj.objects.ledger import Entry
from fastobj.s3 import xml
from fastobj.s3.context import Context
from fastobj.storage.base import SmallBody, new_data_id
from fastobj.storage.log_format import BlockRef
from fastobj.storage.log_writer import TXN_PREFIX_BYTES, Block, LogWriter
from fastobj.storage.spares import Spares
from fastobj.testing.store import assemble

ROWS = 5_000
SEGMENT_BYTES = 16 << 20  # more than all appends take
STORE = b"benchmarks store"


def test_encode_record(measured: Calibrated) -> None:
    record = records.decode(records.ObjectRecord, listing.value(1))
    encoded = measured("encode an object record", "python", records.encode, record)
    assert records.decode(records.ObjectRecord, encoded) == record


def test_decode_record(measured: Calibrated) -> None:
    encoded = listing.value(1)
    label = "decode an object record"
    record = measured(label, "python", records.decode, records.ObjectRecord, encoded)
    assert records.encode(record) == encoded


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[SqliteEngine, bytes]]:
    """An engine with ROWS rows, and the token of the bucket's row."""
    engine = SqliteEngine(tmp_path / "meta.db")
    engine.open_now()
    bucket = Txn(new_txn_id(), [Row(keys.BUCKETS, b"bucket", ABSENT, b"")])
    engines.commit_all(engine, [bucket], 1)
    engines.commit_all(engine, engines.make_txns(ROWS, bucket.id), 1000)
    engine.checkpointer.checkpoint_now()
    yield engine, bucket.id
    engine.close_now()


@pytest.mark.parametrize("size", [1, 20])
def test_engine_commit(measured: Calibrated, engine: tuple[SqliteEngine, bytes], size: int) -> None:
    opened, token = engine
    before = opened.position().sequence
    measured.once_each(
        f"sqlite commit of {size}",
        "python",
        lambda txns: engines.commit_all(opened, txns, size),
        lambda: engines.make_txns(size, token),
    )
    assert opened.position().sequence > before


def test_engine_get(measured: Calibrated, engine: tuple[SqliteEngine, bytes]) -> None:
    opened, _ = engine
    rows = opened.read_range(keys.CURRENT, keys.FIRST, keys.LAST, ROWS)
    wanted = rows[len(rows) // 2]
    assert len(rows) == ROWS
    found = measured("sqlite point get", "python", opened.read, keys.CURRENT, wanted.key)
    assert found == (wanted.value, wanted.token)


def test_engine_scan(measured: Calibrated, engine: tuple[SqliteEngine, bytes]) -> None:
    opened, _ = engine
    start = engines.random_key()[:9]  # the bucket, and the first digit of a key
    span = (keys.CURRENT, keys.FIRST, keys.LAST, 100)
    rows = measured("sqlite scan of 100 rows", "python", opened.read_range, *span)
    assert len(rows) == 100
    assert rows[0].key[:8] == start[:8]


async def _context(engine: SqliteEngine) -> Context:
    """What dispatch gives to the handler of a listing."""
    await listing.fill(engine, 5000)
    store, request = assemble(engine), Request(b"GET", b"/flat", [], BytesBody(b""))
    op, found = listing.OPS["ListObjectsV2"], await buckets.get(store, "flat")
    return Context(op, request, "id", store, listing.IDENTITY, "flat", found=found)


async def _page(context: Context) -> bytes:
    document = (await listing.HANDLERS[context.op.name](context)).document
    assert document is not None
    assert context.op.xml_out is not None
    return xml.encode(context.op.xml_out, document)


def completed(page: Coroutine[None, None, bytes]) -> bytes:
    """What a page returns. It waits for nothing but its turn: a loop would be measured with it."""
    try:
        while True:
            page.send(None)
    except StopIteration as end:
        written: bytes = end.value
        return written


def test_listing_page(measured: Calibrated, tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "meta.db")
    engine.open_now()
    try:
        context = asyncio.run(_context(engine))
        label = "listing page of 1,000 keys"
        text = measured(label, "python", lambda: completed(_page(context)))
        assert text.count(b"<Key>") == listing.PAGE
    finally:
        engine.close_now()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    """A log with an open segment."""
    log = LogWriter(tmp_path, STORE, BlockRef(), Spares(tmp_path, SEGMENT_BYTES), SEGMENT_BYTES)
    log.roll(1)
    yield log
    log.close()


def built(log: LogWriter, size: int) -> Callable[[], Block]:
    """Builds a block of that many PUTs of 4 KiB again and again."""
    numbers = count()

    def build() -> Block:
        body = SmallBody(new_data_id(), BODY, BODY_CRC, b"bucket/key %d" % next(numbers))
        entry = encode_entry(Entry(txn, [body]))
        room = size * (TXN_PREFIX_BYTES + len(entry.txn))
        builder = log.builder(room, size * entry.records_bytes(), keys.segment(log.segment))
        for _ in range(size):
            builder.add(entry.txn, entry.places, [BODY])
        return builder.build()

    (txn,) = engines.make_txns(1, new_txn_id())
    txn.bodies.append(BodyRef(new_data_id(), 1, 3))
    return build


@pytest.mark.parametrize("size", [1, 20])
def test_build_block(measured: Calibrated, log: LogWriter, size: int) -> None:
    block = measured(f"log block of {size} x 4 KiB", "python", built(log, size))
    assert block.length >= size * len(BODY)


@pytest.mark.parametrize("size", [1, 20])
def test_append(measured: Calibrated, log: LogWriter, size: int) -> None:
    label = f"append of {size} x 4 KiB with sync"
    measured.once_each(label, "fdatasync", log.write, built(log, size))
    assert log.last.sequence >= 1
