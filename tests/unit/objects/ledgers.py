"""A local ledger driven by hand, over an engine in memory: what the tests of the ledger share."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastobj._ext.crc import crc32c
from fastobj.core.errors import FastobjError
from fastobj.core.limits import KIB
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, Add, BodyRef, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.objects.ledger import Entry
from fastobj.objects.local_ledger import LedgerBatch, Result, pending_of
from fastobj.objects.local_recovery import Recovered, recover
from fastobj.storage import log_format
from fastobj.storage.base import LOCATION_BYTES, NO_LOCATION, Location, SmallBody, new_data_id
from fastobj.storage.spares import log_path

STORE = b"the store's id.."
SPACE = keys.CURRENT
SMALL = (128 * KIB, 128 * KIB)


def entry(*rows: tuple[Any, ...], adds: Sequence[Add] = (), arrival: int | None = None) -> Entry:
    """A transaction without bodies; a row is (key, expect, value)."""
    return Entry(Txn(new_txn_id(), [Row(SPACE, *row) for row in rows], list(adds)), (), arrival)


def put(key: bytes, payload: bytes, expect: Any = ABSENT, *, hint: bytes = b"hint") -> Entry:
    """A transaction that keeps a small body; its row is the location and the data id."""
    data_id = new_data_id()
    row = Row(SPACE, key, expect, NO_LOCATION + data_id)
    small = SmallBody(data_id, payload, crc32c(payload), hint)
    return Entry(Txn(new_txn_id(), [row], [], [BodyRef(data_id, 0, 0)]), [small])


class Driven:
    """A recovered ledger, with `run` for whole commits and `prepare` for their parts."""

    def __init__(
        self,
        directory: Path,
        engine: MemoryEngine | None = None,
        segment_bytes: tuple[int, int] = SMALL,
        checkpoints: Any = None,
        database: Any = None,
        epoch_changed: Any = None,
    ) -> None:
        self.directory = directory
        self.engine = engine if engine is not None else MemoryEngine()
        self.recovered: Recovered = recover(
            directory,
            STORE,
            self.engine,
            segment_bytes=segment_bytes,
            checkpoints=checkpoints,
            database=database,
            epoch_changed=epoch_changed,
        )
        self.ledger = self.recovered.ledger
        self.log = self.recovered.log
        self.batches: list[LedgerBatch] = []
        self.results: list[list[Result]] = []

    def submit(self, *entries: Entry) -> list[Result | str]:
        """Queues entries; the list fills with their results."""
        results: list[Result | str] = ["waits"] * len(entries)
        for index, one in enumerate(entries):

            def done(result: Result, index: int = index) -> None:
                assert results[index] == "waits", "answered twice"
                results[index] = result

            self.ledger.submit(pending_of(one, done))
        return results

    def drive(self) -> None:
        """Commits until nothing waits."""
        while (batch := self.ledger.prepare()) is not None:
            self.batches.append(batch)
            try:
                self.ledger.write(batch)
            except FastobjError as error:
                self.ledger.fail(batch, error)
            else:
                self.ledger.complete(batch)

    def run(self, *entries: Entry) -> list[Result | str]:
        """Commits entries that arrive together; one result each."""
        results = self.submit(*entries)
        self.drive()
        return results

    def end(self) -> None:
        """The process ends: an open batch is gone, the file is closed."""
        self.engine.end_batch(None)
        self.log.close()

    def again(self, engine: MemoryEngine | None = None, **settings: Any) -> Driven:
        """The next life of the store, over this engine or another."""
        self.end()
        return Driven(self.directory, engine or self.engine, **settings)

    def read(self, key: bytes) -> bytes:
        """The body that the row of `key` names, from its file, all checks made."""
        row = self.engine.read(SPACE, key)
        assert row is not None
        place = Location.decode(row[0][:LOCATION_BYTES])
        raw = log_path(self.directory, place.segment).read_bytes()[place.offset :]
        head = log_format.decode_record_head(raw[:48])
        payload = raw[48 : 48 + place.length]
        assert head is not None
        assert (head.segment, head.generation) == (place.segment, place.generation)
        assert (head.data_id, head.crc32c) == (row[0][LOCATION_BYTES:], crc32c(payload))
        return payload

    def live(self) -> dict[int, tuple[int, int]]:
        """Live bytes and bodies of each segment by its counter; zeros left out."""
        counts = self.engine.counts[keys.SEGMENTS].items()
        return {keys.segment_id(key): row[:2] for key, row in counts if any(row)}

    def live_recomputed(self) -> dict[int, tuple[int, int]]:
        """The same from the rows."""
        live: dict[int, tuple[int, int]] = {}
        for value, _ in self.engine.spaces[SPACE].rows.values():
            place = Location.decode(value[:LOCATION_BYTES])
            size, count = live.get(place.segment, (0, 0))
            live[place.segment] = (size + log_format.footprint(place.length), count + 1)
        return live


def snapshot(engine: MemoryEngine) -> MemoryEngine:
    """The engine as it is now: what a power cut may go back to."""
    return copy.deepcopy(engine)


def files(directory: Path) -> dict[str, bytes]:
    """All files of a folder: name to hash."""
    return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in directory.iterdir()}


def rows_and_counters(engine: MemoryEngine) -> Any:
    """Rows and live counters, without the rows of segments, which each opening adds to."""
    rows, counts, _ = contents(engine)
    return rows.get(SPACE), counts


def write_blocks(driven: Driven, count: int, size: int = 9000, prefix: bytes = b"") -> None:
    """Commits bodies one by one, under the keys 0, 1, ..."""
    for n in range(count):
        assert driven.run(put(prefix + b"%d" % n, bytes([n]) * size)) == [None]


def contents(engine: MemoryEngine) -> Any:
    """All that an engine holds, to compare."""
    counts = {space: dict(rows) for space, rows in engine.counts.items() if rows}
    rows = {number: dict(space.rows) for number, space in engine.spaces.items() if space.rows}
    return rows, counts, engine.position()
