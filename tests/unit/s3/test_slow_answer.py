"""Answers of slow operations: what leaves when, and that the work always comes to its end."""

import asyncio

import pytest

from fastobj.core import limits
from fastobj.http.message import Response
from fastobj.s3 import slow_answer
from fastobj.s3.context import Result

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class Work:
    """Something that works until it is told how to end."""

    def __init__(self):
        self.end = asyncio.get_running_loop().create_future()
        self.done = False

    async def run(self):
        try:
            return await self.end
        finally:
            self.done = True


def render(result):
    return Response(200, [], DECLARATION + result.body)


def fail(error):
    return Response(500, [], DECLARATION + f"<Error>{error}</Error>".encode())


async def answered(work):
    return await slow_answer.answer(work.run(), render, fail)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(limits, "SLOW_HEAD_S", 0.01)
    monkeypatch.setattr(limits, "SLOW_SPACE_S", 0.01)


async def test_an_answer_in_time(monkeypatch):
    monkeypatch.setattr(limits, "SLOW_HEAD_S", 60)
    work = Work()
    work.end.set_result(Result(body=b"<Done/>"))
    response = await answered(work)
    assert (response.body, response.chunked) == (DECLARATION + b"<Done/>", False)


async def test_an_error_in_time(monkeypatch):
    monkeypatch.setattr(limits, "SLOW_HEAD_S", 60)
    work = Work()
    work.end.set_exception(ValueError("early"))
    with pytest.raises(ValueError, match="early"):
        await answered(work)


@pytest.mark.parametrize(
    ("end", "document"),
    [
        (lambda work: work.end.set_result(Result(body=b"<Done/>")), b"<Done/>"),
        (lambda work: work.end.set_exception(ValueError("late")), b"<Error>late</Error>"),
    ],
    ids=["result", "error"],
)
async def test_a_late_answer(end, document):
    work = Work()
    response = await answered(work)
    assert (response.status, response.chunked) == (200, True)
    assert response.headers == [(b"content-type", b"application/xml")]
    pieces = [bytes(await anext(response.body)) for _ in range(4)]
    assert pieces == [DECLARATION, b" ", b" ", b" "]
    end(work)
    assert b"".join([bytes(piece) async for piece in response.body]).lstrip() == document
    await response.body.aclose()


async def test_a_client_that_leaves_waits_for_the_end_unseen():
    work = Work()
    response = await answered(work)
    await anext(response.body)
    leaving = asyncio.ensure_future(response.body.aclose())
    await asyncio.sleep(0.03)
    assert not leaving.done()
    work.end.set_result(Result(body=b"<Done/>"))
    await leaving
    assert work.done


async def test_a_request_that_is_cancelled_stops_no_work(monkeypatch):
    monkeypatch.setattr(limits, "SLOW_HEAD_S", 60)
    work = Work()
    request = asyncio.ensure_future(answered(work))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not work.done
    work.end.set_result(Result())
    await asyncio.sleep(0.01)
    assert work.done
