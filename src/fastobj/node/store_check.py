"""The check of a store that no server runs on: opened as a server would, all compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fastobj.core.clock import SystemClock
from fastobj.core.errors import FastobjError, StoreError, Unavailable
from fastobj.node import layout as layouts
from fastobj.node.layout import StoreLayout
from fastobj.node.locks import take_server_lock
from fastobj.node.recovered_store import RecoveredStore, drop_cache
from fastobj.objects.check import Check, Problem, Progress
from fastobj.objects.ledger import Entry
from fastobj.objects.segment_rows import SegmentRows
from fastobj.objects.store import Store
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool

_NO_OWNER: Final = 0


async def check(
    directory: Path,
    tell: Callable[[Problem], None],
    begun: Callable[[Progress], None],
    *,
    bodies: bool = True,
) -> Progress:
    """Checks the store in `directory`; what it finds is told as it is found.

    `begun` is handed the figures that grow from then on. Nothing but what opening does is
    changed. Raises StoreDamaged where it cannot even be opened, StoreLocked where a server runs,
    StoreError where there is no store or it is another user's.
    """
    with at_rest(directory, "a check") as (layout, opened):
        return await _check(layout, opened, tell, begun, bodies)


@contextmanager
def at_rest(directory: Path, what: str) -> Iterator[tuple[StoreLayout, RecoveredStore]]:
    """The store in `directory`, opened as a server would, for `what` needs it at rest.

    Raises what `check` raises.
    """
    layout = layouts.find(directory)
    _refuse_other_user(layout)
    lock = take_server_lock(layout, f"stop that server first, for {what} needs the store at rest")
    mask = os.umask(0o077)  # what opening makes is nobody else's to read
    try:
        opened = RecoveredStore(layout)
        try:
            yield layout, opened
        finally:
            opened.close()
    finally:
        os.umask(mask)
        lock.close()


async def _check(
    layout: StoreLayout,
    opened: RecoveredStore,
    tell: Callable[[Problem], None],
    begun: Callable[[Progress], None],
    bodies: bool,
) -> Progress:
    if bodies:  # what is checked is what the drive holds
        for path in [*layout.log.iterdir(), *layout.extents.iterdir()]:
            drop_cache(path)
    pool = IoPool()
    ledger = _ReadOnly()
    volume = LocalVolume(str(layout.root), pool, SegmentRows(ledger, _NO_OWNER))
    store = Store(
        meta=opened.engine, ledger=ledger, volume=volume, clock=SystemClock(), epochs=_Epochs()
    )
    try:
        one = Check(store, str(layout.root), tell, bodies=bodies)
        begun(one.progress)
        return await one.run()
    finally:
        await volume.close()
        pool.close()


def _refuse_other_user(layout: StoreLayout) -> None:
    """What opening makes would belong to this user, and the server could not write it."""
    owner = (layout.root / layouts.STORE_FILE).stat().st_uid
    if owner != os.geteuid():
        raise StoreError(
            f"the store in {layout.root} belongs to user {owner}, and this is user"
            f" {os.geteuid()}: check it as the user of its server"
        )


class _ReadOnly:
    """The ledger of a store in which nothing is committed."""

    async def commit(self, entry: Entry) -> None:
        """Raises Unavailable."""
        raise Unavailable("a check commits nothing")

    async def commit_many(self, entries: Sequence[Entry]) -> list[FastobjError | None]:
        """Raises Unavailable."""
        raise Unavailable("a check commits nothing")


class _Epochs:
    """No row changes: all epochs are 0."""

    def read(self, key: bytes) -> int:
        """0."""
        return 0
