"""Turns at a row: in order of arrival, given back whatever happens, and nothing kept."""

import asyncio

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.objects import turns
from fastobj.objects.turns import Turns


async def visit(at, order, number):
    """One writer that lost a race: takes its turn, and yields once while it has it."""
    with at.of(b"row") as turn:
        await turn.take()
        order.append(number)
        await asyncio.sleep(0)


async def test_turns_go_by_arrival():
    at, order = Turns(), []
    await asyncio.gather(*(visit(at, order, number) for number in range(64)))
    assert order == list(range(64))
    assert not at.is_contended(b"row")


async def test_only_who_waited_reads_again():
    at = Turns()
    with at.of(b"row") as first, at.of(b"row") as second:
        assert await first.take() is False
        waiting = asyncio.ensure_future(second.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await first.take() is False  # it has the turn already
        first.__exit__()
        assert await waiting is True


async def test_newcomers_join_only_where_turns_are_taken():
    at = Turns()
    with at.of(b"row") as first, at.of(b"row") as newcomer, at.of(b"other") as other:
        await other.join()
        await newcomer.join()  # nobody has a turn: it does not wait
        assert not at.is_contended(b"row")
        await first.take()
        waiting = asyncio.ensure_future(newcomer.join())
        await asyncio.sleep(0)
        assert not waiting.done()
        first.__exit__()
        await waiting


async def test_a_cancelled_writer_gives_way():
    at, order = Turns(), []
    with at.of(b"row") as first:
        await first.take()
        cancelled = asyncio.ensure_future(visit(at, order, 1))
        waiting = asyncio.ensure_future(visit(at, order, 2))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0)
    await waiting
    assert order == [2]
    assert not at.is_contended(b"row")


async def test_a_turn_given_to_a_cancelled_writer_goes_on():
    at, order = Turns(), []
    with at.of(b"row") as first:
        await first.take()
        cancelled = asyncio.ensure_future(visit(at, order, 1))
        waiting = asyncio.ensure_future(visit(at, order, 2))
        await asyncio.sleep(0)
        first.__exit__()  # gives the turn to a writer that is cancelled before it runs
        cancelled.cancel()
    await waiting
    assert order == [2]
    assert not at.is_contended(b"row")


async def test_waiting_is_bounded(monkeypatch):
    monkeypatch.setattr(turns, "COMMITTER_WAIT_S_MAX", 0.01)
    at = Turns()
    with at.of(b"row") as first, at.of(b"row") as second:
        await first.take()
        with pytest.raises(S3Error) as failure:
            await second.take()
        assert failure.value.code is codes.SLOW_DOWN
    assert not at.is_contended(b"row")


async def test_a_second_row_is_taken_after_the_first():
    at = Turns()
    with at.of(b"a") as holder, at.of(b"b") as rival:
        holder.races_for(b"hot")
        holder.races_for(b"never")
        assert [await holder.take() for _ in range(3)] == [False] * 3
        assert at.is_contended(b"hot")
        assert not at.is_contended(b"never")
        rival.races_for(b"hot")
        waiting = asyncio.create_task(rival.join())
        await asyncio.sleep(0)
        assert at.is_contended(b"b")
        assert not waiting.done()
        holder.__exit__()
        assert await waiting
        assert not await rival.join()
    assert at._queues == {}


async def test_nobody_waits_where_nobody_takes_turns():
    at = Turns()
    with at.of(b"a") as turn:
        turn.races_for(b"hot")
        assert not await turn.join()
        assert not at.is_contended(b"a")
        assert not at.is_contended(b"hot")


async def test_writers_of_two_rows_never_wait_for_each_other():
    at = Turns()
    done = []

    async def write(row, number):
        with at.of(row) as turn:
            turn.races_for(b"hot")
            await turn.join()
            for _ in range(3):
                await asyncio.sleep(0)
                await turn.take()
            done.append(number)

    await asyncio.gather(*(write(b"%d" % (number % 3), number) for number in range(30)))
    assert sorted(done) == list(range(30))
    assert at._queues == {}
