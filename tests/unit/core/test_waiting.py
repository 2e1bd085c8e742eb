"""Waiting for a while at most, with a current task and without."""

import asyncio

import pytest

from fastobj.core.waiting import within


async def test_a_result_in_time():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 5)
    assert await within(60, future) == 5


async def test_a_result_that_is_there():
    future = asyncio.get_running_loop().create_future()
    future.set_result(3)
    assert await within(60, future) == 3


async def test_an_exception_is_passed_on():
    future = asyncio.get_running_loop().create_future()
    future.set_exception(KeyError("k"))
    with pytest.raises(KeyError):
        await within(60, future)


async def test_time_is_up():
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await within(0.001, future)
    assert future.cancelled()


async def test_a_cancellation_from_outside_is_none_of_ours():
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(within(60, future))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
