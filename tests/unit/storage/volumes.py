"""A local volume with rows in a dict, for the tests of this folder."""

import asyncio
import os
from contextlib import asynccontextmanager

from fastobj.core.errors import Conflict
from fastobj.meta import keys, records
from fastobj.meta.base import DELETE
from fastobj.storage.local_volume import LocalVolume
from fastobj.storage.pool import IoPool
from fastobj.storage.segment_files import make_folders

OWNER = 77


class Rows:
    """Segment rows, committed at once; `failures` are raised first, one per commit."""

    def __init__(self):
        self.rows = {}
        self.failures = []
        self.commits = 0

    async def commit(self, changes, adds):
        await asyncio.sleep(0)
        self.commits += 1
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        present = [self.rows.get(row.key) for row in changes]
        if [found and found[1] for found in present] != [row.expect for row in changes]:
            raise Conflict(present)
        token = os.urandom(16)
        for row in changes:
            assert row.space == keys.SEGMENTS
            if row.value is DELETE:
                del self.rows[row.key]
            else:
                self.rows[row.key] = (row.value, token)
        return token

    def segments(self):
        """Segment id to record."""
        return {
            keys.segment_id(key): records.decode(records.SegmentRecord, value)
            for key, (value, _) in self.rows.items()
        }

    def states(self):
        """The states of all segments, in the order in which they were made."""
        return [record.state for record in self.segments().values()]


@asynccontextmanager
async def local_volume(root, rows=None, **options):
    """A volume below `root`; the pool is closed with it."""
    make_folders(str(root))
    pool = IoPool()
    volume = LocalVolume(str(root), pool, (rows or Rows()).commit, OWNER, **options)
    try:
        yield volume
    finally:
        await volume.close()
        pool.close()


def extent_files(root):
    """The names below extents/, sorted."""
    return sorted(os.listdir(root / "extents"))


async def settle_down(condition):
    """Lets the loop run until the condition holds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came true")
