"""The page of metrics as it is looked up: little work at a time, and only for who may see it."""

import asyncio
import os

import pytest

import fastobj
from fastobj.core.clock import SystemClock, uptime
from fastobj.core.errors import StoreError
from fastobj.core.ids import random_id
from fastobj.core.limits import LOOP_SCAN_ROWS_MAX, TXN_ROWS_MAX
from fastobj.core.segments import SEGMENT_LOG, SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.http.message import BytesBody, Request
from fastobj.meta import keys, records
from fastobj.meta.base import ABSENT, ANY, Add, Row, Txn, new_txn_id
from fastobj.meta.memory import MemoryEngine
from fastobj.node.layout import prepare
from fastobj.node.pages import ConsoleApplication
from fastobj.node.scrape import Scrape
from fastobj.node.shared_page import COMMITTER, SUPERVISOR, SharedPage
from fastobj.objects import trusted_time
from fastobj.objects.trusted_time import Reading


class Watched:
    """Reads through to an engine, and notes the largest answers."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self.rows_max = self.calls = 0

    def _note(self, rows):
        self.calls += 1
        self.rows_max = max(self.rows_max, len(rows))
        return rows

    async def get(self, *arguments):
        return self._note([await self._engine.get(*arguments)])[0]

    async def scan(self, *arguments):
        return self._note(await self._engine.scan(*arguments))

    async def counters(self, *arguments):
        return self._note(await self._engine.counters(*arguments))


class Broken:
    """A database that cannot be read."""

    async def scan(self, *_):
        raise StoreError("the database is gone")


@pytest.fixture
def layout(tmp_path):
    return prepare(tmp_path / "store")


def series(text: bytes) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")
    return {name.removeprefix("fastobj_"): float(value) for name, value in pairs}


async def fill(engine, buckets: int) -> None:
    """Buckets with a counter each; what their rows say is no matter here."""
    numbers = range(buckets)
    for some in (numbers[at : at + TXN_ROWS_MAX] for at in range(0, buckets, TXN_ROWS_MAX)):
        rows = [Row(keys.BUCKETS, b"bucket-%d" % number, ABSENT, b"any") for number in some]
        adds = [Add(keys.CURRENT, keys.bucket_counter(random_id(8)), (2, 30)) for _ in some]
        await engine.commit(Txn(new_txn_id(), rows, adds))


async def add_segment(engine, number: int, state: int, size: int, live: int) -> None:
    record = records.SegmentRecord(records.FORMAT, SEGMENT_LOG, state, 1, size, 5)
    key = keys.segment(number)
    rows = [Row(keys.SEGMENTS, key, ABSENT, records.encode(record))]
    await engine.commit(Txn(new_txn_id(), rows, [Add(keys.SEGMENTS, key, (live, 1))]))


async def test_ten_thousand_buckets_are_added_up_a_page_at_a_time(layout):
    engine = MemoryEngine()
    await fill(engine, 10_000)
    watched, turns, done = Watched(engine), 0, False

    async def count_turns() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(count_turns())
    shown = series(await Scrape(SharedPage(1), layout, watched).text())
    done = True
    await others
    stored = ("buckets", "objects", "object_bytes")
    assert [shown[name] for name in stored] == [10_000, 20_000, 300_000]
    assert watched.rows_max <= LOOP_SCAN_ROWS_MAX
    assert turns >= watched.calls - 5


async def test_segments_are_added_up_by_kind_and_state(layout):
    engine = MemoryEngine()
    for number in range(250):
        await add_segment(engine, number + 1, SEGMENT_SEALED, 1000, 400)
    await add_segment(engine, 1000, SEGMENT_OPEN, 1000, 10)
    shown = series(await Scrape(SharedPage(1), layout, engine).text())
    sealed, opened = '{kind="log",state="sealed"}', '{kind="log",state="open"}'
    assert (shown[f"segments{sealed}"], shown[f"segments{opened}"]) == (250, 1)
    assert (shown[f"segment_bytes{sealed}"], shown[f"segment_bytes{opened}"]) == (250_000, 1000)
    assert shown[f"segment_live_bytes{sealed}"] == 100_000
    assert shown['segment_dead_bytes{kind="log"}'] == 150_000  # what is open is not dead yet


async def test_damage_and_the_end_of_the_last_scrub_are_shown(layout):
    engine = MemoryEngine()
    scrape = Scrape(SharedPage(1), layout, engine)
    shown = series(await scrape.text())
    assert shown["damaged"] == 0
    assert "scrub_ended_timestamp_seconds" not in shown
    scrub = records.ScrubRecord(records.FORMAT, 2, 7, ended_ns=1_800_000_000_500_000_000)
    rows = [
        Row(keys.JOBS, keys.JOB_SCRUB, ABSENT, records.encode(scrub)),
        Row(keys.DAMAGED, keys.damaged_body(b"1" * 16), ABSENT, b"any"),
        Row(keys.DAMAGED, keys.damaged_row(keys.CURRENT, b"key"), ABSENT, b"any"),
    ]
    await engine.commit(Txn(new_txn_id(), rows, []))
    shown = series(await scrape.text())
    assert shown["damaged"] == 2
    assert shown["scrub_ended_timestamp_seconds"] == 1_800_000_000.5


async def test_a_store_that_cannot_be_read_still_shows_the_rest(layout, caplog):
    page = SharedPage(1)
    page.set_pid(SUPERVISOR, os.getpid())
    page.set_pid(COMMITTER, 2**22 + 1)  # no such process: it has ended meanwhile
    shown = series(await Scrape(page, layout, Broken()).text())
    assert shown[f'build_info{{version="{fastobj.__version__}"}}'] == 1
    assert shown['process_open_fds{role="supervisor",slot="0"}'] >= 3
    assert not any("committer" in name for name in shown)
    assert "buckets" not in shown
    assert "the database is gone" in caplog.text


async def test_nothing_is_looked_up_for_who_may_not_see_it(layout):
    watched = Watched(MemoryEngine())
    application = ConsoleApplication(lambda: True, Scrape(SharedPage(1), layout, watched).text)

    def ask(method=b"GET", path=b"/metrics", peer="127.0.0.1") -> Request:
        return Request(method, path, [], BytesBody(b""), peer=peer)

    assert (await application(ask(peer="10.0.0.1"))).status == 403
    assert (await application(ask(path=b"/health"))).status == 200
    assert watched.calls == 0
    shown = await application(ask())
    assert shown.body.startswith(b"# HELP fastobj_")
    assert shown.length == len(shown.body)
    headed = await application(ask(b"HEAD"))
    assert headed.body == b""
    assert headed.length >= len(shown.body) - 100


async def test_whether_retention_ends_is_shown_where_there_is_a_lock(layout):
    engine = MemoryEngine()
    scrape = Scrape(SharedPage(1), layout, engine)
    assert "retention_frozen" not in series(await scrape.text())
    ahead = Reading(SystemClock().now_ns() - 86_400 * 10**9, uptime())
    for value in (records.encode(trusted_time.confirmed(ahead)), b"\xc1"):
        row = Row(keys.JOBS, keys.JOB_TRUSTED_TIME, ANY, value)
        await engine.commit(Txn(new_txn_id(), [row], []))
        assert series(await scrape.text())["retention_frozen"] == 1
    right = Reading(SystemClock().now_ns(), uptime())
    row = Row(keys.JOBS, keys.JOB_TRUSTED_TIME, ANY, records.encode(trusted_time.confirmed(right)))
    await engine.commit(Txn(new_txn_id(), [row], []))
    shown = series(await scrape.text())
    assert shown["retention_frozen"] == 0
    assert abs(shown["trusted_time_offset_seconds"]) < 60
