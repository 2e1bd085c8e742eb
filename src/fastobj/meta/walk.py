"""All rows of a space, a page at a time: no read of the engine outlives one page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys
from fastobj.meta.base import MetaReader, ScanRow


async def rows(
    meta: MetaReader, space: int, start: bytes = keys.FIRST, end: bytes = keys.LAST
) -> AsyncIterator[ScanRow]:
    """The rows with start <= key < end, in key order; each as it was when its page was read."""
    while True:
        page = await meta.scan(space, start, end, LOOP_SCAN_ROWS_MAX)
        for row in page:
            yield row
        if len(page) < LOOP_SCAN_ROWS_MAX:
            return
        start = keys.next_key(page[-1].key)
