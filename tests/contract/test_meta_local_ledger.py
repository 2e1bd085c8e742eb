"""The contract of engines on the local ledger: reads from the database, commits by the log."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fastobj.core.errors import Conflict, FastobjError
from fastobj.core.limits import KIB, LOG_SEGMENT_BYTES_MIN
from fastobj.meta.base import Txn
from fastobj.meta.transact import ENGINE_LIMITS
from fastobj.objects.ledger import Entry
from fastobj.testing.local_store import LocalStore
from fastobj.testing.meta_contract import ABSENT, SPACE, MetaContract, contents, txn

SEGMENT_BYTES = (LOG_SEGMENT_BYTES_MIN, LOG_SEGMENT_BYTES_MIN)


class LedgerEngine:
    """A `MetaEngine` whose commits go through the local ledger of an embedded store."""

    limits = ENGINE_LIMITS

    def __init__(self, directory: Path, segment_bytes: tuple[int, int] = SEGMENT_BYTES) -> None:
        self._store = LocalStore(directory, segment_bytes=segment_bytes)

    async def open(self) -> None:
        self._store.open()
        engine = self._store.engine
        self.get, self.get_many = engine.get, engine.get_many
        self.scan, self.counters = engine.scan, engine.counters

    async def close(self) -> None:
        self._store.close()

    async def commit(self, tried: Txn) -> None:
        (conflict,) = await self.commit_many([tried])
        if conflict is not None:
            raise conflict

    async def commit_many(self, txns: Sequence[Txn]) -> list[Conflict | None]:
        entries = [Entry(tried) for tried in txns]
        return [_as_engine(result) for result in await self._store.ledger.commit_many(entries)]


def _as_engine(result: FastobjError | None) -> Conflict | None:
    """Engines raise ValueError for what the ledger refuses."""
    if result is None or isinstance(result, Conflict):
        return result
    raise result.__cause__ or result


class TestLocalLedger(MetaContract):
    """All of the contract."""

    durable = True
    model_examples = 10

    def make(self, directory: Path) -> LedgerEngine:
        return LedgerEngine(directory)


class TestSmallSegments:
    """Segments of the smallest size that takes a transaction, so that many are crossed."""

    def test_the_log_rolls_and_is_found_again(self, tmp_path):
        async def steps() -> None:
            sizes = (64 * KIB, 128 * KIB)
            for opening in range(3):
                engine = LedgerEngine(tmp_path / "store", sizes)
                await engine.open()
                assert len(await contents(engine)) == opening * 8
                for number in range(8):
                    key = b"%d-%d" % (opening, number)
                    await engine.commit(txn((SPACE, key, ABSENT, bytes(30 * KIB))))
                await engine.close()

        asyncio.run(steps())
        assert len(list((tmp_path / "store/log").glob("*.log"))) >= 6
