"""Rows of one kind in the time index, the earliest first: those of others are not looked at."""

from __future__ import annotations

from fastobj.core.limits import LOOP_SCAN_ROWS_MAX
from fastobj.meta import keys
from fastobj.meta.base import MetaReader, ScanRow


async def first(meta: MetaReader, kind: int, start: bytes = keys.FIRST) -> ScanRow | None:
    """The first row of that kind from `start` on: one look for each hour that has rows before."""
    while rows := await meta.scan(keys.DUE, start, keys.LAST, 1):
        hour, found, _ = keys.due_of(rows[0].key)
        if found == kind:
            return rows[0]
        start = keys.due(hour if found < kind else hour + 1, kind)
    return None


async def page(meta: MetaReader, kind: int, start: bytes, end: bytes) -> list[ScanRow]:
    """Rows of that kind from `start` on, before `end`, all of one hour; none where none are left.

    Behind the last of them there may be more.
    """
    row = await first(meta, kind, start)
    if row is None or row.key >= end:
        return []
    hour, _, _ = keys.due_of(row.key)
    of_hour = min(end, keys.due(hour, kind + 1))
    return await meta.scan(keys.DUE, row.key, of_hour, LOOP_SCAN_ROWS_MAX)
