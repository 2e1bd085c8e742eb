"""A whole store in one process: engine, volume, ledger and epochs put together for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastobj.core.clock import Clock, SystemClock
from fastobj.kms.memory import MemoryKms
from fastobj.meta import keys
from fastobj.meta.base import KEEP, MetaEngine, Txn
from fastobj.meta.memory import MemoryEngine
from fastobj.objects.buckets import BucketCache
from fastobj.objects.encryption_rules import Rules
from fastobj.objects.engine_ledger import EngineLedger
from fastobj.objects.ledger import Ledger
from fastobj.objects.store import Store
from fastobj.storage.base import Usage, Volume
from fastobj.storage.memory import MemoryVolume


class LocalEpochs:
    """Epochs of a store whose parts all run in one process."""

    def __init__(self) -> None:
        self._epochs: Counter[bytes] = Counter()

    def read(self, key: bytes) -> int:
        """The present epoch of a cached key."""
        return self._epochs[key]

    def bump(self, key: bytes) -> None:
        """The row behind a cached key has changed."""
        self._epochs[key] += 1


def assemble(
    engine: MetaEngine | None = None,
    volume: Volume | None = None,
    ledger: Ledger | None = None,
    *,
    epochs: LocalEpochs | None = None,
    clock: Clock | None = None,
) -> Store:
    """A store of these parts; those left out are in memory.

    A `ledger` that is given must bump `epochs` for each bucket row that it writes.
    """
    engine = engine if engine is not None else MemoryEngine()
    volume = volume if volume is not None else MemoryVolume()
    epochs = epochs if epochs is not None else LocalEpochs()
    if ledger is None:
        ledger = EngineLedger(engine, volume, _Committed(epochs, volume))
    return Store(
        meta=BucketCache(engine, epochs),
        ledger=ledger,
        volume=volume,
        clock=clock if clock is not None else SystemClock(),
        epochs=epochs,
        encryption=Rules(MemoryKms()),
    )


@asynccontextmanager
async def opened(
    engine: MetaEngine | None = None,
    volume: Volume | None = None,
    ledger: Ledger | None = None,
    *,
    epochs: LocalEpochs | None = None,
) -> AsyncIterator[Store]:
    """A store as `assemble` makes it, its engine open for as long as it is used."""
    engine = engine if engine is not None else MemoryEngine()
    await engine.open()
    try:
        yield assemble(engine, volume, ledger, epochs=epochs)
    finally:
        await engine.close()


class _Committed:
    """What happens between a commit and its answer."""

    def __init__(self, epochs: LocalEpochs, volume: Volume) -> None:
        self._epochs = epochs
        self._volume = volume

    def __call__(self, txn: Txn) -> None:
        for row in txn.rows:
            if row.space == keys.BUCKETS and row.value != KEEP:
                self._epochs.bump(row.key)
        if isinstance(self._volume, MemoryVolume):
            self._volume.committed(
                Usage(keys.segment_id(add.key), *add.amounts)
                for add in txn.adds
                if add.space == keys.SEGMENTS
            )
