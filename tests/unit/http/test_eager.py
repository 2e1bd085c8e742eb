"""Work that runs at once, as far as it goes without waiting."""

import asyncio
from contextvars import ContextVar

import pytest

from fastobj.http.eager import start

variable: ContextVar[str] = ContextVar("variable", default="outside")


def begin(work):
    return start(asyncio.get_running_loop(), work)


async def test_work_that_never_waits_has_ended():
    steps = []

    async def work():
        steps.append(asyncio.current_task())

    assert begin(work()) is None
    assert steps == [asyncio.current_task()]  # that of whoever runs it: it has none of its own


async def test_work_that_waits_goes_on_as_a_task():
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    steps = []

    async def work():
        steps.append(await first)
        await asyncio.sleep(0)
        steps.append(await second)

    task = begin(work())
    assert task is not None
    first.set_result(1)
    second.set_result(2)
    await task
    assert steps == [1, 2]


async def test_what_a_future_raises_arrives_where_it_was_awaited():
    future = asyncio.get_running_loop().create_future()
    caught = []

    async def work():
        try:
            await future
        except KeyError as error:
            caught.append(error)

    task = begin(work())
    future.set_exception(KeyError("k"))
    await task
    assert [error.args for error in caught] == [("k",)]


async def test_work_that_fails_at_once_raises_here():
    async def work():
        raise KeyError("k")

    with pytest.raises(KeyError):
        begin(work())


async def test_work_that_fails_later_fails_its_task():
    future = asyncio.get_running_loop().create_future()

    async def work():
        await future
        raise KeyError("k")

    task = begin(work())
    future.set_result(None)
    with pytest.raises(KeyError):
        await task


async def test_a_cancellation_can_be_withstood():
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    steps = []

    async def work():
        try:
            await first
        except asyncio.CancelledError:
            steps.append(await second)
        steps.append("end")

    task = begin(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    second.set_result("second")
    await task
    assert steps == ["second", "end"]


async def test_a_cancellation_ends_it():
    future = asyncio.get_running_loop().create_future()
    steps = []

    async def work():
        try:
            await future
        finally:
            steps.append("cleared")

    task = begin(work())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["cleared"]


async def test_the_work_has_a_context_of_its_own():
    seen = []

    async def work():
        variable.set("inside")
        await asyncio.sleep(0)
        seen.append(variable.get())

    await begin(work())
    assert seen == ["inside"]
    assert variable.get() == "outside"
