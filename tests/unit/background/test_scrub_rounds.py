"""Rounds of the scrub: how far it is, how fast, how often, and how damage ends."""

import asyncio
import logging

import blake3
import pytest

from fastobj.background.pace import Pace
from fastobj.background.scrub import AGAIN_S, ROW_COST_BYTES, SAVE_BYTES, SAVE_NS
from fastobj.core.clock import FixedClock
from fastobj.core.errors import Unavailable
from fastobj.core.limits import MIB
from fastobj.core.metrics import Metric
from fastobj.meta import keys
from fastobj.meta.records import ScrubRecord
from tests.unit.background.scrubbing import INTERVAL_S, LARGE, opened, put_with_sum
from tests.unit.objects.conftest import START_NS

# --- damage that ends


async def test_damage_ends_when_the_object_is_overwritten(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.damage()
        await bench.scrub.round()
        await bench.scrub.forget_gone()
        assert await bench.damaged()
        await bench.site.put(b"key", b"another body")
        await bench.scrub.forget_gone()
        assert not await bench.damaged()


async def test_a_shared_body_with_a_sum_is_read_anew_in_each_round(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await put_with_sum(bench, b"key", blake3.blake3(LARGE).digest())
        await bench.site.copy(b"key", b"copy")
        for number in (1, 2):
            await bench.scrub.round()
            # under its shared row, and once more for the sums of both objects
            assert bench.counted.sums[Metric.SCRUB_BODIES] == 2 * number
        assert not errors()


async def test_damage_that_is_found_while_others_are_forgotten_is_not(tmp_path, errors):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.damage()
        bench.site.gate.before.append(bench.scrub.forget_gone)  # before the damage is committed
        await bench.scrub.round()
        assert bench.scrub._is_damaged
        await bench.site.put(b"key", b"another body")
        await bench.scrub.forget_gone()
        assert not await bench.damaged()


async def test_damage_ends_when_the_body_is_whole_again(tmp_path):
    async with opened(tmp_path) as bench:
        for key in (b"key", b"other"):
            await bench.site.put(key, LARGE)
            await bench.damage(key)
        await bench.scrub.round()
        assert len(await bench.damaged()) == 2
        await bench.damage(b"key")
        await bench.new().round()
        (left,) = (await bench.damaged()).values()
        assert keys.object_key(left.key) == b"other"


async def test_damage_of_a_body_that_others_share_stays_with_the_last_of_them(tmp_path):
    async with opened(tmp_path) as bench:
        await bench.site.put(b"key", LARGE)
        await bench.damage()
        await bench.scrub.round()
        await bench.site.copy(b"key", b"copy")
        await bench.site.put(b"key", b"another body")
        await bench.scrub.forget_gone()
        assert len(await bench.damaged()) == 1
        await bench.site.put(b"copy", b"another body")
        await bench.scrub.forget_gone()
        assert not await bench.damaged()


# --- cursor, rate, time


async def _fill(bench, count):
    for number in range(count):
        await bench.site.put(b"%03d" % number, b"body %d" % number)


async def test_it_goes_on_where_it_was_after_a_restart(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with opened(tmp_path) as bench:
        await _fill(bench, 250)
        stopped = bench.new(bytes_s=ROW_COST_BYTES)  # a row takes a second

        async def die(seconds):
            await bench.sleep(seconds)
            if (await bench.record() or ScrubRecord(1, 0, 0)).bodies >= 120:
                raise asyncio.CancelledError

        stopped._pace = Pace(ROW_COST_BYTES, bench.site.clock, die)
        with pytest.raises(asyncio.CancelledError):
            await stopped.round()
        saved = await bench.record()
        assert (saved.round, saved.space, saved.finished_ns) == (1, keys.CURRENT, 0)
        assert saved.bodies < 130
        before = bench.counted.sums[Metric.SCRUB_BODIES]
        await bench.new().round()
        record = await bench.record()
        assert (record.round, record.bodies, record.started_ns) == (1, 250, saved.started_ns)
        assert bench.counted.sums[Metric.SCRUB_BODIES] - before == 250 - saved.bodies
        assert "goes on with round 1" in caplog.text


async def test_it_saves_every_few_seconds_or_mebibytes(tmp_path):
    async with opened(tmp_path) as bench:
        await _fill(bench, 40)
        commits = bench.site.gate.calls
        await bench.scrub.round()
        assert bench.site.gate.calls - commits == 1  # no time has passed, little was read
        commits = bench.site.gate.calls
        await bench.new(bytes_s=ROW_COST_BYTES).round()
        rows = 40 + 5
        assert rows / 8 < bench.site.gate.calls - commits < rows / 4
        bench.scrub._unsaved_bytes = SAVE_BYTES
        assert bench.scrub._is_to_be_saved()
        assert SAVE_NS == 5e9


async def test_the_rate_is_kept(tmp_path):
    async with opened(tmp_path) as bench:
        for key in (b"1", b"2", b"3"):
            await bench.site.put(key, LARGE)
        scrub = bench.new(bytes_s=MIB)
        began = bench.site.clock.monotonic_ns()
        await scrub.round()
        took_s = (bench.site.clock.monotonic_ns() - began) / 1e9
        expected_s = 3 * len(LARGE) / MIB
        assert expected_s <= took_s < expected_s * 1.02
        assert max(bench.slept) <= 1.01  # a piece at a time


async def test_what_was_not_spent_is_not_saved_up():
    clock = FixedClock(START_NS)
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        clock.advance(int(seconds * 1e9))

    pace = Pace(1000, clock, sleep)
    await pace.spend(500)
    clock.advance(100 * 10**9)
    await pace.spend(1000)
    await pace.spend(5)
    assert slept == [0.5, 1.0, 0]


async def test_rounds_begin_an_interval_apart(tmp_path):
    async with opened(tmp_path) as bench:
        begins = []

        async def sleep(seconds):
            await bench.sleep(seconds)
            record = await bench.record()
            if record is not None and record.started_ns not in begins:
                begins.append(record.started_ns)
            if len(begins) == 3:
                raise asyncio.CancelledError

        scrub = bench.new(bytes_s=ROW_COST_BYTES)
        scrub._sleep = sleep
        with pytest.raises(asyncio.CancelledError):
            await scrub.run()
        first, *others = begins
        assert first == START_NS + INTERVAL_S * 1e9
        assert [start - first for start in others] == [INTERVAL_S * 1e9, 2 * INTERVAL_S * 1e9]


async def test_a_clock_that_goes_back_does_not_stop_it(tmp_path):
    async with opened(tmp_path) as bench:
        await bench.scrub.round()
        bench.site.clock.advance(-10 * int(INTERVAL_S * 1e9))
        assert bench.scrub._due_s() == INTERVAL_S


async def test_no_interval_no_scrub(tmp_path):
    async with opened(tmp_path) as bench:
        await bench.new(interval_s=0).run()
        assert await bench.record() is None


async def test_it_goes_on_when_commits_fail_for_a_while(tmp_path, caplog):
    async with opened(tmp_path) as bench:
        bench.site.clock.advance(int(INTERVAL_S * 1e9))

        async def fail():
            raise Unavailable("the committer is away")

        bench.site.gate.before.append(fail)

        async def sleep(seconds):
            if await bench.record() is not None:
                raise asyncio.CancelledError
            await bench.sleep(seconds)

        scrub = bench.new()
        scrub._sleep = sleep
        with pytest.raises(asyncio.CancelledError):
            await scrub.run()
        assert bench.slept == [AGAIN_S]
        assert "the scrub pauses: the committer is away" in caplog.text
