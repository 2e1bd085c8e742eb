"""Waiting for a while at most. Unlike asyncio.timeout this needs no current task."""

from __future__ import annotations

import asyncio
from typing import TypeVar

Result = TypeVar("Result")


async def within(seconds: float, future: asyncio.Future[Result]) -> Result:
    """The future's result. Cancels it after that many seconds and raises TimeoutError."""
    handle = asyncio.get_running_loop().call_later(seconds, future.cancel, _Expired)
    try:
        return await future
    except asyncio.CancelledError as error:
        if error.args == (_Expired,):
            raise TimeoutError from None
        raise
    finally:
        handle.cancel()


class _Expired:
    """The message of a cancellation that is ours."""
