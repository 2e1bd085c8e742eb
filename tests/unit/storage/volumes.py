"""A local volume with rows in a dict, for the tests of this folder."""

import asyncio
import os
from contextlib import asynccontextmanager

from fastobj.core.errors import Conflict
from fastobj.core.segments import SEGMENT_OPEN, SEGMENT_SEALED
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool
from fastobj.storage.segment_files import make_folders

OWNER = 77


class Rows:
    """A segment book in a dict, written at once; `failures` are raised first, one per commit.

    `rows` maps a segment's id to a pair: the segment with its state, and a token.
    """

    owner = OWNER

    def __init__(self):
        self.rows = {}
        self.failures = []
        self.commits = 0

    async def opened(self, segment):
        return await self._commit(segment, None, (segment, SEGMENT_OPEN))

    async def sealed(self, segment, token):
        await self._commit(segment, token, (segment, SEGMENT_SEALED))

    async def removed(self, segment, token):
        await self._commit(segment, token, None)

    async def _commit(self, segment, expect, value):
        await asyncio.sleep(0)
        self.commits += 1
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        present = self.rows.get(segment.id)
        if (present and present[1]) != expect:
            raise Conflict([present])
        token = os.urandom(16)
        if value is None:
            del self.rows[segment.id]
        else:
            self.rows[segment.id] = (value, token)
        return token

    def segments(self):
        """The segments that have rows, in the order in which they were made."""
        return [segment for (segment, _), _ in self.rows.values()]

    def states(self):
        """Their states, in that order."""
        return [state for (_, state), _ in self.rows.values()]


@asynccontextmanager
async def local_volume(root, rows=None, **options):
    """A volume below `root`; the pool is closed with it."""
    make_folders(str(root))
    pool = IoPool()
    volume = LocalVolume(str(root), pool, rows or Rows(), **options)
    try:
        yield volume
    finally:
        await volume.close()
        pool.close()


def extent_files(root):
    """The names below extents/, sorted."""
    return sorted(os.listdir(root / "extents"))


async def settle_down(condition, told=lambda: "it never came true"):
    """Lets the loop run until the condition holds; else fails with what it is `told`."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(told())
