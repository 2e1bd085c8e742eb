"""The SQLite engine keeps the contract of metadata engines, alone as well as below a log."""

import pytest

from fastobj.meta.sqlite import SqliteEngine
from fastobj.testing.meta_contract import MetaContract


class TestSqliteAlone(MetaContract):
    """Each commit is synced: what an engine without a log must do."""

    durable = True
    model_examples = 15

    def make(self, directory):
        return SqliteEngine(directory / "meta.db", synchronous="FULL")


class TestSqliteBelowTheLog(MetaContract):
    """The log makes commits durable, so the database need not sync each."""

    durable = True

    def make(self, directory):
        return SqliteEngine(directory / "meta.db")


class TestSqliteWithTinyWal(MetaContract):
    """Checkpoints run all the time, in both their forms."""

    durable = True
    model_examples = 10

    @pytest.fixture(autouse=True)
    def _tiny_wal(self, monkeypatch):
        monkeypatch.setattr("fastobj.core.limits.WAL_BYTES_PASSIVE", 16 * 1024)
        monkeypatch.setattr("fastobj.core.limits.WAL_BYTES_MAX", 64 * 1024)

    def make(self, directory):
        return SqliteEngine(directory / "meta.db")
