"""A store opened by this process: what failures leave of it, and what a new one makes sure of."""

import os
from collections.abc import Iterator

import pytest

from fastobj.core.errors import StoreDamaged, StoreError, SyncFailed
from fastobj.node.layout import prepare
from fastobj.node.recovered_store import RecoveredStore
from fastobj.storage import faults
from fastobj.testing.local_store import LocalStore


@pytest.fixture
def disarmed() -> Iterator[None]:
    """Faults end with the test."""
    yield
    faults.arm("")


def test_an_opening_that_fails_gives_everything_back(tmp_path):
    with LocalStore(tmp_path / "store") as store:
        layout = store.layout
    whole = layout.database.read_bytes()
    layout.database.write_bytes(b"\xff" * len(whole))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):  # were the lock kept, the second would be told StoreLocked
        with pytest.raises(StoreDamaged):
            RecoveredStore(layout)
    assert len(os.listdir("/proc/self/fd")) == before
    layout.database.write_bytes(whole)
    RecoveredStore(layout).close()


def test_a_closing_that_fails_gives_the_lock_back(tmp_path):
    store = LocalStore(tmp_path / "store")
    store.open()
    checkpointer = store.engine.checkpointer
    checkpointer.close = lambda close=checkpointer.close: (close(), _raise())
    with pytest.raises(StoreError, match="on purpose"):
        store.close()
    store.open()
    store.close()


def _raise():
    raise StoreError("on purpose")


def test_the_database_is_on_the_drive_by_name_before_it_is_used(tmp_path, disarmed):
    layout = prepare(tmp_path / "store")
    faults.arm(f"sync_directory:path={layout.root}:error=EIO")
    with pytest.raises(SyncFailed):
        RecoveredStore(layout)
    faults.arm("")
    RecoveredStore(layout).close()
