"""Runs a coroutine at once, as far as it goes without waiting; only the rest becomes a task.

Most requests never wait, and a task for each would cost them a turn of the loop and more. Until it
first waits such a coroutine has no current task: what needs one (asyncio.timeout) must not be used
there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import Any


def start(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]
) -> asyncio.Task[None] | None:
    """The task of what is left of the work; None where it has ended. Raises what it raises.

    The work has a context of its own, as in a task.
    """
    context = copy_context()
    try:
        waits_for = context.run(work.send, None)
    except StopIteration:
        return None
    return loop.create_task(_Begun(work, waits_for), context=context)


class _Begun(Generator[Any, None, None], Coroutine[Any, Any, None]):
    """Work that waits for something already.

    Not a generator around it: one that is cancelled before its first step never enters its body,
    and so would leave the work where it stands.
    """

    __slots__ = ("_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._work = work
        self._waits_for = [waits_for]

    def send(self, value: None) -> Any:
        """The first step is to wait; all further ones are the work's own."""
        return self._waits_for.pop() if self._waits_for else self._work.send(value)

    def throw(self, *error: Any) -> Any:
        """Raises inside the work, where it waits."""
        self._waits_for.clear()
        return self._work.throw(*error)

    def close(self) -> None:
        """Ends the work where it stands."""
        self._work.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self
