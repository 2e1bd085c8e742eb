"""Answers of operations that may work for long, so that no client or proxy gives them up.

What is done soon is answered as ever. Else the head leaves with status 200, and after it spaces,
which XML allows between its declaration and its root, until the document can follow: that of the
result, or of the error, which by then can no longer be told by the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

from fastobj.core import limits
from fastobj.http.message import Response
from fastobj.s3 import xml
from fastobj.s3.context import Result

_DECLARATION: Final = xml.DECLARATION.encode()
_SPACE: Final = b" "

Render = Callable[[Result], Response]
Fail = Callable[[Exception], Response]


async def answer(working: Awaitable[Result], render: Render, fail: Fail) -> Response:
    """The response to what is being worked on; raises what that raises while nothing has left.

    The work goes on to its end, whatever becomes of the client.
    """
    work = asyncio.ensure_future(working)
    done, _ = await asyncio.wait([work], timeout=limits.SLOW_HEAD_S)
    if done:
        return render(work.result())
    document = asyncio.ensure_future(_document(work, render, fail))
    response = Response(200, [xml.CONTENT_TYPE], _Waiting(document))
    response.chunked = True
    return response


async def _document(work: asyncio.Future[Result], render: Render, fail: Fail) -> bytes:
    """What follows the declaration."""
    try:
        response = render(await work)
    except Exception as error:
        response = fail(error)
    return cast(bytes, response.body).removeprefix(_DECLARATION)


class _Waiting:
    """The body: the declaration, spaces while the document is waited for, and the document."""

    def __init__(self, document: asyncio.Future[bytes]) -> None:
        self._document = document
        self._begun = False
        self._over = False

    def __aiter__(self) -> _Waiting:
        return self

    async def __anext__(self) -> memoryview:
        """The next bytes to send."""
        if not self._begun:
            self._begun = True
            return memoryview(_DECLARATION)
        if self._over:
            raise StopAsyncIteration
        await asyncio.wait([self._document], timeout=limits.SLOW_SPACE_S)
        if not self._document.done():
            return memoryview(_SPACE)
        self._over = True
        return memoryview(self._document.result())

    async def aclose(self) -> None:
        """Waits for the end of the work, which is told even where nobody is left to read it."""
        await asyncio.wait([self._document])
