"""The rolling restart: every child is replaced, one after the other, while all others serve.

A worker's successor serves before the worker is told to retire, so there is never one fewer. The
committer comes behind all workers: writes wait for the next one. Maintenance is last: when it
starts it looks for what ended processes have left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from fastobj.core.clock import Clock
from fastobj.node.process_slot import Child

_OVER: Final = object()


class Host(Protocol):
    """What a rolling restart asks of the supervisor."""

    def replaceable(self) -> Sequence[Child]:
        """All children, in the order in which they are to be replaced."""
        ...

    def begin_beside(self, worker: Child) -> Child:
        """Starts another worker, in a slot of its own; returns it."""
        ...

    def retire(self, child: Child) -> None:
        """Tells a child to finish what it does, and to end; a worker gets no more connections."""
        ...

    def kill(self, child: Child) -> None:
        """Ends a child that did not do so in time."""
        ...

    def dismiss(self, worker: Child) -> None:
        """A retired worker has ended: its slot is free."""
        ...


class Roll:
    """At most one rolling restart; what is asked for meanwhile follows once.

    `time_ns` is what a child is given to end before it is killed.
    """

    def __init__(self, host: Host, clock: Clock, time_ns: int) -> None:
        self._host = host
        self._clock = clock
        self._time_ns = time_ns
        self._log = logging.getLogger("fastobj.supervisor")
        self._steps: Iterator[None] | None = None
        self._again = False
        self.due_ns: int | None = None  # when `step` wants to be called, whatever else happens

    def ask(self) -> None:
        """Begins a rolling restart, or one more behind the present one."""
        if self._steps is not None:
            self._again = True
        else:
            self._steps = self._run()

    def step(self) -> None:
        """Goes on as far as nothing has to be waited for; to be called whenever things change."""
        while self._steps is not None and next(self._steps, _OVER) is _OVER:
            self._steps = None
            if self._again:
                self._again = False
                self.ask()

    def _run(self) -> Iterator[None]:
        """Each step waits for something."""
        began = self._clock.monotonic_ns()
        lives = [(child, child.owner) for child in self._host.replaceable()]
        self._log.info("rolling restart: %d processes are replaced one by one", len(lives))
        for child, owner in lives:
            if child.owner != owner or not child.pid:
                continue  # it has been started anew by itself
            if child.role == "worker":
                yield from self._replace_worker(child)
                continue
            yield from self._end(child)
            while child.role == "committer" and not child.is_ready:
                yield
        took_s = (self._clock.monotonic_ns() - began) / 1e9
        self._log.info("rolling restart: done in %.1f s", took_s)

    def _replace_worker(self, worker: Child) -> Iterator[None]:
        successor = self._host.begin_beside(worker)
        while not successor.is_ready:
            yield
        yield from self._end(worker)
        self._host.dismiss(worker)

    def _end(self, child: Child) -> Iterator[None]:
        """Waits until this life of the child has ended, for as long as it may take."""
        owner = child.owner
        self._host.retire(child)
        self.due_ns = self._clock.monotonic_ns() + self._time_ns
        while child.pid and child.owner == owner:
            if self.due_ns is not None and self._clock.monotonic_ns() >= self.due_ns:
                self.due_ns = None
                self._host.kill(child)
            yield
        self.due_ns = None
