"""Conflict, Unknown and `outcome` on each engine below the local ledger."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastobj.core.errors import Conflict, StoreError, Unavailable, Unknown
from fastobj.meta import keys
from fastobj.meta.base import ABSENT, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.objects.ledger import Entry, Outcome
from fastobj.objects.local_recovery import recover
from fastobj.storage import io
from fastobj.testing.local_store import LocalStore, ThreadLedger
from tests.contract.crash_child import SEGMENT_BYTES

CHILD = Path(__file__).with_name("crash_child.py")


class SqliteStore:
    """The embedded store."""

    def __init__(self, directory):
        self._store = LocalStore(directory / "store", segment_bytes=SEGMENT_BYTES)
        self.open()

    def open(self):
        self._store.open()
        self.ledger, self.engine = self._store.ledger, self._store.engine

    def close(self):
        self._store.close()

    def cover(self):
        assert self.engine.checkpointer.checkpoint_now()


class MemoryStore:
    """The same log below an engine that lives as long as this object."""

    covered_sequence = 0

    def __init__(self, directory):
        self._directory = directory
        self.engine = MemoryEngine()
        self.open()

    def open(self):
        self._recovered = recover(
            self._directory,
            b"the store's id..",
            self.engine,
            segment_bytes=SEGMENT_BYTES,
            checkpoints=self,
        )
        self.ledger = ThreadLedger(self._recovered.ledger)

    def close(self):
        self.ledger.close()
        self._recovered.log.close()

    def cover(self):
        self.covered_sequence = self.ledger.last_sequence

    def before_batch(self):
        pass

    def committed(self, sequence):
        pass


@pytest.fixture(params=[SqliteStore, MemoryStore])
def store(request, tmp_path):
    """An open store over each engine."""
    opened = request.param(tmp_path)
    yield opened
    opened.close()


def entry(key=b"k", value=b"v", expect=ABSENT):
    return Entry(Txn(new_txn_id(), [Row(keys.CURRENT, key, expect, value)]))


async def test_a_conflict_tells_what_is_there(store):
    first, second = entry(), entry()
    await store.ledger.commit(first)
    with pytest.raises(Conflict) as caught:
        await store.ledger.commit(second)
    assert caught.value.present == [(b"v", first.txn.id)]
    assert caught.value.arrival is not None
    assert await store.engine.get(keys.CURRENT, b"k") == (b"v", first.txn.id)


async def test_committed_and_not_committed(store):
    since = store.ledger.last_sequence
    good, refused, never = entry(), entry(), entry(b"never")
    await store.ledger.commit(good)
    results = await store.ledger.commit_many([refused, entry(b"other")])
    assert isinstance(results[0], Conflict)
    for _ in range(3):
        assert await store.ledger.outcome(good.txn.id, since) is Outcome.COMMITTED
        assert await store.ledger.outcome(refused.txn.id, since) is Outcome.NOT_COMMITTED
        assert await store.ledger.outcome(never.txn.id, since) is Outcome.NOT_COMMITTED
        store.close()
        store.open()


async def test_too_old(store):
    since = store.ledger.last_sequence
    old = entry(b"old")
    await store.ledger.commit(old)
    store.cover()
    await store.ledger.commit(entry(b"next"))  # from here the log says what is covered
    await store.ledger.commit(entry(b"and one"))
    for _ in range(3):
        assert await store.ledger.outcome(old.txn.id, since) is Outcome.TOO_OLD
        now = store.ledger.last_sequence
        assert await store.ledger.outcome(entry().txn.id, now) is Outcome.NOT_COMMITTED
        store.close()
        store.open()


async def test_unknown_and_what_became_of_it(store, monkeypatch):
    since = store.ledger.last_sequence
    lost = entry(b"lost")

    def fail(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(io.os, "fdatasync", fail)
        with pytest.raises(Unknown):
            await store.ledger.commit(lost)
    assert await store.engine.get(keys.CURRENT, b"lost") is None
    with pytest.raises(StoreError, match="fenced"):
        await store.ledger.commit(entry(b"more"))
    store.close()
    store.open()
    # The write had reached the file, and the next life could sync it.
    assert await store.ledger.outcome(lost.txn.id, since) is Outcome.COMMITTED
    assert await store.engine.get(keys.CURRENT, b"lost") == (b"v", lost.txn.id)
    await store.ledger.commit(entry(b"more"))


async def test_a_closed_store_takes_nothing(store):
    store.close()
    with pytest.raises(Unavailable):
        await store.ledger.commit(entry())
    store.open()


def test_a_loop_may_end_before_the_answer(tmp_path):
    async def leave(ledger):
        task = asyncio.create_task(ledger.commit_many([entry(b"%d" % n) for n in range(50)]))
        await asyncio.sleep(0)
        return task

    with LocalStore(tmp_path / "store", segment_bytes=SEGMENT_BYTES) as store:
        assert asyncio.run(leave(store.ledger)).cancelled()
        asyncio.run(store.ledger.commit(entry()))
        assert store.engine.read(keys.CURRENT, b"49") is not None  # sent is sent


# --- a process that is killed


def _run_child(directory, crash_at, count=12):
    """Runs the child until it is killed; what it sent, and which of it was answered."""
    environment = {**os.environ, "FASTOBJ_CRASH_AT": crash_at}
    command = [sys.executable, str(CHILD), str(directory), str(count)]
    child = subprocess.run(
        command, env=environment, cwd=CHILD.parents[2], capture_output=True, text=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    lines = [line.split() for line in child.stdout.splitlines()]
    done = {line[1] for line in lines if line[0] == "done"}
    return [line[1:] for line in lines if line[0] == "sent"], done


# The first block, which recovery writes, reaches the points of a block too.
POINTS = {
    "log.renamed:1": None,
    "log.before_pwritev:1": None,
    "log.after_pwritev:1": None,
    "log.after_sync:1": None,
    "commit.committed:1": None,
    "log.renamed:3": Outcome.NOT_COMMITTED,
    "log.before_pwritev:6": Outcome.NOT_COMMITTED,
    "log.after_pwritev:6": Outcome.COMMITTED,
    "log.after_sync:6": Outcome.COMMITTED,
    "commit.committed:6": Outcome.COMMITTED,
    "commit.before_answer:5": Outcome.COMMITTED,
}


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_killed_at_a_point(tmp_path, point):
    sent, done = _run_child(tmp_path / "store", point)
    assert (POINTS[point] is None) == (not sent)
    for _ in range(2):
        with LocalStore(tmp_path / "store", segment_bytes=SEGMENT_BYTES) as store:
            for name, since, key in sent:
                outcome = await store.ledger.outcome(bytes.fromhex(name), int(since))
                expected = Outcome.COMMITTED if name in done else POINTS[point]
                assert outcome is expected
                row = await store.engine.get(keys.CURRENT, bytes.fromhex(key))
                assert (row is not None) == (expected is Outcome.COMMITTED)
            await store.ledger.commit(entry(os.urandom(8)))


async def test_a_process_killed_in_a_replay(tmp_path):
    """The database falls back to before all commits; the first replay of them is killed."""
    with LocalStore(tmp_path / "store", segment_bytes=SEGMENT_BYTES):
        pass
    shutil.copytree(tmp_path / "store", tmp_path / "before")
    sent, done = _run_child(tmp_path / "store", "commit.before_answer:9")
    for path in (tmp_path / "store").glob("meta.db*"):
        path.unlink()
    for path in (tmp_path / "before").glob("meta.db*"):
        shutil.copy(path, tmp_path / "store" / path.name)
    assert _run_child(tmp_path / "store", "replay.committed:1") == ([], set())
    with LocalStore(tmp_path / "store", segment_bytes=SEGMENT_BYTES) as store:
        assert len(sent) == len(done) + 1 == 9
        for name, since, key in sent:
            assert await store.ledger.outcome(bytes.fromhex(name), int(since)) is Outcome.COMMITTED
            row = await store.engine.get(keys.CURRENT, bytes.fromhex(key))
            assert row[1].hex() == name
