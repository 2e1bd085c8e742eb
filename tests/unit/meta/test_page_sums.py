"""Sums of the pages of the database: damage is told, and databases without them are still used."""

import sqlite3

import apsw
import pytest

from fastobj._ext import pagesum, segio
from fastobj.core.errors import StoreDamaged
from fastobj.meta import instrumented_vfs, keys, sqlite_connect
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.meta.sqlite import SqliteEngine

PAGE = pagesum.PAGE_BYTES
ROWS = 300


@pytest.fixture
def path(tmp_path):
    """A database with many pages, all of them in its file."""
    _fill(tmp_path / "meta.db")
    return tmp_path / "meta.db"


def _fill(path, vfs=None):
    engine = SqliteEngine(path, vfs=vfs)
    engine.open_now()
    batch = engine.begin()
    for number in range(ROWS):
        row = Row(keys.CURRENT, b"%04d" % number, ANY, b"value %d" % number * 20)
        assert batch.apply(Txn(new_txn_id(), [row])) is None
    batch.commit(None)
    assert engine.checkpointer.checkpoint_now()
    engine.close_now()
    for suffix in ("-wal", "-shm"):  # all of it is in the database
        path.with_name(path.name + suffix).unlink()


def _pages(path):
    content = path.read_bytes()
    count = int.from_bytes(content[28:32], "big")
    return [content[at : at + PAGE] for at in range(0, count * PAGE, PAGE)]


def _read(path, read_only=True):
    engine = SqliteEngine(path, read_only=read_only)
    try:
        engine.open_now()
        return engine.read_range(keys.CURRENT, keys.FIRST, keys.LAST, 10_000)
    finally:
        engine.close_now()


def test_each_page_has_its_sum(path):
    pages = _pages(path)
    assert len(pages) > 10
    for number, page in enumerate(pages, 1):
        assert page == pagesum.stamped(page, number)
    assert len(_read(path)) == ROWS


def test_every_page_is_read_by_its_sum_under_the_instrumented_vfs_too(tmp_path):
    _fill(tmp_path / "a.db", instrumented_vfs.register())
    assert all(pagesum.verifies(page, n) for n, page in enumerate(_pages(tmp_path / "a.db"), 1))
    segio.fault_add(segio.CALL_READ, "*", 3, 0, segio.FAULT_FLIP, 0, False, 777)
    try:
        with pytest.raises(StoreDamaged):
            SqliteEngine(tmp_path / "a.db", read_only=True, vfs=instrumented_vfs.NAME).open_now()
    finally:
        segio.faults_clear()


@pytest.mark.parametrize("read_only", [False, True])
def test_any_flipped_bit_is_told(path, rng, read_only):
    sound, pages = path.read_bytes(), len(_pages(path))
    told = []
    for _ in range(100):
        at = rng.randrange(pages * PAGE)
        damaged = bytearray(sound)
        damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            assert len(_read(path, read_only)) == ROWS  # its page holds no rows
        except StoreDamaged as error:
            told.append(str(error))
    assert len(told) > 60
    assert all(str(path) in each for each in told)


def test_a_page_at_anothers_place_is_told(path):
    content, pages = bytearray(path.read_bytes()), _pages(path)
    leaves = [n for n, page in enumerate(pages) if page[0] == 0x0A and b"value" in page]
    one, other = (slice(n * PAGE, (n + 1) * PAGE) for n in leaves[:2])
    content[one], content[other] = content[other], content[one]
    path.write_bytes(content)
    with pytest.raises(StoreDamaged, match="restore a backup"):
        _read(path)


def test_a_header_that_no_longer_says_so_is_told(path):
    content = bytearray(path.read_bytes())
    content[20] = 0
    path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(StoreDamaged):
            _read(path, read_only)


def test_a_database_of_format_1_is_used_as_it_is(tmp_path):
    path = tmp_path / "meta.db"
    raw = apsw.Connection(str(path))
    raw.pragma("journal_mode", "wal")
    raw.execute(sqlite_connect._SCHEMA)
    raw.execute("INSERT INTO state VALUES ('format', 1)")
    raw.pragma("application_id", sqlite_connect.APPLICATION_ID)
    raw.close()
    _fill(path)
    assert len(_read(path)) == ROWS
    assert path.read_bytes()[20] == 0
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT value FROM state WHERE name = 'format'").fetchone() == (1,)
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


def test_others_can_read_it(path):
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert raw.execute("SELECT count(*) FROM kv").fetchone() == (ROWS,)
    raw.close()


def test_a_page_has_its_size():
    with pytest.raises(ValueError, match="4096"):
        pagesum.stamped(bytes(100), 1)
    with pytest.raises(ValueError, match="4096"):
        pagesum.verifies(bytes(5000), 1)


def test_the_vfs_needs_its_base():
    with pytest.raises(OSError, match="No such file"):
        pagesum.register("anything", "a VFS that is not there")
    with pytest.raises(OSError, match="too long"):
        pagesum.register("x" * 64)
